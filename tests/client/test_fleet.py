"""The helpers that spread tasks over several servers."""

import threading
import time
from collections.abc import Iterator

import pytest

from telefuser_grpc.client import fleet
from telefuser_grpc.client.tf_client import (
    find_idle_server,
    get_available_urls,
    process_tasks_async,
    send_and_monitor_task,
)
from tests.fakes.http_service import Answer, HttpService

CREATE = "POST /v1/tasks/create"
TASK = "GET /v1/tasks/task_1/status"
SERVICE = "GET /v1/service/status"
NOBODY = "http://127.0.0.1:9"
IDLE = Answer({"service_status": "idle"})
BUSY = Answer({"service_status": "busy"})


class Bar:
    """A progress bar that only counts."""

    def __init__(self) -> None:
        self.count = 0

    def update(self, n: int) -> None:
        self.count += n


PAUSES = ("POLL_SECONDS", "ROUND_SECONDS", "STAGGER_SECONDS")


@pytest.fixture(autouse=True)
def _haste(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "pauses" not in request.fixturenames:
        for name in PAUSES:
            monkeypatch.setattr(fleet, name, 0.01)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


@pytest.fixture
def web(web: HttpService) -> Iterator[HttpService]:
    web.answers[CREATE] = [Answer({"task_id": "task_1"})]
    web.answers[SERVICE] = [IDLE]
    return web


def ends(web: HttpService, *words: str) -> None:
    web.answers[TASK] = [Answer({"status": word}) for word in words]


@pytest.mark.parametrize(
    ("end", "is_success"), [("completed", True), ("failed", False), ("cancelled", False)]
)
def test_monitor_ends_with_its_task_and_tells_its_success(
    web: HttpService, end: str, is_success: bool
) -> None:
    ends(web, "pending", "processing", end)
    bar = Bar()

    told = send_and_monitor_task(web.url, {"task": "t2v"}, 0, bar, threading.Lock())

    assert told is is_success
    assert bar.count == 1
    assert len(web.received(TASK)) == 3


def test_monitor_asks_twice_a_second(web: HttpService, pauses: list[float]) -> None:
    ends(web, "pending", "processing", "completed")

    send_and_monitor_task(web.url, {}, 0)

    assert pauses == [0.5, 0.5]


def test_idle_server_is_looked_for_every_three_seconds(
    web: HttpService, pauses: list[float]
) -> None:
    web.answers[SERVICE] = [BUSY, BUSY, IDLE]

    find_idle_server([web.url])

    assert pauses == [3.0, 3.0]


def test_tasks_begin_half_a_second_apart(web: HttpService, pauses: list[float]) -> None:
    ends(web, "completed")

    process_tasks_async([{}, {}], [web.url], show_progress=False)

    assert pauses == [0.5, 0.5]


def test_server_that_does_not_answer_a_probe_in_five_seconds_is_not_available(
    web: HttpService, limits: list[object]
) -> None:
    assert get_available_urls([web.url]) == [web.url]

    assert limits == [5.0]


def test_monitor_sends_the_message_as_it_is(web: HttpService) -> None:
    ends(web, "completed")
    message = {"task": "i2v", "first_image_path": "/of/the/server.png", "seed": 1}

    send_and_monitor_task(web.url, message, 0)

    assert web.received(CREATE)[0].json == message


@pytest.mark.parametrize("url", [NOBODY, "refuses"])
def test_monitor_of_a_refused_task_is_no_success(web: HttpService, url: str) -> None:
    web.answers[CREATE] = [Answer(status=400)]
    bar = Bar()

    assert send_and_monitor_task(url.replace("refuses", web.url), {}, 0, bar) is False
    assert bar.count == 1


def test_monitor_gives_up_on_a_server_that_has_gone(
    web: HttpService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "SILENCE_SECONDS", 0.05)
    web.answers[TASK] = [Answer({"status": "processing"}), Answer(status=503)]

    assert send_and_monitor_task(web.url, {}, 0) is False


def test_available_are_those_that_answer(web: HttpService) -> None:
    assert get_available_urls([NOBODY, web.url]) == [web.url]


def test_available_is_none_when_nobody_answers() -> None:
    assert get_available_urls([NOBODY]) is None


def test_idle_server_is_waited_for(web: HttpService) -> None:
    web.answers[SERVICE] = [BUSY, BUSY, IDLE]

    assert find_idle_server([NOBODY, web.url]) == web.url
    assert len(web.received(SERVICE)) == 3


def test_tasks_go_to_idle_servers_and_all_are_counted(
    web: HttpService, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(web, "completed")

    assert process_tasks_async([{"prompt": str(n)} for n in range(3)], [web.url]) is True

    prompts = [each.json["prompt"] for each in web.received(CREATE)]
    assert sorted(prompts) == ["0", "1", "2"]
    assert "3/3" in capsys.readouterr().err


def test_one_failed_task_is_no_success_of_all(web: HttpService) -> None:
    ends(web, "completed", "failed", "completed")

    assert process_tasks_async([{}, {}], [web.url], show_progress=False) is False


def test_bar_is_left_out_without_tqdm(
    web: HttpService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    ends(web, "completed")

    assert process_tasks_async([{}], [web.url]) is True
    assert capsys.readouterr().err == ""


def test_no_tasks_are_a_success(web: HttpService) -> None:
    assert process_tasks_async([], [web.url], show_progress=False) is True
