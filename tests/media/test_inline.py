"""Inline media: what counts as such, and that decoding is exact and bounded."""

import base64
import tracemalloc
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefuser_grpc.errors import InputRejected, UploadTooLarge
from telefuser_grpc.media.inline import SLICE_LENGTH, decode_inline, is_inline
from tests.fakes.media_files import mp4, still, wav

MAX_BYTES = 8 * 2**20


def decoded(text: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    return b"".join(decode_inline("first_image_path", text, max_bytes=max_bytes))


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    "content",
    [still("PNG"), still("JPEG"), still("GIF"), still("WEBP"), mp4(), wav()],
    ids=["png", "jpeg", "gif", "webp", "mp4", "wav"],
)
def test_bare_base64_of_a_known_format_is_inline(content: bytes) -> None:
    assert is_inline(encoded(content))
    assert decoded(encoded(content)) == content


@pytest.mark.parametrize(
    "head",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF87a",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
        b"\0\0\0\x20ftypisom",
        b"\0\0\0\x20moov",
        b"\0\0\0\x20mdat",
        b"RIFF\0\0\0\0AVI ",
        b"\x1aE\xdf\xa3",
        b"FLV\x01",
        b"ID3\x04",
        b"\xff\xfb\x90",
        b"\xff\xf3\x90",
        b"\xff\xf2\x90",
        b"RIFF\0\0\0\0WAVE",
        b"fLaC",
        b"OggS",
    ],
)
def test_every_documented_signature_makes_bare_base64_inline(head: bytes) -> None:
    assert is_inline(encoded(head.ljust(33, b"\1")))


@pytest.mark.parametrize(
    "text",
    [
        "/srv/media/a.png",
        "//srv/a/clip",  # its letters begin as an MP3 does
        "a.png",
        "file:///etc/passwd",
        encoded(b"only text, although it is base64 of some length"),
        "iVBORw0KGgo",
        "é" * 100,
        "\0" * 100,
        "\ud800" * 100,
    ],
)
def test_anything_else_is_not_inline(text: str) -> None:
    assert not is_inline(text)


@pytest.mark.parametrize(
    "header",
    [
        "data:image/png;base64,",
        "data:;base64,",
        "data:image/svg+xml;charset=utf-8;name=a%20b.svg;base64,",
        "DATA:IMAGE/PNG;BASE64,",
    ],
)
def test_a_base64_data_url_may_have_any_type_and_parameters(header: str) -> None:
    assert is_inline(header)
    assert decoded(header + encoded(b"content")) == b"content"


def test_a_percent_encoded_data_url_is_decoded() -> None:
    assert decoded("data:text/plain,a%20b%00+c") == b"a b\0+c"


@pytest.mark.parametrize(
    "body", ["YWI=", "YWI", "Y W\tI=\r\n", "\nYWI", "YWI%3D", "YW%0AI=", "%59%57%49="]
)
def test_padding_spaces_and_escapes_are_forgiven(body: str) -> None:
    assert decoded(f"data:;base64,{body}") == b"ab"


@pytest.mark.parametrize("body", ["YQ", "YQ=", "YQ=="])
def test_missing_padding_is_added(body: str) -> None:
    assert decoded(f"data:;base64,{body}") == b"a"


@pytest.mark.parametrize("tail", ["YQ==YQ==", "Y", "Y===", "=", "Y!Jj", "YéJj", "YWJj===="])
def test_what_is_not_base64_is_refused(tail: str) -> None:
    with pytest.raises(InputRejected, match="not valid base64"):
        decoded(f"data:;base64,{tail}")


def test_a_data_url_without_data_is_refused() -> None:
    with pytest.raises(InputRejected, match="not a data URL"):
        decoded("data:image/png;base64")


@given(st.binary(max_size=300), st.integers(1, 90))
def test_base64_in_lines_comes_back_exactly(content: bytes, width: int) -> None:
    text = encoded(content)
    lines = "\n".join(text[at : at + width] for at in range(0, len(text), width))

    assert decoded(f"data:;base64,{lines}") == content


@given(st.binary(max_size=300))
def test_percent_encoding_comes_back_exactly(content: bytes) -> None:
    assert decoded(f"data:,{quote(content)}") == content
    assert decoded(f"data:;base64,{quote(encoded(content), safe='')}") == content


@pytest.mark.parametrize("shift", range(5))
def test_no_letter_is_lost_between_slices(shift: int) -> None:
    content = bytes(range(256)) * (SLICE_LENGTH // 256)
    spaces = " " * shift

    assert decoded(f"data:;base64,{spaces}{encoded(content)}") == content
    assert decoded(f"data:,{'x' * shift}{quote(content)}") == b"x" * shift + content


@pytest.mark.parametrize("size", [1, 2, 3, 4, 1000])
def test_the_limit_is_met_exactly(size: int) -> None:
    content = bytes(size)
    far_too_long = encoded(bytes(size + 9))

    assert decoded(f"data:;base64,{encoded(content)}", max_bytes=size) == content
    assert decoded(f"data:,{quote(content)}", max_bytes=size) == content
    with pytest.raises(UploadTooLarge):
        decoded(f"data:;base64,{far_too_long}", max_bytes=size)
    with pytest.raises(UploadTooLarge):
        decoded(f"data:,{quote(bytes(size + 1))}", max_bytes=size)


def test_a_text_that_is_too_long_is_refused_before_it_is_decoded() -> None:
    invalid_but_long = "data:;base64," + "!" * 4000

    with pytest.raises(UploadTooLarge):
        decoded(invalid_but_long, max_bytes=1000)


def test_decoding_needs_little_more_than_a_slice_of_memory() -> None:
    text = f"data:;base64,{encoded(bytes(24 * 2**20))}"
    tracemalloc.start()

    size = sum(len(piece) for piece in decode_inline("f", text, max_bytes=2**30))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size == 24 * 2**20
    assert peak < 12 * SLICE_LENGTH


def test_what_is_too_large_for_a_request_may_come_otherwise() -> None:
    with pytest.raises(UploadTooLarge, match="upload the file, send a form, or give a URL"):
        list(decode_inline("first_image_path", "data:image/png;base64," + 40 * "A", max_bytes=2))
