"""Forms that are sent piece by piece through a real Envoy."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from telefuser_grpc.gateway.process import Gateway
from tests.gateway.conftest import LIMIT, UPLOAD_LIMIT
from tests.gateway.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = "/v1/tasks/form"
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
PIECE = b"x" * LIMIT


async def test_form_larger_than_a_json_body_arrives_in_pieces(http: httpx.AsyncClient) -> None:
    answer = await http.post(FORM, content=PIECE * 15, headers=MULTIPART)

    assert answer.status_code == 200
    assert sum(answer.json()["sizes"]) == 15 * LIMIT
    assert max(answer.json()["sizes"]) <= 2**20


async def test_content_type_comes_with_the_first_piece(http: httpx.AsyncClient) -> None:
    answer = await http.post(FORM, content=PIECE * 15, headers=MULTIPART)

    first, *others = answer.json()["types"]
    assert first == MULTIPART["content-type"]
    assert set(others) == {""}


async def test_urlencoded_form_arrives(http: httpx.AsyncClient) -> None:
    answer = await http.post(FORM, data={"task": "t2v"})

    assert answer.json() == {"sizes": [8], "types": ["application/x-www-form-urlencoded"]}


async def test_form_of_declared_length_over_the_limit_costs_nothing(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.calls.clear()

    head, body = await _refused_while_sending(gateway, UPLOAD_LIMIT + 1, b"")

    assert head.startswith("HTTP/1.1 413 ")
    assert body == '{"detail":"The request body is too large"}'
    assert upstream.calls == []


async def test_form_of_unknown_length_ends_at_the_limit(http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(UPLOAD_LIMIT // LIMIT + 1):
            yield PIECE

    answer = await http.post(FORM, content=pieces(), headers=MULTIPART)

    assert answer.status_code == 413
    assert answer.json() == {"detail": "The request body is too large"}


async def test_form_at_the_limit_is_taken(http: httpx.AsyncClient) -> None:
    answer = await http.post(FORM, content=b"x" * UPLOAD_LIMIT, headers=MULTIPART)

    assert sum(answer.json()["sizes"]) == UPLOAD_LIMIT


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_refusal_arrives_while_the_client_still_sends(gateway: Gateway, status: int) -> None:
    head, body = await _refused_while_sending(
        gateway, UPLOAD_LIMIT, f"refuse with {status} ".encode()
    )

    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "connection: close" in head
    assert "x-request-id: " in head
    assert body == f'{{"detail": "refused with {status}"}}'


async def test_client_that_sends_on_reads_the_refusal(http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"refuse with 415 "
        for _ in range(UPLOAD_LIMIT // LIMIT - 1):
            yield PIECE

    answer = await http.post(FORM, content=pieces(), headers=MULTIPART)

    assert (answer.status_code, answer.json()) == (415, {"detail": "refused with 415"})


async def test_slow_upload_may_take_longer_than_a_call(http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x"
            await asyncio.sleep(0.2)  # a call may take half a second

    answer = await http.post(FORM, content=pieces(), headers=MULTIPART)

    assert sum(answer.json()["sizes"]) == 5


async def test_silent_upload_is_given_up(gateway: Gateway) -> None:
    head, body = await _refused_while_sending(gateway, 100, b"half of it")

    assert head.startswith("HTTP/1.1 408 ")
    assert body == '{"detail":"The request body did not arrive in time"}'


async def test_answer_to_a_form_on_another_verb_names_the_right_one(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.get(FORM)

    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, POST")


async def _refused_while_sending(gateway: Gateway, length: int, sent: bytes) -> tuple[str, str]:
    """Announces a body, sends its beginning, and reads the answer until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        f"POST {FORM} HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=x\r\n"
        f"content-length: {length}\r\n\r\n".encode()
    )
    writer.write(sent)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head, body
