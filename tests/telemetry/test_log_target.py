"""The places of a log: files that are put aside and forgotten, and a syslog server."""

import io
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from telefuser_grpc.telemetry.log_target import LogTarget, Sink


@pytest.fixture
def opened() -> Iterator[list[Sink]]:
    """Sinks that are closed after the test."""
    sinks: list[Sink] = []
    yield sinks
    for sink in sinks:
        sink.close()


def write(sinks: list[Sink], *lines: str) -> None:
    for line in lines:
        for sink in sinks:
            sink.write(line, logging.INFO)


def test_file_gets_the_lines_and_the_console_none(tmp_path: Path, opened: list[Sink]) -> None:
    console = io.StringIO()
    opened += LogTarget(kind="file", file=tmp_path / "logs" / "a.log").open(console)

    write(opened, "one", "two")

    assert (tmp_path / "logs" / "a.log").read_text() == "one\ntwo\n"
    assert console.getvalue() == ""


def test_both_are_the_file_and_the_console(tmp_path: Path, opened: list[Sink]) -> None:
    console = io.StringIO()
    opened += LogTarget(kind="both", file=tmp_path / "a.log").open(console)

    write(opened, "one")

    assert ((tmp_path / "a.log").read_text(), console.getvalue()) == ("one\n", "one\n")


def test_file_goes_on_where_the_last_start_ended(tmp_path: Path, opened: list[Sink]) -> None:
    (tmp_path / "a.log").write_text("before\n")
    opened += LogTarget(kind="file", file=tmp_path / "a.log").open(io.StringIO())

    write(opened, "after")

    assert (tmp_path / "a.log").read_text() == "before\nafter\n"


def test_large_file_is_put_aside(tmp_path: Path, opened: list[Sink]) -> None:
    target = LogTarget(kind="file", file=tmp_path / "a.log", rotation_bytes=10)
    opened += target.open(io.StringIO())

    write(opened, "line 1", "line 2", "line 3")

    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"a.log": "line 3\n", "a.log.1": "line 2\n", "a.log.2": "line 1\n"}


def test_file_put_aside_too_long_ago_is_forgotten(tmp_path: Path, opened: list[Sink]) -> None:
    old, other = tmp_path / "a.log.1", tmp_path / "a.log.txt"
    for path in (old, other):
        path.write_text("old\n")
        os.utime(path, (0, 0))
    target = LogTarget(
        kind="file", file=tmp_path / "a.log", rotation_bytes=10, retention_seconds=3600
    )
    opened += target.open(io.StringIO())

    write(opened, "line 1", "line 2")

    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"a.log": "line 2\n", "a.log.1": "line 1\n", "a.log.txt": "old\n"}


def test_file_that_another_program_has_moved_is_opened_anew(
    tmp_path: Path, opened: list[Sink]
) -> None:
    target = LogTarget(kind="file", file=tmp_path / "a.log", rotation_bytes=0)
    opened += target.open(io.StringIO())
    write(opened, "before")

    (tmp_path / "a.log").rename(tmp_path / "moved")
    write(opened, "after")

    assert (tmp_path / "moved").read_text() == "before\n"
    assert (tmp_path / "a.log").read_text() == "after\n"


def test_full_disk_does_not_reach_the_caller(
    opened: list[Sink], capsys: pytest.CaptureFixture[str]
) -> None:
    opened += LogTarget(kind="file", file=Path("/dev/full"), rotation_bytes=0).open(io.StringIO())

    write(opened, "lost")

    assert capsys.readouterr().err == ""


def test_file_that_cannot_be_opened_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        LogTarget(kind="file", file=tmp_path).open(io.StringIO())


def test_syslog_server_gets_a_datagram_with_facility_and_severity(opened: list[Sink]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)
        target = LogTarget(
            kind="syslog",
            syslog_host="127.0.0.1",
            syslog_port=server.getsockname()[1],
            syslog_facility="local0",
        )
        opened += target.open(io.StringIO())

        opened[0].write("replica died", logging.ERROR)

        assert server.recv(1000) == b"<131>replica died"
