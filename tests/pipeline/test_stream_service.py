"""A file with get_service() becomes a service of the mode that its methods make."""

import asyncio
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from telefuser_grpc.domain.session import ClientMedia, DevicePeak, Picture, Sound, StreamMode
from telefuser_grpc.pipeline.loader import PipelineLoadError
from telefuser_grpc.pipeline.stream_loop import StreamLoop
from telefuser_grpc.pipeline.stream_service import StreamService, load_stream

FILES = Path(__file__).parents[1] / "fakes" / "stream_files"
PLAIN_SERVICE = """
class Service:
    default_fps = {fps}
    def start(self): self.started = True
    def stop(self): pass
    def serve(self, request): return []
def get_service({parameters}):
    service = Service()
    service.told = {told}
    return service
"""
COROUTINES = """
import asyncio
class Service:
    async def start(self):
        self.calls = []
        self.loop = asyncio.get_running_loop()
        self.worker = asyncio.create_task(self._work())
    async def _work(self):
        await asyncio.Event().wait()
    async def stop(self):
        self.worker.cancel()
        self.calls.append("stop")
    async def create_session(self, config):
        self.queue = asyncio.Queue()
        return config["session_id"]
    async def push_chunk(self, sid, chunk): await self.queue.put((sid, chunk))
    async def pull_chunks(self, sid):
        while True:
            yield await self.queue.get()
    async def close_session(self, sid): self.calls.append(sid)
async def get_service():
    return Service()
"""


def test_six_methods_make_a_service_bidirectional() -> None:
    with _loaded(FILES / "talk.py") as service:
        assert service.facts.mode is StreamMode.BIDIRECTIONAL
        assert service.facts.default_fps == 24


def test_serve_makes_a_service_push() -> None:
    with _loaded(FILES / "push.py", gpu_num=2) as service:
        assert service.facts.mode is StreamMode.SERVER_PUSH
        assert service.facts.default_fps == 12
        assert service.service.is_started
        assert service.service.gpu_num == 2


@pytest.mark.parametrize(
    ("parameters", "told", "expected"),
    [
        ("", "0", 0),
        ("gpu_num", "gpu_num", 3),
        ("gpu_num=1, quality=9", "gpu_num", 3),
        ("**rest", "rest", {"gpu_num": 3}),
        ("options", "options.dtype", "auto"),
        ("media_roots", "media_roots", ("/pictures",)),
    ],
)
def test_get_service_is_told_what_it_names(
    tmp_path: Path, parameters: str, told: str, expected: object
) -> None:
    file = _file(tmp_path, PLAIN_SERVICE.format(fps=8, parameters=parameters, told=told))

    with _loaded(file, gpu_num=3, media_roots=("/pictures",)) as service:
        assert service.service.told == expected


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none", "Stream pipeline file must define get_service(), which returns the service"),
        (
            "half",
            "get_service() returned a Half without pull_chunks, close_session: a server-push "
            "service has start, stop, serve, a bidirectional one start, stop, create_session, "
            "push_chunk, pull_chunks, close_session",
        ),
        ("raising", "raising.py: RuntimeError: no weights in <path> (line 6)"),
        ("absent", "Pipeline file absent.py does not exist"),
    ],
)
def test_a_file_that_cannot_be_served_is_told_why(name: str, sentence: str) -> None:
    with pytest.raises(PipelineLoadError) as refused:
        load_stream(FILES / f"{name}.py", gpu_num=1)

    assert str(refused.value) == sentence


@pytest.mark.parametrize("fps", ["0", "-1", "'fast'", "float('nan')", "[]"])
def test_a_default_fps_that_is_none_is_refused(tmp_path: Path, fps: str) -> None:
    file = _file(tmp_path, PLAIN_SERVICE.format(fps=fps, parameters="", told="0"))

    with pytest.raises(PipelineLoadError, match="default_fps of the service must be a number"):
        load_stream(file, gpu_num=1)


def test_file_for_tasks_is_told_which_command_serves_it(tmp_path: Path) -> None:
    file = _file(tmp_path, "def get_pipeline(): return object()")

    with pytest.raises(PipelineLoadError, match="serve it with `telefuser serve`"):
        load_stream(file, gpu_num=1)


def test_get_service_that_needs_more_is_refused(tmp_path: Path) -> None:
    file = _file(tmp_path, PLAIN_SERVICE.format(fps=8, parameters="weights", told="0"))

    with pytest.raises(PipelineLoadError, match="get_service needs weights, which nothing gives"):
        load_stream(file, gpu_num=1)


def test_a_service_without_any_of_the_methods_is_told_of_the_simpler_kind(tmp_path: Path) -> None:
    file = _file(tmp_path, "def get_service(): return object()")

    with pytest.raises(PipelineLoadError, match="returned a object without start, stop, serve:"):
        load_stream(file, gpu_num=1)


def test_methods_may_be_coroutines(tmp_path: Path) -> None:
    with _loaded(_file(tmp_path, COROUTINES)) as service, _loop() as loop:
        session_id = service.create({"session_id": "one"}, loop)
        service.push(session_id, {"a": 1}, loop)
        service.push(session_id, b"raw", loop)
        chunks = service.pull(session_id)

        assert loop.call(chunks.__anext__) == ("one", {"a": 1})
        assert loop.call(chunks.__anext__) == ("one", b"raw")
        service.close(session_id, loop)
        calls = service.service.calls

    assert calls == ["one", "stop"]


def test_what_start_leaves_running_runs_on(tmp_path: Path) -> None:
    with _loaded(_file(tmp_path, COROUTINES)) as service:
        assert service.service.loop.is_running()
        assert not service.service.worker.done()


def test_a_plain_push_wakes_who_waits_on_the_loop() -> None:
    with _loaded(FILES / "talk.py") as service, _loop() as loop:
        session_id = service.create({"session_id": "one"}, loop)
        chunks = service.pull(session_id)
        waiting = threading.Event()
        told: list[Any] = []

        async def pull() -> None:
            asyncio.get_running_loop().call_soon(waiting.set)
            told.append(await anext(chunks))
            waiting.set()

        loop.begin(pull())
        assert waiting.wait(10)
        waiting.clear()
        service.push(session_id, {"a": 1}, loop)

        assert waiting.wait(10)
        assert told[0]["told"] == {"a": 1}


def test_media_reach_the_pipeline_as_arrays_and_samples(tmp_path: Path) -> None:
    picture = Picture(width=2, height=1, rgb=bytes([1, 2, 3, 4, 5, 6]))
    media = ClientMedia(
        pictures=(picture, picture), sound=Sound(pcm=b"\1\2", sample_rate=16_000, channels=1)
    )
    with _loaded(_file(tmp_path, COROUTINES)) as service, _loop() as loop:
        service.create({"session_id": "one"}, loop)
        service.push("one", media, loop)
        chunks = service.pull("one")
        _, seen = loop.call(chunks.__anext__)
        _, heard = loop.call(chunks.__anext__)

    assert seen["type"] == "media"
    assert [frame.tolist() for frame in seen["video_frames"]] == [[[[1, 2, 3], [4, 5, 6]]]] * 2
    assert all(frame.dtype == np.uint8 for frame in seen["video_frames"])
    assert all(frame.flags.writeable for frame in seen["video_frames"])
    assert heard == {"type": "media", "audio_pcm": b"\1\2", "sample_rate": 16_000, "channels": 1}


def test_a_close_that_raises_is_a_close() -> None:
    with _loaded(FILES / "talk.py") as service, _loop() as loop:
        service.close("nobody", loop)


def test_facts_tell_of_the_start_and_of_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)

    with _loaded(FILES / "push.py") as service:
        facts = service.facts

    (phase,) = facts.phases
    assert (phase.name, phase.memory) == ("pipeline_init", ())
    assert phase.seconds > 0
    assert facts.environment["python_version"].startswith("3.")
    assert facts.environment["platform"]
    assert {name: facts.environment[name] for name in list(facts.environment)[2:]} == {
        "torch_version": None,
        "cuda_version": None,
        "telefuser_git_commit": None,
        "gpus": [],
    }


def test_facts_tell_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", _torch())

    with _loaded(FILES / "push.py") as service:
        facts = service.facts

    assert facts.phases[0].memory == (
        DevicePeak(device="cuda:0", peak_allocated_bytes=5, peak_reserved_bytes=7),
    )
    assert facts.environment["torch_version"] == "2.9.0+cu128"
    assert facts.environment["cuda_version"] == "12.8"
    assert facts.environment["gpus"] == [
        {
            "device": "cuda:0",
            "name": "H100",
            "compute_capability": "9.0",
            "total_memory_bytes": 80,
        }
    ]


async def _chunks() -> AsyncIterator[int]:
    yield 1


def test_a_loop_gives_results_and_errors_of_plain_and_other_functions() -> None:
    async def later(value: int) -> int:
        return value

    with _loop() as loop:
        assert loop.call(int, "4") == 4
        assert loop.call(later, 5) == 5
        assert inspect.isasyncgen(loop.call(_chunks))
        with pytest.raises(ValueError, match="invalid literal"):
            loop.call(int, "x")


def _torch() -> Any:
    properties = SimpleNamespace(name="H100", major=9, minor=0, total_memory=80)
    cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        max_memory_allocated=lambda number: 5,
        max_memory_reserved=lambda number: 7,
        get_device_properties=lambda number: properties,
    )
    return SimpleNamespace(
        __version__="2.9.0+cu128", version=SimpleNamespace(cuda="12.8"), cuda=cuda
    )


def _file(folder: Path, text: str) -> Path:
    path = folder / "stream.py"
    path.write_text(text)
    return path


@contextmanager
def _loaded(
    path: Path, *, gpu_num: int = 1, media_roots: Sequence[str] = ()
) -> Iterator[StreamService]:
    service = load_stream(path, gpu_num=gpu_num, media_roots=media_roots)
    try:
        yield service
    finally:
        service.stop()


@contextmanager
def _loop() -> Iterator[StreamLoop]:
    loop = StreamLoop("test")
    try:
        yield loop
    finally:
        loop.close()
