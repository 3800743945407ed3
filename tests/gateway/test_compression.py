"""What travels compressed, for clients that understand gzip."""

import gzip

import httpx
import pytest

from tests.gateway.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/docs", "/docs/assets/plain.js", "/v1/tasks/large/status"]
)
async def test_large_text_travels_compressed(http: httpx.AsyncClient, path: str) -> None:
    plain = await http.get(path, headers={"accept-encoding": "identity"})

    async with http.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
        packed = b"".join([piece async for piece in answer.aiter_raw()])

    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert len(packed) < len(plain.content) / 2
    assert gzip.decompress(packed) == plain.content
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize("path", ["/v1/service/health", "/v1/tasks/t1/status", "/v1/nothing"])
async def test_short_answer_travels_plain(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in answer.headers


async def test_packed_answer_is_not_packed_again(http: httpx.AsyncClient) -> None:
    async with http.stream("GET", "/docs/assets/packed.js") as answer:
        assert answer.headers["content-encoding"] == "br"
        assert len(b"".join([piece async for piece in answer.aiter_raw()])) == 2000


async def test_file_travels_as_it_is(http: httpx.AsyncClient, upstream: Upstream) -> None:
    (upstream.artifacts / "notes.json").write_bytes(b" " * 5000)

    answer = await http.get("/v1/files/download/notes.json", headers={"accept-encoding": "gzip"})

    assert answer.headers["content-type"] == "application/json"
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-length"] == "5000"


async def test_events_travel_as_they_are(http: httpx.AsyncClient) -> None:
    async with http.stream(
        "GET", "/v1/tasks/t1/events", headers={"accept-encoding": "gzip"}
    ) as answer:
        assert "content-encoding" not in answer.headers
        assert await anext(answer.aiter_raw()) == b": connected\n\n"


async def test_unchanged_document_is_not_sent_again(http: httpx.AsyncClient) -> None:
    first = await http.get("/openapi.json", headers={"accept-encoding": "gzip"})

    again = await http.get("/openapi.json", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["etag"] == 'W/"document"'  # the bytes are others, the document is the same
    assert (again.status_code, again.content) == (304, b"")
