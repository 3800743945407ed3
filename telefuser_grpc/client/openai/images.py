"""Images: generated, edited, saved."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telefuser_grpc.client._http import checked, open_session, save
from telefuser_grpc.client._multipart import FileSource
from telefuser_grpc.client.openai._requests import Requests, as_form, given

SAVE_TIMEOUT_SECONDS = 60.0


class ImagesAPI:
    """The paths below `/v1/images`."""

    def __init__(self, client: Requests) -> None:
        self._client = client

    def generate(
        self,
        prompt: str,
        model: str | None = None,
        n: int = 1,
        quality: str = "auto",
        response_format: str = "url",
        size: str = "1024x1024",
        style: str = "vivid",
        user: str | None = None,
        seed: int | None = 42,
        negative_prompt: str | None = None,
        timeout: float | None = None,
    ) -> "ImagesResponse":
        """Makes images from words and returns when they are made."""
        body = given(
            prompt=prompt,
            model=model,
            n=n,
            quality=quality,
            response_format=response_format,
            size=size,
            style=style,
            user=user,
            seed=seed,
            negative_prompt=negative_prompt,
        )
        response = self._client.post("/v1/images/generations", json=body, **given(timeout=timeout))
        return ImagesResponse.of(response.json(), self._client)

    def edit(
        self,
        prompt: str,
        image: FileSource | None = None,
        image_url: str | None = None,
        mask: FileSource | None = None,
        model: str | None = None,
        n: int = 1,
        size: str = "1024x1024",
        response_format: str = "url",
        seed: int | None = 42,
        negative_prompt: str | None = None,
    ) -> "ImagesResponse":
        """Changes an image as words say; files that were given open stay open."""
        fields = given(
            prompt=prompt,
            image_url=image_url,
            model=model,
            n=n,
            size=size,
            response_format=response_format,
            seed=seed,
            negative_prompt=negative_prompt,
        )
        form = as_form(fields, given(image=image, mask=mask))
        return ImagesResponse.of(self._client.post("/v1/images/edits", **form).json(), self._client)


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its content as base64 text, or where it lies."""

    b64_json: str | None
    url: str | None
    revised_prompt: str | None
    _client: Requests

    @classmethod
    def of(cls, body: Mapping[str, Any], client: Requests) -> "Image":
        """Reads one image of an answer."""
        return cls(body.get("b64_json"), body.get("url"), body.get("revised_prompt"), client)

    def save(self, path: str | Path) -> None:
        """Writes the image to a file.

        Raises:
            ValueError: It has neither content nor address.
        """
        if self.b64_json:
            Path(path).write_bytes(base64.b64decode(self.b64_json))
        elif self.url:
            self._fetch(self.url, Path(path))
        else:
            raise ValueError("The image has neither b64_json nor url")

    def _fetch(self, url: str, path: Path) -> None:
        own = url.removeprefix(self._client.base_url)
        if own.startswith("/"):
            with self._client.get(own, stream=True, timeout=SAVE_TIMEOUT_SECONDS) as response:
                save(response, path)
            return
        with (
            open_session() as stranger,  # to whom our key is not shown
            checked(stranger.get(url, stream=True, timeout=SAVE_TIMEOUT_SECONDS)) as response,
        ):
            save(response, path)


@dataclass(frozen=True, slots=True)
class ImagesResponse:
    """The images of one request."""

    created: int
    data: list[Image]
    peak_memory_mb: float | None
    inference_time_s: float | None

    @classmethod
    def of(cls, body: Mapping[str, Any], client: Requests) -> "ImagesResponse":
        """Reads an answer."""
        return cls(
            created=body.get("created", 0),
            data=[Image.of(each, client) for each in body.get("data", ())],
            peak_memory_mb=body.get("peak_memory_mb"),
            inference_time_s=body.get("inference_time_s"),
        )

    def __getitem__(self, index: int) -> Image:
        return self.data[index]

    def __len__(self) -> int:
        return len(self.data)
