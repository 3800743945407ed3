"""Log lines: what they carry, what they hide, and what they never do to the caller."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from structlog.contextvars import bound_contextvars

from telefuser_grpc.telemetry.log_target import LogTarget
from telefuser_grpc.telemetry.logging import configure_logging


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """A stream for the lines; afterwards logging is as it was before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    yield io.StringIO()

    structlog.reset_defaults()
    logging.captureWarnings(False)
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


class FullDisk(io.StringIO):
    """Refuses every line."""

    def write(self, _: str) -> int:
        raise OSError("no space left on device")


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_json_line_begins_with_time_level_and_event(out: io.StringIO) -> None:
    configure_logging(format="json", level="INFO", stream=out)

    structlog.get_logger().info("replica started", replica=0)

    (line,) = lines(out)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["replica"]) == ("info", "replica started", 0)


def test_time_of_a_line_is_its_own_where_it_has_one(out: io.StringIO) -> None:
    configure_logging(format="json", level="INFO", stream=out)

    structlog.get_logger().info("video_generation_start", timestamp="2025-04-05T10:01:23Z")

    (line,) = lines(out)
    assert line["timestamp"] == "2025-04-05T10:01:23Z"


async def test_line_names_the_task_and_the_request_of_its_coroutine(out: io.StringIO) -> None:
    configure_logging(format="json", level="INFO", stream=out)

    async def work(task_id: str) -> None:
        with bound_contextvars(task_id=task_id, request_id=f"request of {task_id}"):
            await asyncio.sleep(0)
            structlog.get_logger().info("task started")

    await asyncio.gather(work("task_1"), work("task_2"))

    assert {(line["task_id"], line["request_id"]) for line in lines(out)} == {
        ("task_1", "request of task_1"),
        ("task_2", "request of task_2"),
    }


def test_line_names_the_current_span(out: io.StringIO) -> None:
    configure_logging(format="json", level="INFO", stream=out)
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")

    with tracer.start_as_current_span("work") as span:
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")

    inside, outside = lines(out)
    context = span.get_span_context()
    assert inside["trace_id"] == trace.format_trace_id(context.trace_id)
    assert inside["span_id"] == trace.format_span_id(context.span_id)
    assert "trace_id" not in outside


def test_library_records_become_lines_of_the_same_form(out: io.StringIO) -> None:
    configure_logging(format="json", level="INFO", stream=out)

    with bound_contextvars(task_id="task_1"):
        logging.getLogger("grpc.aio").warning("%s connections\nlost", 2)

    (line,) = lines(out)
    assert line["event"] == "2 connections\nlost"
    assert (line["level"], line["logger"], line["task_id"]) == ("warning", "grpc.aio", "task_1")


@pytest.mark.parametrize("format", ["json", "console"])
def test_line_may_write_its_level_in_words_of_its_own(
    out: io.StringIO, format: Literal["json", "console"]
) -> None:
    configure_logging(format=format, level="INFO", stream=out)

    structlog.get_logger().info("video_generation_start", level="INFO")

    assert "INFO" in out.getvalue()
    assert "info" not in out.getvalue()


def test_lines_below_the_level_are_dropped_from_both_sources(out: io.StringIO) -> None:
    configure_logging(format="json", level="WARNING", stream=out)

    structlog.get_logger().info("ours")
    logging.getLogger("grpc").info("theirs")

    assert out.getvalue() == ""


def test_secrets_are_hidden_from_both_forms_of_line(out: io.StringIO) -> None:
    configure_logging(format="json", level="INFO", stream=out)
    structlog.get_logger().info("key refused", api_key="sk-1", prompt="a ball")
    configure_logging(format="console", level="INFO", stream=out)
    structlog.get_logger().info("key refused", authorization="Bearer sk-1")

    assert "sk-1" not in out.getvalue()
    assert "a ball" in out.getvalue()


def test_exception_of_a_json_line_stays_on_its_line_without_local_values(out: io.StringIO) -> None:
    configure_logging(format="json", level="INFO", stream=out)

    try:
        secret = "swordfish"
        raise ValueError(f"a fault of length {len(secret)}")
    except ValueError:
        structlog.get_logger().exception("task broke")

    (line,) = lines(out)
    assert "ValueError: a fault of length 9" in line["exception"]
    assert "Traceback" in line["exception"]


def test_console_line_is_plain_text_with_every_field(out: io.StringIO) -> None:
    configure_logging(format="console", level="INFO", stream=out)

    structlog.get_logger().info("task started", task_id="task_1")
    logging.getLogger("grpc").error("port taken")

    ours, theirs = out.getvalue().splitlines()
    assert "task started" in ours
    assert "task_id=task_1" in ours
    assert "port taken" in theirs
    assert "\x1b" not in out.getvalue()


def test_fields_are_in_every_line_of_the_process(out: io.StringIO) -> None:
    configure_logging(format="json", level="INFO", stream=out, fields={"replica": 3})

    structlog.get_logger().info("ours")
    logging.getLogger("a.library").warning("theirs")

    assert [line["replica"] for line in lines(out)] == [3, 3]


def test_second_configuration_does_not_write_lines_twice(out: io.StringIO) -> None:
    configure_logging(format="json", level="INFO", stream=out)
    configure_logging(format="json", level="INFO", stream=out)

    logging.getLogger("grpc").warning("once")

    assert len(lines(out)) == 1


@pytest.mark.parametrize("source", ["ours", "theirs"])
def test_full_disk_does_not_reach_the_caller(
    source: str, out: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(format="json", level="INFO", stream=FullDisk())

    if source == "ours":
        structlog.get_logger().error("lost")
    else:
        logging.getLogger("grpc").error("lost")

    assert capsys.readouterr().err == ""


def test_target_gets_ours_and_theirs_with_their_levels(out: io.StringIO, tmp_path: Path) -> None:
    target = LogTarget(kind="file", file=tmp_path / "service.log")
    configure_logging(format="json", level="INFO", stream=out, target=target)

    structlog.get_logger().error("ours")
    logging.getLogger("grpc").warning("theirs")

    written = (tmp_path / "service.log").read_text().splitlines()
    assert [(line["level"], line["event"]) for line in map(json.loads, written)] == [
        ("error", "ours"),
        ("warning", "theirs"),
    ]
    assert out.getvalue() == ""


def test_line_in_a_file_has_no_colours(tmp_path: Path, out: io.StringIO) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    target = LogTarget(kind="both", file=tmp_path / "service.log")
    configure_logging(format="console", level="INFO", stream=Terminal(), target=target)

    structlog.get_logger().info("replica started")

    assert "replica started" in (tmp_path / "service.log").read_text()
    assert "\x1b" not in (tmp_path / "service.log").read_text()
