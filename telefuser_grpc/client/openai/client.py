"""One connection to the OpenAI-compatible paths, with its images and videos."""

from functools import cached_property
from typing import Any, Self

import requests

from telefuser_grpc.client._http import checked, open_session
from telefuser_grpc.client.openai.images import ImagesAPI
from telefuser_grpc.client.openai.videos import VideosAPI


class OpenAICompatibleClient:
    """Makes images and videos over `/v1/images` and `/v1/videos`.

    Every method raises `requests.HTTPError` with what the service says is wrong.

    Args:
        base_url: Where the service is, without `/v1`.
        timeout: How long one HTTP request may take, in seconds.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8000",
        api_key: str | None = None,
        timeout: float = 300.0,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
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

    @cached_property
    def images(self) -> ImagesAPI:
        """Images from words and from images."""
        return ImagesAPI(self)

    @cached_property
    def videos(self) -> VideosAPI:
        """Videos from words and from images."""
        return VideosAPI(self)

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        """Sends a GET; the path begins with `/v1`."""
        return self._request("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> requests.Response:
        """Sends a POST; the path begins with `/v1`."""
        return self._request("POST", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> requests.Response:
        """Sends a DELETE; the path begins with `/v1`."""
        return self._request("DELETE", path, **kwargs)

    def _request(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", self.timeout)
        return checked(self._session.request(method, self.base_url + path, **kwargs))
