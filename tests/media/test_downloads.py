"""Fetching: only public addresses, in bounds of size and time, through every trick of a host."""

import asyncio
import gzip
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpcore
import pytest

from telefuser_grpc.errors import InputRejected, UploadTooLarge, UrlNotAccessible
from telefuser_grpc.media.downloads import DownloadLimits, Downloads
from tests.fakes.web import (
    PUBLIC,
    Names,
    Script,
    Web,
    Wire,
    answer,
    certificate,
    redirect,
    serving,
)

FIELD = "first_image_path"
URL = "http://media.example/a.png"
CONTENT = b"picture " * 20_000
MAX_BYTES = 2**20
BOMB = gzip.compress(bytes(16 * MAX_BYTES))
QUICK = DownloadLimits(first_pause_seconds=0.0)


class Bench:
    """A download through a network of which only one public address answers."""

    def __init__(self, web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.web = web
        self.names = Names({"media.example": [PUBLIC], "inside.example": ["10.0.0.7"]})
        self.wire = Wire(web)
        self.path = folder / "download.part"
        self.limits = QUICK
        self.ssl_cert_path: Path | None = None
        self.verify_ssl = True
        self.max_bytes = MAX_BYTES
        monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", self.wire.patch())

    async def fetch(self, url: str = URL) -> bytes:
        downloads = Downloads(
            max_bytes=self.max_bytes,
            limits=self.limits,
            resolve=self.names,
            verify_ssl=self.verify_ssl,
            ssl_cert_path=self.ssl_cert_path,
        )
        await downloads.fetch(FIELD, url, self.path)
        return self.path.read_bytes()

    async def refusal(self, url: str = URL) -> str:
        with pytest.raises(UrlNotAccessible) as caught:
            await self.fetch(url)
        return caught.value.message


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    async with Web() as web:
        yield Bench(web, tmp_path, monkeypatch)


async def hang(writer: asyncio.StreamWriter) -> None:
    """Says nothing until the test is over."""
    await asyncio.Event().wait()


def drip(first: bytes, piece: bytes) -> Script:
    """Says a head, then a piece again and again, one trip of the loop apart."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return script


def test_limits_are_the_documented_ones() -> None:
    limits = DownloadLimits()

    assert (limits.connect_seconds, limits.read_seconds, limits.attempts) == (10, 30, 3)
    assert (limits.first_pause_seconds, limits.longest_pause_seconds) == (1, 10)


async def test_the_content_of_an_address_becomes_a_file(bench: Bench) -> None:
    bench.web.answers["/a.png?signature=b"] = answer(CONTENT)

    content = await bench.fetch("http://media.example/a.png?signature=b#fragment")

    assert content == CONTENT
    assert bench.wire.connections == [(PUBLIC, 80)]


async def test_a_request_names_the_host_and_asks_for_no_compression(bench: Bench) -> None:
    bench.web.answers["/a.png"] = answer(CONTENT)

    await bench.fetch("http://Media.Example:80/a.png")

    (head,) = bench.web.heads
    assert head.startswith("GET /a.png HTTP/1.1\r\nHost: media.example\r\n")
    assert "Accept-Encoding: identity\r\n" in head
    assert "Cookie" not in head
    assert "Authorization" not in head


async def test_chunked_content_is_put_together(bench: Bench) -> None:
    body = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    bench.web.answers["/a.png"] = answer(content_length=None, transfer_encoding="chunked") + body

    assert await bench.fetch() == b"hello world"


async def test_content_larger_than_a_flush_arrives_whole(bench: Bench) -> None:
    content = bytes(range(256)) * 2**14
    bench.max_bytes = len(content)
    bench.web.answers["/a.png"] = answer(content)

    assert await bench.fetch() == content


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["::1"],
        ["fd00::1"],
        ["fe80::1%eth0"],
        ["::ffff:192.168.0.1"],
        ["0.0.0.0"],
        [PUBLIC, "10.0.0.1"],
        ["10.0.0.1", PUBLIC],
        [],
    ],
)
async def test_a_host_with_a_private_address_or_none_gets_one_answer_and_no_connection(
    bench: Bench, addresses: list[str]
) -> None:
    bench.names.addresses["odd.example"] = addresses

    message = await bench.refusal("http://odd.example/a.png")

    assert message == (
        "first_image_path URL is not accessible: its host has no address that this server "
        "fetches from; give a public one, or upload the file"
    )
    assert bench.wire.connections == []
    assert not bench.path.exists()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "１２７.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "192.168.0.1",
    ],
)
async def test_a_private_address_is_refused_in_every_spelling(bench: Bench, host: str) -> None:
    message = await bench.refusal(f"http://{host}/latest/meta-data/")

    assert "no address that this server fetches from" in message
    assert bench.wire.connections == []


async def test_a_name_that_turns_private_after_its_check_gains_nothing(bench: Bench) -> None:
    bench.names.addresses["turning.example"] = [[PUBLIC], ["127.0.0.1"]]
    bench.web.answers["/a.png"] = answer(CONTENT)

    assert await bench.fetch("http://turning.example/a.png") == CONTENT

    assert bench.names.asked == ["turning.example"]
    assert bench.wire.connections == [(PUBLIC, 80)]


async def test_a_name_that_turns_private_between_two_tries_is_refused(bench: Bench) -> None:
    bench.names.addresses["turning.example"] = [[PUBLIC], ["127.0.0.1"]]
    bench.web.answers["/a.png"] = answer(status=500)

    message = await bench.refusal("http://turning.example/a.png")

    assert "no address that this server fetches from" in message
    assert bench.wire.connections == [(PUBLIC, 80)]


async def test_the_next_address_is_taken_when_the_first_does_not_answer(bench: Bench) -> None:
    bench.names.addresses["twin.example"] = ["2606:4700:4700::1111", PUBLIC]
    bench.web.answers["/a.png"] = answer(CONTENT)

    assert await bench.fetch("http://twin.example/a.png") == CONTENT

    assert bench.wire.connections == [("2606:4700:4700::1111", 80), (PUBLIC, 80)]


@pytest.mark.parametrize(
    "location",
    [
        "http://inside.example/",
        "http://127.0.0.1/",
        "//169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://0x7f000001/",
    ],
)
async def test_a_redirect_to_a_private_address_is_refused_like_the_address(
    bench: Bench, location: str
) -> None:
    bench.web.answers["/a.png"] = redirect(location)

    message = await bench.refusal()

    assert "no address that this server fetches from" in message
    assert bench.wire.connections == [(PUBLIC, 80)]
    assert not bench.path.exists()


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://media.example/", "ftp://media.example/a"]
)
async def test_a_redirect_to_another_scheme_is_refused(bench: Bench, location: str) -> None:
    bench.web.answers["/a.png"] = redirect(location)

    assert "only http" in await bench.refusal()


async def test_a_redirect_to_another_port_is_refused(bench: Bench) -> None:
    bench.web.answers["/a.png"] = redirect("http://media.example:6379/")

    assert "its port is not 80 or 443" in await bench.refusal()
    assert bench.wire.connections == [(PUBLIC, 80)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(bench: Bench, status: int) -> None:
    bench.web.answers |= {
        "/a.png": redirect("/b.png", status=status),
        "/b.png": redirect("http://media.example/c.png?d", status=status),
        "/c.png?d": answer(CONTENT),
    }

    assert await bench.fetch() == CONTENT


async def test_five_redirects_are_followed_and_a_sixth_is_not(bench: Bench) -> None:
    bench.web.answers |= {f"/{n}": redirect(f"/{n + 1}") for n in range(6)}
    bench.web.answers |= {"/5": redirect("/6"), "/6": answer(CONTENT)}

    message = await bench.refusal("http://media.example/0")
    content = await bench.fetch("http://media.example/1")

    assert "redirects more than 5 times" in message
    assert content == CONTENT


async def test_a_redirect_to_itself_ends(bench: Bench) -> None:
    bench.web.answers["/a.png"] = redirect("/a.png")

    assert "redirects more than 5 times" in await bench.refusal()
    assert len(bench.web.requests) == 6


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 429])
async def test_other_answers_than_200_are_final(bench: Bench, status: int) -> None:
    bench.web.answers["/a.png"] = answer(status=status)

    message = await bench.refusal()

    assert f"its host answers {status}" in message
    assert len(bench.web.requests) == 1


async def test_a_redirect_without_a_location_is_final(bench: Bench) -> None:
    bench.web.answers["/a.png"] = answer(status=302)

    assert "its host answers 302" in await bench.refusal()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_faults_of_the_host_are_tried_three_times(bench: Bench, status: int) -> None:
    bench.web.answers["/a.png"] = answer(status=status)

    message = await bench.refusal()

    assert f"its host answers {status}; try again later" in message
    assert len(bench.web.requests) == 3


async def test_a_third_try_that_succeeds_is_a_success(bench: Bench) -> None:
    broken = answer(CONTENT[:50], content_length=len(CONTENT))
    bench.web.answers["/a.png"] = [answer(status=503), broken, answer(CONTENT)]

    assert await bench.fetch() == CONTENT


async def test_pauses_between_tries_double_from_one_second_to_ten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    bench.limits = DownloadLimits(attempts=7)
    bench.web.answers["/a.png"] = answer(status=500)

    await bench.refusal()

    assert pauses == [1, 2, 4, 8, 10, 10]


async def test_a_name_that_cannot_be_resolved_for_now_is_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def failing(host: str, port: int) -> list[str]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    bench.names = failing  # type: ignore[assignment] # it only needs to be called

    message = await bench.refusal()

    assert "no address that this server fetches from" in message
    assert len(asked) == 3


async def test_a_host_that_does_not_listen_is_tried_three_times(bench: Bench) -> None:
    bench.names.addresses["mute.example"] = ["1.1.1.1"]

    assert "does not answer properly" in await bench.refusal("http://mute.example/")
    assert bench.wire.connections == [("1.1.1.1", 80)] * 3


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000,
        answer(CONTENT[:50], content_length=len(CONTENT)),
        answer(content_length="many"),
        answer(content_length=None, transfer_encoding="chunked") + b"5\r\nhel",
        answer(content_length=None, transfer_encoding="chunked") + b"zz\r\n",
    ],
    ids=["nothing", "half", "ssh", "endless head", "short", "bad length", "cut", "bad chunk"],
)
async def test_what_is_no_http_is_refused(bench: Bench, said: bytes) -> None:
    bench.web.answers["/a.png"] = said

    assert "does not answer properly" in await bench.refusal()


async def test_more_content_than_announced_is_not_read(bench: Bench) -> None:
    bench.web.answers["/a.png"] = answer(CONTENT, content_length=10)

    assert await bench.fetch() == CONTENT[:10]


async def test_an_announced_size_beyond_the_limit_is_refused_before_the_body(bench: Bench) -> None:
    async def head_only(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(content_length=MAX_BYTES + 1))
        await hang(writer)

    bench.web.answers["/a.png"] = head_only

    with pytest.raises(UploadTooLarge) as caught:
        await bench.fetch()

    assert caught.value.violations[0].field == FIELD
    assert not bench.path.exists()


async def test_a_body_that_never_ends_is_left_at_the_limit(bench: Bench) -> None:
    head = answer(content_length=None, connection="close")
    bench.web.answers["/a.png"] = drip(head, bytes(65536))

    with pytest.raises(UploadTooLarge):
        await bench.fetch()

    assert not bench.path.exists() or bench.path.stat().st_size <= MAX_BYTES


async def test_content_as_large_as_the_limit_is_taken(bench: Bench) -> None:
    bench.web.answers["/a.png"] = answer(bytes(MAX_BYTES))

    assert len(await bench.fetch()) == MAX_BYTES


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "GZIP"])
async def test_compressed_content_is_refused_unread(bench: Bench, encoding: str) -> None:
    bench.web.answers["/a.png"] = answer(BOMB, content_encoding=encoding)

    assert "compressed although asked not to" in await bench.refusal()
    assert not bench.path.exists()


async def test_a_host_that_says_nothing_is_left_after_the_read_time(bench: Bench) -> None:
    bench.limits = DownloadLimits(read_seconds=0.02, first_pause_seconds=0.0)
    bench.web.answers["/a.png"] = hang

    assert "does not answer properly" in await bench.refusal()
    assert len(bench.web.requests) == 3


async def test_a_body_that_drips_is_left_after_the_total_time(bench: Bench) -> None:
    bench.limits = DownloadLimits(total_seconds=0.2)
    bench.web.answers["/a.png"] = drip(answer(content_length=2**20), b"a")

    assert "took longer than 0.2 s" in await bench.refusal()


async def test_a_resolver_that_hangs_counts_as_connecting(bench: Bench) -> None:
    async def hanging(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    bench.names = hanging  # type: ignore[assignment] # it only needs to be called
    bench.limits = DownloadLimits(connect_seconds=0.02, first_pause_seconds=0.0)

    assert "does not answer properly" in await bench.refusal()


@pytest.mark.parametrize("port", [22, 6379, 8000, 8080, 81])
async def test_other_ports_than_80_and_443_are_refused_unasked(bench: Bench, port: int) -> None:
    for host in ("media.example", "inside.example", "127.0.0.1"):
        message = await bench.refusal(f"http://{host}:{port}/a.png")
        assert "its port is not 80 or 443" in message

    assert bench.names.asked == []


async def test_an_operator_may_open_private_networks_and_other_ports(tmp_path: Path) -> None:
    async with Web(answers={"/a.png": answer(CONTENT)}) as web:
        downloads = Downloads(max_bytes=MAX_BYTES, allow_private=True, ports=None, limits=QUICK)

        await downloads.fetch(FIELD, f"http://127.0.0.1:{web.port}/a.png", tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == CONTENT


async def test_without_that_the_same_address_is_refused(tmp_path: Path) -> None:
    async with Web(answers={"/a.png": answer(CONTENT)}) as web:
        downloads = Downloads(max_bytes=MAX_BYTES, ports=None, limits=QUICK)

        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(UrlNotAccessible, match="no address that this server fetches from"):
                await downloads.fetch(FIELD, f"http://{host}:{web.port}/a.png", tmp_path / "a")

    assert web.requests == []
    assert not (tmp_path / "a").exists()


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("certificates"), "media.example")


@pytest.fixture
async def secure(
    tmp_path: Path, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    async with Web(serving(trusted), {"/a.png": answer(CONTENT)}) as web:
        yield Bench(web, tmp_path, monkeypatch)


SECURE_URL = "https://media.example/a.png"


async def test_tls_checks_the_name_although_the_address_is_pinned(
    secure: Bench, trusted: Path
) -> None:
    secure.ssl_cert_path = trusted

    assert await secure.fetch(SECURE_URL) == CONTENT
    assert secure.wire.connections == [(PUBLIC, 443)]


async def test_a_certificate_of_another_host_is_refused_at_once(
    secure: Bench, trusted: Path
) -> None:
    secure.ssl_cert_path = trusted
    secure.names.addresses["other.example"] = [PUBLIC]

    message = await secure.refusal("https://other.example/a.png")

    assert "its certificate is not trusted (Hostname mismatch" in message
    assert secure.web.requests == []
    assert len(secure.wire.connections) == 1


async def test_an_unknown_authority_is_refused(secure: Bench) -> None:
    message = await secure.refusal(SECURE_URL)

    assert "its certificate is not trusted (self-signed certificate)" in message


async def test_an_operator_may_leave_certificates_unchecked(secure: Bench) -> None:
    secure.verify_ssl = False

    assert await secure.fetch(SECURE_URL) == CONTENT


async def test_a_redirect_never_leads_from_https_to_http(secure: Bench, trusted: Path) -> None:
    secure.ssl_cert_path = trusted
    secure.web.answers["/a.png"] = redirect("http://media.example/a.png")

    assert "redirects from https to http" in await secure.refusal(SECURE_URL)


async def test_a_host_without_tls_is_no_answer_to_https(bench: Bench) -> None:
    bench.limits = DownloadLimits(connect_seconds=0.05, first_pause_seconds=0.0)

    assert "does not answer properly" in await bench.refusal(SECURE_URL)


async def test_a_refusal_names_field_fault_and_remedy(bench: Bench) -> None:
    with pytest.raises(InputRejected) as caught:
        await bench.fetch()

    error = caught.value
    assert error.http_status == 400
    assert error.message.startswith("first_image_path URL is not accessible: ")
    assert error.message.endswith("or upload the file")
    assert error.metadata == {"field": FIELD}
    (violation,) = error.violations
    assert (violation.field, violation.type) == (FIELD, "input_rejected")
    assert violation.message == error.message


def test_a_bad_address_is_refused_without_the_network() -> None:
    downloads = Downloads(max_bytes=MAX_BYTES)

    downloads.check(FIELD, URL)
    for url in ("ftp://a/b", "http://a:22/b", "http://u:p@a/b", "http://"):
        with pytest.raises(UrlNotAccessible):
            downloads.check(FIELD, url)


def test_nothing_of_http_is_loaded_before_the_first_address() -> None:
    program = """
import sys
import telefuser_grpc.media.inputs
print([name for name in ("httpcore", "anyio", "h11", "certifi") if name in sys.modules])
"""

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stdout, done.stderr) == ("[]\n", "")
