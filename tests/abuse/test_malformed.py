"""Requests that nobody should send: refused in words, for nothing, and forgotten.

`MALFORMED_REQUESTS=10000 pytest tests/abuse/test_malformed.py --log-cli-level=INFO` sends as many
and tells the figures.
"""

import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.abuse.bodies import MANY_MEDIA, form_requests, json_requests
from tests.abuse.conftest import make
from tests.abuse.heads import head_requests, path_requests
from tests.abuse.usage import ENVOY, SERVER, files, usage
from tests.abuse.wire import Answer, Request, ask, request
from tests.fakes.service import ROOT, Service

KINDS = {
    "json": json_requests,
    "form": form_requests,
    "head": head_requests,
    "path": path_requests,
}
COUNT = int(os.environ.get("MALFORMED_REQUESTS", "1000"))
WARMTH = 100  # requests of each kind before the memory is counted
GROWTH_MEBIBYTES = {SERVER: 12, ENVOY: 12}
LONG, AT_ONCE_SECONDS = 40_000, 5.0  # what takes the square of its length takes minutes
LINGERING = 8  # descriptors of connections that are just being closed
LEAKS = re.compile(
    rb"Traceback|File \"|\.py\b|telefuser_grpc|python_multipart|pydantic|asyncio|sqlite|/usr/|/tmp/"
    rb"|[A-Z][a-z]+(Error|Exception)\b|upstream connect|reset reason"
)
WORDLESS = {400, 431}  # what HTTP itself refuses, before there is a request

logger = logging.getLogger(__name__)
statuses: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def figures(service: Service) -> Iterator[None]:
    before = usage(service)
    yield
    logger.info("%d requests: %s", statuses.total(), dict(sorted(statuses.items())))
    logger.info("before %s, after %s", before, usage(service))


@pytest.mark.timeout(60 + COUNT / 10)
@pytest.mark.parametrize("kind", KINDS)
def test_malformed_requests_are_refused_in_words_and_cost_nothing(
    service: Service, kind: str
) -> None:
    ask(service.port, MANY_MEDIA)  # loads the decoders
    attack(service, kind, WARMTH)
    before, stored = usage(service), files(service)

    attack(service, kind, COUNT // len(KINDS))

    assert make(service, task="t2v") == "completed"
    after = usage(service)
    assert after.keys() == before.keys()
    for name, bound in GROWTH_MEBIBYTES.items():
        assert after[name].resident - before[name].resident < bound, (name, before, after)
        assert after[name].descriptors - before[name].descriptors < LINGERING
    assert files(service) == stored


@pytest.mark.parametrize("coding", [b"chunked, chunked", b"gzip, chunked", b"identity", b"br"])
def test_unknown_transfer_coding_is_the_fault_of_the_request(
    service: Service, coding: bytes
) -> None:
    answer = ask(
        service.port, request(b"POST", b"/v1/tasks/create", [(b"Transfer-Encoding", coding)])
    )

    assert answer is not None
    assert answer.status == 400
    assert "Content-Length" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/v1/tasks/none/status?a=", 404),
        (b"/v1/tasks?status=", 422),
        (b"/v1/tasks/none/status?", 404),
        (b"/v1/files/download/none?", 404),
    ],
)
def test_long_query_is_answered_by_the_service_at_once(
    service: Service, path: bytes, status: int
) -> None:
    start = time.monotonic()

    answer = ask(service.port, request(b"GET", path + b"a" * LONG))

    assert answer is not None
    assert (answer.status, b"metadata" in answer.body) == (status, False)
    assert time.monotonic() - start < AT_ONCE_SECONDS


@pytest.mark.parametrize("target", [b"/v1/files/download/film.mp4", b"/v1/tasks/film/status"])
def test_headers_are_taken_or_too_many(service: Service, target: bytes) -> None:
    statuses = []
    for count in range(80, 140):
        headers = [(b"A-%d" % number, b"") for number in range(count)]
        answer = ask(service.port, request(b"GET", target, headers))
        statuses.append(answer.status if answer else None)

    taken = statuses.count(200)
    assert 0 < taken < len(statuses)
    assert statuses == [200] * taken + [431] * (len(statuses) - taken)


def attack(service: Service, kind: str, count: int) -> None:
    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(KINDS[kind])
    def send(sent: Request) -> None:
        answer = ask(service.port, sent)
        statuses[str(answer.status) if answer else "closed"] += 1
        check(service, sent, answer)

    send()


def check(service: Service, sent: Request, answer: Answer | None) -> None:
    if answer is None:
        assert not sent.is_whole
        return
    assert answer.status < 500, answer
    assert str(service.folder).encode() not in answer.head.encode() + answer.body
    if answer.status >= 400 and not sent.is_head:
        check_refusal(sent, answer)


def check_refusal(sent: Request, answer: Answer) -> None:
    leak = LEAKS.search(answer.body)
    assert leak is None or leak[0] in sent.data, answer
    assert str(ROOT).encode() not in answer.body
    if answer.status in WORDLESS and not answer.body:
        return
    assert answer.content_type == "application/json", answer
    told = json.loads(answer.body)
    if told.get("status") == "failed":  # the form of the Image-to-Video API
        assert told["error"]
        assert told["code"]
        return
    assert "error" not in told or (told["error"]["message"] and told["error"]["type"])
    detail = told["detail"]
    if isinstance(detail, str):
        assert detail
        return
    if isinstance(detail, dict):  # the form of Wan2.1
        assert detail["reason"]
        return
    assert detail
    for fault in detail:
        assert fault["loc"]
        assert fault["msg"]
        assert fault["type"]
