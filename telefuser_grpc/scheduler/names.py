"""Ids that callers choose: each caller has names of its own, so that none tells of another's.

What is stored is the name with a mark of its owner, where the service knows callers; an id that the
service has made is stored as it is.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from telefuser_grpc.domain.queue import Queue
from telefuser_grpc.domain.task import Task, TaskEvent
from telefuser_grpc.scheduler.callers import current_caller

MARK = "~"  # which no id has that is chosen
MARK_DIGITS = 16


def stored_id(name: str, owner: str) -> str:
    """Returns the id under which a task is stored whose owner has chosen a name."""
    return name + _mark(owner)


def possible_ids(name: str) -> Sequence[str]:
    """Returns the ids that the current caller may mean by a name."""
    caller = current_caller()
    return (name, stored_id(name, caller)) if caller else (name,)


def told_id(task_id: str) -> str:
    """Returns the name by which the current caller knows a task."""
    return task_id.removesuffix(_mark(current_caller()))


def told_task(task: Task) -> Task:
    """Returns a task under the name by which the current caller knows it."""
    return replace(task, id=told_id(task.id)) if MARK in task.id else task


def told_event(event: TaskEvent) -> TaskEvent:
    """Returns an event under the name by which the current caller knows its task."""
    return replace(event, task_id=told_id(event.task_id)) if MARK in event.task_id else event


def told_queue(queue: Queue) -> Queue:
    """Returns a queue with the names by which the current caller knows its tasks."""
    return replace(
        queue,
        waiting=tuple(map(told_id, queue.waiting)),
        running=tuple(map(told_id, queue.running)),
        expected_starts={told_id(each): at for each, at in queue.expected_starts.items()},
    )


@lru_cache(maxsize=1024)
def _mark(owner: str) -> str:
    if not owner:
        return ""
    return MARK + hashlib.sha256(owner.encode()).hexdigest()[:MARK_DIGITS]
