"""Writes logs as JSON or console lines, ours and those of the libraries."""

import logging
import sys
from collections.abc import Mapping, Sequence
from functools import partialmethod
from typing import Any, Literal, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from telefuser_grpc.telemetry.log_target import LogTarget, Sink

Format = Literal["console", "json"]

CONSOLE = LogTarget()
SECRETS = frozenset({"api_key", "authorization", "cookie", "password", "secret", "token"})


def configure_logging(
    *,
    format: Format,
    level: str,
    stream: TextIO | None = None,
    fields: Mapping[str, Any] | None = None,
    target: LogTarget = CONSOLE,
) -> None:
    """Sends every log line of this process to a stream (stderr), with `fields` in each.

    A line names the task, the request and the span that it belongs to. A stream that is full or
    gone loses lines; it never fails the caller. A `target` sends the lines elsewhere.

    Raises:
        OSError: The target cannot be opened.
    """
    out = stream if stream is not None else sys.stderr
    sinks = target.open(out)
    common = _common(fields or {})
    is_terminal = target.kind == "console" and out.isatty()
    ending: list[Processor] = [
        structlog.processors.format_exc_info,
        *_rendering(format, colors=is_terminal),
    ]
    structlog.configure(
        processors=[*common, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _LineLogger(sinks),
        cache_logger_on_first_use=True,
    )
    _route_stdlib(level, _LineHandler(sinks), common, ending)


class _LineLogger:
    """Writes each rendered line at once."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def _write(self, level: int, line: str) -> None:
        for sink in self._sinks:
            sink.write(line, level)

    debug = partialmethod(_write, logging.DEBUG)
    info = partialmethod(_write, logging.INFO)
    warning = partialmethod(_write, logging.WARNING)
    error = partialmethod(_write, logging.ERROR)
    critical = partialmethod(_write, logging.CRITICAL)


class _LineHandler(logging.Handler):
    """Writes the records of libraries in the same way."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        super().__init__()
        self._sinks = sinks

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        for sink in self._sinks:
            sink.write(line, record.levelno)

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()
        super().close()


def _common(fields: Mapping[str, Any]) -> list[Processor]:
    def add_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**fields, **event}

    return [
        structlog.contextvars.merge_contextvars,
        add_fields,
        _add_level,
        structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
        _add_span,
        _hide_secrets,
    ]


def _add_level(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Leaves the level of a line that writes it as the document of its interface does."""
    if "level" in event:
        return event
    return structlog.processors.add_log_level(logger, method, event)


def _add_span(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = trace.format_trace_id(span.trace_id)
        event["span_id"] = trace.format_span_id(span.span_id)
    return event


def _hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for name in event.keys() & SECRETS:
        event[name] = "***"
    return event


def _rendering(format: Format, *, colors: bool) -> list[Processor]:
    if format == "json":
        return [_put_first, structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _put_first(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: event.pop(name) for name in ("timestamp", "level", "event")} | dict(event)


def _route_stdlib(
    level: str, handler: logging.Handler, common: list[Processor], ending: list[Processor]
) -> None:
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if isinstance(each, _LineHandler)]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
