"""The OpenAI videos over Envoy, from the request of an SDK to the file and back."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.end_to_end.gates import Gate
from tests.fakes.media_files import mp4, still
from tests.fakes.service import Service

PIPELINE = Path(__file__).parent / "film_pipeline.py"
RETRIED = "x-stainless-retry-count"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(PIPELINE, tmp_path_factory.mktemp("videos"), max_file_size=2**20) as service:
        yield service


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http() as http:
        yield http


@pytest.fixture(scope="module")
def film(http: httpx.Client) -> str:
    """The id of a completed video."""
    return ended(http, create(http, size="720x1280", seconds="8"))


def create(http: httpx.Client, files: Any = None, **fields: Any) -> str:
    """Posts a multipart form as the official SDKs do; returns the video's id."""
    texts = {name: (None, str(value)) for name, value in ({"prompt": "p"} | fields).items()}
    answer = http.post("/v1/videos", files={**texts, **(files or {})})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def ended(http: httpx.Client, video_id: str) -> str:
    """Waits for the end of a video."""
    http.get(f"/v1/tasks/{video_id}/events")
    return video_id


def await_run(http: httpx.Client, video_id: str) -> None:
    """Waits until it is stored that a video is being made."""
    with http.stream("GET", f"/v1/tasks/{video_id}/events") as events:
        assert any('"processing"' in line for line in events.iter_lines())


def error_of(answer: httpx.Response) -> tuple[int, str | None, str]:
    error = answer.json()["error"]
    assert answer.headers["x-request-id"]
    return answer.status_code, error["param"], error["code"]


def test_form_and_json_on_one_path_make_videos(http: httpx.Client) -> None:
    form = create(http, {"input_reference": ("a.png", still(), "image/png")})
    json_answer = http.post("/v1/videos", json={"prompt": "p", "seconds": 5})

    assert json_answer.json()["seconds"] == "5"
    for video_id in (form, json_answer.json()["id"]):
        assert http.get(f"/v1/videos/{ended(http, video_id)}").json()["status"] == "completed"


def test_video_in_a_form_is_continued(http: httpx.Client) -> None:
    video_id = create(http, {"input_reference": ("clip.mp4", mp4(), "video/mp4")})

    assert http.get(f"/v1/tasks/{video_id}/status").json()["task"] == "vc"


def test_times_are_numbers_and_do_not_change(http: httpx.Client, film: str) -> None:
    first, second = (http.get(f"/v1/videos/{film}").json() for _ in range(2))

    assert first == second
    assert isinstance(first["created_at"], int)
    assert first["created_at"] <= first["completed_at"]
    assert (first["progress"], first["size"], first["seconds"]) == (100, "64x48", "8")


def test_url_of_a_video_leads_to_its_file(http: httpx.Client, film: str) -> None:
    url = http.get(f"/v1/videos/{film}").json()["url"]

    answer = http.get(url)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert answer.content[4:8] == b"ftyp"


def test_running_video_says_when_to_ask_again_and_has_no_file_yet(
    http: httpx.Client, make_gate: Callable[[], Gate]
) -> None:
    gate = make_gate()
    video_id = create(http, prompt=f"wait {gate}")
    await_run(http, video_id)

    video = http.get(f"/v1/videos/{video_id}")
    content = http.get(f"/v1/videos/{video_id}/content")
    gate.open()

    assert 500 <= int(video.headers["openai-poll-after-ms"]) <= 10_000
    assert (video.json()["status"], video.json()["url"]) == ("in_progress", None)
    assert 1 <= video.json()["progress"] <= 99
    assert error_of(content) == (400, None, "video_not_ready")
    assert content.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("variant", "content_type", "format"),
    [("thumbnail", "image/webp", "WEBP"), ("spritesheet", "image/jpeg", "JPEG")],
)
def test_derived_files_are_sent_by_the_gateway(
    http: httpx.Client, film: str, variant: str, content_type: str, format: str
) -> None:
    path = f"/v1/videos/{film}/content"
    headers = {"accept": "application/binary"}

    answer = http.get(path, params={"variant": variant}, headers=headers)
    head = http.head(path, params={"variant": variant})

    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    assert Image.open(io.BytesIO(answer.content)).format == format
    assert head.headers["etag"] == answer.headers["etag"]


def test_part_of_a_video_is_sent_when_asked_for(http: httpx.Client, film: str) -> None:
    answer = http.get(f"/v1/videos/{film}/content", headers={"range": "bytes=4-7"})

    assert (answer.status_code, answer.content) == (206, b"ftyp")


def test_errors_of_files_are_the_official_object(http: httpx.Client, film: str) -> None:
    unknown = http.get(f"/v1/videos/{film}/content", params={"variant": "gif"})
    absent = http.get("/v1/videos/video_unheard_of/content")

    assert error_of(unknown) == (400, "variant", "invalid_value")
    assert error_of(absent) == (404, None, "not_found")


def test_pages_lead_through_all_videos(http: httpx.Client, film: str) -> None:
    for _ in range(2):
        create(http)
    http.post("/v1/tasks/create", json={"task": "t2i", "prompt": "p"})
    total = http.get("/v1/videos", params={"limit": 100}).json()
    listed: list[str] = []
    after, has_more = "", True

    while has_more:
        page = http.get("/v1/videos", params={"limit": 2, "order": "asc", "after": after}).json()
        listed += [video["id"] for video in page["data"]]
        after, has_more = page["last_id"], page["has_more"]

    assert listed == [video["id"] for video in total["data"]][::-1]
    assert film in listed


def test_wrong_parameters_are_refused_by_name(http: httpx.Client) -> None:
    for params, status in (({"limit": 0}, 422), ({"order": "x"}, 422), ({"after": "x"}, 400)):
        answer = http.get("/v1/videos", params=params)

        assert error_of(answer)[:2] == (status, *params)


def test_wrong_field_is_refused_by_name_in_the_official_words(http: httpx.Client) -> None:
    answer = http.post("/v1/videos", json={"prompt": "p", "seconds": 90})

    assert error_of(answer) == (422, "seconds", "invalid_value")
    assert answer.json()["detail"][0]["loc"] == ["body", "seconds"]


def test_request_that_is_sent_again_makes_one_video(http: httpx.Client) -> None:
    ids = {
        http.post("/v1/videos", json={"prompt": "again"}, headers={RETRIED: count}).json()["id"]
        for count in ("0", "1", "2")
    }

    assert len(ids) == 1


def test_remix_edit_and_extension_make_new_videos(http: httpx.Client, film: str) -> None:
    remix = http.post(f"/v1/videos/{film}/remix", json={"prompt": "blue"})
    edit = http.post(
        "/v1/videos/edits",
        files={"prompt": (None, "blue"), "video": ("clip.mp4", mp4(), "video/mp4")},
    )
    extension = http.post(
        "/v1/videos/extensions", json={"prompt": "on", "seconds": "8", "video": {"id": film}}
    )

    for answer in (remix, edit, extension):
        video = http.get(f"/v1/videos/{ended(http, answer.json()['id'])}").json()
        assert (video["status"], video["error"]) == ("completed", None)
    assert remix.json()["remixed_from_video_id"] == film


def test_characters_are_refused(http: httpx.Client) -> None:
    created = http.post("/v1/videos/characters", files={"name": (None, "Ada")})
    asked = http.get("/v1/videos/characters/char_ada")

    assert error_of(created) == (400, None, "unsupported")
    assert error_of(asked) == (404, None, "not_found")


def test_delete_takes_a_video_and_its_files_away(http: httpx.Client, service: Service) -> None:
    video_id = ended(http, create(http))
    http.get(f"/v1/videos/{video_id}/content", params={"variant": "thumbnail"})

    deleted = http.request(
        "DELETE", f"/v1/videos/{video_id}", headers={"content-type": "application/json"}
    )

    about = {"object": "video.deleted", "deleted": True, "status": "deleted"}
    assert deleted.json() == {"id": video_id} | about
    assert error_of(http.get(f"/v1/videos/{video_id}"))[0] == 404
    assert error_of(http.get(f"/v1/videos/{video_id}/content"))[0] == 404
    assert not (service.cache / "tasks" / video_id).exists()


def test_delete_stops_a_video_that_is_being_made(
    http: httpx.Client, make_gate: Callable[[], Gate]
) -> None:
    gate = make_gate()
    running = create(http, prompt=f"wait {gate}")
    gate.wait_for_visitor()
    waiting = create(http)

    stopped = http.delete(f"/v1/videos/{waiting}").json()
    gate.open()

    assert stopped["status"] == "cancelled"
    assert http.get(f"/v1/videos/{ended(http, running)}").json()["status"] == "completed"
