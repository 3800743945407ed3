"""Where log lines go: a stream, a file that is put aside when it is large, a syslog server."""

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler, SysLogHandler, WatchedFileHandler
from pathlib import Path
from typing import Literal, Protocol, TextIO

Kind = Literal["console", "file", "syslog", "both"]

DAY = 86400
MOST_FILES = 1000


class Sink(Protocol):
    """Takes lines; one that is full or gone loses them, and never fails the caller."""

    def write(self, line: str, level: int) -> None:
        """Takes one line of a level of `logging`."""

    def close(self) -> None:
        """Lets go of what the sink holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTarget:
    """What an operator says of the place of the log.

    Attributes:
        kind: `both` is console and file.
        rotation_bytes: Size at which the file is put aside as `<name>.1`. With 0 that is left to
            another program, and a file that was moved is opened anew.
        retention_seconds: How long files that were put aside are kept.
    """

    kind: Kind = "console"
    file: Path | None = None
    rotation_bytes: int = 100_000_000
    retention_seconds: float = 30.0 * DAY
    syslog_host: str = "localhost"
    syslog_port: int = 514
    syslog_facility: str = "user"

    def open(self, stream: TextIO) -> list[Sink]:
        """Opens the sinks; `stream` is the console. Raises OSError."""
        sinks: list[Sink] = []
        if self.kind in ("console", "both"):
            sinks.append(_StreamSink(stream))
        if self.kind in ("file", "both") and self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            sinks.append(_HandlerSink(self._file_handler(self.file)))
        if self.kind == "syslog":
            sinks.append(_HandlerSink(self._syslog_handler()))
        return sinks

    def _file_handler(self, path: Path) -> logging.Handler:
        if self.rotation_bytes:
            return _File(path, most_bytes=self.rotation_bytes, seconds=self.retention_seconds)
        return _SharedFile(path, encoding="utf-8")

    def _syslog_handler(self) -> logging.Handler:
        address = (self.syslog_host, self.syslog_port)
        return _Syslog(address, facility=self.syslog_facility)


class _StreamSink:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str, level: int) -> None:
        with suppress(OSError, ValueError):  # a full disk, a closed stream
            self._stream.write(line + "\n")
            self._stream.flush()

    def close(self) -> None:
        """The stream is the caller's."""


class _HandlerSink:
    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler

    def write(self, line: str, level: int) -> None:
        record = logging.LogRecord("telefuser", level, "", 0, line, None, None)
        self._handler.handle(record)

    def close(self) -> None:
        with suppress(OSError):
            self._handler.close()


class _Quiet(logging.Handler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Loses the line."""


class _File(_Quiet, RotatingFileHandler):
    def __init__(self, path: Path, *, most_bytes: int, seconds: float) -> None:
        super().__init__(path, maxBytes=most_bytes, backupCount=MOST_FILES, encoding="utf-8")
        self._seconds = seconds

    def doRollover(self) -> None:
        """Puts the file aside, and forgets those that were put aside too long ago."""
        super().doRollover()
        current = Path(self.baseFilename)
        for path in current.parent.glob(f"{current.name}.[0-9]*"):
            if time.time() - path.stat().st_mtime > self._seconds:
                path.unlink()


class _SharedFile(_Quiet, WatchedFileHandler):
    pass


class _Syslog(_Quiet, SysLogHandler):
    append_nul = False
