"""Videos: created, followed, fetched."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from telefuser_grpc.client._http import answers, save
from telefuser_grpc.client._multipart import FileSource
from telefuser_grpc.client.openai._requests import Requests, as_form, given

DEFAULT_SIZE = "1024x576"
COMPLETED = "completed"
FAILED = "failed"
CANCELLED = "cancelled"
DELETED = "deleted"
DONE = (COMPLETED, FAILED, CANCELLED, DELETED)
READY_PREFIXES = ("http://", "https://", "data:")


class VideosAPI:
    """The paths below `/v1/videos`."""

    def __init__(self, client: Requests) -> None:
        self._client = client

    def create(
        self,
        prompt: str,
        input_reference: FileSource | None = None,
        reference_url: str | None = None,
        model: str | None = None,
        seconds: int = 4,
        size: str | None = None,
        seed: int | None = 1024,
        negative_prompt: str | None = None,
        output_path: str | None = None,
        wait: bool = False,
        wait_timeout: float = 300.0,
    ) -> "Video":
        """Submits a video; `input_reference` is a file to begin with, or its URL."""
        fields = given(
            prompt=prompt,
            reference_url=reference_url,
            model=model,
            seconds=seconds,
            size=size or DEFAULT_SIZE,
            seed=seed,
            negative_prompt=negative_prompt,
            output_path=output_path,
        )
        response = self._client.post("/v1/videos", **_body(fields, input_reference))
        video = Video(self._client, response.json())
        return video.wait(wait_timeout) if wait else video

    def retrieve(self, video_id: str) -> "Video":
        """Returns a video as it is now."""
        return Video(self._client, self._client.get(_path(video_id)).json())

    def list(self, after: str | None = None, limit: int = 20, order: str = "desc") -> "VideosList":
        """Returns a page of videos, that after the video `after`."""
        params = given(after=after, limit=limit, order=order)
        return VideosList.of(self._client.get("/v1/videos", params=params).json(), self._client)

    def delete(self, video_id: str) -> "Video":
        """Cancels a video that is being made, or deletes one that has ended, with its file."""
        return Video(self._client, self._client.delete(_path(video_id)).json())


class Video:
    """A video that was asked for: how far it is, and where it lies.

    A video that was cancelled says so, whatever word the service has for it.
    """

    def __init__(self, client: Requests, body: Mapping[str, Any]) -> None:
        self._client = client
        self.status = ""
        self._read(body)

    def is_done(self) -> bool:
        """Tells whether nothing more will come."""
        return self.status in DONE

    def is_success(self) -> bool:
        """Tells whether there is a video to fetch."""
        return self.status == COMPLETED

    def refresh(self) -> Self:
        """Takes over what the service says now."""
        self._read(self._client.get(_path(self.id)).json())
        return self

    def wait(self, timeout: float = 300.0, poll_interval: float = 2.0) -> Self:
        """Waits until the video is completed or cancelled.

        Raises:
            RuntimeError: It failed.
            TimeoutError: It is not done in time.
        """
        states = answers(
            lambda: self if self.is_done() else self.refresh(),
            interval_seconds=poll_interval,
            timeout_seconds=timeout,
        )
        if not any(each.is_done() for each in states):
            raise TimeoutError(f"Video {self.id} is not done after {timeout:g} s")
        if self.status == FAILED:
            raise RuntimeError(f"Video {self.id} failed: {self._why()}")
        return self

    def download(self, path: str | os.PathLike[str] | None = None) -> bytes:
        """Returns the file's content, and writes it to a path if one is given.

        Raises:
            RuntimeError: The video is not completed.
        """
        if not self.is_success():
            raise RuntimeError(f"Video {self.id} is not completed (status: {self.status})")
        with self._client.get(f"{_path(self.id)}/content", stream=path is not None) as response:
            if path is None:
                return response.content
            save(response, Path(path))
        return Path(path).read_bytes()

    def cancel(self) -> bool:
        """Stops the video if it is being made; one that is done stays as it is."""
        if self.refresh().is_done():
            return self.status == CANCELLED
        answer = self._client.delete(_path(self.id)).json()
        if answer.get("status") not in (CANCELLED, DELETED):
            return False
        self.status = CANCELLED
        return True

    def _read(self, body: Mapping[str, Any]) -> None:
        self.id: str = body["id"]
        self.object: str = body.get("object", "video")
        self.model: str | None = body.get("model")
        self.status = _status(body)
        self.progress: int = body.get("progress", 0)
        self.created_at: int | None = body.get("created_at")
        self.size: str | None = body.get("size")
        self.seconds: str | None = body.get("seconds")
        self.quality: str | None = body.get("quality")
        self.url: str | None = body.get("url")
        self.file_path: str | None = body.get("file_path")
        self.completed_at: int | None = body.get("completed_at")
        self.error: Any = body.get("error")

    def _why(self) -> str:
        if isinstance(self.error, Mapping):
            return str(self.error.get("message", self.error))
        return str(self.error or "the service gives no reason")


@dataclass(frozen=True, slots=True)
class VideosList:
    """A page of videos."""

    object: str
    data: list[Video]
    has_more: bool
    first_id: str | None
    last_id: str | None

    @classmethod
    def of(cls, body: Mapping[str, Any], client: Requests) -> "VideosList":
        """Reads an answer."""
        return cls(
            object=body.get("object", "list"),
            data=[Video(client, each) for each in body.get("data", ())],
            has_more=body.get("has_more", False),
            first_id=body.get("first_id"),
            last_id=body.get("last_id"),
        )

    def __getitem__(self, index: int) -> Video:
        return self.data[index]

    def __len__(self) -> int:
        return len(self.data)


def _path(video_id: str) -> str:
    return f"/v1/videos/{quote(video_id, safe='')}"


def _body(fields: Mapping[str, Any], reference: FileSource | None) -> dict[str, Any]:
    if reference is None:
        return {"json": fields}
    if isinstance(reference, str) and reference.startswith(READY_PREFIXES):
        return {"json": {**fields, "input_reference": reference}}
    return as_form(fields, {"input_reference": reference})


def _status(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    code = error.get("code") if isinstance(error, Mapping) else None
    if CANCELLED in (body.get("telefuser_status"), code):
        return CANCELLED
    return str(body.get("status", "queued"))
