"""The first bytes tell the format, whatever the name says."""

import pytest

from telefuser_grpc.pipeline.sniff import fault, sniff


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0", "image/bmp"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\0\0\0\x14ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x08wide", "video/quicktime"),
        (b"\0\0\1\0moov", "video/quicktime"),
        (b"\0\0\1\0mdat", "video/quicktime"),
        (b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x82\x84webm", "video/webm"),
        (b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x82\x88matroska", "video/matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "video/vnd.avi"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"\xff\xf3\x90", "audio/mpeg"),
        (b"\xff\xf2\x90", "audio/mpeg"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/vnd.wave"),
        (b"fLaC\0", "audio/flac"),
        (b"OggS\0", "audio/ogg"),
        (b"FLV\x01\x05", "video/x-flv"),
    ],
)
def test_a_known_start_has_its_registered_content_type(head: bytes, content_type: str) -> None:
    assert sniff(head) == content_type


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff",
        b"RIFF\0\0\0\0ACON",
        b"#EXTM3U\n/etc/passwd",
        b"ffconcat version 1.0",
        b"<svg xmlns=",
        b"\0\0\0\x20ftypavif",
        b"BM is no bitmap",
        b"\xff\xf1\x50",
    ],
)
def test_anything_else_is_unknown(head: bytes) -> None:
    assert sniff(head) is None


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"<svg xmlns=", "SVG"),
        (b"\xef\xbb\xbf\n <?xml version='1.0'?>", "SVG"),
        (b"<!DOCTYPE svg PUBLIC", "SVG"),
        (b"<!doctype HTML>", "web page"),
        (b"<HTML><head>", "web page"),
        (b"\0\0\0\x20ftypavif", "AVIF or HEIC"),
        (b"\0\0\0\x18ftypheic", "AVIF or HEIC"),
        (b"hello", "no image, video or audio of a known format; send PNG"),
    ],
)
def test_what_is_not_read_is_told_with_a_remedy(head: bytes, said: str) -> None:
    assert said in fault(head)
