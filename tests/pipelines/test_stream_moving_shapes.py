"""One walks with the embedded model, and the shape goes where the keys say."""

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from telefuser_grpc.pipeline.loader import import_file  # noqa: E402 - after the libraries
from telefuser_grpc.pipeline.world_config import WorldConfig, read_config  # noqa: E402
from telefuser_grpc.pipeline.world_controls import Controls  # noqa: E402
from telefuser_grpc.validator.check import validate_file  # noqa: E402
from telefuser_grpc.validator.level import Level  # noqa: E402
from tests.fakes.service import ROOT  # noqa: E402

RED, NAVY = np.array([225, 40, 40]), np.array([15, 25, 85])
WAYS = {"w": (0, -10), "s": (0, 10), "a": (-10, 0), "d": (10, 0)}


@pytest.fixture(scope="module")
def shapes() -> ModuleType:
    return import_file(ROOT / "pipelines" / "stream_moving_shapes.py")


@pytest.fixture(scope="module")
def service(shapes: ModuleType) -> Iterator[Any]:
    torch.set_num_threads(1)
    service = shapes.get_service()
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def world(service: Any) -> Any:
    return service._world


def config(world: Any, **fields: Any) -> WorldConfig:
    traits = world.traits
    return read_config(
        fields,
        defaults=traits.defaults,
        stride=traits.stride,
        max_duration_seconds=traits.max_duration_seconds,
        control_modes=traits.control_modes,
    )


def hops(world: Any, place: Any, keys: str, count: int) -> tuple[list[Image.Image], Any]:
    frames, place = world.generate(place, Controls(keys=tuple(keys)), 5 * count, ignore)
    return list(frames), place


def ignore(**told: Any) -> None:
    """Nobody looks at the progress."""


def middle(frame: Image.Image) -> tuple[float, float]:
    """Returns where the red shape is, across and down."""
    pixels = np.asarray(frame).astype(float)
    red = np.linalg.norm(pixels - RED, axis=-1) < np.linalg.norm(pixels - NAVY, axis=-1)
    rows, columns = np.nonzero(red)
    return float(columns.mean()), float(rows.mean())


def spot(*, left: int = 24, top: int = 24) -> Image.Image:
    pixels = np.full((64, 64, 3), NAVY, dtype=np.uint8)
    pixels[top : top + 16, left : left + 16] = RED
    return Image.fromarray(pixels)


def test_walk_begins_with_the_shape_of_the_prompt(world: Any) -> None:
    first, _ = world.begin(None, config(world, prompt="a red circle on a navy background"))

    assert first.size == (64, 64)
    assert 15 < middle(first)[0] < 48
    assert np.median(np.asarray(first)[0], axis=0) == pytest.approx(NAVY, abs=20)


def test_prompt_without_a_known_word_gives_some_shape(world: Any) -> None:
    _, place = world.begin(None, config(world, prompt="xyzzy"))

    assert place.words == "a red circle on a navy background"


def test_motion_in_the_prompt_is_left_to_the_keys(world: Any) -> None:
    _, place = world.begin(spot(), config(world, prompt="红色方形向右移动，深蓝色背景"))

    assert sorted(place.words.split()) == ["background", "navy", "red", "square"]


@pytest.mark.parametrize("key", WAYS)
def test_key_moves_the_shape_its_way(world: Any, key: str) -> None:
    first, place = world.begin(spot(), config(world, prompt="a red square on a navy background"))

    frames, _ = hops(world, place, key, 1)

    across, down = (
        after - before for after, before in zip(middle(frames[-1]), middle(first), strict=True)
    )
    assert (len(frames), frames[0].size) == (5, (64, 64))
    assert (across, down) == pytest.approx(WAYS[key], abs=1.5)


def test_frames_between_show_the_way(world: Any) -> None:
    _, place = world.begin(spot(), config(world, prompt="a red square on a navy background"))

    frames, _ = hops(world, place, "d", 1)

    columns = [middle(frame)[0] for frame in frames]
    assert columns == sorted(columns)
    assert columns[-1] - columns[0] > 5


def test_shape_stays_before_an_edge(world: Any) -> None:
    _, place = world.begin(spot(), config(world, prompt="a red square on a navy background"))

    frames, place = hops(world, place, "d", 4)

    assert middle(frames[4])[0] > middle(spot())[0] + 8
    assert frames[-1].tobytes() == frames[-5].tobytes()
    assert np.asarray(frames[-1])[:, -1] == pytest.approx(np.tile(NAVY, (64, 1)), abs=25)
    assert (place.across, place.hops) == (20, 4)


def test_two_keys_take_turns(world: Any) -> None:
    _, place = world.begin(spot(), config(world))

    _, place = hops(world, place, "wd", 2)

    assert (place.across, place.down) == (10, -10)


def test_long_walk_wears_nothing_off(world: Any) -> None:
    first, place = world.begin(spot(), config(world, prompt="a red square on a navy background"))

    for key in "dasw" * 10:
        frames, place = hops(world, place, key, 1)

    assert (place.across, place.down) == (0, 0)
    assert np.abs(np.asarray(frames[-1]).astype(int) - np.asarray(first)).mean() < 8


def test_picture_of_anything_else_is_moved_as_a_whole_but_not_away(world: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    first, place = world.begin(Image.fromarray(noise), config(world))

    _, place = hops(world, place, "d", 5)

    assert first.size == (64, 64)
    assert place.across == 30


def test_same_seed_makes_the_same_walk(world: Any) -> None:
    made = []
    for seed in (1, 1, 2):
        first, place = world.begin(None, config(world, seed=seed))
        frames, _ = hops(world, place, "d", 1)
        made.append(b"".join(each.tobytes() for each in [first, *frames]))

    assert made[0] == made[1] != made[2]


async def test_session_answers_a_key_with_a_picture_that_moves(service: Any) -> None:
    session_id = service.create_session({"prompt": "a red circle on a navy background"})
    outputs = service.pull_chunks(session_id)
    messages = [await anext(outputs), await anext(outputs)]

    service.push_chunk(session_id, {"type": "control_state", "controls": ["d"]})
    while messages[-1].get("index") != 1 or messages[-1]["type"] != "chunk":
        messages.append(await anext(outputs))
    service.close_session(session_id)

    chunk = messages[-1]
    assert [each["type"] for each in messages[:2]] == ["preview", "status"]
    assert (chunk["fps"], chunk["applied_controls"], len(chunk["frames"])) == (8, ["d"], 5)
    assert middle(chunk["frames"][-1])[0] - middle(messages[0]["frames"][0])[0] > 8
    assert not service.has_session(session_id)


async def test_turns_are_refused_as_the_model_knows_none(service: Any) -> None:
    session_id = service.create_session({})
    outputs = service.pull_chunks(session_id)

    service.push_chunk(session_id, {"type": "control", "key": "j"})
    messages: Sequence[Mapping[str, Any]] = [await anext(outputs) for _ in range(3)]
    service.close_session(session_id)

    ignored = [each for each in messages if each.get("stage") == "control_ignored"]
    assert ignored[0]["message"] == "'j': no key of this world, which has 'wsad'"


@pytest.mark.parametrize("name", ["stream_moving_shapes.py", "stream_sana_wm.py"])
def test_files_are_let_pass_by_the_strict_check(name: str) -> None:
    report = validate_file(ROOT / "pipelines" / name, level=Level.STRICT, max_bytes=2**20)

    assert report.is_safe
