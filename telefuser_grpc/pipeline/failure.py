"""Turns whatever a pipeline raised into what its caller is told."""

import re
import sys
import traceback
from pathlib import Path

from telefuser_grpc.errors import OutOfMemory, PipelineFailed, TaskFailed

MESSAGE_LENGTH = 500

# A rooted path: quoted (it may hold spaces), a file URL, a drive letter, or a bare word. A slash
# inside a word, a fraction or an http address does not start one.
_PATH = re.compile(
    r"""(?<=')/[^']+(?=')|(?<=")/[^"]+(?=")"""
    r"""|file://[^\s'"]+|\b[A-Za-z]:\\[^\s'"]+"""
    r"""|(?<![\w./~])~?/(?!/)[^\s'",;:)\]}>]+"""
)


def public_message(error: BaseException) -> str:
    """Returns `ExceptionType: message` on one line, without any path of this machine."""
    text = " ".join(without_paths(str(error)).split())
    name = type(error).__name__
    message = f"{name}: {text}" if text else name
    return message if len(message) <= MESSAGE_LENGTH else f"{message[: MESSAGE_LENGTH - 1]}…"


def without_paths(text: str) -> str:
    """Returns a text that tells nothing of where files of this machine are."""
    return _PATH.sub("<path>", text)


def told_of_file(error: BaseException, path: Path) -> str:
    """Returns what an author is told of an error of their file: with the line it passed last."""
    place = str(path.absolute())
    lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each[0] == place]
    if isinstance(error, SyntaxError) and error.filename == place:
        lines.append(error.lineno)
    where = f" (line {lines[-1]})" if lines else ""
    return f"{path.name}: {public_message(error)}{where}"


def failure_of(error: BaseException) -> TaskFailed:
    """Returns the error of a task whose pipeline raised `error`.

    What the failed call still holds is let go, so that the device has room for the next task.
    """
    traceback.clear_frames(error.__traceback__)
    if isinstance(error, TaskFailed):
        return error
    if not _is_out_of_memory(error):
        return PipelineFailed(public_message(error))
    _empty_device_cache()
    device = "Out of memory" if isinstance(error, MemoryError) else "CUDA out of memory"
    return OutOfMemory(f"{device}. Please reduce resolution or frame count.")


def _is_out_of_memory(error: BaseException | None) -> bool:
    if error is None:
        return False
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    if isinstance(error, RuntimeError) and ("out of memory" in text or "allocate memory" in text):
        return True
    return _is_out_of_memory(error.__cause__)


def _empty_device_cache() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
