"""The documented REST client against the real service, over Envoy."""

import concurrent.futures
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from telefuser_grpc.client import TaskCreationError, TaskFailedError, TFClient
from telefuser_grpc.client.tf_client import (
    find_idle_server,
    get_available_urls,
    process_tasks_async,
)
from telefuser_grpc.domain.task import Progress
from telefuser_grpc.pipeline.probe import OUTPUT_LIMITS, probe
from tests.end_to_end.begun import until_begun_by_rest
from tests.end_to_end.gates import Gate
from tests.fakes.media_files import mp4, noise, still
from tests.fakes.service import Service

PIPELINE = Path(__file__).parent / "every_kind_pipeline.py"
FAST = 0.05


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("tf_client")
    with Service(PIPELINE, folder, rate_limit_enabled=False) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TFClient]:
    with TFClient(base_url=f"http://{service.target}") as client:
        yield client


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cat.png` (40x30), `large.png` (over a megabyte) and `film.mp4`."""
    folder = tmp_path_factory.mktemp("media")
    (folder / "cat.png").write_bytes(still(width=40, height=30))
    (folder / "large.png").write_bytes(noise(width=1600, height=1200))
    (folder / "film.mp4").write_bytes(mp4())
    return folder


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_documented_program_makes_and_fetches_a_video(client: TFClient, tmp_path: Path) -> None:
    task = client.create_t2v_task(prompt="宇航员在月球上行走", resolution="720p", seed=42)

    output = tmp_path / "output.mp4"
    is_there = False
    if client.wait_for_completion(task["task_id"], poll_interval=FAST):
        is_there = client.download_result(task["task_id"], str(output))

    assert is_there is True
    assert probe(output, limits=OUTPUT_LIMITS).frame_count == 4


@pytest.mark.parametrize(
    "create",
    [
        lambda client, media: client.create_i2v_task("p", str(media / "cat.png")),
        lambda client, media: client.create_fl2v_task("p", media / "cat.png", media / "cat.png"),
        lambda client, media: client.create_vc_task(
            "p", str(media / "cat.png"), str(media / "film.mp4")
        ),
        lambda client, media: client.create_s2v_task("p", str(media / "cat.png")),
        lambda client, media: client.create_vsr_task("p", str(media / "film.mp4")),
        lambda client, media: client.create_i2i_task("p", str(media / "cat.png")),
        lambda client, media: client.create_edit_task("p", str(media / "cat.png")),
    ],
    ids=["i2v", "fl2v", "vc", "s2v", "vsr", "i2i", "edit"],
)
def test_typed_method_works_with_local_files(
    client: TFClient, media: Path, create: Callable[[TFClient, Path], dict[str, Any]]
) -> None:
    task = create(client, media)

    assert client.wait_for_completion(task["task_id"], poll_interval=FAST)["status"] == "completed"


def test_local_image_arrives_as_it_is(client: TFClient, media: Path, tmp_path: Path) -> None:
    task = client.create_i2i_task("p", str(media / "cat.png"), output_format="png")
    client.wait_for_completion(task["task_id"], poll_interval=FAST)

    client.download_result(task["task_id"], str(tmp_path / "made.png"))

    assert size_of(tmp_path / "made.png") == (40, 30)


def test_large_image_is_uploaded_as_a_form(client: TFClient, media: Path, tmp_path: Path) -> None:
    assert (media / "large.png").stat().st_size > 1024 * 1024

    task = client.create_i2i_task("p", str(media / "large.png"))
    client.wait_for_completion(task["task_id"], poll_interval=FAST)
    client.download_result(task["task_id"], str(tmp_path / "made.png"))

    assert size_of(tmp_path / "made.png") == (1600, 1200)


def test_batch_of_threads_shares_one_client(client: TFClient, tmp_path: Path) -> None:
    def generate(prompt: str) -> dict[str, Any]:
        task = client.create_t2i_task(prompt=prompt, resolution="1024x1024")
        return client.wait_for_completion(task["task_id"], poll_interval=FAST)

    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as executor:
        results = list(executor.map(generate, ["提示 1", "提示 2", "提示 3"]))

    assert [each["status"] for each in results] == ["completed"] * 3
    assert [each["prompt"] for each in results] == ["提示 1", "提示 2", "提示 3"]


def test_failed_task_raises_with_the_service_reason(client: TFClient) -> None:
    task = client.create_t2v_task("raise")

    with pytest.raises(TaskFailedError, match="cannot draw that"):
        client.wait_for_completion(task["task_id"], poll_interval=FAST)


def test_refused_task_names_the_field(client: TFClient) -> None:
    with pytest.raises(TaskCreationError, match=r"HTTP 400.*prompt"):
        client.create_t2v_task("")


def test_cancelled_task_ends_the_wait(client: TFClient, service: Service, tmp_path: Path) -> None:
    with Gate(tmp_path / "gate") as gate, service.http() as http:
        task = client.create_task("t2v", prompt="p", gate=str(gate))
        until_begun_by_rest(http, task["task_id"])
        queue = client.get_queue_status()

        answer = client.cancel_task(task["task_id"])

    with pytest.raises(TaskFailedError, match="was cancelled: Task cancelled by user"):
        client.wait_for_completion(task["task_id"], poll_interval=FAST)
    assert answer == {"stop_status": "success", "reason": "Task cancellation accepted."}
    assert (queue["is_processing"], queue["current_task"]) == (True, task["task_id"])


def test_unfinished_task_is_not_downloaded(client: TFClient, tmp_path: Path) -> None:
    with Gate(tmp_path / "gate") as gate:
        task = client.create_task("t2v", prompt="p", gate=str(gate))
        gate.wait_for_visitor()

        assert client.download_result(task["task_id"], str(tmp_path / "none.mp4")) is False

    client.wait_for_completion(task["task_id"], poll_interval=FAST)


def test_watch_tells_each_step_on_the_same_port(client: TFClient) -> None:
    task = client.create_t2v_task("p")

    changes = [event.change for event in client.watch(task["task_id"])]

    assert [each.step for each in changes if isinstance(each, Progress)] == [1, 2]


def test_views_of_the_service_are_the_documented_ones(client: TFClient) -> None:
    assert client.health_check() is True
    assert client.get_service_status()["execution_mode"] == "serial_single_pipeline"
    assert client.get_service_metadata()["supported_tasks"][:2] == ["t2v", "i2v"]
    assert client.get_queue_status()["queue_size"] == 10


def test_fleet_of_one_server_makes_all_tasks(client: TFClient) -> None:
    urls = get_available_urls([client.base_url, "http://127.0.0.1:9"])

    assert urls == [client.base_url]
    assert find_idle_server(urls) == client.base_url
    messages = [{"task": "t2v", "prompt": "a"}, {"task": "t2i", "prompt": "b"}]
    assert process_tasks_async(messages, urls, show_progress=False) is True
