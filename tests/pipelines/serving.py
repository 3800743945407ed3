"""Serves a pipeline file with tiny weights, and holds what it makes to what was asked."""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx
from PIL import Image

from tests.end_to_end.sse import SseEvent, read_events
from tests.fakes.service import ROOT, Service

PROMPT = "a cat in the sun"


@dataclass(frozen=True, slots=True)
class Made:
    """A finished task: its file, and what was told on the way."""

    data: bytes
    events: list[SseEvent]

    @property
    def steps(self) -> list[int]:
        """The steps that were told of, in order."""
        return [each.data["step"] for each in self.events if each.name == "progress"]

    @property
    def frames(self) -> list[tuple[int, int]]:
        """Width and height of every frame."""
        with av.open(io.BytesIO(self.data)) as film:
            return [(frame.width, frame.height) for frame in film.decode(video=0)]

    @property
    def fps(self) -> float:
        """Frames a second."""
        with av.open(io.BytesIO(self.data)) as film:
            return float(film.streams.video[0].average_rate or 0)

    @property
    def has_sound(self) -> bool:
        """Tells whether there is an audio track."""
        with av.open(io.BytesIO(self.data)) as film:
            return bool(film.streams.audio)

    @property
    def sound_seconds(self) -> float:
        """How long the audio track is."""
        with av.open(io.BytesIO(self.data)) as film:
            return sum(frame.samples / frame.rate for frame in film.decode(audio=0))

    @property
    def picture(self) -> tuple[str | None, tuple[int, int]]:
        """Type and size of a still."""
        with Image.open(io.BytesIO(self.data)) as image:
            return image.format, image.size


class Served:
    """A pipeline file of `pipelines/`, served with a tiny model."""

    def __init__(self, service: Service, http: httpx.Client) -> None:
        self.service = service
        self.http = http

    def post(self, **fields: Any) -> httpx.Response:
        """Asks for a task."""
        return self.http.post("/v1/tasks/create", json={"prompt": PROMPT, **fields})

    def create(self, **fields: Any) -> str:
        """Asks for a task, which must be accepted, and returns its id."""
        created = self.post(**fields)
        assert created.status_code == 200, created.text
        return str(created.json()["task_id"])

    def make(self, **fields: Any) -> Made:
        """Runs a task to its end, which must be a good one."""
        return self.made(self.create(**fields))

    def made(self, task_id: str) -> Made:
        """Waits for the end of a task, which must be a good one."""
        events = self.follow(task_id)
        assert events[-1].data["status"] == "completed", events[-1]
        return Made(self.http.get(events[-1].data["artifacts"][0]["url"]).content, events)

    def follow(self, task_id: str) -> list[SseEvent]:
        """Reads the events of a task to its end."""
        with self.http.stream("GET", f"/v1/tasks/{task_id}/events?previews=true") as answer:
            return list(read_events(answer))

    def cancel_at_first_step(self, **fields: Any) -> str:
        """Runs a task, cancels it when it tells of its first step, and returns how it ended."""
        task_id = self.create(**fields)
        self.at_first_step(task_id, lambda: self.cancel(task_id))
        return str(self.follow(task_id)[-1].data["status"])

    def at_first_step(self, task_id: str, act: Callable[[], object]) -> None:
        """Does something as soon as a task has told of its first step."""
        with self.http.stream("GET", f"/v1/tasks/{task_id}/events") as answer:
            next(event for event in read_events(answer) if event.name == "progress")
            act()

    def cancel(self, task_id: str) -> None:
        """Cancels a task."""
        self.http.delete(f"/v1/tasks/{task_id}")


@contextmanager
def serve(
    file: str, folder: Path, save: Callable[[Path], None], **settings: Any
) -> Iterator[Served]:
    """Serves `pipelines/<file>` with the model that `save` writes."""
    model = folder / "model"
    save(model)
    given: Mapping[str, Any] = {"model": model, "preview_interval": 0, **settings}
    with Service(ROOT / "pipelines" / file, folder, **given) as service, service.http() as http:
        yield Served(service, http)
