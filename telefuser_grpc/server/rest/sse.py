"""A task's events as server-sent events (the `text/event-stream` of the HTML standard)."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any
from urllib.parse import quote

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import Preview, Progress, StateChange, TaskEvent
from telefuser_grpc.server.rest.bodies import Malformed, detail

CONTENT_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
OPENING = b"retry: 1000\n\n"
WRONG_ID = "Input should be the id of an event"
HEARTBEAT = b": heartbeat\n\n"


def resume_after(metadata: Iterable[Any] | None, requested: int) -> int:
    """Returns the sequence to resume after: the header `Last-Event-ID`, else what was requested.

    Raises:
        Malformed: The header is no number.
    """
    last = next((value for key, value in metadata or () if key == "last-event-id"), "")
    if not last:
        return requested
    if not last.isascii() or not last.isdigit() or len(last) > 18:
        raise Malformed([detail(["header", "Last-Event-ID"], WRONG_ID, "int_parsing")])
    return int(last)


async def frames(
    events: AsyncIterator[TaskEvent], *, previews: bool
) -> AsyncGenerator[bytes, None]:
    """Yields a frame at once, one per event, and heartbeats while nothing happens."""
    yield OPENING
    upcoming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            await asyncio.wait({upcoming}, timeout=HEARTBEAT_SECONDS)
            if not upcoming.done():
                yield HEARTBEAT
                continue
            event = upcoming.result()
            if event is None:
                return
            if previews or not isinstance(event.change, Preview):
                yield frame(event)
            upcoming = asyncio.ensure_future(anext(events, None))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)


def frame(event: TaskEvent) -> bytes:
    """Writes one event; its id is the sequence."""
    name, data = _content(event)
    head = {
        "task_id": event.task_id,
        "sequence": event.sequence,
        "time": event.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "attempt": event.attempt,
    }
    text = json.dumps({**head, **data}, ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.sequence}\nevent: {name}\ndata: {text}\n\n".encode()


def _content(event: TaskEvent) -> tuple[str, dict[str, Any]]:
    match event.change:
        case StateChange(state=state, error=error, artifacts=artifacts):
            reason = {"reason": error.reason, "message": error.message} if error else None
            made = [_artifact(each) for each in artifacts]
            return "state", {"status": str(state), "error": reason, "artifacts": made}
        case Progress(step=step, steps=steps, stage=stage, remaining_seconds=remaining):
            return "progress", {
                "step": step,
                "steps": steps,
                "stage": stage,
                "remaining_seconds": remaining,
            }
        case Preview(step=step, image=image):
            encoded = base64.b64encode(image).decode()
            return "preview", {"step": step, "content_type": "image/jpeg", "image": encoded}


def _artifact(artifact: Artifact) -> dict[str, Any]:
    return {
        "artifact_id": artifact.id,
        "filename": artifact.filename,
        "content_type": artifact.facts.content_type,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "url": f"/v1/files/download/{quote(artifact.path)}",
    }
