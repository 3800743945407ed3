"""A stream process is loaded, speaks with its sessions, and is replaced when it dies."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from telefuser_grpc.domain.replica import ReplicaState
from telefuser_grpc.domain.session import ClientMedia, Picture, Sound, StreamMode
from telefuser_grpc.errors import (
    SessionConflict,
    SessionFailed,
    SessionRejected,
    StreamNotRunning,
    TeleFuserError,
)
from telefuser_grpc.pipeline.loader import PipelineLoadError
from telefuser_grpc.workers.process import ReplicaProcess, replica_environment
from telefuser_grpc.workers.streams.host import COMMAND, LocalStreamHost, _connect
from telefuser_grpc.workers.streams.messages import CHUNK_WINDOW, PUSH_WINDOW, Load, Loaded, Serve
from tests.fakes.open_files import open_files
from tests.workers.streams.hosts import FILES, collect, pipe, release, stream_host, until_dead

pytestmark = pytest.mark.asyncio(loop_scope="module")
DIED = "The stream process died: it was killed by SIGKILL, as a system does whose memory runs out"
NAMES = (f"session-{number}" for number in count())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def push() -> AsyncIterator[LocalStreamHost]:
    async with stream_host("push", gpu_num=3) as host:
        await host.until_ready()
        yield host


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def talk() -> AsyncIterator[LocalStreamHost]:
    async with stream_host("talk") as host:
        await host.until_ready()
        yield host


async def test_what_was_loaded_is_told(push: LocalStreamHost, talk: LocalStreamHost) -> None:
    assert (push.facts.mode, push.facts.default_fps) == (StreamMode.SERVER_PUSH, 12)
    assert (talk.facts.mode, talk.facts.default_fps) == (StreamMode.BIDIRECTIONAL, 24)
    assert push.facts.phases[0].name == "pipeline_init"
    assert push.facts.environment["gpus"] == []


async def test_a_request_is_served_in_chunks(push: LocalStreamHost) -> None:
    request = {"prompt": "a cat", "chunks": 3, "frames": 2, "width": 4, "height": 2}

    chunks = await collect(push.serve("one", request))

    assert [chunk.index for chunk in chunks] == [0, 1, 2]
    assert [chunk.fps for chunk in chunks] == [8, 8, 8]
    picture = Picture(width=4, height=2, rgb=bytes([1] * 24))
    assert chunks[1].pictures == (picture, picture)
    assert chunks[1].sound == Sound(pcm=bytes(960))
    assert chunks[1].data == {
        "type": "chunk",
        "index": 1,
        "fps": 8,
        "prompt": "a cat",
        "is_started": True,
        "gpu_num": 3,
    }


async def test_requests_are_served_side_by_side(push: LocalStreamHost) -> None:
    async with aclosing(push.serve("one", {"chunks": 9})) as one:
        assert (await anext(one)).index == 0
        assert len(await collect(push.serve("two", {"chunks": 9}))) == 9
        assert [chunk.index async for chunk in one] == list(range(1, 9))


async def test_numbers_of_any_size_arrive(push: LocalStreamHost) -> None:
    (chunk,) = await collect(push.serve("one", {"chunks": 1, "prompt": 2**90}))

    assert chunk.data["prompt"] == 2**90


async def test_large_pictures_arrive_whole(push: LocalStreamHost) -> None:
    request = {"chunks": 6, "frames": 8, "width": 1280, "height": 720}

    chunks = await collect(push.serve("one", request))

    assert [len(chunk.pictures) for chunk in chunks] == [8] * 6
    assert chunks[5].pictures[7].rgb == bytes([5]) * (1280 * 720 * 3)


async def test_a_client_that_does_not_read_stops_its_pipeline_alone(
    push: LocalStreamHost, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    async with aclosing(push.serve("slow", {"chunks": 50, "log": str(log)})) as slow:
        await anext(slow)
        await collect(push.serve("quick", {"chunks": 200}))

        assert len(log.read_text().split()) == CHUNK_WINDOW
        assert [chunk.index async for chunk in slow] == list(range(1, 50))
    assert log.read_text().split()[-1] == "end"


async def test_few_large_chunks_wait_for_a_slow_client(
    push: LocalStreamHost, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    request = {"chunks": 9, "frames": 6, "width": 1920, "height": 1080, "log": str(log)}
    async with aclosing(push.serve("slow", request)) as slow:
        await anext(slow)
        await collect(push.serve("quick", {"chunks": 200}))

        assert len(log.read_text().split()) == 2


async def test_a_request_that_is_given_up_stops_before_its_next_chunk(
    push: LocalStreamHost, tmp_path: Path
) -> None:
    wait, log = pipe(tmp_path), tmp_path / "log"
    async with aclosing(push.serve("one", {"wait": str(wait), "log": str(log)})) as chunks:
        await asyncio.gather(anext(chunks), release(wait))
    await release(wait)

    await _until_idle(push)
    assert log.read_text().split() == ["0", "1", "end"]


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"fail": 1}, "ZeroDivisionError: a fault of the pipeline"),
        ({"break": 1}, "index: must be a whole number"),
        ({"width": 9000, "height": 9000, "frames": 1}, "A picture, or all else of a chunk, is too"),
    ],
)
async def test_a_fault_of_the_pipeline_ends_the_output_with_a_sentence(
    push: LocalStreamHost, request_: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SessionFailed) as failed:
        await collect(push.serve("one", request_))

    assert failed.value.message.startswith(sentence)
    assert len(await collect(push.serve("two", {}))) == 3


async def test_a_request_that_is_no_json_is_refused(push: LocalStreamHost) -> None:
    with pytest.raises(SessionFailed, match="no JSON"):
        await collect(push.serve("one", {"prompt": "\udcff"}))

    await _until_idle(push)


async def test_what_is_pushed_comes_back_in_order(talk: LocalStreamHost) -> None:
    session_id = await _create(talk)
    async with aclosing(talk.pull(session_id)) as chunks:
        for number in range(50):
            await talk.push(session_id, {"number": number, "do": None})
            chunk = await anext(chunks)
            assert (chunk.index, chunk.data["told"]["number"]) == (number, number)
        await talk.push(session_id, b"\0\xff")
        assert (await anext(chunks)).data["bytes"] == "00ff"
    await talk.close(session_id)


async def test_a_burst_of_pushes_stays_in_order(talk: LocalStreamHost) -> None:
    session_id = await _create(talk)
    for number in range(5 * PUSH_WINDOW):
        await talk.push(session_id, {"number": number})
    await talk.push(session_id, {"do": "end"})

    chunks = await collect(talk.pull(session_id))

    assert [each.data["told"]["number"] for each in chunks] == list(range(5 * PUSH_WINDOW))
    await talk.close(session_id)


async def test_media_go_both_ways(talk: LocalStreamHost) -> None:
    session_id = await _create(talk)
    picture = Picture(width=2, height=1, rgb=bytes([0, 100, 255] * 2))
    large = Picture(width=2048, height=1024, rgb=bytes(2048 * 1024 * 3))
    sound = Sound(pcm=b"\1\2\3\4", sample_rate=16_000, channels=2)
    async with aclosing(talk.pull(session_id)) as chunks:
        await talk.push(session_id, ClientMedia(pictures=(picture, picture)))
        assert [each.rgb for each in (await anext(chunks)).pictures] == [
            bytes([255, 155, 0] * 2)
        ] * 2
        await talk.push(session_id, ClientMedia(sound=sound))
        assert (await anext(chunks)).sound == sound
        await talk.push(session_id, ClientMedia(pictures=(large,) * 3))
        assert [len((await anext(chunks)).pictures) for _ in range(3)] == [1, 1, 1]
    await talk.close(session_id)


async def test_a_push_that_the_pipeline_refuses_is_told_and_forgiven(
    talk: LocalStreamHost,
) -> None:
    session_id = await _create(talk)
    async with aclosing(talk.pull(session_id)) as chunks:
        await talk.push(session_id, {"do": "raise"})
        notice = await anext(chunks)
        await talk.push(session_id, {"number": 1})
        chunk = await anext(chunks)

    assert notice.index == -1
    assert notice.data == {
        "type": "error",
        "stage": "push_chunk",
        "error": "ValueError: not with me",
    }
    assert chunk.data["told"] == {"number": 1}
    await talk.close(session_id)


async def test_the_end_of_the_output_is_no_end_of_the_session(
    talk: LocalStreamHost, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    session_id = await _create(talk, log=str(log))
    await talk.push(session_id, {"do": "end"})

    assert await collect(talk.pull(session_id)) == []
    assert not log.exists()
    await talk.close(session_id)
    await talk.close(session_id)
    assert log.read_text() == f"closed {session_id}\n"


async def test_chunks_are_pulled_once(talk: LocalStreamHost) -> None:
    session_id = await _create(talk)
    await talk.push(session_id, {"do": "end"})
    await collect(talk.pull(session_id))

    with pytest.raises(SessionFailed, match="once"):
        await collect(talk.pull(session_id))

    await talk.close(session_id)


async def test_a_close_ends_a_pull_that_waits(talk: LocalStreamHost, tmp_path: Path) -> None:
    log = tmp_path / "log"
    session_id = await _create(talk, log=str(log))
    async with aclosing(talk.pull(session_id)) as chunks:
        await talk.push(session_id, {"number": 1})
        await anext(chunks)
        waiting = asyncio.create_task(anext(chunks, None))

        await talk.close(session_id)

        assert await waiting is None
    assert log.read_text() == f"closed {session_id}\n"


async def test_a_close_in_the_middle_of_a_chunk_is_a_close(
    talk: LocalStreamHost, tmp_path: Path
) -> None:
    wait = pipe(tmp_path)
    session_id = await _create(talk)
    async with aclosing(talk.pull(session_id)) as chunks:
        waiting = asyncio.create_task(anext(chunks, None))
        await talk.push(session_id, {"do": "hang", "wait": str(wait)})
        writer = await asyncio.to_thread(os.open, wait, os.O_WRONLY)  # it hangs now

        await talk.close(session_id)

        assert await waiting is None
        os.close(writer)


async def test_a_closed_session_ignores_what_is_pushed(talk: LocalStreamHost) -> None:
    session_id = await _create(talk)
    await talk.close(session_id)

    await talk.push(session_id, {"number": 1})
    await talk.close("unknown")
    with pytest.raises(SessionFailed, match=f"Session {session_id} is not open"):
        await collect(talk.pull(session_id))


async def test_the_pipeline_may_name_the_session(talk: LocalStreamHost) -> None:
    session_id = await talk.create({"session_id": "mine", "rename": "theirs"})

    assert session_id == "theirs"
    await talk.close(session_id)


@pytest.mark.parametrize(
    ("refuse", "error", "sentence"),
    [
        ("value", SessionRejected, "Session creation failed: image is required"),
        ("type", SessionRejected, "Session creation failed: fps must be a number"),
        ("os", SessionRejected, "Session creation failed: No such file or directory: cat.png"),
        (
            "path",
            SessionRejected,
            "Session creation failed: cannot identify image file '<path>'",
        ),
        ("runtime", SessionConflict, "Session creation conflict: one session at a time"),
        ("other", SessionFailed, "The pipeline failed to create the session"),
    ],
)
async def test_a_refusal_is_told_by_its_kind(
    talk: LocalStreamHost, refuse: str, error: type[TeleFuserError], sentence: str
) -> None:
    with pytest.raises(error) as refused:
        await _create(talk, refuse=refuse)

    assert refused.value.message == sentence


async def test_an_id_that_is_open_is_a_conflict(talk: LocalStreamHost) -> None:
    session_id = await _create(talk)

    with pytest.raises(SessionConflict, match=f"session {session_id} is open already"):
        await talk.create({"session_id": session_id})

    await talk.close(session_id)


async def test_a_session_that_nobody_waits_for_is_closed(
    talk: LocalStreamHost, tmp_path: Path
) -> None:
    wait, log = pipe(tmp_path), tmp_path / "log"
    creating = asyncio.create_task(_create(talk, wait=str(wait), log=str(log)))
    writer = await asyncio.to_thread(os.open, wait, os.O_WRONLY)  # it is being created now

    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    os.close(writer)

    await _until_idle(talk)
    assert log.read_text().startswith("closed ")


async def test_a_failing_chunk_ends_the_output_and_leaves_others_alone(
    talk: LocalStreamHost,
) -> None:
    one, other = await _create(talk), await _create(talk)
    await talk.push(one, {"do": "fail"})

    with pytest.raises(SessionFailed, match="ZeroDivisionError: a fault of the pipeline"):
        await collect(talk.pull(one))

    await talk.push(other, {"number": 1})
    async with aclosing(talk.pull(other)) as chunks:
        assert (await anext(chunks)).index == 0
    await talk.close(one)
    await talk.close(other)


async def test_the_death_of_the_process_ends_its_sessions_and_a_new_one_works(
    talk: LocalStreamHost,
) -> None:
    one, other = await _create(talk), await _create(talk)
    pulls = [asyncio.create_task(collect(talk.pull(each))) for each in (one, other)]
    restarts = talk.status().restarts

    await talk.push(one, {"do": "die"})
    await until_dead(talk)

    for each in pulls:
        with pytest.raises(SessionFailed) as failed:
            await each
        assert failed.value.message == DIED
    with pytest.raises(StreamNotRunning):
        await _create(talk)
    with pytest.raises(StreamNotRunning):
        _ = talk.facts
    await talk.push(one, {"number": 1})
    await talk.close(one)
    await talk.close(other)
    await talk.until_ready()
    again = await _create(talk)
    await talk.push(again, {"do": "end"})
    assert await collect(talk.pull(again)) == []
    await talk.close(again)
    assert talk.status().restarts == restarts + 1
    assert talk.status().last_error == DIED


async def test_a_kill_in_the_middle_of_a_chunk_fails_the_request(
    push: LocalStreamHost, tmp_path: Path
) -> None:
    wait = pipe(tmp_path)
    async with aclosing(push.serve("one", {"wait": str(wait)})) as chunks:
        first, _ = await asyncio.gather(anext(chunks), release(wait))
        writer = await asyncio.to_thread(os.open, wait, os.O_WRONLY)  # it makes the second now
        assert push.status().state is ReplicaState.BUSY

        os.kill(push.status().pid, signal.SIGKILL)

        with pytest.raises(SessionFailed) as failed:
            await anext(chunks)
        os.close(writer)
    assert first.index == 0
    assert failed.value.message == DIED
    await push.until_ready()
    assert push.status().state is ReplicaState.IDLE
    assert len(await collect(push.serve("two", {}))) == 3


async def test_an_id_is_free_when_the_session_of_a_dead_process_is_let_go(
    talk: LocalStreamHost, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    old = await _create(talk)
    os.kill(talk.status().pid, signal.SIGKILL)
    await until_dead(talk)
    await talk.until_ready()

    with pytest.raises(SessionConflict, match=f"session {old} is open already"):
        await talk.create({"session_id": old, "log": str(log)})
    await talk.close(old)
    await _until_idle(talk)
    new = await talk.create({"session_id": old})

    assert new == old
    assert log.read_text() == f"closed {old}\n"
    await talk.close(new)


async def test_status_names_the_sessions_that_run(
    talk: LocalStreamHost, push: LocalStreamHost
) -> None:
    session_id = await _create(talk)
    async with aclosing(push.serve("pushed", {"chunks": 9})) as chunks:
        await anext(chunks)

        assert talk.status().task_ids == (session_id,)
        assert push.status().task_ids == ("pushed",)

    await talk.close(session_id)
    assert talk.status().task_ids == push.status().task_ids == ()


async def test_deaths_leak_no_descriptor(push: LocalStreamHost) -> None:
    await push.until_ready()
    before = open_files()
    new = []
    for _ in range(3):
        with pytest.raises(SessionFailed):
            await collect(push.serve("one", {"die": 0}))
        await push.until_ready()
        new.append(open_files() - before)

    assert [each.total() for each in new] == [new[0].total()] * 3  # of the one that lives now


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none", "Stream pipeline file must define get_service(), which returns the service"),
        ("raising", "raising.py: RuntimeError: no weights in <path> (line 6)"),
    ],
)
async def test_a_file_that_cannot_be_loaded_is_the_end_of_the_start(
    name: str, sentence: str
) -> None:
    async with stream_host(name) as host:
        with pytest.raises(PipelineLoadError) as refused:
            await host.until_ready()

        assert str(refused.value) == sentence
        assert host.start_failure == sentence
        assert host.status().state is ReplicaState.DEAD
        assert host.status().restarts == 0


async def test_a_process_that_dies_while_it_loads_is_tried_again() -> None:
    async with stream_host("dying") as host:
        with pytest.raises(PipelineLoadError, match="it exited with status 3"):
            await host.until_ready()

        assert host.status().restarts == 2


async def test_a_file_that_loads_for_too_long_is_the_end_of_the_start() -> None:
    async with stream_host("push", start_timeout_seconds=0.0) as host:
        with pytest.raises(PipelineLoadError, match="did not load its file within 0 s"):
            await host.until_ready()


async def test_a_process_that_does_not_answer_is_replaced() -> None:
    async with stream_host("push", silence_seconds=0.5) as host:
        await host.until_ready()
        serving = asyncio.create_task(collect(host.serve("one", {"chunks": 10**6})))
        pid = host.status().pid

        os.kill(pid, signal.SIGSTOP)

        with pytest.raises(SessionFailed, match=r"did not answer for 0\.5 s"):
            await serving
        await host.until_ready()
        assert host.status().pid != pid


async def test_a_command_that_is_not_there_is_told() -> None:
    async with stream_host("push", command=("/nonexistent",)) as host:
        with pytest.raises(PipelineLoadError, match="cannot be started: No such file"):
            await host.until_ready()


async def test_closing_ends_sessions_and_stops_the_service(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with stream_host("talk", temporary=tmp_path / "scratch") as host:
        await host.until_ready()
        session_id = await _create(host, log=str(log))
        chunks = host.pull(session_id)
        await host.push(session_id, {"number": 1})
        await anext(chunks)
        pid = host.status().pid

    assert await anext(chunks, None) is None
    assert log.read_text() == f"closed {session_id}\n"
    assert not Path(f"/proc/{pid}").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_closing_kills_a_pipeline_that_hangs(tmp_path: Path) -> None:
    wait = pipe(tmp_path)
    async with stream_host("talk", stop_grace_seconds=0.05) as host:
        await host.until_ready()
        creating = asyncio.create_task(_create(host, wait=str(wait)))
        writer = await asyncio.to_thread(os.open, wait, os.O_WRONLY)
        pid = host.status().pid

    with pytest.raises(SessionFailed):
        await creating
    os.close(writer)
    assert not Path(f"/proc/{pid}").exists()


async def test_a_process_exits_in_the_middle_of_a_chunk_when_its_server_has_gone(
    tmp_path: Path,
) -> None:
    wait = pipe(tmp_path)
    process = await ReplicaProcess.spawn(
        COMMAND, replica_environment(os.environ, ()), connect=_connect
    )
    process.channel.send(Load(file=str(FILES / "push.py"), gpu_num=1))
    assert isinstance(await process.channel.receive(), Loaded)
    process.channel.send(Serve(1, json.dumps({"wait": str(wait)}).encode()))
    writer = await asyncio.to_thread(os.open, wait, os.O_WRONLY)  # it makes a chunk now

    process.channel.close()

    async with asyncio.timeout(10):
        await process._child.wait()
    os.close(writer)


async def test_noise_of_the_process_ends_it() -> None:
    noise = "import socket, sys; socket.socket(fileno=int(sys.argv[1])).sendall(bytes(4) + b'!')"
    async with stream_host("push", command=(sys.executable, "-c", noise)) as host:
        with pytest.raises(PipelineLoadError, match="broke the protocol: not a frame"):
            await host.until_ready()


async def test_the_server_does_not_load_what_pipelines_need() -> None:
    code = (
        "import sys, telefuser_grpc.workers.streams.host;"
        "print([name for name in ('numpy', 'torch', 'PIL', 'av') if name in sys.modules])"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )

    told, _ = await child.communicate()

    assert told.decode().strip() == "[]"


async def _create(host: LocalStreamHost, **config: Any) -> str:
    return await host.create({"session_id": next(NAMES), **config})


async def _until_idle(host: LocalStreamHost) -> None:
    async with aclosing(host.changes()) as changes:
        async for _ in changes:
            if host.status().state is ReplicaState.IDLE:
                return
