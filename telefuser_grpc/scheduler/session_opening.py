"""What a client wants a session to be, and what the pipeline is told of it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from telefuser_grpc.domain.session import DEFAULT_FPS, StreamFacts, StreamMode
from telefuser_grpc.errors import InvalidFields, Violation

SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_FPS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A wish for a session. Raises InvalidFields for an id that cannot be one.

    Attributes:
        session_id: Chosen by the client; empty lets the server choose.
        fields: What the client has said, apart from the id, `config` and the connection.
        config: What it has said in `config`; None where there is no such field.
    """

    session_id: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.session_id and not SESSION_ID.fullmatch(self.session_id):
            why = (
                "must begin with a letter or digit and have at most 128 letters, digits, '.', '_' "
                "and '-'"
            )
            raise InvalidFields([Violation("session_id", why, "string_pattern_mismatch")])

    def push_request(self, session_id: str) -> dict[str, Any]:
        """Returns what a server-push service is told: everything but nulls."""
        config = {} if self.config is None else {"config": self.config}
        everything = {**config, **self.fields, "session_id": session_id, "task_id": session_id}
        return {name: value for name, value in everything.items() if value is not None}

    def session_config(self, session_id: str) -> dict[str, Any]:
        """Returns what a bidirectional service is told: fields of the client beat its `config`."""
        return {**(self.config or {}), **self.fields, "session_id": session_id}

    def fps(self, facts: StreamFacts) -> float:
        """Returns the pictures of a second. Raises InvalidFields."""
        said = [_fps("fps", self.fields.get("fps"))]
        if facts.mode is StreamMode.BIDIRECTIONAL:
            said.append(_fps("config.fps", (self.config or {}).get("fps")))
        return next((each for each in (*said, facts.default_fps) if each), DEFAULT_FPS)


def _fps(name: str, value: Any) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and 0 < value <= MAX_FPS):
        why = f"must be a number above 0, at most {MAX_FPS}"
        raise InvalidFields([Violation(name, why, "fps")])
    return float(value)
