"""Files that the server allows and Envoy sends."""

import asyncio
import hashlib
import re

import httpx
import pytest

from telefuser_grpc.gateway.process import Gateway
from tests.gateway.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = "/v1/files/download"
CLIP = f"{FILES}/tasks/t1/outputs/clip.mp4"
CONTENT = bytes(range(200))
NOT_ALLOWED = '{"detail": "Access to this file is not allowed"}'


async def test_file_is_sent_whole_and_described(http: httpx.AsyncClient) -> None:
    answer = await http.get(CLIP)

    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == "200"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''clip.mp4"
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["x-request-id"]


async def test_server_is_asked_but_sends_no_bytes(
    http: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.calls.clear()

    await http.get(CLIP)

    assert [method for method, _ in upstream.calls] == ["Check"]


async def test_large_file_arrives_unchanged(http: httpx.AsyncClient, upstream: Upstream) -> None:
    answer = await http.get(f"{FILES}/large.mp4")

    expected = (upstream.artifacts / "large.mp4").read_bytes()
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(expected).digest()


async def test_head_describes_without_sending(http: httpx.AsyncClient) -> None:
    answer = await http.head(CLIP)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "200"
    assert answer.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=5-9", 5, 9),
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, 199),
        ("bytes=190-", 190, 199),
        ("bytes=-10", 190, 199),
        ("bytes=-999", 0, 199),
        ("bytes=150-999", 150, 199),
    ],
)
async def test_range_is_a_part(http: httpx.AsyncClient, asked: str, first: int, last: int) -> None:
    answer = await http.get(CLIP, headers={"range": asked})

    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/200"
    assert answer.content == CONTENT[first : last + 1]


@pytest.mark.parametrize(
    "asked", ["bytes=9-5", "bytes=a-b", "bytes=0-1,5-6", "lines=1-2", "bytes=-"]
)
async def test_range_that_makes_no_sense_is_ignored(http: httpx.AsyncClient, asked: str) -> None:
    answer = await http.get(CLIP, headers={"range": asked})

    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=200-", "bytes=500-600"])
async def test_range_beyond_the_end_is_416(http: httpx.AsyncClient, asked: str) -> None:
    answer = await http.get(CLIP, headers={"range": asked})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */200"
    assert answer.json() == {"detail": "Range Not Satisfiable"}


async def test_unchanged_file_is_not_sent_again(http: httpx.AsyncClient) -> None:
    etag = (await http.head(CLIP)).headers["etag"]

    answer = await http.get(CLIP, headers={"if-none-match": etag})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert "content-type" not in answer.headers


async def test_connection_is_usable_after_304(gateway: Gateway, http: httpx.AsyncClient) -> None:
    etag = (await http.head(CLIP)).headers["etag"]
    request = f"GET {CLIP} HTTP/1.1\r\nhost: x\r\nif-none-match: {etag}\r\n\r\n"

    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for _ in range(2):
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 304 Not Modified\r\n")
    writer.close()


async def test_changed_file_is_sent_whole_despite_a_range(http: httpx.AsyncClient) -> None:
    answer = await http.get(CLIP, headers={"range": "bytes=0-4", "if-range": '"older"'})

    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize(
    ("path", "content", "content_type"),
    [
        ("r%C3%A4ksm%C3%B6rg%C3%A5s%20100%2541%20+.webp", b"sandwich", "image/webp"),
        ("tasks/t1/outputs/picture.png", b"", "image/png"),
        ("tasks%2Ft1%2Foutputs%2Fclip.mp4", CONTENT, "video/mp4"),
        ("a.jpg", b"a.jpg", "image/jpeg"),
        ("a.jpeg", b"a.jpeg", "image/jpeg"),
        ("a.gif", b"a.gif", "image/gif"),
        ("a.webm", b"a.webm", "video/webm"),
        ("unknown.xyz", b"xyz", "application/octet-stream"),
        ("tasks//t1/outputs/../outputs/clip.mp4", CONTENT, "video/mp4"),
    ],
)
async def test_name_is_understood(
    http: httpx.AsyncClient, path: str, content: bytes, content_type: str
) -> None:
    answer = await http.get(f"{FILES}/{path}")

    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == content_type


async def test_server_streams_what_the_check_allows_without_a_path(
    http: httpx.AsyncClient, upstream: Upstream
) -> None:
    answer = await http.get(f"{FILES}/what%3F.txt")

    assert (answer.status_code, answer.content) == (200, b"question")
    assert upstream.calls[-1][0] == "DownloadFile"


async def test_check_can_send_the_caller_elsewhere(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{FILES}/elsewhere")

    assert (answer.status_code, answer.content) == (302, b"")
    assert answer.headers["location"] == "https://bucket.example/clip?signature=x"
    assert "content-type" not in answer.headers


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/nothing.mp4", 404, '{"detail": "File not found"}'),
        ("/", 404, '{"detail": "File not found"}'),
        ("/tasks/t1", 404, '{"detail": "File not found"}'),
        ("/vanished", 404, '{"detail":"File not found"}'),
        ("/way-out.txt", 403, NOT_ALLOWED),
        ("/explode", 503, '{"detail":"Service temporarily unavailable"}'),
        ("/../secret.txt", 403, NOT_ALLOWED),
        ("/../../../../etc/passwd", 403, NOT_ALLOWED),
        ("/..%2fsecret.txt", 403, NOT_ALLOWED),
        ("/..%2f..%2f..%2fetc%2Fpasswd", 403, NOT_ALLOWED),
        ("/%2e%2e/secret.txt", 403, NOT_ALLOWED),
        ("/%2e%2e%2fsecret.txt", 403, NOT_ALLOWED),
        ("/tasks/..%2f..%2fsecret.txt", 403, NOT_ALLOWED),
        ("/%252e%252e/secret.txt", 404, '{"detail": "File not found"}'),
        ("/..%5c..%5csecret.txt", 404, '{"detail": "File not found"}'),
    ],
)
async def test_refusal_is_the_documented_json(
    gateway: Gateway, path: str, status: int, body: str
) -> None:
    answer = await _get_as_written(gateway.port, FILES + path)

    assert answer == (status, body)


async def test_key_that_the_server_knows_no_longer_is_401_as_it_words_it(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.get(f"{FILES}/revoked")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json() == {
        "error": {"code": "invalid_api_key"},
        "detail": "The API key is not valid",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/__artifacts/tasks/t1/outputs/clip.mp4",
        "/__artifacts/large.mp4?x=/v1/files/download/",
        "//__artifacts/large.mp4",
        "/v1/tasks/%2e%2e/%2e%2e/__artifacts/large.mp4",
    ],
)
async def test_internal_prefix_cannot_be_reached(gateway: Gateway, path: str) -> None:
    assert await _get_as_written(gateway.port, path) == (404, '{"detail":"Not Found"}')


async def _get_as_written(port: int, path: str) -> tuple[int, str]:
    """Sends a path that an HTTP library would tidy up first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"content-length: (\d+)", head)
    assert length
    body = await reader.readexactly(int(length[1]))
    writer.close()
    return int(head.split()[1]), body.decode()
