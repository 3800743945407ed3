"""Pages of videos."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.kinds import DEFAULT_INPUTS, MediaType, default_media_type
from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import TaskNotFound
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.ports import TaskQuery
from telefuser_grpc.server.openai.video_errors import InvalidCursor
from telefuser_grpc.server.openai.video_object import is_video
from telefuser_grpc.server.rest.bodies import Malformed, validate


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
    """Returns a page, and whether there is more. Raises InvalidCursor."""
    wanted = TaskQuery(
        kinds=_kinds(contract) if contract else (),
        page_size=query.limit + 1,
        after_id=query.after,
        oldest_first=query.order == "asc",
    )
    found: list[Task] = []
    try:
        if query.after and not is_video(await tasks.get(query.after)):
            raise InvalidCursor(query.after)
        while len(found) <= query.limit:
            page = await tasks.list(wanted)
            found += filter(is_video, page.tasks)
            if not page.next_page_token:
                break
            wanted = replace(wanted, page_token=page.next_page_token)
    except TaskNotFound:
        raise InvalidCursor(query.after) from None
    return found[: query.limit], len(found) > query.limit


def _kinds(contract: PipelineContract) -> tuple[str, ...]:
    """Returns the kinds that make videos, with those that another pipeline may have made."""
    own = {kind: task.media_type for kind, task in contract.tasks.items()}
    known = {kind: default_media_type(kind) for kind in DEFAULT_INPUTS} | own
    return tuple(kind for kind, made in known.items() if made is MediaType.VIDEO)
