"""Who calls: by the API key of a call, or by the gateway that has checked it."""

import hmac
import re
from asyncio import CancelledError, Task, current_task
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from telefuser_grpc.domain.api_key import ApiKey, digest_of
from telefuser_grpc.errors import Unauthenticated

Item = TypeVar("Item")

MISSING = "No API key was given; send it as Authorization: Bearer <key> or as x-api-key: <key>"
NOT_BEARER = "The Authorization header must be: Bearer <key>"
UNKNOWN = "The API key is not valid"
REVOKED = "The API key was revoked"

BEARER = re.compile(r"\s*bearer\s+(\S+)\s*", re.IGNORECASE)
OF_A_KEY = re.compile(r"#[0-9a-f]{16}$")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose a call is, and the id of the key under which it was let in."""

    name: str
    key_id: str


Identify: TypeAlias = Callable[[Mapping[str, str]], Caller]
"""Returns the caller by the headers of a call. Raises Unauthenticated."""


class KeyRing:
    """The keys that hold now, and the streams that were opened with them."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._streams: defaultdict[str, set[OpenStream]] = defaultdict(set)
        self._digests: dict[str, Caller] = {}
        self._ids: dict[str, Caller] = {}
        self._listeners: list[Callable[[Collection[str]], None]] = []
        self.replace(keys)

    def on_revoked(self, listener: Callable[[Collection[str]], None]) -> None:
        """Lets somebody know the ids of keys that are gone, each time that some are."""
        self._listeners.append(listener)

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """Holds these keys from now on, and ends the streams of those that are gone."""
        before = self._ids.keys()
        self._digests = {key.digest: Caller(key.name, key.id) for key in keys}
        self._ids = {caller.key_id: caller for caller in self._digests.values()}
        for key_id in self._streams.keys() - self._ids.keys():
            for stream in self._streams[key_id]:
                stream.revoke()
        if gone := before - self._ids.keys():
            for listener in self._listeners:
                listener(gone)

    def by_key(self, headers: Mapping[str, str]) -> Caller:
        """Returns whose key a call carries. Raises Unauthenticated."""
        digest = digest_of(_key_in(headers))
        # All are compared, each in constant time: how long it takes tells nothing of a key.
        found = [
            caller for known, caller in self._digests.items() if hmac.compare_digest(known, digest)
        ]
        if not found:
            raise Unauthenticated(UNKNOWN)
        return found[0]

    def by_gateway(self, headers: Mapping[str, str]) -> Caller:
        """Returns whom the gateway names, if that key still holds. Raises Unauthenticated."""
        caller = named_by_gateway(headers)
        if caller.key_id not in self._ids:
            raise Unauthenticated(UNKNOWN)
        return caller

    @contextmanager
    def opened(self, caller: Caller) -> Iterator["OpenStream"]:
        """Surrounds a stream that ends when its key is gone."""
        stream = OpenStream()
        self._streams[caller.key_id].add(stream)
        try:
            yield stream
        finally:
            self._close(caller.key_id, stream)

    def _close(self, key_id: str, stream: "OpenStream") -> None:
        self._streams[key_id].discard(stream)
        if not self._streams[key_id]:
            del self._streams[key_id]


class OpenStream:
    """A stream that can be ended while it waits for what comes next."""

    def __init__(self) -> None:
        self._is_revoked = False
        self._waiting: Task[Any] | None = None

    def revoke(self) -> None:
        """Ends the stream: now if it waits, else before it sends anything more."""
        self._is_revoked = True
        if self._waiting:
            self._waiting.cancel()

    async def next(self, items: AsyncIterator[Item]) -> Item | None:
        """Returns the next item, None at the end. Raises Unauthenticated when revoked."""
        task = self._waiting = current_task()
        try:
            item = None if self._is_revoked else await anext(items, None)
        except CancelledError:
            if not self._is_revoked or task is None or task.uncancel():
                raise  # the caller has gone
        finally:
            self._waiting = None
        if self._is_revoked:
            raise Unauthenticated(REVOKED)
        return item


def named_by_gateway(headers: Mapping[str, str]) -> Caller:
    """Returns whom a gateway names that is trusted. Raises Unauthenticated."""
    key_id = headers.get("x-client-id", "")
    name = OF_A_KEY.sub("", key_id)
    if not name:
        raise Unauthenticated(MISSING)
    return Caller(name, key_id)


def _key_in(headers: Mapping[str, str]) -> str:
    """Returns the key; that of the Authorization header counts first."""
    authorization, plain = headers.get("authorization"), headers.get("x-api-key")
    if bearer := BEARER.fullmatch(authorization or ""):
        return bearer[1]
    if plain:
        return plain
    raise Unauthenticated(NOT_BEARER if authorization else MISSING)
