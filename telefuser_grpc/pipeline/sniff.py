"""Tells what a file holds by its first bytes, never by its name."""

SNIFFED_BYTES = 64

_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"FLV\x01", "video/x-flv"),
)
_RIFF_FORMS = {b"WEBP": "image/webp", b"WAVE": "audio/vnd.wave", b"AVI ": "video/vnd.avi"}
_STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")

READ_FORMATS = "PNG, JPEG, WebP, GIF, MP4, WebM, WAV, MP3, FLAC or Ogg"


def sniff(head: bytes) -> str | None:
    """Returns the content type, as registered with IANA, of a file that begins with `head`.

    Ogg and MP4 are told apart into sound and video only by decoding. None stands for a format
    that the service does not read.
    """
    for start, content_type in _STARTS:
        if head.startswith(start):
            return content_type
    if head.startswith(b"RIFF"):
        return _RIFF_FORMS.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _iso_media(head[8:12])
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return "video/quicktime"  # older files have no ftyp
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head else "video/matroska"
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "image/bmp"
    return "audio/mpeg" if _is_mpeg_audio(head) else None


def fault(head: bytes) -> str:
    """Says what is wrong with a file that `sniff` does not know, and how to mend it."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "is a web page; give the media file itself, or its own address"
    if text.startswith((b"<svg", b"<?xml", b"<!doctype svg")):
        return "is an SVG drawing or other XML; send it drawn, as PNG"
    if head[4:8] == b"ftyp":
        return "is an AVIF or HEIC image; send it as PNG, JPEG or WebP"
    return f"is no image, video or audio of a known format; send {READ_FORMATS}"


def _iso_media(brand: bytes) -> str | None:
    if brand in _STILL_BRANDS:
        return None
    return "video/quicktime" if brand == b"qt  " else "video/mp4"


def _is_mpeg_audio(head: bytes) -> bool:
    """Finds the sync bits of a frame of MPEG layer III."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2
