"""The documented REST client, against a service that answers as it is told."""

import base64
import inspect
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from telefuser_grpc.client import (
    TaskCreationError,
    TaskFailedError,
    TaskTimeoutError,
    TeleFuserError,
    TFClient,
    tf_client,
)
from tests.fakes.http_service import Answer, File, HttpService

CREATE = "POST /v1/tasks/create"
FORM = "POST /v1/tasks/form"
STATUS = "GET /v1/tasks/task_1/status"
DOWNLOAD = "GET /v1/files/download/task_1.mp4"
CREATED = {"task_id": "task_1", "task_status": "pending", "output_path": "task_1.mp4"}
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
URL = "https://example.org/cat.png"


@pytest.fixture
def client(web: HttpService) -> Iterator[TFClient]:
    web.answers[CREATE] = [Answer(CREATED)]
    web.answers[FORM] = [Answer(CREATED)]
    with TFClient(web.url) as client:
        yield client


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "cat.png"
    path.write_bytes(PICTURE)
    return str(path)


def status(word: str, **more: Any) -> Answer:
    return Answer(
        {"task_id": "task_1", "status": word, "error": None, "output_path": "task_1.mp4"} | more
    )


def sent(web: HttpService) -> Any:
    (request,) = web.received(CREATE)
    return request.json


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_attributes_are_the_address_without_its_slash_and_the_timeout() -> None:
    client = TFClient("http://127.0.0.1:8000/", timeout=5)

    assert (client.base_url, client.timeout) == ("http://127.0.0.1:8000", 5)


def test_defaults_are_the_local_service_and_300_seconds() -> None:
    client = TFClient()

    assert (client.base_url, client.timeout) == ("http://localhost:8000", 300)


def test_api_key_goes_with_the_requests(web: HttpService) -> None:
    web.answers[CREATE] = [Answer(CREATED)]

    with TFClient(web.url, api_key="secret") as client:
        client.create_task("t2v", prompt="x")

    (request,) = web.received(CREATE)
    assert request.headers["authorization"] == "Bearer secret"


def test_timeout_is_that_of_one_request_and_10_seconds_for_the_health(
    web: HttpService, limits: list[object], tmp_path: Path
) -> None:
    web.answers[CREATE] = [Answer(CREATED)]
    web.answers[STATUS] = [status("completed")]

    with TFClient(web.url, timeout=7) as client:
        client.create_task("t2v", prompt="x")
        client.get_task_status("task_1")
        client.download_result("task_1", tmp_path / "mine.mp4")
        client.health_check()

    assert limits == [7, 7, 7, 7, 10.0]


def test_silent_service_is_waited_for_no_longer_than_the_timeout(silent: str) -> None:
    with (
        TFClient(silent, timeout=0.1) as client,
        pytest.raises(TaskCreationError, match=r"^Task creation request failed: .*timed out"),
    ):
        client.create_t2v_task("p")


def test_proxies_of_the_environment_are_bypassed(
    web: HttpService, client: TFClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert client.create_task("t2v", prompt="p") == CREATED


@pytest.mark.parametrize(
    ("name", "documented"),
    [
        ("file_to_base64", "file_path"),
        ("create_task", "task_type params"),
        (
            "create_t2v_task",
            "prompt resolution=720p seed=42 negative_prompt= aspect_ratio=16:9 video_length=5",
        ),
        (
            "create_i2v_task",
            "prompt first_image_path resolution=720p seed=42 negative_prompt= video_length=5",
        ),
        (
            "create_fl2v_task",
            "prompt first_image_path last_image_path resolution=720p seed=42 negative_prompt= "
            "video_length=5",
        ),
        ("create_vc_task", "prompt first_image_path ref_video_path= seed=42 negative_prompt="),
        (
            "create_s2v_task",
            "prompt sketch_path resolution=720p seed=42 negative_prompt= video_length=5",
        ),
        ("create_vsr_task", "prompt ref_video_path resolution=1080p seed=42 negative_prompt="),
        (
            "create_t2i_task",
            "prompt resolution=1024x1024 seed=42 negative_prompt= aspect_ratio=1:1 "
            "output_format=png",
        ),
        (
            "create_i2i_task",
            "prompt image_path resolution=1024x1024 seed=42 negative_prompt= aspect_ratio=1:1 "
            "output_format=png",
        ),
        (
            "create_edit_task",
            "prompt image_path resolution=1024x1024 seed=42 negative_prompt= aspect_ratio=1:1 "
            "output_format=png",
        ),
        ("get_task_status", "task_id"),
        ("wait_for_completion", "task_id timeout=300 poll_interval=2.0"),
        ("cancel_task", "task_id"),
        ("download_result", "task_id output_path"),
        ("health_check", ""),
        ("get_service_status", ""),
        ("get_service_metadata", ""),
        ("get_queue_status", ""),
        ("close", ""),
    ],
)
def test_signature_is_the_documented_one(name: str, documented: str) -> None:
    _, *parameters = inspect.signature(getattr(TFClient, name)).parameters.values()

    words = [
        each.name if each.default is each.empty else f"{each.name}={each.default}"
        for each in parameters
    ]
    assert " ".join(words) == documented


BASE = {"prompt": "p", "seed": 42, "negative_prompt": ""}
CLIP = {**BASE, "resolution": "720p", "target_video_length": 5}
STILL = {
    **BASE,
    "resolution": "1024x1024",
    "aspect_ratio": "1:1",
    "output_format": "png",
}


@pytest.mark.parametrize(
    ("create", "body"),
    [
        (
            lambda client: client.create_t2v_task("p"),
            {"task": "t2v", "aspect_ratio": "16:9", **CLIP},
        ),
        (
            lambda client: client.create_i2v_task("p", URL),
            {"task": "i2v", "first_image_path": URL, **CLIP},
        ),
        (
            lambda client: client.create_fl2v_task("p", URL, URL + "2"),
            {
                "task": "fl2v",
                "first_image_path": URL,
                "last_image_path": URL + "2",
                **CLIP,
            },
        ),
        (
            lambda client: client.create_vc_task("p", URL, URL + "2"),
            {"task": "vc", "first_image_path": URL, "ref_video_path": URL + "2", **BASE},
        ),
        (
            lambda client: client.create_s2v_task("p", URL),
            {"task": "s2v", "first_image_path": URL, **CLIP},
        ),
        (
            lambda client: client.create_vsr_task("p", URL),
            {"task": "vsr", "ref_video_path": URL, "resolution": "1080p", **BASE},
        ),
        (lambda client: client.create_t2i_task("p"), {"task": "t2i", **STILL}),
        (
            lambda client: client.create_i2i_task("p", URL),
            {"task": "i2i", "first_image_path": URL, **STILL},
        ),
        (
            lambda client: client.create_edit_task("p", URL),
            {"task": "edit", "first_image_path": URL, **STILL},
        ),
    ],
    ids=["t2v", "i2v", "fl2v", "vc", "s2v", "vsr", "t2i", "i2i", "edit"],
)
def test_typed_method_sends_its_documented_body(
    web: HttpService,
    client: TFClient,
    create: Callable[[TFClient], Any],
    body: dict[str, Any],
) -> None:
    assert create(client) == CREATED

    assert sent(web) == body


def test_video_length_is_sent_as_target_video_length(web: HttpService, client: TFClient) -> None:
    client.create_t2v_task("p", video_length=9)

    assert sent(web)["target_video_length"] == 9
    assert "video_length" not in sent(web)


def test_parameters_that_nobody_knows_reach_the_service(web: HttpService, client: TFClient) -> None:
    client.create_task("t2v", prompt="p", num_inference_steps=7, seed=2**62 + 1)

    assert sent(web) == {"task": "t2v", "prompt": "p", "num_inference_steps": 7, "seed": 2**62 + 1}


@pytest.mark.parametrize(
    ("create", "field"),
    [
        (lambda client, path: client.create_i2v_task("p", path), "first_image_path"),
        (lambda client, path: client.create_fl2v_task("p", path, path), "last_image_path"),
        (lambda client, path: client.create_vc_task("p", path, path), "ref_video_path"),
        (lambda client, path: client.create_s2v_task("p", path), "first_image_path"),
        (lambda client, path: client.create_vsr_task("p", path), "ref_video_path"),
        (lambda client, path: client.create_i2i_task("p", path), "first_image_path"),
        (lambda client, path: client.create_edit_task("p", path), "first_image_path"),
        (lambda client, path: client.create_task("i2v", first_image_path=path), "first_image_path"),
        (
            lambda client, path: client.create_task("i2v", first_image_path=Path(path)),
            "first_image_path",
        ),
        (lambda client, path: client.create_task("s2v", audio_path=path), "audio_path"),
    ],
    ids=["i2v", "fl2v", "vc", "s2v", "vsr", "i2i", "edit", "any", "path", "audio"],
)
def test_local_file_is_encoded_exactly_once(
    web: HttpService,
    client: TFClient,
    picture: str,
    create: Callable[[TFClient, str], Any],
    field: str,
) -> None:
    create(client, picture)

    assert sent(web)[field] == base64_of(PICTURE)


@pytest.mark.parametrize(
    "ready",
    [
        "http://example.org/cat.png",
        URL,
        "data:image/png;base64," + base64_of(PICTURE),
        base64_of(PICTURE),
        "/9j/" + base64_of(PICTURE),
    ],
    ids=["http", "https", "data", "base64", "base64 like a path"],
)
def test_url_and_encoded_text_go_as_they_are(
    web: HttpService, client: TFClient, ready: str
) -> None:
    client.create_i2v_task("p", ready)

    assert sent(web)["first_image_path"] == ready


def test_file_to_base64_is_bare_text_that_a_task_takes(
    web: HttpService, client: TFClient, picture: str
) -> None:
    text = client.file_to_base64(picture)

    client.create_i2v_task("p", text)

    assert text == base64_of(PICTURE) == sent(web)["first_image_path"]


@pytest.mark.parametrize("path", ["missing.png", "x" * 5000 + ".png", ".", "nul\0.png"])
def test_missing_file_is_told_before_anything_is_sent(
    web: HttpService, client: TFClient, path: str
) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"first_image_path: no file .* data: URL"
    ) as caught:
        client.create_i2v_task("p", path)

    assert len(str(caught.value)) < 300
    assert not web.requests


def test_large_file_goes_as_a_form(web: HttpService, client: TFClient, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\r\n--film" * 200_000)

    created = client.create_task(
        "vc", prompt="über", ref_video_path=film, first_image_path=URL, seed=7, loop=True
    )

    (request,) = web.received(FORM)
    assert created == CREATED
    assert request.headers["content-length"] == str(len(request.body))
    assert request.form == {
        "task": "vc",
        "prompt": "über",
        "first_image_path": URL,
        "seed": "7",
        "loop": "true",
        "ref_video_file": File("film.mp4", "video/mp4", film.read_bytes()),
    }


@pytest.mark.parametrize(
    ("field", "part"),
    [
        ("first_image_path", "first_image_file"),
        ("last_image_path", "last_image_file"),
        ("ref_video_path", "ref_video_file"),
        ("audio_path", "audio_file"),
    ],
)
def test_form_has_a_file_for_each_medium(
    web: HttpService, client: TFClient, tmp_path: Path, field: str, part: str
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"m" * (tf_client.INLINE_LIMIT_BYTES + 1))

    client.create_task("t2v", **{field: large})

    assert isinstance(web.received(FORM)[0].form[part], File)


def test_refusal_is_a_creation_error_with_status_and_text(
    web: HttpService, client: TFClient
) -> None:
    web.answers[CREATE] = [Answer({"detail": "Task queue is full"}, status=503)]

    with pytest.raises(TaskCreationError) as caught:
        client.create_t2v_task("p")

    assert str(caught.value) == 'Task creation failed (HTTP 503): {"detail": "Task queue is full"}'


def test_creation_is_not_repeated(web: HttpService, client: TFClient) -> None:
    web.answers[CREATE] = [Answer(status=503), Answer(CREATED)]

    with pytest.raises(TaskCreationError):
        client.create_t2v_task("p")

    assert len(web.requests) == 1


def test_nobody_at_the_address_is_a_creation_error() -> None:
    with (
        TFClient("http://127.0.0.1:9") as client,
        pytest.raises(TaskCreationError, match=r"^Task creation request failed: .*refused"),
    ):
        client.create_t2v_task("p")


def test_answer_that_is_no_json_is_a_creation_error(web: HttpService, client: TFClient) -> None:
    web.answers[CREATE] = [Answer(b"<html>")]

    with pytest.raises(TaskCreationError, match=r"^Task creation request failed: "):
        client.create_t2v_task("p")


def test_status_is_the_whole_answer(web: HttpService, client: TFClient) -> None:
    web.answers[STATUS] = [status("pending", attempt=1)]

    assert client.get_task_status("task_1")["attempt"] == 1


def test_status_of_an_unknown_task_is_an_http_error_that_says_why(client: TFClient) -> None:
    with pytest.raises(requests.HTTPError, match="HTTP 404: Not Found") as caught:
        client.get_task_status("task_9")

    assert caught.value.response is not None
    assert caught.value.response.status_code == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": [{"loc": ["body", "seed"], "msg": "no number"}]}, "seed: no number"),
        ({"detail": [{"loc": ["body"], "msg": "Field required"}]}, "body: Field required"),
        ({"error": {"message": "too many"}, "detail": "x"}, "too many"),
        ({"else": 1}, '{"else": 1}'),
        (b"plain", "plain"),
        (b"", "Bad Request"),
    ],
)
def test_http_error_says_what_the_service_says(
    web: HttpService, client: TFClient, body: Any, words: str
) -> None:
    web.answers[STATUS] = [Answer(body, status=400)]

    with pytest.raises(requests.HTTPError) as caught:
        client.get_task_status("task_1")

    assert str(caught.value) == f"HTTP 400: {words}"


def test_task_id_cannot_leave_its_path(web: HttpService, client: TFClient) -> None:
    with pytest.raises(requests.HTTPError):
        client.get_task_status("../a?b")

    assert web.requests[0].path == "/v1/tasks/..%2Fa%3Fb/status"


def test_wait_returns_the_final_status_which_is_true(web: HttpService, client: TFClient) -> None:
    web.answers[STATUS] = [status("pending"), status("processing"), status("completed")]

    final = client.wait_for_completion("task_1", poll_interval=0.01)

    assert final
    assert (final["status"], len(web.requests)) == ("completed", 3)


def test_wait_raises_for_a_failed_task_with_its_reason(web: HttpService, client: TFClient) -> None:
    web.answers[STATUS] = [status("failed", error="out of memory")]

    with pytest.raises(TaskFailedError, match=r"^Task task_1 failed: out of memory$") as caught:
        client.wait_for_completion("task_1")

    assert caught.value.metadata == {"task_id": "task_1", "status": "failed"}


def test_wait_raises_for_a_cancelled_task(web: HttpService, client: TFClient) -> None:
    web.answers[STATUS] = [status("cancelled", error="Task cancelled by user")]

    with pytest.raises(
        TaskFailedError, match=r"^Task task_1 was cancelled: Task cancelled by user"
    ):
        client.wait_for_completion("task_1")


def test_wait_is_over_when_its_time_is(web: HttpService, client: TFClient) -> None:
    web.answers[STATUS] = [status("processing")]

    with pytest.raises(TaskTimeoutError, match=r"Task task_1 has not ended within 0\.05 s"):
        client.wait_for_completion("task_1", timeout=0.05, poll_interval=0.02)

    assert len(web.requests) >= 3


def test_wait_looks_once_more_at_its_end(web: HttpService, client: TFClient) -> None:
    web.answers[STATUS] = [status("processing"), status("completed")]

    assert client.wait_for_completion("task_1", timeout=0.05, poll_interval=60)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def test_wait_asks_every_two_seconds(
    web: HttpService, client: TFClient, pauses: list[float]
) -> None:
    web.answers[STATUS] = [status("processing"), status("processing"), status("completed")]

    client.wait_for_completion("task_1")

    assert pauses == [2.0, 2.0]


@pytest.mark.parametrize("refusal", [429, 502, 503, 504])
def test_wait_asks_again_when_the_service_says(
    web: HttpService, client: TFClient, pauses: list[float], refusal: int
) -> None:
    web.answers[STATUS] = [
        Answer(status=refusal, headers={"retry-after": "17"}),
        Answer(status=refusal, headers={"retry-after": "1"}),
        Answer(status=refusal),
        status("completed"),
    ]

    client.wait_for_completion("task_1")

    assert pauses == [17.0, 2.0, 2.0]


def test_wait_outlives_a_restart_of_the_service(
    web: HttpService, client: TFClient, pauses: list[float]
) -> None:
    web.answers[STATUS] = [Answer(b"{}", cut=2), status("completed")]

    assert client.wait_for_completion("task_1")


def test_wait_for_an_unknown_task_ends_at_once(web: HttpService, client: TFClient) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        client.wait_for_completion("task_9")

    assert len(web.requests) == 1


def test_cancel_tells_what_happened(web: HttpService, client: TFClient) -> None:
    told = {"stop_status": "success", "reason": "Task cancellation accepted."}
    web.answers["DELETE /v1/tasks/task_1"] = [Answer(told)]

    assert client.cancel_task("task_1") == told


def test_download_asks_for_the_bare_name_and_writes_the_file(
    web: HttpService, client: TFClient, tmp_path: Path
) -> None:
    web.answers[STATUS] = [status("completed", output_path="/srv/cache/outputs/task_1.mp4")]
    web.answers[DOWNLOAD] = [Answer(b"film" * 50_000)]

    is_there = client.download_result("task_1", str(tmp_path / "mine.mp4"))

    assert is_there is True
    assert (tmp_path / "mine.mp4").read_bytes() == b"film" * 50_000
    assert [each.name for each in tmp_path.iterdir()] == ["mine.mp4"]


def test_download_of_an_unfinished_task_is_false(
    web: HttpService, client: TFClient, tmp_path: Path
) -> None:
    web.answers[STATUS] = [status("processing")]

    assert client.download_result("task_1", tmp_path / "mine.mp4") is False
    assert client.download_result("task_9", tmp_path / "mine.mp4") is False
    assert list(tmp_path.iterdir()) == []


def test_broken_download_is_false_and_leaves_what_was_there(
    web: HttpService, client: TFClient, tmp_path: Path
) -> None:
    web.answers[STATUS] = [status("completed")]
    web.answers[DOWNLOAD] = [Answer(b"film" * 50_000, cut=1)]
    (tmp_path / "mine.mp4").write_bytes(b"before")

    assert client.download_result("task_1", tmp_path / "mine.mp4") is False

    assert (tmp_path / "mine.mp4").read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["mine.mp4"]


def test_download_into_no_folder_raises(web: HttpService, client: TFClient, tmp_path: Path) -> None:
    web.answers[STATUS] = [status("completed")]
    web.answers[DOWNLOAD] = [Answer(b"film")]

    with pytest.raises(FileNotFoundError):
        client.download_result("task_1", tmp_path / "none" / "mine.mp4")


@pytest.mark.parametrize(
    ("answer", "is_healthy"),
    [
        (Answer({"status": "healthy", "pipeline_ready": True}), True),
        (Answer({"status": "healthy", "pipeline_ready": False}), False),
        (Answer({"status": "healthy"}), False),
        (Answer(status=500), False),
        (Answer(b"<html>"), False),
    ],
)
def test_health_is_whether_the_pipeline_is_ready(
    web: HttpService, client: TFClient, answer: Answer, is_healthy: bool
) -> None:
    web.answers["GET /v1/service/health"] = [answer]

    assert client.health_check() is is_healthy


def test_health_of_nobody_is_false() -> None:
    with TFClient("http://127.0.0.1:9") as client:
        assert client.health_check() is False


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get_service_status", "/v1/service/status"),
        ("get_service_metadata", "/v1/service/metadata"),
        ("get_queue_status", "/v1/tasks/queue/status"),
    ],
)
def test_views_of_the_service_are_its_answers(
    web: HttpService, client: TFClient, method: str, path: str
) -> None:
    web.answers[f"GET {path}"] = [Answer({"from": path})]

    assert getattr(client, method)() == {"from": path}


def test_errors_are_a_tree_with_one_root() -> None:
    for each in (TaskCreationError, TaskFailedError, TaskTimeoutError):
        assert each.__mro__[1] is TeleFuserError


def test_constants_are_the_words_of_the_wire() -> None:
    assert tf_client.VIDEO_TASKS == ("t2v", "i2v", "fl2v", "vc", "s2v", "vsr")
    assert tf_client.IMAGE_TASKS == ("t2i", "i2i", "edit")
    assert tf_client.VALID_TASK_TYPES == tf_client.VIDEO_TASKS + tf_client.IMAGE_TASKS
    assert tf_client.VALID_ASPECT_RATIOS == ("16:9", "9:16", "4:3", "3:4", "1:1", "2:3", "3:2")
    assert tf_client.VALID_OUTPUT_FORMATS == ("png", "jpg", "jpeg", "webp")
    for name in tf_client.__all__:
        prefix, _, rest = name.partition("_")
        value = getattr(tf_client, name)
        match prefix:
            case "TASK":
                assert value == rest.lower()
                assert value in tf_client.VALID_TASK_TYPES
            case "STATUS":
                assert value == rest.lower()
            case "AR":
                assert value == rest.replace("_", ":")
            case "FORMAT":
                assert value == rest.lower()


@pytest.mark.parametrize("name", ["T2V", "I2V", "FL2V", "VC", "T2I", "I2I", "S2V", "VSR", "EDIT"])
def test_each_task_has_its_constant(name: str) -> None:
    assert f"TASK_{name}" in tf_client.__all__
