"""A session of a world keeps to what its clients rely on."""

import asyncio
import base64
import io
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from telefuser_grpc.pipeline.world import WorldService
from telefuser_grpc.pipeline.world_model import WorldTraits
from tests.fakes.worlds import NO_HUD, FakeWorld, hurried

Message = Mapping[str, Any]
Outputs = AsyncGenerator[Message, None]

SHORT = {"chunk_size": 1, "frame_num": 9}
"""Three chunks: the given picture, and twice four frames."""


def tap(key: str) -> Message:
    return {"type": "control", "key": key, "event": "press"}


def hold(*keys: str) -> Message:
    return {"type": "control_state", "controls": list(keys)}


def touch(service: WorldService[int], session_id: str, key: str) -> None:
    """Presses a key and lets it go at once."""
    service.push_chunk(session_id, tap(key))
    service.push_chunk(session_id, {"type": "control", "key": key, "event": "release"})


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


@pytest.fixture
def service(world: FakeWorld) -> Iterator[WorldService[int]]:
    service = WorldService(world, clock=hurried())
    service.start()
    yield service
    world.permits.release(100)
    service.stop()


async def read_until(outputs: AsyncIterator[Message], **wanted: Any) -> list[Message]:
    """Reads up to the first message that has these values."""
    read: list[Message] = []
    async for message in outputs:
        read.append(message)
        if wanted.items() <= message.items():
            return read
    raise AssertionError(f"never came: {wanted}; came: {read}")


async def rest(outputs: AsyncIterator[Message]) -> list[Message]:
    return [message async for message in outputs]


def stages(messages: list[Message]) -> list[str]:
    return [message.get("stage", message["type"]) for message in messages]


def brightness(message: Message) -> list[int]:
    return [frame.getpixel((0, 0))[0] for frame in message["frames"]]


def picture(width: int = 8, height: int = 8) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


async def begun(service: WorldService[int], **config: Any) -> tuple[str, Outputs]:
    """Creates a session and reads until it waits for its first control."""
    session_id = service.create_session(config)
    outputs = service.pull_chunks(session_id)
    await read_until(outputs, stage="runtime_ready")
    return session_id, outputs


async def test_session_shows_its_first_picture_and_says_that_it_is_ready(
    service: WorldService[int],
) -> None:
    session_id = service.create_session({})

    preview, ready = await read_until(service.pull_chunks(session_id), stage="runtime_ready")

    assert (preview["type"], preview["index"], len(preview["frames"])) == ("preview", -1, 1)
    assert (ready["width"], ready["height"]) == (8, 8)
    assert ready["keys"] == list("wsadikjl")
    assert ready["stream_progress"] == {
        "service_max_duration_seconds": 20.0,
        "target_duration_seconds": 20.0,
        "generated_duration_seconds": 0.0,
        "target_frames": 321,
        "generated_frames": 0,
        "fps": 16,
        "total_chunks": 27,
        "completed_chunks": 0,
    }


async def test_nothing_is_generated_before_the_first_control(
    service: WorldService[int], world: FakeWorld
) -> None:
    session_id, outputs = await begun(service)

    service.push_chunk(session_id, hold())
    service.push_chunk(session_id, b"bytes")
    service.push_chunk(session_id, {"type": "media", "audio_pcm": b""})
    service.close_session(session_id)

    assert stages(await rest(outputs)) == ["control_state", "runtime_summary", "done"]
    assert world.calls == []


async def test_tap_makes_one_chunk(service: WorldService[int], world: FakeWorld) -> None:
    session_id, outputs = await begun(service)

    touch(service, session_id, "w")
    messages = await read_until(outputs, stage="chunk_sent")

    chunk = next(each for each in messages if each["type"] == "chunk")
    assert (chunk["index"], chunk["fps"], chunk["applied_controls"]) == (0, 16, ["w"])
    assert brightness(chunk) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert world.calls == [("w", 8)]
    assert service.has_session(session_id)


async def test_each_chunk_goes_on_where_the_last_one_ended(service: WorldService[int]) -> None:
    session_id, outputs = await begun(service)
    touch(service, session_id, "w")
    await read_until(outputs, stage="chunk_sent")

    touch(service, session_id, "w")
    chunk = (await read_until(outputs, type="chunk"))[-1]

    assert brightness(chunk) == list(range(9, 21))


async def test_chunk_is_told_of_step_by_step(service: WorldService[int], world: FakeWorld) -> None:
    world.permits = threading.Semaphore(0)
    session_id, outputs = await begun(service)

    service.push_chunk(session_id, hold("w", "j"))
    before = await read_until(outputs, stage="generating_chunk")
    service.push_chunk(session_id, hold())
    world.permits.release()
    messages = before + await read_until(outputs, stage="chunk_sent")

    told = [each for each in messages if each.get("stage") != "control_state"]
    assert list(dict.fromkeys(stages(told))) == [
        "applying_direction_control",
        "generating_chunk",
        "chunk",
        "chunk_sent",
    ]
    assert told[0]["controls"] == ["w", "j"]
    assert told[-1]["stream_progress"]["completed_chunks"] == 1
    assert told[-1]["stream_progress"]["generated_frames"] == 9
    assert told[-1]["runtime_metrics"]["dropped_video_payloads"] == 0


async def test_held_keys_go_on_and_their_release_stops(
    service: WorldService[int], world: FakeWorld
) -> None:
    world.permits = threading.Semaphore(1)
    session_id, outputs = await begun(service)
    service.push_chunk(session_id, hold("w"))
    await read_until(outputs, stage="chunk_sent", index=0)
    await asyncio.to_thread(world.begun.wait)  # the second chunk, without a new control

    service.push_chunk(session_id, hold())
    world.permits.release(100)
    await read_until(outputs, stage="chunk_sent", index=1)
    touch(service, session_id, "a")
    await read_until(outputs, stage="chunk_sent", index=2)

    assert [keys for keys, _ in world.calls[:3]] == ["w", "w", "a"]


async def test_keys_are_those_that_are_down_when_a_chunk_begins(
    service: WorldService[int], world: FakeWorld
) -> None:
    world.permits = threading.Semaphore(0)
    session_id, outputs = await begun(service)
    service.push_chunk(session_id, hold("w"))
    await asyncio.to_thread(world.begun.wait)

    service.push_chunk(session_id, hold("w", "l"))
    service.push_chunk(session_id, hold("l", "s"))
    world.permits.release()
    first = (await read_until(outputs, type="chunk"))[-1]
    world.permits.release()
    second = (await read_until(outputs, type="chunk"))[-1]

    assert first["applied_controls"] == ["w"]
    assert second["applied_controls"] == ["s", "l"]


async def test_reset_goes_back_to_the_beginning(service: WorldService[int]) -> None:
    session_id, outputs = await begun(service)
    touch(service, session_id, "w")
    await read_until(outputs, stage="chunk_sent")

    service.push_chunk(session_id, {"type": "control", "event": "reset"})
    preview = (await read_until(outputs, type="preview"))[-1]
    touch(service, session_id, "d")
    chunk = (await read_until(outputs, type="chunk"))[-1]

    assert preview["index"] == -1
    assert (chunk["index"], brightness(chunk)[0]) == (1, 1)


async def test_control_that_means_nothing_is_answered(
    service: WorldService[int], world: FakeWorld
) -> None:
    session_id, outputs = await begun(service)

    service.push_chunk(session_id, tap("q"))
    service.push_chunk(session_id, {"type": "hello"})
    told = [(await read_until(outputs, stage="control_ignored"))[-1] for _ in range(2)]

    assert told[0]["message"] == "'q': no key of this world, which has 'wsadikjl'"
    assert "'hello'" in told[1]["message"]
    assert world.calls == []


async def test_walk_ends_when_it_is_as_long_as_was_asked(service: WorldService[int]) -> None:
    session_id, outputs = await begun(service, **SHORT, benchmark_metrics=True)

    touch(service, session_id, "w")
    await read_until(outputs, stage="chunk_sent", index=1)
    service.push_chunk(session_id, tap("w"))
    messages = await rest(outputs)

    (summary,) = (each for each in messages if each.get("stage") == "runtime_summary")
    assert summary["stream_progress"]["completed_chunks"] == 3
    assert summary["stream_progress"]["generated_duration_seconds"] == 0.5
    assert len(summary["runtime_metrics"]["chunks_seconds"]) == 3
    assert (messages[-1]["type"], messages[-1]["total_chunks"]) == ("done", 3)
    assert not service.has_session(session_id)


async def test_tap_is_not_spent_on_a_chunk_that_is_the_given_picture(
    service: WorldService[int], world: FakeWorld
) -> None:
    world.permits = threading.Semaphore(0)
    session_id, outputs = await begun(service, **SHORT)

    touch(service, session_id, "w")
    given = (await read_until(outputs, type="chunk"))[-1]
    world.permits.release()
    made = (await read_until(outputs, type="chunk"))[-1]

    assert (brightness(given), brightness(made)) == ([0], [1, 2, 3, 4])
    assert world.calls == [("w", 4)]


async def test_second_session_is_refused_while_one_goes_on(service: WorldService[int]) -> None:
    service.create_session({})

    with pytest.raises(RuntimeError) as refused:
        service.create_session({})

    assert str(refused.value) == (
        "FakeWorld supports one active session at a time; stop it before reconnecting"
    )


async def test_session_that_is_over_makes_room_without_being_closed(
    service: WorldService[int],
) -> None:
    session_id, outputs = await begun(service)
    service.push_chunk(session_id, {"type": "stop"})
    await rest(outputs)

    assert service.create_session({"session_id": "mine"}) == "mine"


async def test_client_may_choose_the_id(service: WorldService[int]) -> None:
    chosen = service.create_session({"session_id": "mine"})

    assert chosen == "mine"
    assert service.has_session("mine")
    assert not service.has_session("other")


async def test_close_stops_a_chunk_at_its_next_step_and_waits_for_it(
    service: WorldService[int], world: FakeWorld
) -> None:
    world.permits = threading.Semaphore(0)
    session_id, outputs = await begun(service)
    service.push_chunk(session_id, hold("w"))
    await asyncio.to_thread(world.begun.wait)

    closing = asyncio.create_task(asyncio.to_thread(service.close_session, session_id))
    messages = await read_until(outputs, stage="generating_chunk")
    service.push_chunk(session_id, {"type": "stop"})
    assert not closing.done()
    world.permits.release()
    await closing

    assert "chunk" not in stages(messages + await rest(outputs))
    assert world.ended == [0]
    assert not service.has_session(session_id)


async def test_chunks_that_are_made_faster_than_seen_wait_and_close_ends_that(
    world: FakeWorld,
) -> None:
    service = WorldService(world, clock=lambda: 0.0)
    session_id, outputs = await begun(service, fps=1)
    service.push_chunk(session_id, hold("w"))
    await read_until(outputs, stage="chunk_sent")

    await asyncio.to_thread(service.close_session, session_id)

    assert world.calls == [("w", 8)]
    service.stop()


async def test_session_that_does_not_end_in_time_keeps_its_place(world: FakeWorld) -> None:
    world.permits = threading.Semaphore(0)
    service = WorldService(world, clock=hurried(), close_seconds=0.01)
    session_id, _ = await begun(service)
    service.push_chunk(session_id, hold("w"))
    await asyncio.to_thread(world.begun.wait)

    await asyncio.to_thread(service.close_session, session_id)

    with pytest.raises(RuntimeError, match="one active session"):
        service.create_session({})
    world.permits.release(100)
    service.stop()


async def test_close_of_an_unknown_session_is_no_error(service: WorldService[int]) -> None:
    service.close_session("nobody")
    service.push_chunk("nobody", tap("w"))

    with pytest.raises(ValueError, match="nobody"):
        await anext(service.pull_chunks("nobody"))


async def test_failure_of_the_world_is_told_and_ends_the_session(
    service: WorldService[int], world: FakeWorld
) -> None:
    world.fault = OSError("no room in '/secret/place'")
    session_id, outputs = await begun(service)

    touch(service, session_id, "w")
    messages = await rest(outputs)

    (error,) = (each for each in messages if each["type"] == "error")
    assert (error["stage"], error["error"]) == (
        "worker_failed",
        "OSError: no room in '<path>'",
    )
    assert messages[-1]["type"] == "done"
    assert world.ended == [0]


async def test_world_goes_on_for_others_after_a_failure(
    service: WorldService[int], world: FakeWorld
) -> None:
    world.fault = OSError("once")
    first, outputs = await begun(service)
    touch(service, first, "w")
    await rest(outputs)
    service.close_session(first)

    world.fault = None
    second, outputs = await begun(service)
    touch(service, second, "w")

    assert (await read_until(outputs, type="chunk"))[-1]["index"] == 0


async def test_failure_at_the_end_is_told(service: WorldService[int], world: FakeWorld) -> None:
    world.fault_of_end = OSError("stuck")
    session_id, outputs = await begun(service)

    service.close_session(session_id)
    error, *_ = await rest(outputs)

    assert (error["type"], error["stage"]) == ("error", "cleanup_failed")


async def test_world_that_makes_another_number_of_frames_fails(
    service: WorldService[int], world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "generate", lambda state, *_: ([], state))
    session_id, outputs = await begun(service)

    touch(service, session_id, "w")
    messages = await rest(outputs)

    (error,) = (each for each in messages if each["type"] == "error")
    assert "0 frames where 8 were asked for" in error["error"]


async def test_world_is_loaded_and_runs_on_one_thread(
    service: WorldService[int], world: FakeWorld
) -> None:
    for _ in range(2):
        session_id, outputs = await begun(service)
        touch(service, session_id, "w")
        await read_until(outputs, type="chunk")
        service.close_session(session_id)

    assert world.is_loaded
    assert len(world.threads) == 1


async def test_world_that_needs_a_picture_says_so(world: FakeWorld) -> None:
    world.traits = WorldTraits(name="FakeWorld", defaults=NO_HUD)
    service = WorldService(world, clock=hurried())

    with pytest.raises(ValueError, match="FakeWorld needs 'image', a data URL, or 'image_path'"):
        service.create_session({"prompt": "p"})


async def test_picture_of_the_client_is_shown_first(service: WorldService[int]) -> None:
    session_id = service.create_session({"image": picture(width=20, height=10)})

    preview = (await read_until(service.pull_chunks(session_id), type="preview"))[-1]

    assert preview["frames"][0].size == (20, 10)


async def test_hud_shows_what_is_obeyed(world: FakeWorld) -> None:
    service = WorldService(world, clock=hurried())
    session_id, outputs = await begun(service, image=picture(200, 160), show_control_hud=True)

    touch(service, session_id, "w")
    chunk = (await read_until(outputs, type="chunk"))[-1]

    assert chunk["frames"][0].getpixel((12, 150)) != (255, 0, 0)
    service.stop()


async def test_poses_reach_a_world_that_takes_them(world: FakeWorld) -> None:
    world.traits = WorldTraits(
        name="FakeWorld", needs_image=False, takes_poses=True, defaults=NO_HUD
    )
    service = WorldService(world, clock=hurried())
    session_id, outputs = await begun(service)
    matrix = np.eye(4).tolist()

    service.push_chunk(session_id, {"type": "control", "poses": [matrix] * 3})
    chunk = (await read_until(outputs, type="chunk"))[-1]

    assert chunk["applied_controls"] == []
    assert world.asked[0].poses is not None
    assert world.asked[0].poses.matrices == (matrix,) * 3
    service.stop()


async def test_camera_may_be_named_by_a_file(world: FakeWorld, tmp_path: Path) -> None:
    np.save(tmp_path / "camera.npy", np.array([[4.0, 4.0, 4.0, 4.0]] * 2))
    configs: list[Any] = []
    begin: Callable[..., Any] = world.begin
    world.begin = lambda image, config: (configs.append(config), begin(image, config))[1]  # type: ignore[method-assign]
    service = WorldService(world, media_roots=(tmp_path,), clock=hurried())

    await begun(service, image=picture(), intrinsics_path=str(tmp_path / "camera.npy"))

    assert (configs[0].intrinsics.fx, configs[0].intrinsics.cy) == (0.5, 0.5)
    service.stop()


def test_rate_is_that_of_the_world(world: FakeWorld) -> None:
    world.traits = WorldTraits(name="FakeWorld", defaults={"fps": 8})

    assert WorldService(world).default_fps == 8.0
    assert WorldService(FakeWorld()).default_fps == 16.0
