"""What a pipeline raised is told without a path, a trace or anything else of this machine."""

import weakref

import pytest

from telefuser_grpc.errors import OutOfMemory, OutputInvalid, PipelineFailed
from telefuser_grpc.pipeline.failure import MESSAGE_LENGTH, failure_of, public_message


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("no file /srv/models/wan/config.json here", "no file <path> here"),
        ("[Errno 2] No such file: '/srv/my models/a b.bin'", "[Errno 2] No such file: '<path>'"),
        ('cannot open "/srv/x y"', 'cannot open "<path>"'),
        ("weights:/srv/x", "weights:<path>"),
        ("PosixPath(/root/x), then", "PosixPath(<path>), then"),
        ("see file:///srv/x", "see <path>"),
        ("~/models/x is empty", "<path> is empty"),
        (r"C:\models\x is empty", "<path> is empty"),
        ("float16/bfloat16 and 3/4", "float16/bfloat16 and 3/4"),
        ("get it at https://example.com/model/x", "get it at https://example.com/model/x"),
        ("two\n  lines", "two lines"),
    ],
)
def test_paths_are_masked_and_nothing_else(text: str, public: str) -> None:
    assert public_message(ValueError(text)) == f"ValueError: {public}"


def test_an_error_without_words_is_named() -> None:
    assert public_message(KeyError()) == "KeyError"


def test_a_long_message_is_cut() -> None:
    assert len(public_message(ValueError("x" * 9999))) == MESSAGE_LENGTH


class OutOfMemoryError(RuntimeError):
    """Stands for torch's class of this name."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_lack_of_memory_comes_with_advice(error: Exception) -> None:
    failure = failure_of(error)

    assert isinstance(failure, OutOfMemory)
    assert "reduce resolution or frame count" in failure.message


def test_a_lack_of_memory_is_found_behind_another_error() -> None:
    error = ValueError("decoding failed")
    error.__cause__ = OutOfMemoryError("x")

    assert isinstance(failure_of(error), OutOfMemory)


def test_other_errors_are_the_pipelines() -> None:
    failure = failure_of(ZeroDivisionError("division by zero"))

    assert isinstance(failure, PipelineFailed)
    assert failure.message == "ZeroDivisionError: division by zero"


def test_an_error_that_is_public_already_stays_as_it_is() -> None:
    error = OutputInvalid("no frames")

    assert failure_of(error) is error


def test_what_the_failed_call_held_is_let_go() -> None:
    class Tensor:
        pass

    held: list[weakref.ref[Tensor]] = []

    def call() -> None:
        tensor = Tensor()
        held.append(weakref.ref(tensor))
        raise ValueError

    try:
        call()
    except ValueError as error:
        failure_of(error)

        assert held[0]() is None
