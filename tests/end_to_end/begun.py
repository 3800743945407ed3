"""Waits until it is on disk that a task runs: the run begins before, and a gate tells too early."""

from itertools import islice

import httpx

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import StateChange, TaskState
from tests.end_to_end.sse import read_events


def until_begun(client: Client, *task_ids: str, attempts: int = 1) -> None:
    """Waits by the native watch until each task has begun so many times."""
    for task_id in task_ids:
        beginnings = (each for each in client.watch(task_id) if _begins(each.change))
        next(islice(beginnings, attempts - 1, None))


def until_begun_by_rest(http: httpx.Client, *task_ids: str) -> None:
    """Waits by the server-sent events."""
    for task_id in task_ids:
        with http.stream("GET", f"/v1/tasks/{task_id}/events") as answer:
            next(each for each in read_events(answer) if each.data.get("status") == "processing")


def _begins(change: object) -> bool:
    return isinstance(change, StateChange) and change.state is TaskState.PROCESSING
