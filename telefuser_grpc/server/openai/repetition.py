"""What tells that a request was sent before: a key of the caller's, or the count of an SDK."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from telefuser_grpc.scheduler.admission import TaskRequest
from telefuser_grpc.server.rest.idempotency import idempotency_key
from telefuser_grpc.server.rpc import Context

COUNT = "x-stainless-retry-count"
MAX_DIGITS = 6
# What an SDK sends alike each time, and others do not; together with the address it is a sender.
MARKS = ("x-forwarded-for", "user-agent", "x-stainless-runtime-version", "authorization")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """How the same request is known again.

    Attributes:
        request_id: The header `Idempotency-Key`, or "".
        resends: How often an official SDK says to have sent this before; None of other clients.
        sender: Tells SDKs apart that may ask for the same at the same time.
    """

    request_id: str = ""
    resends: int | None = None
    sender: str = ""

    @classmethod
    def of(cls, context: Context) -> Self:
        """Reads the headers of a call. Raises Malformed."""
        headers = {key: str(value) for key, value in context.invocation_metadata() or ()}
        resends = _count(headers)
        return cls(
            request_id=idempotency_key(context),
            resends=resends,
            sender="" if resends is None else "|".join(headers.get(each, "") for each in MARKS),
        )

    @property
    def was_sent_before(self) -> bool:
        """Tells whether there may be an answer already, for which no room is needed."""
        return bool(self.request_id or self.resends)

    @property
    def may_come_again(self) -> bool:
        """Tells whether the request may be sent again when its answer does not arrive."""
        return bool(self.request_id) or self.resends is not None

    def marked(self, request: TaskRequest, number: int = 0) -> TaskRequest:
        """Returns the request, the so-many-eth of its call, so that it is known again."""
        if not self.request_id:
            return replace(request, resends=self.resends, sender=f"{self.sender}#{number}")
        key = hashlib.sha256(self.request_id.encode()).hexdigest()
        return replace(request, request_id=f"{key}.{number}" if number else self.request_id)


def _count(headers: Mapping[str, str]) -> int | None:
    count = headers.get(COUNT, "")
    is_number = count.isascii() and count.isdigit() and len(count) <= MAX_DIGITS
    return int(count) if is_number else None
