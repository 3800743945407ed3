"""Writes logs as JSON or console lines, ours and those of the libraries."""

import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["console", "json"]

SECRETS = frozenset({"api_key", "authorization", "cookie", "password", "secret", "token"})


def configure_logging(
    *,
    format: Format,
    level: str,
    stream: TextIO | None = None,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Sends every log line of this process to a stream (stderr), with `fields` in each.

    A line names the task, the request and the span that it belongs to. A stream that is full or
    gone loses lines; it never fails the caller.
    """
    out = stream if stream is not None else sys.stderr
    common = _common(fields or {})
    ending: list[Processor] = [structlog.processors.format_exc_info, *_rendering(format, out)]
    structlog.configure(
        processors=[*common, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _LineLogger(out),
        cache_logger_on_first_use=True,
    )
    _route_stdlib(level, _LineHandler(out), common, ending)


class _LineLogger:
    """Writes each rendered line at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):  # a full disk, a closed stream
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg


class _LineHandler(logging.Handler):
    """Writes the records of libraries in the same way."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._logger = _LineLogger(stream)

    def emit(self, record: logging.LogRecord) -> None:
        self._logger.msg(self.format(record))


def _common(fields: Mapping[str, Any]) -> list[Processor]:
    def add_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**fields, **event}

    return [
        structlog.contextvars.merge_contextvars,
        add_fields,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_span,
        _hide_secrets,
    ]


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


def _rendering(format: Format, stream: TextIO) -> list[Processor]:
    if format == "json":
        return [_put_first, structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
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
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
