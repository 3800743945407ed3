"""What bodies must be, and what callers are told when they are not."""

from typing import Any

import pytest

from telefuser_grpc.errors import InvalidFields, Violation
from telefuser_grpc.server.rest.bodies import error_body
from tests.server.rest.gateway import Gateway


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        (b"", ["body"], "missing"),
        (b" \r\n", ["body"], "missing"),
        (b"[1]", ["body"], "model_attributes_type"),
        (b"null", ["body"], "model_attributes_type"),
        (b'"text"', ["body"], "model_attributes_type"),
        (b'{"prompt": "a",}', ["body", 15], "json_invalid"),
        (b"{prompt: 1}", ["body", 1], "json_invalid"),
        (b'{"a": 1} x', ["body", 9], "json_invalid"),
        (b'{"shift": NaN}', ["body"], "json_invalid"),
        (b'{"shift": -Infinity}', ["body"], "json_invalid"),
        (b'{"shift": 1e999}', ["body"], "json_invalid"),
        (b'{"shift": ' + b"9" * 5000 + b"}", ["body"], "json_invalid"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ["body"], "json_invalid"),
        (b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}", ["body"], "json_invalid"),
        (b'{"prompt": "\xff"}', ["body"], "json_invalid"),
        (b'{"prompt": "\xed\xa0\x80"}', ["body"], "json_invalid"),
        ('{"prompt": "a"}'.encode("utf-16"), ["body"], "json_invalid"),
        (b'{"prompt": "a", "style": "\\ud800"}', ["body"], "json_invalid"),
        (b'{"prompt": "a", "deep": [{"\\udfff": 1}]}', ["body"], "json_invalid"),
    ],
)
async def test_body_that_is_no_json_object_is_422(
    gateway: Gateway, body: bytes, loc: list[Any], kind: str
) -> None:
    answer = await gateway.create(body)

    assert answer.status == 422
    assert answer.faults == [(loc, kind)]
    assert set(answer.detail[0]) == {"type", "loc", "msg"}


async def test_paired_surrogates_are_one_character(gateway: Gateway) -> None:
    answer = await gateway.create(b'{"prompt": "a", "style": "\\ud83d\\udfe5"}')

    assert answer.status == 200


async def test_mark_of_the_byte_order_is_no_part_of_the_body(gateway: Gateway) -> None:
    assert (await gateway.create(b'\xef\xbb\xbf{"prompt": "a"}')).status == 200


def test_list_of_faults_is_cut() -> None:
    error = InvalidFields([Violation(f"f{number}", "is wrong") for number in range(100)])

    assert len(error_body(error)["detail"]) == 20
