"""The process that loads a file: what it is kept from, and that it leaves nothing behind."""

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telefuser_grpc.validator.jail import NETWORK_CUT, PROCESSES_CUT
from telefuser_grpc.validator.sandbox import Limits, Outcome, load_check
from telefuser_grpc.validator.source import Source

Load = Callable[..., Outcome]

CONNECT_IN_C = """
import ctypes, struct
libc = ctypes.CDLL(None)
descriptor = libc.socket(2, 1, 0)
address = struct.pack("=HH", 2, int.from_bytes(({port}).to_bytes(2, "big"), "little"))
address += bytes([127, 0, 0, 1]) + bytes(8)
if libc.connect(descriptor, address, len(address)) == 0:
    raise ValueError("connected")
"""
FORK_IN_C = """
import ctypes, os, time
libc = ctypes.CDLL(None)
if libc.fork() == 0:
    libc.setsid()
    libc.execl(b"/bin/sleep", b"sleep", b"{mark}", None)
    libc._exit(1)
time.sleep(0.2)
"""


@pytest.fixture
def load() -> Load:
    def run(code: str, **limits: object) -> Outcome:
        return load_check(Source(Path("pipeline.py"), code), limits=Limits(**limits))

    return run


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_a_file_that_loads_is_let_through(load: Load) -> None:
    code = "import json, dataclasses\n@dataclasses.dataclass\nclass A:\n    x: 'int' = 1\n"

    assert load(code).error is None


def test_what_this_service_offers_a_file_can_be_imported(load: Load) -> None:
    assert load("from telefuser_grpc.pipeline import templates\n").error is None


def test_what_is_told_of_a_failing_load_is_one_line_without_a_trace(load: Load) -> None:
    assert load("raise ValueError('one\\ntwo')").error == "ValueError: one"
    assert load("raise SystemExit").error == "SystemExit"


def test_it_is_told_which_isolation_was_in_force(load: Load) -> None:
    isolation = load("").isolation

    assert any(each.startswith("no network") for each in isolation)
    assert "at most 60 s and 8 GiB" in isolation


def test_the_network_is_refused_in_python(load: Load, listener: socket.socket) -> None:
    port = listener.getsockname()[1]

    outcome = load(f"import socket\nsocket.create_connection(('127.0.0.1', {port}))")

    assert "PermissionError" in str(outcome.error)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_there_is_no_network_for_code_in_c_either(load: Load, listener: socket.socket) -> None:
    outcome = load(CONNECT_IN_C.format(port=listener.getsockname()[1]))

    if NETWORK_CUT not in outcome.isolation:
        pytest.skip("the system grants no network namespace, and the report says so")
    assert outcome.error is None
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_memory_is_bounded(load: Load) -> None:
    outcome = load("x = bytearray(2 << 30)", memory_bytes=1 << 30)

    assert outcome.error == "MemoryError"


def test_time_is_bounded(load: Load) -> None:
    started = time.monotonic()

    outcome = load("import time\ntime.sleep(3600)", seconds=0.5)

    assert outcome.error == "it did not finish within 0.5 s"
    assert time.monotonic() - started < 20


def test_processor_time_is_bounded(load: Load) -> None:
    outcome = load("while True: pass", cpu_seconds=1, seconds=60.0)

    assert outcome.error == "it used more than 1 s of processor time"


def test_the_size_of_a_file_is_bounded(load: Load) -> None:
    code = "open('x', 'wb', 0).write(bytes(2_000_000))\nassert open('x', 'rb').seek(0, 2) == {}"

    assert "AssertionError" not in str(load(code.format(1 << 20)).error)
    assert load(f"x = open('x', 'wb', 0)\nx.write(bytes({1 << 20}))\nx.write(b'x')").error == (
        "OSError: [Errno 27] File too large"
    )


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess\nsubprocess.run(['true'])",
        "import os\nos.system('true')",
        "import os\nos.fork()",
        "import os\nos.kill(os.getppid(), 9)",
        "open('/tmp/telefuser-escaped', 'w')",
        "import os\nos.remove('/etc/hostname')",
        "import os\nos.mkdir('/tmp/telefuser-escaped')",
        "import os\nos.chmod('/tmp', 0o777)",
    ],
)
def test_programs_and_foreign_files_are_refused(code: str, load: Load) -> None:
    assert "PermissionError" in str(load(code).error)
    assert not Path("/tmp/telefuser-escaped").exists()


def test_a_file_may_write_in_a_folder_that_goes_away(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    outcome = load("import tempfile\nopen(tempfile.mkdtemp() + '/x', 'w').write('x')")

    assert outcome.error is None
    assert list(tmp_path.iterdir()) == []


def test_no_secret_of_the_environment_is_seen(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    outcome = load("import os\nraise ValueError(' '.join(os.environ))")

    assert "PATH" in str(outcome.error)
    assert "AWS" not in str(outcome.error)


def test_no_process_is_left_behind_even_in_a_session_of_its_own(load: Load) -> None:
    mark = f"3600.{os.getpid()}"

    outcome = load(FORK_IN_C.format(mark=mark))

    assert outcome.error is None
    assert not _running(mark)


def test_no_process_is_left_behind_where_there_is_no_namespace(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = f"3601.{os.getpid()}"
    _use_jail_without_namespaces(monkeypatch, tmp_path)

    outcome = load(FORK_IN_C.format(mark=mark))

    assert PROCESSES_CUT not in outcome.isolation
    assert "no network (refused in Python only" in outcome.isolation[0]
    assert outcome.error is None
    assert not _running(mark)


def test_a_file_that_ends_its_process_is_not_taken_for_loaded(load: Load) -> None:
    assert load("import os\nos._exit(0)").error == "it ended its own process"


def test_a_file_that_crashes_its_process_is_told(load: Load) -> None:
    assert load("import ctypes\nctypes.string_at(0)").error == "it was ended by SIGSEGV"


def _use_jail_without_namespaces(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    from telefuser_grpc.validator import jail

    text = Path(jail.__file__).read_text()
    weak = folder / "jail.py"
    weak.write_text(text.replace("libc.unshare(flags) == 0", "False"))
    monkeypatch.setattr(jail, "__file__", str(weak))


def _running(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        found += [command] if mark in command.split("\0") else []
    return found
