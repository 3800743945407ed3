"""The documented OpenAI-compatible client, against a service that answers as documented."""

import base64
import inspect
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from telefuser_grpc.client.openai import (
    ImagesAPI,
    OpenAICompatibleClient,
    Video,
    VideosAPI,
)
from tests.fakes.http_service import Answer, File, HttpService
from tests.fakes.openai_service import FILM, PICTURE, OpenAIService

FAST = 0.01


@pytest.fixture
def service() -> Iterator[OpenAIService]:
    with OpenAIService() as service:
        yield service


@pytest.fixture(params=["official", "upstream"])
def either(request: pytest.FixtureRequest) -> Iterator[OpenAIService]:
    """A service of each vocabulary in turn."""
    with OpenAIService(is_official=request.param == "official") as service:
        yield service


@pytest.fixture
def client(service: OpenAIService) -> Iterator[OpenAICompatibleClient]:
    with OpenAICompatibleClient(service.url, api_key="secret") as client:
        yield client


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    path.write_bytes(PICTURE)
    return path


def words(function: Callable[..., Any]) -> str:
    _, *parameters = inspect.signature(function).parameters.values()
    return " ".join(
        each.name if each.default is each.empty else f"{each.name}={each.default}"
        for each in parameters
    )


@pytest.mark.parametrize(
    ("function", "documented"),
    [
        (
            OpenAICompatibleClient.__init__,
            "base_url=http://localhost:8000 api_key=None timeout=300.0",
        ),
        (
            ImagesAPI.generate,
            "prompt model=None n=1 quality=auto response_format=url size=1024x1024 style=vivid "
            "user=None seed=42 negative_prompt=None timeout=None",
        ),
        (
            ImagesAPI.edit,
            "prompt image=None image_url=None mask=None model=None n=1 size=1024x1024 "
            "response_format=url seed=42 negative_prompt=None",
        ),
        (
            VideosAPI.create,
            "prompt input_reference=None reference_url=None model=None seconds=4 size=None "
            "seed=1024 negative_prompt=None output_path=None wait=False wait_timeout=300.0",
        ),
        (VideosAPI.retrieve, "video_id"),
        (VideosAPI.list, "after=None limit=20 order=desc"),
        (VideosAPI.delete, "video_id"),
        (Video.wait, "timeout=300.0 poll_interval=2.0"),
        (Video.download, "path=None"),
        (Video.cancel, ""),
        (Video.refresh, ""),
        (Video.is_done, ""),
        (Video.is_success, ""),
    ],
    ids=lambda each: getattr(each, "__qualname__", ""),
)
def test_signature_is_the_documented_one(function: Callable[..., Any], documented: str) -> None:
    assert words(function) == documented


def test_key_goes_with_every_request(
    service: OpenAIService, client: OpenAICompatibleClient
) -> None:
    client.images.generate("a cat")
    client.videos.create("a cat")

    assert {each.headers["authorization"] for each in service.requests} == {"Bearer secret"}


def test_timeout_is_that_of_one_request_unless_a_call_has_its_own(
    service: OpenAIService, limits: list[object], tmp_path: Path
) -> None:
    with OpenAICompatibleClient(service.url, timeout=7) as client:
        image = client.images.generate("a cat").data[0]
        client.images.generate("a cat", timeout=9)
        client.videos.create("a cat")
        image.save(tmp_path / "cat.png")

    assert limits == [7, 9, 7, 60.0]


def test_without_a_key_there_is_no_authorization(service: OpenAIService) -> None:
    with OpenAICompatibleClient(service.url + "/") as client:
        client.images.generate("a cat")

    assert "authorization" not in service.requests[0].headers


def test_plain_requests_take_a_path_and_raise_with_the_service_words(
    service: OpenAIService, client: OpenAICompatibleClient
) -> None:
    assert client.get("/v1/images/one/content").content == PICTURE
    with pytest.raises(requests.HTTPError, match="HTTP 404: Video task_9 not found"):
        client.delete("/v1/videos/task_9")


def test_apis_are_made_once(client: OpenAICompatibleClient) -> None:
    assert client.images is client.images
    assert client.videos is client.videos


def test_generate_sends_its_fields_and_reads_the_answer(
    service: OpenAIService, client: OpenAICompatibleClient
) -> None:
    response = client.images.generate("美丽的日落", n=2, user="me", seed=0)

    assert service.requests[0].json == {
        "prompt": "美丽的日落",
        "n": 2,
        "quality": "auto",
        "response_format": "url",
        "size": "1024x1024",
        "style": "vivid",
        "user": "me",
        "seed": 0,
    }
    assert (response.created, len(response)) == (1699000000, 2)
    assert (response.peak_memory_mb, response.inference_time_s) == (4096.5, 2.5)
    assert response[0].revised_prompt == response.data[1].revised_prompt == "美丽的日落"
    assert response[0].url == f"{service.url}/v1/images/one/content"
    assert response[0].b64_json is None


def test_image_is_saved_from_its_url(
    service: OpenAIService, client: OpenAICompatibleClient, tmp_path: Path
) -> None:
    image = client.images.generate("a cat").data[0]

    image.save(str(tmp_path / "sunset.png"))

    assert (tmp_path / "sunset.png").read_bytes() == PICTURE
    assert service.requests[-1].headers["authorization"] == "Bearer secret"


def test_image_is_saved_from_a_relative_url(
    service: OpenAIService, client: OpenAICompatibleClient, tmp_path: Path
) -> None:
    service.answers["POST /v1/images/generations"] = [
        Answer({"created": 1, "data": [{"url": "/v1/images/one/content"}]})
    ]

    client.images.generate("a cat")[0].save(tmp_path / "sunset.png")

    assert (tmp_path / "sunset.png").read_bytes() == PICTURE


def test_image_is_saved_from_base64(client: OpenAICompatibleClient, tmp_path: Path) -> None:
    image = client.images.generate("a cat", response_format="b64_json")[0]

    image.save(tmp_path / "sunset.png")

    assert image.b64_json == base64.b64encode(PICTURE).decode()
    assert (tmp_path / "sunset.png").read_bytes() == PICTURE


def test_key_is_not_shown_to_another_server(
    service: OpenAIService, client: OpenAICompatibleClient, tmp_path: Path, web: HttpService
) -> None:
    service.public_url = web.url
    web.answers["GET /v1/images/one/content"] = [Answer(PICTURE)]

    client.images.generate("a cat")[0].save(tmp_path / "sunset.png")

    assert (tmp_path / "sunset.png").read_bytes() == PICTURE
    assert "authorization" not in web.requests[0].headers


def test_image_without_content_and_url_cannot_be_saved(
    service: OpenAIService, client: OpenAICompatibleClient, tmp_path: Path
) -> None:
    service.answers["POST /v1/images/generations"] = [Answer({"created": 1, "data": [{}]})]

    with pytest.raises(ValueError, match="neither"):
        client.images.generate("a cat")[0].save(tmp_path / "sunset.png")


def test_image_that_cannot_be_fetched_leaves_nothing(
    service: OpenAIService, client: OpenAICompatibleClient, tmp_path: Path
) -> None:
    service.answers["GET /v1/images/one/content"] = [Answer({"detail": "gone"}, status=404)]

    with pytest.raises(requests.HTTPError, match="gone"):
        client.images.generate("a cat")[0].save(tmp_path / "sunset.png")

    assert list(tmp_path.iterdir()) == []


def test_edit_sends_paths_as_a_form(
    service: OpenAIService, client: OpenAICompatibleClient, picture: Path
) -> None:
    response = client.images.edit("a dog", image=str(picture), mask=picture, seed=7)

    file = File("cat.png", "image/png", PICTURE)
    assert service.requests[0].form == {
        "prompt": "a dog",
        "n": "1",
        "size": "1024x1024",
        "response_format": "url",
        "seed": "7",
        "image": file,
        "mask": file,
    }
    assert len(response) == 1


def test_edit_leaves_open_files_open(
    service: OpenAIService, client: OpenAICompatibleClient, picture: Path
) -> None:
    with picture.open("rb") as file:
        client.images.edit("a dog", image=file)
        is_open = not file.closed

    assert is_open
    assert service.requests[0].form["image"] == File("cat.png", "image/png", PICTURE)


def test_edit_takes_a_url(service: OpenAIService, client: OpenAICompatibleClient) -> None:
    client.images.edit("a dog", image_url="https://example.org/cat.png")

    assert service.requests[0].form["image_url"] == "https://example.org/cat.png"


def test_create_sends_json_and_reads_the_video(
    service: OpenAIService, client: OpenAICompatibleClient
) -> None:
    video = client.videos.create(prompt="一只猫在弹钢琴", seconds=5, size="720p")

    assert service.requests[0].json == {
        "prompt": "一只猫在弹钢琴",
        "seconds": 5,
        "size": "720p",
        "seed": 1024,
    }
    assert (video.id, video.object, video.model) == ("task_1", "video", "wan-video")
    assert (video.status, video.progress, video.created_at) == ("queued", 0, 1699000000)
    assert (video.size, video.seconds, video.quality) == ("720p", "5", "standard")
    assert (video.url, video.file_path, video.completed_at, video.error) == (None,) * 4
    assert not video.is_done()
    assert not video.is_success()


def test_size_of_a_video_is_1024x576_by_default(
    service: OpenAIService, client: OpenAICompatibleClient
) -> None:
    client.videos.create("p")

    assert service.requests[0].json["size"] == "1024x576"


@pytest.mark.parametrize("kind", ["path", "text", "file"])
def test_reference_file_goes_as_a_form(
    service: OpenAIService, client: OpenAICompatibleClient, picture: Path, kind: str
) -> None:
    reference = {"path": picture, "text": str(picture), "file": io.BytesIO(PICTURE)}[kind]

    client.videos.create("p", input_reference=reference)

    form = service.requests[0].form
    assert isinstance(form["input_reference"], File)
    assert form["input_reference"].content == PICTURE
    assert (form["seconds"], form["seed"], form["size"]) == ("4", "1024", "1024x576")


@pytest.mark.parametrize("field", ["input_reference", "reference_url"])
def test_reference_url_goes_as_json(
    service: OpenAIService, client: OpenAICompatibleClient, field: str
) -> None:
    client.videos.create("p", **{field: "https://example.org/cat.png"})

    assert service.requests[0].json[field] == "https://example.org/cat.png"


def test_every_field_that_is_given_is_sent(
    service: OpenAIService, client: OpenAICompatibleClient, picture: Path
) -> None:
    common = {"model": "m", "negative_prompt": "blur", "seed": 3}
    image = {**common, "n": 2, "size": "64x64", "response_format": "b64_json"}
    style = {"quality": "hd", "style": "natural", "user": "me"}
    video = {**common, "seconds": 9, "size": "720p", "output_path": "mine.mp4"}

    client.images.generate("p", **image, **style)
    client.images.edit("p", image=picture, **image)
    client.videos.create("p", **video)

    generated, edited, created = service.requests
    assert generated.json == {"prompt": "p", **image, **style}
    assert created.json == {"prompt": "p", **video}
    sent = {name: value for name, value in edited.form.items() if name != "image"}
    assert sent == {"prompt": "p", **{name: str(value) for name, value in image.items()}}


def test_list_asks_for_the_newest_twenty(
    service: OpenAIService, client: OpenAICompatibleClient
) -> None:
    client.videos.create("p")

    assert len(client.videos.list()) == 1
    assert service.requests[-1].query == {"limit": "20", "order": "desc"}


def test_wait_ends_with_completion_in_either_vocabulary(either: OpenAIService) -> None:
    with OpenAICompatibleClient(either.url) as client:
        video = client.videos.create("p")

        same = video.wait(timeout=300, poll_interval=FAST)

    assert same is video
    assert (video.status, video.progress, video.completed_at) == ("completed", 100, 1699000100)
    assert video.is_done()
    assert video.is_success()


@pytest.mark.parametrize("word", ["queued", "in_progress", "generating"])
def test_unfinished_words_are_not_done(service: OpenAIService, word: str) -> None:
    service.course = [word]
    with OpenAICompatibleClient(service.url) as client:
        video = client.videos.create("p")

        assert not video.refresh().is_done()


def test_create_waits_when_asked_to(service: OpenAIService, client: OpenAICompatibleClient) -> None:
    service.course = ["completed"]

    video = client.videos.create("p", wait=True, wait_timeout=20)

    assert video.is_success()


def test_wait_for_a_failed_video_raises_its_reason(either: OpenAIService) -> None:
    either.course = ["failed"]
    if not either.is_official:
        either.failure = "out of memory"
    with OpenAICompatibleClient(either.url) as client:
        video = client.videos.create("p")

        with pytest.raises(RuntimeError, match="Video task_1 failed: out of memory"):
            video.wait(poll_interval=FAST)

    assert video.is_done()
    assert not video.is_success()


def test_wait_for_a_cancelled_video_returns_it(either: OpenAIService) -> None:
    either.course = ["cancelled"]
    with OpenAICompatibleClient(either.url) as client:
        video = client.videos.create("p")

        assert video.wait(poll_interval=FAST) is video

    assert (video.status, video.is_done(), video.is_success()) == ("cancelled", True, False)


def test_wait_is_over_when_its_time_is(
    service: OpenAIService, client: OpenAICompatibleClient
) -> None:
    service.course = ["in_progress"]
    video = client.videos.create("p")

    with pytest.raises(TimeoutError, match=r"task_1 is not done after 0\.05 s"):
        video.wait(timeout=0.05, poll_interval=FAST)


def test_wait_asks_again_when_the_service_says(
    service: OpenAIService, client: OpenAICompatibleClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    video = client.videos.create("p")
    service.answers["GET /v1/videos/task_1"] = [
        Answer(status=429, headers={"retry-after": "7"}),
        Answer({"id": "task_1", "status": "completed"}),
    ]

    video.wait()

    assert pauses == [7.0]
    assert video.is_success()


def test_download_returns_and_writes_the_content(
    client: OpenAICompatibleClient, tmp_path: Path
) -> None:
    video = client.videos.create("p").wait(poll_interval=FAST)

    assert video.download() == FILM
    assert video.download(str(tmp_path / "output.mp4")) == FILM
    assert (tmp_path / "output.mp4").read_bytes() == FILM
    assert len(list(tmp_path.iterdir())) == 1


def test_download_of_an_unfinished_video_is_refused(client: OpenAICompatibleClient) -> None:
    video = client.videos.create("p")

    with pytest.raises(RuntimeError, match=r"not completed \(status: queued\)"):
        video.download()


def test_cancel_stops_a_video_in_either_vocabulary(either: OpenAIService) -> None:
    with OpenAICompatibleClient(either.url) as client:
        video = client.videos.create("p")

        assert video.cancel() is True

        assert video.status == "cancelled"
        assert video.refresh().status == "cancelled"


def test_cancel_of_a_completed_video_deletes_nothing(
    service: OpenAIService, client: OpenAICompatibleClient
) -> None:
    video = client.videos.create("p").wait(poll_interval=FAST)

    assert video.cancel() is False

    assert not service.received("DELETE /v1/videos/task_1")
    assert video.download() == FILM


def test_delete_returns_what_became_of_the_video(either: OpenAIService) -> None:
    with OpenAICompatibleClient(either.url) as client:
        running = client.videos.create("p")
        ended = client.videos.create("p").wait(poll_interval=FAST)

        assert client.videos.delete(running.id).status == "cancelled"
        assert client.videos.delete(ended.id).status == "deleted"


def test_list_pages_through_the_videos(client: OpenAICompatibleClient) -> None:
    for _ in range(3):
        client.videos.create("p")

    first = client.videos.list(limit=2)
    second = client.videos.list(after=first.last_id, limit=2)

    assert (first.object, first.has_more, len(first)) == ("list", True, 2)
    assert (first.first_id, first.last_id) == ("task_3", "task_2")
    assert [each.id for each in first.data] == [first[0].id, first[1].id] == ["task_3", "task_2"]
    assert ([each.id for each in second], second.has_more) == (["task_1"], False)


def test_retrieve_of_an_unknown_video_is_an_http_error(client: OpenAICompatibleClient) -> None:
    with pytest.raises(requests.HTTPError, match="Video task_9 not found") as caught:
        client.videos.retrieve("task_9")

    assert caught.value.response is not None
    assert caught.value.response.status_code == 404
