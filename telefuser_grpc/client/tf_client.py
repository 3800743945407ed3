"""The documented REST client: tasks of every kind, waited for and fetched."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import quote

import requests

from telefuser_grpc.client import _media
from telefuser_grpc.client._http import answers, checked, open_session, save
from telefuser_grpc.client._multipart import MultipartForm
from telefuser_grpc.client.client import Client
from telefuser_grpc.client.failures import TaskCreationError, TaskFailedError, TaskTimeoutError
from telefuser_grpc.client.fleet import (
    find_idle_server,
    get_available_urls,
    process_tasks_async,
    send_and_monitor_task,
)
from telefuser_grpc.client.vocabulary import (
    AR_1_1,
    AR_2_3,
    AR_3_2,
    AR_3_4,
    AR_4_3,
    AR_9_16,
    AR_16_9,
    ENDED,
    FORMAT_JPEG,
    FORMAT_JPG,
    FORMAT_PNG,
    FORMAT_WEBP,
    IMAGE_TASKS,
    STATUS_CANCELLED,
    STATUS_COMPLETED,
    STATUS_FAILED,
    STATUS_PENDING,
    STATUS_PROCESSING,
    STATUS_STREAMING,
    TASK_EDIT,
    TASK_FL2V,
    TASK_I2I,
    TASK_I2V,
    TASK_S2V,
    TASK_T2I,
    TASK_T2V,
    TASK_VC,
    TASK_VSR,
    VALID_ASPECT_RATIOS,
    VALID_OUTPUT_FORMATS,
    VALID_TASK_TYPES,
    VIDEO_TASKS,
)
from telefuser_grpc.domain.task import TaskEvent
from telefuser_grpc.errors import TeleFuserError

__all__ = [
    "AR_1_1",
    "AR_2_3",
    "AR_3_2",
    "AR_3_4",
    "AR_4_3",
    "AR_9_16",
    "AR_16_9",
    "FORMAT_JPEG",
    "FORMAT_JPG",
    "FORMAT_PNG",
    "FORMAT_WEBP",
    "IMAGE_TASKS",
    "STATUS_CANCELLED",
    "STATUS_COMPLETED",
    "STATUS_FAILED",
    "STATUS_PENDING",
    "STATUS_PROCESSING",
    "STATUS_STREAMING",
    "TASK_EDIT",
    "TASK_FL2V",
    "TASK_I2I",
    "TASK_I2V",
    "TASK_S2V",
    "TASK_T2I",
    "TASK_T2V",
    "TASK_VC",
    "TASK_VSR",
    "VALID_ASPECT_RATIOS",
    "VALID_OUTPUT_FORMATS",
    "VALID_TASK_TYPES",
    "VIDEO_TASKS",
    "TFClient",
    "TaskCreationError",
    "TaskFailedError",
    "TaskTimeoutError",
    "TeleFuserError",
    "find_idle_server",
    "get_available_urls",
    "process_tasks_async",
    "send_and_monitor_task",
]

INLINE_LIMIT_BYTES = 1024 * 1024
HEALTH_TIMEOUT_SECONDS = 10.0
ENDS_IN_WORDS = {STATUS_FAILED: "failed", STATUS_CANCELLED: "was cancelled"}

Json = dict[str, Any]
Source = str | os.PathLike[str]
"""A local file, an http(s) or `data:` URL, or base64 text."""


class TFClient:
    """Talks to a TeleFuser service over its documented REST paths.

    Local media are encoded once, and above a megabyte sent as a form, piece by piece. Methods that
    only read raise `requests.HTTPError`, with what the service says is wrong.

    Args:
        timeout: How long one HTTP request may take, in seconds.
        api_key: What lets the client in, where the service asks for a key.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8000",
        timeout: float = 300,
        *,
        api_key: str = "",
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self._api_key = api_key
        self._session = open_session()
        if api_key:
            self._session.headers["Authorization"] = f"Bearer {api_key}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def file_to_base64(self, file_path: Source) -> str:
        """Returns a file's content as base64 text."""
        return _media.encode(Path(file_path))

    def create_task(self, task_type: str, **params: Any) -> Json:
        """Submits a task of any kind; unknown parameters reach the pipeline.

        Raises:
            TaskCreationError: It was refused, or nobody answered.
            FileNotFoundError: A medium is no file, no URL and no base64 text.
        """
        files = _media.local_files(params)
        fields = {"task": task_type} | {k: v for k, v in params.items() if k not in files}
        if sum(path.stat().st_size for path in files.values()) > INLINE_LIMIT_BYTES:
            return self._create_from_form(fields, files)
        media = {name: _media.encode(path) for name, path in files.items()}
        return self._create("/v1/tasks/create", json=fields | media)

    def create_t2v_task(
        self,
        prompt: str,
        resolution: str = "720p",
        seed: int = 42,
        negative_prompt: str = "",
        aspect_ratio: str = AR_16_9,
        video_length: int = 5,
    ) -> Json:
        """Submits text to video."""
        return self.create_task(
            TASK_T2V,
            prompt=prompt,
            resolution=resolution,
            seed=seed,
            negative_prompt=negative_prompt,
            aspect_ratio=aspect_ratio,
            target_video_length=video_length,
        )

    def create_i2v_task(
        self,
        prompt: str,
        first_image_path: Source,
        resolution: str = "720p",
        seed: int = 42,
        negative_prompt: str = "",
        video_length: int = 5,
    ) -> Json:
        """Submits image to video."""
        return self.create_task(
            TASK_I2V,
            prompt=prompt,
            first_image_path=first_image_path,
            resolution=resolution,
            seed=seed,
            negative_prompt=negative_prompt,
            target_video_length=video_length,
        )

    def create_fl2v_task(
        self,
        prompt: str,
        first_image_path: Source,
        last_image_path: Source,
        resolution: str = "720p",
        seed: int = 42,
        negative_prompt: str = "",
        video_length: int = 5,
    ) -> Json:
        """Submits first and last frame to video."""
        return self.create_task(
            TASK_FL2V,
            prompt=prompt,
            first_image_path=first_image_path,
            last_image_path=last_image_path,
            resolution=resolution,
            seed=seed,
            negative_prompt=negative_prompt,
            target_video_length=video_length,
        )

    def create_vc_task(
        self,
        prompt: str,
        first_image_path: Source,
        ref_video_path: Source = "",
        seed: int = 42,
        negative_prompt: str = "",
    ) -> Json:
        """Submits the continuation of a video."""
        return self.create_task(
            TASK_VC,
            prompt=prompt,
            first_image_path=first_image_path,
            ref_video_path=ref_video_path,
            seed=seed,
            negative_prompt=negative_prompt,
        )

    def create_s2v_task(
        self,
        prompt: str,
        sketch_path: Source,
        resolution: str = "720p",
        seed: int = 42,
        negative_prompt: str = "",
        video_length: int = 5,
    ) -> Json:
        """Submits a sketch to video; for speech, `create_task("s2v", audio_path=...)`."""
        return self.create_task(
            TASK_S2V,
            prompt=prompt,
            first_image_path=sketch_path,
            resolution=resolution,
            seed=seed,
            negative_prompt=negative_prompt,
            target_video_length=video_length,
        )

    def create_vsr_task(
        self,
        prompt: str,
        ref_video_path: Source,
        resolution: str = "1080p",
        seed: int = 42,
        negative_prompt: str = "",
    ) -> Json:
        """Submits a video for a higher resolution."""
        return self.create_task(
            TASK_VSR,
            prompt=prompt,
            ref_video_path=ref_video_path,
            resolution=resolution,
            seed=seed,
            negative_prompt=negative_prompt,
        )

    def create_t2i_task(
        self,
        prompt: str,
        resolution: str = "1024x1024",
        seed: int = 42,
        negative_prompt: str = "",
        aspect_ratio: str = AR_1_1,
        output_format: str = FORMAT_PNG,
    ) -> Json:
        """Submits text to image."""
        return self.create_task(
            TASK_T2I,
            prompt=prompt,
            resolution=resolution,
            seed=seed,
            negative_prompt=negative_prompt,
            aspect_ratio=aspect_ratio,
            output_format=output_format,
        )

    def create_i2i_task(
        self,
        prompt: str,
        image_path: Source,
        resolution: str = "1024x1024",
        seed: int = 42,
        negative_prompt: str = "",
        aspect_ratio: str = AR_1_1,
        output_format: str = FORMAT_PNG,
    ) -> Json:
        """Submits image to image."""
        return self._create_from_image(
            TASK_I2I,
            prompt,
            image_path,
            resolution=resolution,
            seed=seed,
            negative_prompt=negative_prompt,
            aspect_ratio=aspect_ratio,
            output_format=output_format,
        )

    def create_edit_task(
        self,
        prompt: str,
        image_path: Source,
        resolution: str = "1024x1024",
        seed: int = 42,
        negative_prompt: str = "",
        aspect_ratio: str = AR_1_1,
        output_format: str = FORMAT_PNG,
    ) -> Json:
        """Submits the editing of an image."""
        return self._create_from_image(
            TASK_EDIT,
            prompt,
            image_path,
            resolution=resolution,
            seed=seed,
            negative_prompt=negative_prompt,
            aspect_ratio=aspect_ratio,
            output_format=output_format,
        )

    def get_task_status(self, task_id: str) -> Json:
        """Returns a task as it is now."""
        return self._status(task_id, self.timeout)

    def wait_for_completion(
        self, task_id: str, timeout: float = 300, poll_interval: float = 2.0
    ) -> Json:
        """Waits until a task is completed and returns its status.

        A service that restarts or asks for patience meanwhile is asked again.

        Raises:
            TaskFailedError: The task failed or was cancelled.
            TaskTimeoutError: It has not ended in time.
            requests.HTTPError: There is no such task.
        """
        statuses = answers(
            lambda: self._status(task_id, min(self.timeout, max(timeout, 1.0))),
            interval_seconds=poll_interval,
            timeout_seconds=timeout,
        )
        for status in statuses:
            if status["status"] in ENDED:
                return _completed(status)
        raise TaskTimeoutError(f"Task {task_id} has not ended within {timeout:g} s")

    def watch(self, task_id: str, after_sequence: int = 0) -> Iterator[TaskEvent]:
        """Yields a task's events as they happen, until it has ended, over gRPC on the same port."""
        with Client(self.base_url, api_key=self._api_key) as client:
            yield from client.watch(task_id, after_sequence)

    def cancel_task(self, task_id: str) -> Json:
        """Cancels a task; `stop_status` and `reason` tell what happened."""
        response = self._session.delete(
            f"{self.base_url}/v1/tasks/{quote(task_id, safe='')}", timeout=self.timeout
        )
        return _json(checked(response))

    def download_result(self, task_id: str, output_path: Source) -> bool:
        """Fetches what a task has made; False when there is nothing to fetch."""
        try:
            name = PurePosixPath(self.get_task_status(task_id)["output_path"]).name
            with self._get(f"/v1/files/download/{quote(name)}", stream=True) as response:
                if response.status_code != 200:
                    return False
                save(response, Path(output_path))
        except requests.RequestException:
            return False
        return True

    def health_check(self) -> bool:
        """Tells whether the service answers and its pipeline is ready."""
        try:
            health = self._get_json("/v1/service/health", timeout=HEALTH_TIMEOUT_SECONDS)
        except requests.RequestException:
            return False
        return bool(health.get("pipeline_ready"))

    def get_service_status(self) -> Json:
        """Returns what the service does."""
        return self._get_json("/v1/service/status")

    def get_service_metadata(self) -> Json:
        """Returns the pipeline's contract."""
        return self._get_json("/v1/service/metadata")

    def get_queue_status(self) -> Json:
        """Returns how much waits and runs."""
        return self._get_json("/v1/tasks/queue/status")

    def _create_from_image(
        self, task_type: str, prompt: str, image_path: Source, **params: Any
    ) -> Json:
        return self.create_task(task_type, prompt=prompt, first_image_path=image_path, **params)

    def _create_from_form(self, fields: Mapping[str, Any], files: Mapping[str, Path]) -> Json:
        form = MultipartForm(
            {name: _form_text(value) for name, value in fields.items()},
            {_media.FORM_FIELDS[name]: path for name, path in files.items()},
        )
        return self._create(
            "/v1/tasks/form", data=form, headers={"content-type": form.content_type}
        )

    def _create(self, path: str, **body: Any) -> Json:
        try:
            response = self._session.post(self.base_url + path, timeout=self.timeout, **body)
            if response.status_code != 200:
                raise TaskCreationError(
                    f"Task creation failed (HTTP {response.status_code}): {response.text}"
                )
            return _json(response)
        except requests.RequestException as error:
            raise TaskCreationError(f"Task creation request failed: {error}") from error

    def _status(self, task_id: str, timeout: float) -> Json:
        return self._get_json(f"/v1/tasks/{quote(task_id, safe='')}/status", timeout=timeout)

    def _get_json(self, path: str, timeout: float | None = None) -> Json:
        return _json(checked(self._get(path, timeout=timeout)))

    def _get(
        self, path: str, *, timeout: float | None = None, stream: bool = False
    ) -> requests.Response:
        return self._session.get(
            self.base_url + path, timeout=timeout or self.timeout, stream=stream
        )


def _json(response: requests.Response) -> Json:
    body: Json = response.json()
    return body


def _form_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _completed(status: Json) -> Json:
    if status["status"] == STATUS_COMPLETED:
        return status
    reason = f": {status['error']}" if status.get("error") else ""
    raise TaskFailedError(
        f"Task {status['task_id']} {ENDS_IN_WORDS[status['status']]}{reason}",
        metadata={"task_id": status["task_id"], "status": status["status"]},
    )
