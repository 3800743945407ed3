"""Spreads many tasks over several servers, a thread for each task."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, Protocol

import requests

from telefuser_grpc.client._http import answers, checked, open_session
from telefuser_grpc.client.vocabulary import ENDED, STATUS_COMPLETED

POLL_SECONDS = 0.5
ROUND_SECONDS = 3.0
STAGGER_SECONDS = 0.5
PROBE_TIMEOUT_SECONDS = 5.0
REQUEST_TIMEOUT_SECONDS = 300.0
SILENCE_SECONDS = 60.0


class Bar(Protocol):
    """A progress bar as tqdm makes them."""

    def update(self, n: int) -> object:
        """Counts what was done."""
        ...


def send_and_monitor_task(
    url: str,
    message: Mapping[str, Any],
    task_index: int,
    complete_bar: Bar | None = None,
    complete_lock: AbstractContextManager[Any] | None = None,
) -> bool:
    """Submits a body of `/v1/tasks/create` as it is, follows the task, and tells if it succeeded.

    Ends when the task has ended, or when the server has been silent for a minute. `task_index` is
    the caller's own number of the task.
    """
    try:
        return _run(url.rstrip("/"), message)
    except requests.RequestException:
        return False
    finally:
        _count(complete_bar, complete_lock or threading.Lock())


def get_available_urls(urls: Sequence[str]) -> list[str] | None:
    """Returns the servers that answer, or None."""
    with open_session() as session:
        return [url for url in urls if _status(session, url) is not None] or None


def find_idle_server(available_urls: Sequence[str]) -> str:
    """Waits until a server is idle and returns it."""
    with open_session() as session:
        while True:
            for url in available_urls:
                if _status(session, url) == "idle":
                    return url
            time.sleep(ROUND_SECONDS)


def process_tasks_async(
    messages: Sequence[Mapping[str, Any]],
    available_urls: Sequence[str],
    show_progress: bool = True,
) -> bool:
    """Runs every task on whatever server is idle, and tells whether all succeeded.

    Shows a bar when tqdm is installed.
    """
    bar = _bar(len(messages)) if show_progress else None
    lock = threading.Lock()
    ends: list[Future[bool]] = []
    with ThreadPoolExecutor(max_workers=max(1, len(messages))) as threads:
        for index, message in enumerate(messages):
            url = find_idle_server(available_urls)
            ends.append(threads.submit(send_and_monitor_task, url, message, index, bar, lock))
            time.sleep(STAGGER_SECONDS)  # until the server no longer calls itself idle
    if bar is not None:
        bar.close()
    return all(end.result() for end in ends)


def _run(url: str, message: Mapping[str, Any]) -> bool:
    with open_session() as session:
        created = session.post(
            f"{url}/v1/tasks/create", json=dict(message), timeout=REQUEST_TIMEOUT_SECONDS
        )
        path = f"{url}/v1/tasks/{checked(created).json()['task_id']}/status"
        statuses = answers(
            lambda: checked(session.get(path, timeout=REQUEST_TIMEOUT_SECONDS)).json()["status"],
            interval_seconds=POLL_SECONDS,
            silence_seconds=SILENCE_SECONDS,
        )
        end = next(each for each in statuses if each in ENDED)
        return bool(end == STATUS_COMPLETED)


def _status(session: requests.Session, url: str) -> str | None:
    try:
        response = session.get(
            f"{url.rstrip('/')}/v1/service/status", timeout=PROBE_TIMEOUT_SECONDS
        )
        return str(checked(response).json()["service_status"])
    except requests.RequestException:
        return None


def _count(bar: Bar | None, lock: AbstractContextManager[Any]) -> None:
    if bar is not None:
        with lock:
            bar.update(1)


def _bar(total: int) -> Any:
    try:
        tqdm = import_module("tqdm")
    except ImportError:
        return None
    return tqdm.tqdm(total=total, desc="tasks")
