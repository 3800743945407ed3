"""Records what an SDK sends and is answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

BUSY = (429, 503)
SHOWN = ("content-type", "idempotency-key", "x-stainless-retry-count", "x-stainless-poll-helper")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response."""

    method: str
    path: str
    sent: Mapping[str, str]
    status: int
    headers: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {dict(self.sent)} -> {self.status} {dict(self.headers)}"


class Recorder:
    """Keeps the exchanges since `start`.

    Attributes:
        on_refusal: Called when a request is refused because the service is busy.
    """

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.start()

    def start(self) -> None:
        """Forgets all."""
        self.exchanges.clear()
        self.on_refusal: Callable[[], None] = lambda: None

    @property
    def hooks(self) -> dict[str, list[Callable[..., Any]]]:
        """What a client of httpx calls."""
        return {"response": [self._record]}

    @property
    def async_hooks(self) -> dict[str, list[Callable[..., Any]]]:
        """What an asynchronous client of httpx calls."""

        async def record(response: Any) -> None:
            self._record(response)

        return {"response": [record]}

    def _record(self, response: Any) -> None:
        request = response.request
        url = request.url
        self.exchanges.append(
            Exchange(
                method=request.method,
                path=url.raw_path.decode(),
                sent={name: each for name, each in request.headers.items() if name in SHOWN},
                status=response.status_code,
                headers=dict(response.headers),
            )
        )
        if response.status_code in BUSY:
            self.on_refusal()
