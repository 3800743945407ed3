"""How an interface words its refusals: HTTP status, headers and body."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from telefuser_grpc.errors import OffsetOutOfRange, TeleFuserError, Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a REST caller gets instead of what it asked for; header names in lower case."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> str:
        """The body in printable ASCII."""
        return json.dumps(self.body)


Wording: TypeAlias = Callable[[TeleFuserError], Refusal]


def common_headers(error: TeleFuserError) -> dict[str, str]:
    """Returns the headers that every interface sends with an error."""
    headers = {}
    if isinstance(error, OffsetOutOfRange):
        headers["content-range"] = f"bytes */{error.size_bytes}"
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_seconds))
    return headers


def key_fault(error: Unauthenticated) -> dict[str, Any]:
    """Writes what is wrong with a key, the same on every path as the official SDKs read it."""
    return {
        "message": error.message,
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }


@dataclass(frozen=True, slots=True)
class Wordings:
    """The wording of each interface.

    Attributes:
        documented: That of TeleFuser's own interface, and of all that is not listed.
        by_service: Others, by the beginning of an RPC's name: `/openai.v1.ImageService/`.
    """

    documented: Wording
    by_service: Mapping[str, Wording] = field(default_factory=dict)

    def of(self, method: str) -> Wording:
        """Returns the wording of an RPC, named `/package.Service/Method`."""
        for beginning, wording in self.by_service.items():
            if method.startswith(beginning):
                return wording
        return self.documented
