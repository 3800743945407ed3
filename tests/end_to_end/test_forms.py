"""Forms over Envoy: streamed to the task, refused in time, and gone when their sender goes."""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.sse import read_events
from tests.fakes.media_files import mp4, noise, still
from tests.fakes.service import PATIENCE_SECONDS, Service

MAX_FILE_BYTES = 2 * 2**20
FORM = "/v1/tasks/form"
PICTURE = ("a.png", still(), "image/png")
MULTIPART = "multipart/form-data; boundary=b"
IN_CREATE, IN_DELETE = 0x100, 0x200


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("forms")
    with Service(
        PUPPET,
        folder,
        max_file_size=MAX_FILE_BYTES,
        security_level="none",
        rate_limit_enabled=False,
    ) as service:
        yield service


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http() as http:
        yield http


def uploads(service: Service) -> list[Path]:
    return list((service.cache / "uploads").glob("*"))


def end_of(http: httpx.Client, task_id: str) -> dict[str, Any]:
    with http.stream("GET", f"/v1/tasks/{task_id}/events") as answer:
        last = list(read_events(answer))[-1]
    assert last.data["status"] == "completed", last
    return http.get(f"/v1/tasks/{task_id}/status").json()


def test_picture_of_a_form_becomes_a_film(service: Service, http: httpx.Client) -> None:
    answer = http.post(
        FORM,
        data={"task": "i2v", "prompt": "行走", "seed": "7"},
        files={"first_image_file": PICTURE},
    )

    created = answer.json()
    assert answer.status_code == 200, answer.text
    assert created["task_status"] == "pending"
    status = end_of(http, created["task_id"])
    assert (status["task"], status["prompt"]) == ("i2v", "行走")
    assert status["first_image_path"].endswith(".png")
    (stored,) = (service.cache / "tasks" / created["task_id"] / "inputs").iterdir()
    assert stored.read_bytes() == still()
    assert uploads(service) == []


def test_form_may_come_chunked_and_task_is_inferred(service: Service, http: httpx.Client) -> None:
    content = noise(width=1024, height=1024)
    whole = httpx.Request(
        "POST", "http://g", data={"prompt": "p"}, files={"first_image_file": ("a.png", content)}
    )
    body = whole.read()

    answer = http.post(
        FORM,
        content=iter([body[:1], body[1:700_000], body[700_000:]]),
        headers={"content-type": whole.headers["content-type"]},
    )

    assert answer.status_code == 200, answer.text
    assert "transfer-encoding" in answer.request.headers
    assert end_of(http, answer.json()["task_id"])["task"] == "i2v"


def test_urlencoded_form_is_taken(http: httpx.Client) -> None:
    answer = http.post(FORM, data={"prompt": "ein Ball & mehr", "steps": "2"})

    status = end_of(http, answer.json()["task_id"])
    assert (status["prompt"], status["progress"]["steps"]) == ("ein Ball & mehr", 2)


def test_same_idempotency_key_is_the_same_task(http: httpx.Client) -> None:
    ids = {
        http.post(
            path,
            headers={"idempotency-key": f"key of {path}"},
            **body,
        ).json()["task_id"]
        for _ in range(2)
        for path, body in (
            (FORM, {"data": {"prompt": "p"}, "files": {"first_image_file": PICTURE}}),
            ("/v1/tasks/create", {"json": {"prompt": "p"}}),
        )
    }

    assert len(ids) == 2


def test_file_over_the_limit_is_413_in_json(service: Service, http: httpx.Client) -> None:
    content = b"\x89PNG\r\n\x1a\n" + bytes(MAX_FILE_BYTES)

    answer = http.post(FORM, data={"prompt": "p"}, files={"first_image_file": ("a.png", content)})

    assert answer.status_code == 413
    assert answer.json()["detail"][0]["loc"] == ["body", "first_image_file"]
    assert str(MAX_FILE_BYTES) in answer.json()["message"]
    assert uploads(service) == []


@pytest.mark.parametrize(
    ("data", "files", "status", "loc", "kind"),
    [
        ({"task": "not a task"}, {}, 422, ["body", "task"], "value_error"),
        ({"task": "vsr"}, {}, 400, ["body", "task"], "unsupported"),
        ({}, {"first_image_file": ("a.mp4", mp4())}, 400, ["body", "task"], "not_inferred"),
        ({"steps": "{"}, {"mask_file": PICTURE}, 422, ["body", "mask_file"], "extra_forbidden"),
        (
            {},
            {"first_image_file": ("a.png", b"text")},
            400,
            ["body", "first_image_file"],
            "input_rejected",
        ),
        (
            {},
            {"first_image_file": PICTURE, "last_image_file": ("a", mp4())},
            400,
            ["body", "last_image_file"],
            "input_rejected",
        ),
    ],
)
def test_refusal_names_the_field_and_leaves_nothing(
    service: Service,
    http: httpx.Client,
    data: dict[str, str],
    files: dict[str, Any],
    status: int,
    loc: list[str],
    kind: str,
) -> None:
    media = {"first_image_file": PICTURE} | files

    answer = http.post(FORM, data={"prompt": "p"} | data, files=media)

    (detail,) = answer.json()["detail"]
    assert (answer.status_code, detail["loc"], detail["type"]) == (status, loc, kind)
    assert uploads(service) == []


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("", b"a=1", 415),
        ("multipart/form-data", b"--b--", 422),
        (MULTIPART, b"", 422),
        (MULTIPART, b"\xff\xfe\x00", 422),
        (MULTIPART, b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\np', 422),
        ("application/x-www-form-urlencoded", b"%FF=%FF", 422),
        ("application/x-www-form-urlencoded", b"", 400),
    ],
)
def test_what_is_no_form_is_refused_in_json(
    http: httpx.Client, content_type: str, body: bytes, status: int
) -> None:
    headers = {"content-type": content_type} if content_type else {}

    answer = http.post(FORM, content=body, headers=headers)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("verb", "path", "allow"),
    [
        ("GET", FORM, "DELETE, POST"),
        ("PUT", FORM, "DELETE, POST"),
        ("POST", "/v1/tasks", "GET"),
        ("GET", "/v1/tasks/create", "DELETE, POST"),
    ],
)
def test_wrong_verb_names_the_right_ones(
    http: httpx.Client, verb: str, path: str, allow: str
) -> None:
    answer = http.request(verb, path)

    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["allow"] == allow


def test_sender_who_hangs_up_leaves_nothing(service: Service, http: httpx.Client) -> None:
    http.post(FORM, data={"prompt": "p"}, files={"first_image_file": PICTURE})
    before = {path.name for path in (service.cache / "tasks").iterdir()}
    head = b'--b\r\nContent-Disposition: form-data; name="first_image_file"; filename="a"\r\n\r\n'
    request = (
        f"POST {FORM} HTTP/1.1\r\nHost: g\r\nContent-Type: {MULTIPART}\r\n"
        f"Content-Length: {MAX_FILE_BYTES}\r\n\r\n"
    ).encode()

    with FolderEvents(service.cache / "uploads") as events:
        connection = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS)
        connection.sendall(request + head + bytes(3 * 2**19))
        events.wait_for(IN_CREATE)
        connection.close()
        events.wait_for(IN_DELETE)

    assert uploads(service) == []
    assert {path.name for path in (service.cache / "tasks").iterdir()} == before


class FolderEvents:
    """Tells when something appears in a folder or goes from it."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init()
        libc.inotify_add_watch(self._descriptor, bytes(folder), IN_CREATE | IN_DELETE)
        self._seen = b""

    def __enter__(self) -> "FolderEvents":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def wait_for(self, wanted: int) -> None:
        """Waits for the next event of a kind."""
        while True:
            if not self._seen:
                self._seen = os.read(self._descriptor, 4096)
            _, mask, _, length = struct.unpack_from("iIII", self._seen)
            self._seen = self._seen[16 + length :]
            if mask & wanted:
                return
