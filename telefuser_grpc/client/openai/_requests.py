"""What images and videos share: who sends their requests, and how fields become a form."""

from collections.abc import Mapping
from typing import Any, Protocol

import requests

from telefuser_grpc.client._multipart import FileSource, MultipartForm


class Requests(Protocol):
    """Sends requests to one service."""

    base_url: str

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        """Sends a GET."""
        ...

    def post(self, path: str, **kwargs: Any) -> requests.Response:
        """Sends a POST."""
        ...

    def delete(self, path: str, **kwargs: Any) -> requests.Response:
        """Sends a DELETE."""
        ...


def given(**fields: Any) -> dict[str, Any]:
    """Returns the fields that were given."""
    return {name: value for name, value in fields.items() if value is not None}


def as_form(fields: Mapping[str, Any], files: Mapping[str, FileSource]) -> dict[str, Any]:
    """Returns what a request needs to send fields and files."""
    form = MultipartForm({name: str(value) for name, value in fields.items()}, files)
    return {"data": form, "headers": {"content-type": form.content_type}}
