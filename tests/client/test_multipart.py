"""A form is sent piece by piece, whole, and leaves open files open."""

import io
import tracemalloc
from pathlib import Path

import pytest
import requests

from telefuser_grpc.client._multipart import CHUNK_BYTES, MultipartForm
from tests.fakes.http_service import Answer, File, HttpService


def send(web: HttpService, form: MultipartForm) -> dict[str, str | File]:
    web.answers["POST /form"] = [Answer({})]
    requests.post(f"{web.url}/form", data=form, headers={"content-type": form.content_type})
    (received,) = web.received("POST /form")
    assert received.headers["content-length"] == str(len(form))
    return received.form


def test_large_file_is_never_whole_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    form = MultipartForm({"prompt": "p"}, {"ref_video_file": path})

    tracemalloc.start()
    size = sum(map(len, form))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size == len(form) > 64 * 1024 * 1024
    assert peak < 8 * CHUNK_BYTES


def test_names_cannot_break_out_of_their_quotes(web: HttpService, tmp_path: Path) -> None:
    path = tmp_path / 'a";name="b\r\nx: y.png'
    path.write_bytes(b"p")

    form = send(web, MultipartForm({}, {"file": path}))

    file = form["file"]
    assert isinstance(file, File)
    assert file.filename == "a%22;name=%22b%0D%0Ax: y.png"


def test_open_file_is_read_from_where_it_stands_and_stays_open(web: HttpService) -> None:
    file = io.BytesIO(b"skipped, sent")
    file.seek(9)

    form = send(web, MultipartForm({}, {"file": file}))

    assert form["file"] == File("file", "application/octet-stream", b"sent")
    assert not file.closed


def test_form_can_be_sent_again(web: HttpService) -> None:
    form = MultipartForm({"a": "1"}, {"file": io.BytesIO(b"content")})

    assert b"".join(form) == b"".join(form)


def test_file_without_places_is_read_ahead(web: HttpService) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    form = send(web, MultipartForm({}, {"file": Pipe(b"content")}))

    assert form["file"] == File("file", "application/octet-stream", b"content")


def test_file_that_shrinks_meanwhile_is_not_sent_as_if_whole(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"content")
    form = MultipartForm({}, {"file": path})
    path.write_bytes(b"con")

    with pytest.raises(OSError, match="became shorter"):
        b"".join(form)
