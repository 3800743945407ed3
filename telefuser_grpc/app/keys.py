"""The API keys of a deployment: who checks them, and how a changed file takes effect."""

import asyncio
import ipaddress
import signal
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from telefuser_grpc.app.folder_watch import FolderWatch
from telefuser_grpc.config import ConfigError, Settings
from telefuser_grpc.domain.api_key import (
    REMEDY,
    ApiKey,
    UnusableKeys,
    merged,
    read_lines,
    read_list,
)
from telefuser_grpc.gateway.options import GatewayError
from telefuser_grpc.gateway.process import Gateway
from telefuser_grpc.server.interceptors.keys import KeyCheck
from telefuser_grpc.server.keys import KeyRing, named_by_gateway

logger = structlog.get_logger()

Keys = tuple[ApiKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """Where keys are written down: in the settings, in a file, or both."""

    listed: str = ""
    file: Path | None = None

    def read(self) -> Keys:
        """Returns all keys. Raises ConfigError."""
        try:
            return merged(read_list(self.listed), self._in_file())
        except UnusableKeys as error:
            raise ConfigError(f"API keys: {error}") from None

    def edition(self) -> tuple[int, ...]:
        """Returns what is another after the file has been written or replaced."""
        try:
            found = self.file.stat() if self.file else None
        except OSError:
            return ()
        return (found.st_ino, found.st_mtime_ns, found.st_size) if found else ()

    def is_open(self) -> bool:
        """Tells whether everybody on this machine can read the file."""
        try:
            return self.file is not None and bool(self.file.stat().st_mode & stat.S_IROTH)
        except OSError:
            return False

    def _in_file(self) -> Keys:
        if self.file is None:
            return ()
        try:
            keys = read_lines(self.file.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise UnusableKeys(f"{self.file.name} is not UTF-8 text; save it as such") from None
        except OSError as error:
            raise UnusableKeys(f"{self.file.name} cannot be read: {error.strerror}") from None
        except UnusableKeys as error:
            raise UnusableKeys(f"{self.file.name} {error}") from None
        if not keys:  # half a file looks so too, and nobody means to let in nobody
            raise UnusableKeys(f"{self.file.name} has no key; write a line name: key")
        return keys


class LiveKeys:
    """The keys that hold now; while it runs, a changed file changes them.

    Keys that cannot be read or handed on change nothing.

    Raises:
        ConfigError: The keys cannot be read at first.
    """

    def __init__(self, source: KeySource) -> None:
        self.current = source.read()
        self.ring = KeyRing(self.current)
        self._source = source
        self._edition = source.edition()
        self._gateway: Gateway | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if file := self._source.file:
            self._watch(file)
        self._warn()
        self._look()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def hand_to(self, gateway: Gateway) -> None:
        """Tells a gateway of changes too; it knows the keys of now."""
        self._gateway = gateway

    def reload(self) -> None:
        """Reads the keys, and hands them on if others hold."""
        self._edition = self._source.edition()
        before = self.current
        try:
            self._hold(self._source.read())
        except (ConfigError, GatewayError, OSError) as error:
            logger.error("api keys not changed", error=str(error))
            return
        if self.current != before:
            added, revoked = _names(self.current, before), _names(before, self.current)
            logger.info("api keys changed", added=added, revoked=revoked)
            self._warn()

    def _hold(self, keys: Keys) -> None:
        if self._gateway and keys != self.current:
            self._gateway.replace_keys(keys)
        self.ring.replace(keys)
        self.current = keys

    def _watch(self, file: Path) -> None:
        """Watches where the file is, and where it leads to if it is a link."""
        folders = {file.absolute().parent, file.resolve().parent}
        try:
            self._stack.enter_context(FolderWatch(folders, self._look))
        except OSError as error:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self.reload)
            self._stack.callback(loop.remove_signal_handler, signal.SIGHUP)
            remedy = "send SIGHUP after a change"
            logger.warning("file of api keys not watched", error=str(error), remedy=remedy)

    def _look(self) -> None:
        if self._source.edition() != self._edition:
            self.reload()

    def _warn(self) -> None:
        if short := sorted({key.name for key in self.current if key.is_short}):
            logger.warning("api keys can be guessed", callers=short, remedy=REMEDY)
        if self._source.is_open():
            remedy = "let its owner alone read it: chmod 600"
            logger.warning("everybody here can read the file of api keys", remedy=remedy)


def key_source(settings: Settings) -> KeySource:
    """Returns where the settings have keys."""
    listed = settings.api_keys.get_secret_value() if settings.api_keys else ""
    return KeySource(listed=listed, file=settings.api_keys_file)


def key_check(settings: Settings, keys: LiveKeys) -> KeyCheck | None:
    """Returns how the server knows callers; None where it knows none."""
    if _trusts_elsewhere(settings) and not keys.current:
        return KeyCheck(named_by_gateway, keys.ring)
    if not keys.current:
        return None
    is_named = settings.gateway or settings.trust_gateway
    return KeyCheck(keys.ring.by_gateway if is_named else keys.ring.by_key, keys.ring)


def warn_of_openness(settings: Settings, keys: LiveKeys) -> None:
    """Says loudly whom the service does not know and yet lets in."""
    if _is_loopback(settings.host):
        return
    if _trusts_elsewhere(settings):
        logger.warning(
            "whoever reaches the server can say who they are; let only the gateway reach it",
            host=settings.host,
        )
    elif not keys.current:
        logger.warning(
            "open to everybody who reaches it; set TELEFUSER_API_KEYS or listen on 127.0.0.1",
            host=settings.host,
        )


def _trusts_elsewhere(settings: Settings) -> bool:
    return settings.trust_gateway and not settings.gateway


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _names(keys: Keys, others: Keys) -> list[str]:
    return [key.name for key in keys if key not in others]
