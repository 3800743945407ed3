"""Pages of videos."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.kinds import DEFAULT_INPUTS, MediaType, default_media_type
from telefuser_grpc.domain.output import time_of_task_id
from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import TaskNotFound
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.ports import TaskQuery
from telefuser_grpc.server.openai.video_errors import InvalidCursor
from telefuser_grpc.server.openai.video_object import is_video
from telefuser_grpc.server.rest.bodies import Malformed, validate

SEARCHED = 100
"""Tasks that are looked through together for the place of a video that is gone."""


class ListVideosQuery(BaseModel):
    """The parameters of `GET /v1/videos`."""

    after: str = ""
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


def list_query(*, after: str, limit: str, order: str) -> ListVideosQuery:
    """Reads the parameters; an empty one is not given. Raises Malformed."""
    given = {"after": after, "limit": limit, "order": order}
    try:
        return validate(ListVideosQuery, {name: text for name, text in given.items() if text})
    except Malformed as error:
        details = [each | {"loc": ["query", *each["loc"][1:]]} for each in error.details]
        raise Malformed(details) from None


async def page_of_videos(
    tasks: Desk, query: ListVideosQuery, contract: PipelineContract | None
) -> tuple[list[Task], bool]:
    """Returns a page, and whether there is more. Raises InvalidCursor.

    A cursor whose video is no longer there stands for the time at which it was made.
    """
    wanted = TaskQuery(
        kinds=_kinds(contract) if contract else (),
        page_size=query.limit + 1,
        after_id=query.after,
        oldest_first=query.order == "asc",
    )
    try:
        if query.after and not is_video(await tasks.get(query.after)):
            raise InvalidCursor(query.after)
        found = await _found(tasks, wanted, query.limit, is_video)
    except TaskNotFound:
        searched = replace(wanted, after_id="", page_size=max(SEARCHED, query.limit + 1))
        found = await _found(tasks, searched, query.limit, _videos_behind(query))
    return found[: query.limit], len(found) > query.limit


async def _found(
    tasks: Desk, wanted: TaskQuery, limit: int, belongs: Callable[[Task], bool]
) -> list[Task]:
    """Returns more tasks that belong than the limit, or all of them."""
    found: list[Task] = []
    while len(found) <= limit:
        page = await tasks.list(wanted)
        found += filter(belongs, page.tasks)
        if not page.next_page_token:
            break
        wanted = replace(wanted, page_token=page.next_page_token)
    return found


def _videos_behind(query: ListVideosQuery) -> Callable[[Task], bool]:
    """Tells of a task whether it is a video behind a cursor that is gone. Raises InvalidCursor."""
    made_at = time_of_task_id(query.after)
    if made_at is None:
        raise InvalidCursor(query.after)
    cursor = made_at, query.after

    def is_behind(task: Task) -> bool:
        microseconds = timedelta(microseconds=task.created_at.microsecond % 1000)
        place = task.created_at - microseconds, task.id
        return is_video(task) and (place > cursor if query.order == "asc" else place < cursor)

    return is_behind


def _kinds(contract: PipelineContract) -> tuple[str, ...]:
    """Returns the kinds that make videos, with those that another pipeline may have made."""
    own = {kind: task.media_type for kind, task in contract.tasks.items()}
    known = {kind: default_media_type(kind) for kind in DEFAULT_INPUTS} | own
    return tuple(kind for kind, made in known.items() if made is MediaType.VIDEO)
