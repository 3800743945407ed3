"""The documented REST paths, from a request over Envoy to the file and back."""

import io
import re
from collections.abc import Iterator
from typing import Any

import av
import httpx
import pytest

from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.end_to_end.sse import SseEvent, read_events
from tests.fakes.service import Service

JSON = "application/json"
NAIVE_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(
        PUPPET,
        tmp_path_factory.mktemp("rest"),
        max_file_size=65536,
        security_level="none",
        rate_limit_enabled=False,
    ) as service:
        yield service


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http() as http:
        yield http


@pytest.fixture(scope="module")
def film(http: httpx.Client) -> str:
    """The name of a finished film."""
    created = create(http, task_id="film", prompt="p")
    list(follow(http, "film"))
    return created["output_path"]


def create(http: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = http.post("/v1/tasks/create", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def follow(http: httpx.Client, task_id: str, **headers: str) -> Iterator[SseEvent]:
    with http.stream("GET", f"/v1/tasks/{task_id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        yield from read_events(answer)


def test_task_is_made_seen_and_fetched(http: httpx.Client, gate: Gate) -> None:
    created = create(
        http, task="t2v", prompt="a", steps=2, gate=str(gate), target_video_length=1, seed=2**62 + 1
    )
    task_id = created["task_id"]
    events = follow(http, task_id)
    begun = [next(events) for _ in range(3)]
    gate.wait_for_visitor()
    meanwhile = http.get(f"/v1/tasks/{task_id}/status").json()
    queue = http.get("/v1/tasks/queue/status").json()
    gate.open()
    rest = list(events)
    status = http.get(f"/v1/tasks/{task_id}/status").json()
    file = http.get(f"/v1/files/download/{status['output_path']}")

    assert re.fullmatch(r"task_[0-9a-z]{26}", task_id)
    assert created == {
        "task_id": task_id,
        "task_status": "pending",
        "output_path": f"{task_id}.mp4",
        "peak_memory_mb": None,
        "inference_time_s": None,
    }
    assert [event.id for event in begun + rest] == list(range(1, len(begun + rest) + 1))
    assert [told(event) for event in begun + rest] == [
        "pending",
        "processing",
        (1, 2),
        (2, 2),
        "completed",
    ]
    assert (meanwhile["status"], meanwhile["end_time"]) == ("processing", None)
    assert meanwhile["progress"] == {"step": 1, "steps": 2, "stage": "denoising"}
    assert queue == {
        "is_processing": True,
        "current_task": task_id,
        "pending_count": 0,
        "active_count": 1,
        "queue_size": 10,
        "queue_available": 9,
    }
    assert (status["status"], status["error"], status["prompt"]) == ("completed", None, "a")
    assert status["output_path"] == created["output_path"]
    assert re.fullmatch(NAIVE_TIME, status["start_time"])
    assert re.fullmatch(NAIVE_TIME, status["end_time"])
    assert count_frames(file.content) == 5


def told(event: SseEvent) -> object:
    if event.name == "state":
        return event.data["status"]
    return event.data["step"], event.data["steps"]


def count_frames(data: bytes) -> int:
    with av.open(io.BytesIO(data)) as film:
        return sum(1 for _ in film.decode(video=0))


def test_cut_stream_is_resumed_by_the_last_event_id(http: httpx.Client, gate: Gate) -> None:
    task_id = create(http, prompt="p", steps=4, gate=str(gate), gate_step=2)["task_id"]
    with http.stream("GET", f"/v1/tasks/{task_id}/events") as answer:
        events = read_events(answer)
        seen = [next(events) for _ in range(4)]
    gate.open()
    rest = list(follow(http, task_id, **{"last-event-id": str(seen[-1].id)}))

    assert seen + rest == list(follow(http, task_id))
    assert [event.id for event in seen + rest] == list(range(1, 8))
    assert list(follow(http, task_id, **{"last-event-id": "7"})) == []


def test_file_comes_with_its_headers(http: httpx.Client, film: str) -> None:
    answer = http.get(f"/v1/files/download/{film}")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"] == 'attachment; filename="film.mp4"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    "name",
    ["film.mp4", "local:tasks/film/outputs/videos/film.mp4", "tasks/film/outputs/videos/film.mp4"],
)
def test_file_has_three_names(http: httpx.Client, film: str, name: str) -> None:
    answer = http.get(f"/v1/files/download/{name}")

    assert count_frames(answer.content) == 5


@pytest.mark.parametrize("name", ["{root}/{file}", "%2F{root}/{file}", "local:{file}"])
def test_file_has_an_absolute_name_too(
    service: Service, http: httpx.Client, film: str, name: str
) -> None:
    file = f"tasks/film/outputs/videos/{film}"

    answer = http.get(f"/v1/files/download/{name.format(root=service.cache, file=file)}")

    assert answer.status_code == 200, answer.text
    assert count_frames(answer.content) == 5


def test_name_that_several_tasks_gave_is_the_newest(http: httpx.Client) -> None:
    for task_id in ("older", "newer"):
        create(http, task="t2i", prompt="p", task_id=task_id, output_path="same.PNG")
        list(follow(http, task_id))

    named, whole = (
        http.get(f"/v1/files/download/{name}")
        for name in ("same.PNG", "tasks/newer/outputs/images/same.PNG")
    )

    assert (named.status_code, named.headers["etag"]) == (200, whole.headers["etag"])
    assert named.headers["content-type"] == "image/png"


def test_changed_file_is_sent_whole_to_a_resumed_download(http: httpx.Client, film: str) -> None:
    tag = http.head(f"/v1/files/download/{film}").headers["etag"]

    same, other = (
        http.get(f"/v1/files/download/{film}", headers={"range": "bytes=5-", "if-range": each})
        for each in (tag, '"other"')
    )

    assert (same.status_code, other.status_code) == (206, 200)


def test_tasks_are_listed_page_by_page(http: httpx.Client, film: str) -> None:
    for _ in range(2):
        task_id = create(http, prompt="listed")["task_id"]
        list(follow(http, task_id))

    first = http.get("/v1/tasks", params={"page_size": 1, "status": ["completed", "failed"]})
    token = first.json()["next_page_token"]
    second = http.get(
        "/v1/tasks",
        params={"page_size": 1, "status": ["completed", "failed"], "page_token": token},
    )

    assert [task["task_id"] for task in first.json()["tasks"]] == [task_id]
    assert second.json()["tasks"][0]["prompt"] == "listed"
    assert second.json()["tasks"][0]["task_id"] != task_id


@pytest.mark.parametrize(
    ("query", "loc"),
    [
        ("page_size=-1", ["query", "page_size"]),
        ("page_size=5000", ["query", "page_size"]),
        ("page_size=many", ["query"]),
        ("page_token=%F0%9F%92%A5", ["query", "page_token"]),
        ("status=queued", ["query", "status"]),
        ("task=-", ["query", "task"]),
    ],
)
def test_wrong_query_of_the_listing_is_422(http: httpx.Client, query: str, loc: list[str]) -> None:
    answer = http.get(f"/v1/tasks?{query}")

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][: len(loc)] == loc


@pytest.mark.parametrize("key", ["k" * 129, "ключ".encode(), b"\xff"])
def test_odd_idempotency_key_is_no_fault_of_the_server(
    http: httpx.Client, key: str | bytes
) -> None:
    answer = http.post("/v1/tasks/create", json={"prompt": "p"}, headers={b"idempotency-key": key})

    assert answer.status_code in (200, 422), answer.text


def test_worst_fault_of_a_body_still_has_its_answer(http: httpx.Client) -> None:
    answer = http.post(
        "/v1/tasks/create", json={"prompt": "p", **{"名" * 9_000 + str(n): 1 for n in range(30)}}
    )

    assert answer.status_code == 422
    assert len(answer.json()["detail"]) == 20


def test_head_is_the_get_without_its_body(http: httpx.Client, film: str) -> None:
    head, get = (http.request(verb, f"/v1/files/download/{film}") for verb in ("HEAD", "GET"))

    names = {"content-type", "content-length", "content-disposition", "etag", "accept-ranges"}
    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers[name] for name in names} == {
        name: get.headers[name] for name in names
    }


@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("0-9", 0, 10), ("10-", 10, None), ("-7", -7, None)]
)
def test_range_is_a_part_of_the_file(
    http: httpx.Client, film: str, asked: str, start: int, stop: int | None
) -> None:
    whole = http.get(f"/v1/files/download/{film}").content

    part = http.get(f"/v1/files/download/{film}", headers={"range": f"bytes={asked}"})

    first, last = range(len(whole))[start], range(len(whole))[start:stop][-1]
    assert (part.status_code, part.content) == (206, whole[start:stop])
    assert part.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"


def test_impossible_range_names_the_size(http: httpx.Client, film: str) -> None:
    size = http.head(f"/v1/files/download/{film}").headers["content-length"]

    answer = http.get(f"/v1/files/download/{film}", headers={"range": "bytes=99999999-"})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{size}"
    assert isinstance(answer.json()["detail"], str)


def test_known_file_is_not_sent_again(http: httpx.Client, film: str) -> None:
    tag = http.head(f"/v1/files/download/{film}").headers["etag"]

    same = http.get(f"/v1/files/download/{film}", headers={"if-none-match": tag})
    other = http.get(f"/v1/files/download/{film}", headers={"if-none-match": '"other"'})

    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == tag
    assert other.status_code == 200


def test_png_is_a_png(http: httpx.Client) -> None:
    name = create(http, task="t2i", prompt="p", task_id="still")["output_path"]
    list(follow(http, "still"))

    answer = http.get(f"/v1/files/download/{name}")

    assert name == "still.png"
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("no.mp4", 404),
        ("tasks/film/outputs/videos/other.mp4", 404),
        ("..%2f..%2ftasks.db", 403),
        ("tasks/film/outputs/videos/..%2f..%2f..%2f..%2ftasks.db", 403),
        ("..%5c..%5ctasks.db", 403),
        ("tasks/film/inputs/a.png", 403),
        ("tasks.db", 404),
    ],
)
def test_what_is_no_artifact_is_not_served(
    http: httpx.Client, film: str, path: str, status: int
) -> None:
    answer = http.get(f"/v1/files/download/{path}")

    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)
    assert "/" not in answer.json()["detail"]


def test_delete_says_what_happened(http: httpx.Client, film: str, gate: Gate) -> None:
    running, waiting = (create(http, task="act", gate=str(gate))["task_id"] for _ in range(2))
    gate.wait_for_visitor()

    texts = [
        http.delete(f"/v1/tasks/{task_id}").json() for task_id in (waiting, running, "film", "none")
    ]
    gate.open()
    ends = [list(follow(http, task_id))[-1] for task_id in (waiting, running)]
    again = http.delete(f"/v1/tasks/{waiting}").json()

    assert texts == [
        {"stop_status": "success", "reason": "Task cancellation accepted."},
        {"stop_status": "success", "reason": "Task cancellation accepted."},
        {"stop_status": "do_nothing", "reason": "Task already terminal: completed."},
        {"stop_status": "do_nothing", "reason": "Task not found."},
    ]
    assert again == {"stop_status": "do_nothing", "reason": "Task already terminal: cancelled."}
    for end in ends:
        assert end.data["status"] == "cancelled"
        assert end.data["error"] == {"reason": "CANCELLED", "message": "Task cancelled by user"}


def test_health_and_readiness(http: httpx.Client) -> None:
    health, ready = (http.get(f"/v1/service/{name}") for name in ("health", "ready"))

    assert (health.status_code, ready.status_code) == (200, 200)
    assert re.fullmatch(NAIVE_TIME + "Z", health.json().pop("timestamp"))
    assert health.json() | {"timestamp": ""} == {
        "status": "healthy",
        "timestamp": "",
        "version": "1.0.0",
        "pipeline_ready": True,
        "ready": True,
    }
    assert ready.json()["status"] == "ready"


def test_status_counts_tasks(http: httpx.Client, film: str) -> None:
    status = http.get("/v1/service/status").json()

    assert (status["service_status"], status["current_task"]) == ("idle", None)
    assert status["execution_mode"] == "serial_single_pipeline"
    assert status["completed_tasks"] >= 1
    assert status["total_tasks"] == (
        status["completed_tasks"] + status["failed_tasks"] + status["cancelled_tasks"]
    )


def test_metadata_shows_the_contract(http: httpx.Client) -> None:
    metadata = http.get("/v1/service/metadata").json()

    assert metadata["pipeline_name"] == "puppet"
    assert metadata["supported_tasks"] == ["t2v", "t2i", "i2v", "act"]
    assert metadata["task_contracts"]["i2v"]["required_inputs"] == ["first_image_path"]
    assert metadata["task_contracts"]["t2v"]["parameters"]["prompt"]["required"] is True


def test_metrics_count_what_was_made(http: httpx.Client, film: str) -> None:
    answer = http.get("/v1/service/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    assert re.search(r"^telefuser_tasks_created_total.* [1-9]", answer.text, re.MULTILINE)


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"{nonsense", 422, {"type": "json_invalid", "loc": ["body", 1]}),
        (b"", 422, {"type": "missing", "loc": ["body"]}),
        (b"[]", 422, {"type": "model_attributes_type", "loc": ["body"]}),
        (b'{"seed":"abc"}', 422, {"type": "int_parsing", "loc": ["body", "seed"]}),
        (b'{"aspect_ratio":"5:4"}', 422, {"type": "enum", "loc": ["body", "aspect_ratio"]}),
        (b'{"task":"not a task"}', 422, {"loc": ["body", "task"]}),
        (b'{"task":"vsr"}', 400, {"type": "unsupported"}),
        (b'{"task":"i2v"}', 400, {"type": "missing_input", "loc": ["body", "first_image_path"]}),
        (b'{"task":"t2v"}', 400, {"type": "missing_parameter", "loc": ["body", "prompt"]}),
        (b'{"prompt":"p","task_id":"a/b"}', 422, {"loc": ["body", "task_id"]}),
        (b'{"prompt":"p","output_path":"/a.mp4"}', 400, {"msg": "Absolute paths are not allowed"}),
    ],
)
def test_refusal_is_the_documented_list(
    http: httpx.Client, body: bytes, status: int, detail: dict[str, Any]
) -> None:
    answer = http.post("/v1/tasks/create", content=body, headers={"content-type": JSON})

    assert answer.status_code == status
    assert answer.headers["content-type"] == JSON
    (given,) = answer.json()["detail"]
    assert {"type", "loc", "msg"} <= given.keys()
    assert given | detail == given


def test_contract_refusals_keep_their_helper_keys(http: httpx.Client) -> None:
    unsupported, inputs, parameters = (
        http.post("/v1/tasks/create", json={"task": kind}).json() for kind in ("vsr", "i2v", "t2v")
    )

    assert unsupported["supported_tasks"] == ["t2v", "t2i", "i2v", "act"]
    assert inputs["missing_inputs"] == ["first_image_path"]
    assert inputs["message"] == "Task 'i2v' is missing required inputs"
    assert parameters["required_parameters"] == parameters["missing_parameters"] == ["prompt"]


def test_taken_id_is_a_conflict(http: httpx.Client, film: str) -> None:
    answer = http.post("/v1/tasks/create", json={"prompt": "p", "task_id": "film"})

    assert (answer.status_code, answer.json()) == (409, {"detail": "Task ID film already exists"})


def test_input_over_the_limit_is_refused(http: httpx.Client) -> None:
    image = "data:image/png;base64," + "A" * 120_000

    answer = http.post("/v1/tasks/create", json={"prompt": "p", "first_image_path": image})

    assert answer.status_code == 413
    assert "AAAA" not in answer.text


@pytest.mark.parametrize("path", ["/v1/tasks/none/status", "/v1/tasks/none/events"])
def test_unknown_task_is_not_found(http: httpx.Client, path: str) -> None:
    answer = http.get(path)

    assert (answer.status_code, answer.json()) == (404, {"detail": "Task not found"})


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/nothing"),
        ("POST", "/v1/stream/webrtc/offer"),
        ("DELETE", "/v1/stream/webrtc/none"),
        ("GET", "/v1/stream/sessions/none/status"),
    ],
)
def test_unknown_path_is_not_found(http: httpx.Client, verb: str, path: str) -> None:
    answer = http.request(verb, path)

    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("verb", "path", "allow"),
    [
        ("PUT", "/v1/tasks/create", "DELETE, POST"),
        ("POST", "/v1/service/health", "GET"),
        ("DELETE", "/v1/files/download/film.mp4", "GET, HEAD"),
    ],
)
def test_wrong_verb_names_the_right_ones(
    http: httpx.Client, verb: str, path: str, allow: str
) -> None:
    answer = http.request(verb, path)

    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["allow"] == allow
