"""Loads one file with as little power as the machine lets a process give up.

Run as a program, by its path: reads an order (JSON) on stdin, writes the outcome (JSON) on stdout.
The first process cuts the network and waits; its child takes the limits and runs the file. When the
child is gone, so is all that it has started.
"""

import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
from types import ModuleType
from typing import Any, NoReturn

CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWUSER = 0x40000000, 0x20000000, 0x10000000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 38, 36
NETWORK_CUT = "no network (namespace)"
PROCESSES_CUT = "own processes (namespace)"
SEPARATIONS = {
    CLONE_NEWNET | CLONE_NEWPID: (NETWORK_CUT, PROCESSES_CUT),
    CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUSER: (NETWORK_CUT, PROCESSES_CUT),
    CLONE_NEWNET: (NETWORK_CUT,),
}
NETWORK_REFUSED = "no network (refused in Python only, the system grants no namespace)"
REFUSALS = "no programs, no files outside of its folder (refused in Python)"
REFUSED = [
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "os.kill",
    "os.killpg",
    "pty.spawn",
    "subprocess.Popen",
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "os.chmod",
    "os.chown",
    "os.link",
    "os.symlink",
    "os.truncate",
]
REFUSED_OUTSIDE = ["os.remove", "os.rename", "os.rmdir", "os.mkdir"]
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
TEXT_LIMIT = 300


def main() -> None:
    """Runs one order."""
    order = json.loads(sys.stdin.buffer.read())
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    isolation = [*_separate(libc), REFUSALS, _limits_text(order["limits"])]
    error = _load_in_child(libc, order)
    sys.stdout.write(json.dumps({"error": error, "isolation": isolation}))


def too_slow(seconds: float) -> str:
    """Returns what is said of a file that does not end."""
    return f"it did not finish within {seconds:g} s"


def _separate(libc: ctypes.CDLL) -> tuple[str, ...]:
    for flags, meaning in SEPARATIONS.items():
        if libc.unshare(flags) == 0:
            return meaning
    return (NETWORK_REFUSED,)


def _limits_text(limits: dict[str, Any]) -> str:
    memory = limits["memory_bytes"] / (1 << 30)
    return f"at most {limits['seconds']:g} s and {memory:g} GiB"


def _load_in_child(libc: ctypes.CDLL, order: dict[str, Any]) -> str | None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_child(libc, order, writer)
    os.close(writer)
    is_ended = _wait(child, order["limits"]["seconds"])
    os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    _end_the_rest()
    if not is_ended:
        return too_slow(order["limits"]["seconds"])
    if _is_over(status, usage.ru_utime + usage.ru_stime, order["limits"]["cpu_seconds"]):
        return f"it used more than {order['limits']['cpu_seconds']} s of processor time"
    if os.WIFSIGNALED(status):
        return f"it was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return _told(reader, order["token"])


def _is_over(status: int, used_seconds: float, cpu_seconds: int) -> bool:
    """A file may ignore the first signal; the second one does not say why it came."""
    is_told = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
    return is_told or used_seconds >= cpu_seconds


def _wait(child: int, seconds: float) -> bool:
    descriptor = os.pidfd_open(child)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _end_the_rest() -> None:
    # orphans come to this process, because it is their subreaper
    children = f"/proc/self/task/{os.getpid()}/children"
    while True:
        with open(children) as file:  # noqa: PTH123 pathlib is not needed for the rest
            for child in file.read().split():
                os.kill(int(child), signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _told(reader: int, token: str) -> str | None:
    os.set_blocking(reader, False)
    with os.fdopen(reader, "rb") as file:
        text = file.read(1 << 16) or b""
    told, _, error = text.decode(errors="replace").partition(" ")
    if told != token:
        return "it ended its own process"
    return error[:TEXT_LIMIT] or None


def _be_child(libc: ctypes.CDLL, order: dict[str, Any], writer: int) -> NoReturn:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _close_standard_streams()
    _take_limits(order["limits"])
    sys.path[:] = order["python_path"]
    error = _load(order)
    os.write(writer, f"{order['token']} {error or ''}".encode())
    os._exit(0)


def _close_standard_streams() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)


def _take_limits(limits: dict[str, Any]) -> None:
    cpu_seconds = limits["cpu_seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))  # SIGXCPU tells why
    _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, limits["file_bytes"])
    _limit(resource.RLIMIT_NPROC, limits["processes"])
    _limit(resource.RLIMIT_CORE, 0)


def _limit(what: int, wanted: int) -> None:
    _, most = resource.getrlimit(what)
    value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(what, (value, value))


def _load(order: dict[str, Any]) -> str | None:
    try:
        _refuse(order["folder"])
        module = ModuleType("telefuser_ppl_checked")
        module.__file__ = order["path"]
        sys.modules[module.__name__] = module
        exec(compile(order["source"], order["path"], "exec"), module.__dict__)
    except BaseException as error:  # whatever the file raises, this tells of it
        return _description(error)
    return None


def _refuse(folder: str) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if _is_refused(event, arguments, folder):
            raise PermissionError(f"{event} is refused while a file is checked")

    sys.addaudithook(hook)


def _is_refused(event: str, arguments: tuple[Any, ...], folder: str) -> bool:
    if event == "socket.__new__":
        return bool(arguments[1] != socket.AF_UNIX)
    if event == "open":
        return bool(arguments[2] & WRITING) and not _is_inside(arguments[0], folder)
    if event in REFUSED_OUTSIDE:
        return not _is_inside(arguments[0], folder)
    return event in REFUSED


def _is_inside(path: Any, folder: str) -> bool:
    if isinstance(path, int):
        return True
    real = os.path.realpath(os.fsdecode(path))
    return real.startswith((f"{folder}/", "/dev/"))


def _description(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


if __name__ == "__main__":
    main()
