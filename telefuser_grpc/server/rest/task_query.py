"""What the query of a listing asks for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from telefuser_grpc.domain.kinds import KIND_PATTERN
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.scheduler.ports import TaskQuery
from telefuser_grpc.server.rest.bodies import MAX_VIOLATIONS, Malformed, detail

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
STATES: Mapping[str, Sequence[TaskState]] = {
    "pending": [TaskState.PENDING],
    "processing": [TaskState.PROCESSING, TaskState.CANCELLING],
    "completed": [TaskState.COMPLETED],
    "failed": [TaskState.FAILED],
    "cancelled": [TaskState.CANCELLED],
}


def task_query(
    *, status: Sequence[str], task: Sequence[str], page_size: int, page_token: str
) -> TaskQuery:
    """Reads a listing's query; empty values count as not given.

    Raises:
        Malformed: The documented list of what is wrong where.
    """
    words = [each.strip().lower() for each in status if each.strip()]
    kinds = [each.strip().lower() for each in task if each.strip()]
    if faults := list(_faults(words, kinds, page_size)):
        raise Malformed(faults[:MAX_VIOLATIONS])
    return TaskQuery(
        states=tuple(state for word in words for state in STATES[word]),
        kinds=tuple(kinds),
        page_size=page_size or DEFAULT_PAGE_SIZE,
        page_token=page_token,
    )


def wrong_page_token() -> Malformed:
    """Returns what is told of a token that is of no listing, or of another."""
    why = "is malformed or belongs to a listing with other filters; start again without it"
    return Malformed([detail(["query", "page_token"], why, "page_token")])


def _faults(words: Sequence[str], kinds: Sequence[str], page_size: int) -> Iterator[dict[str, Any]]:
    if any(word not in STATES for word in words):
        yield detail(["query", "status"], f"must be one of {', '.join(STATES)}", "enum")
    if any(not KIND_PATTERN.fullmatch(kind) for kind in kinds):
        why = f"must match {KIND_PATTERN.pattern}"
        yield detail(["query", "task"], why, "string_pattern_mismatch")
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        kind = "greater_than_equal" if page_size < 0 else "less_than_equal"
        yield detail(["query", "page_size"], f"must be from 1 to {MAX_PAGE_SIZE}", kind)
