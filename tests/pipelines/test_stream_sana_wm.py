"""One walks with SANA-WM, of tiny random weights, by keys and by poses."""

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from telefuser_grpc.pipeline.checkpoint import ModelUnusable  # noqa: E402 - after the libraries
from telefuser_grpc.pipeline.loader import import_file  # noqa: E402
from telefuser_grpc.pipeline.options import ModelOptions  # noqa: E402
from telefuser_grpc.pipeline.world import WorldService  # noqa: E402
from telefuser_grpc.pipeline.world_config import WorldConfig, read_config  # noqa: E402
from telefuser_grpc.pipeline.world_controls import Controls, Poses  # noqa: E402
from tests.fakes.service import ROOT  # noqa: E402
from tests.pipelines.tiny.sana_wm import save_sana_wm  # noqa: E402

UNIT = np.eye(4).tolist()
SIZE = (96, 64)


@pytest.fixture(scope="module")
def sana() -> ModuleType:
    return import_file(ROOT / "pipelines" / "stream_sana_wm.py")


@pytest.fixture(scope="module")
def service(sana: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("sana_wm") / "model"
    save_sana_wm(folder)
    width, height = SIZE
    options = ModelOptions(model=str(folder))
    service = WorldService(sana.SanaWorld(options, width=width, height=height))
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def world(service: Any) -> Any:
    return service._world


def picture(width: int = 120, height: int = 90) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def config(world: Any, **fields: Any) -> WorldConfig:
    traits = world.traits
    return read_config(
        {"prompt": "a cat in the sun", "num_inference_steps": 2, **fields},
        defaults=traits.defaults,
        stride=traits.stride,
        max_duration_seconds=traits.max_duration_seconds,
        control_modes=traits.control_modes,
        image_size=(120, 90),
    )


def made(world: Any, keys: str, **fields: Any) -> tuple[bytes, Any]:
    """Makes one chunk of eight frames, and returns them and the place after it."""
    _, place = world.begin(picture(), config(world, **fields))
    frames, place = world.generate(place, Controls(keys=tuple(keys)), 8, ignore)
    assert [frame.size for frame in frames] == [SIZE] * 8
    return b"".join(frame.tobytes() for frame in frames), place


def ignore(**told: Any) -> None:
    """Nobody looks at the progress."""


def test_picture_is_cut_to_the_size_of_the_model(world: Any) -> None:
    first, place = world.begin(picture(), config(world))

    assert first.size == SIZE
    assert place.picture is first


def test_what_is_made_follows_the_keys_the_prompt_and_the_seed(world: Any) -> None:
    ahead, _ = made(world, "w")

    assert made(world, "w")[0] == ahead
    for other in (
        made(world, "s"),
        made(world, "w", prompt="a dog"),
        made(world, "w", seed=1),
        made(world, "w", intrinsics=[20, 20, 60, 45]),
    ):
        assert other[0] != ahead


def test_next_chunk_goes_on_from_the_last_frame_and_camera(world: Any) -> None:
    _, place = made(world, "wl")

    frames, later = world.generate(place, Controls(keys=("w",)), 8, ignore)

    assert place.camera.pose[2, 3] == pytest.approx(0.4, abs=0.02)
    assert later.camera.pose[2, 3] == pytest.approx(0.8, abs=0.04)
    assert later.picture is frames[-1]
    assert later.chunks == 2


def test_camera_follows_poses(world: Any) -> None:
    _, place = world.begin(picture(), config(world))
    there = np.eye(4)
    there[0, 3] = 2.0
    poses = Poses(matrices=(UNIT, there.tolist(), there.tolist()))

    frames, place = world.generate(place, Controls(poses=poses), 16, ignore)

    assert len(frames) == 16
    assert place.camera.pose[0, 3] == pytest.approx(2.0)


def test_steps_are_told_and_may_end_the_chunk(world: Any) -> None:
    _, place = world.begin(picture(), config(world, num_inference_steps=3))
    told: list[Mapping[str, Any]] = []

    def stop_at_the_second(**step: Any) -> None:
        told.append(step)
        if step["step"] == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        world.generate(place, Controls(keys=("w",)), 8, stop_at_the_second)

    assert told == [{"step": step, "total_steps": 3} for step in (1, 2)]


def test_known_camera_is_that_of_what_is_cut_out(world: Any) -> None:
    _, known = world.begin(picture(), config(world, intrinsics=[60, 60, 60, 45]))
    _, guessed = world.begin(picture(), config(world))

    assert known.intrinsics == pytest.approx([48, 48, 48, 32])
    assert guessed.intrinsics[2:] == [48, 32]


async def test_session_walks_from_chunk_to_chunk(service: Any) -> None:
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    image = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    asked = {"image": image, "num_inference_steps": 1, "chunk_size": 2, "frame_num": 25}
    session_id = service.create_session(asked)
    outputs = service.pull_chunks(session_id)
    messages = [await anext(outputs), await anext(outputs)]

    service.push_chunk(session_id, {"type": "control_state", "controls": ["w", "ArrowLeft"]})
    messages += [message async for message in outputs]

    chunks = [each for each in messages if each["type"] == "chunk"]
    assert [len(each["frames"]) for each in chunks] == [9, 16]
    assert [each["applied_controls"] for each in chunks] == [["w", "j"]] * 2
    assert messages[-1]["total_chunks"] == 2
    assert not [each for each in messages if each["type"] == "error"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "SanaWorld needs 'image', a data URL, or 'image_path'"),
        ({"image": "data:image/png;base64,AAAA"}, "unsupported or invalid format"),
        ({"image": "/etc/passwd"}, "TELEFUSER_ALLOWED_MEDIA_ROOTS"),
    ],
)
def test_session_without_a_picture_is_refused(service: Any, fields: Any, told: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are below
        service.create_session(fields)

    assert told in str(refused.value)


def test_missing_model_says_what_to_download(sana: ModuleType, tmp_path: Path) -> None:
    service = sana.get_service(gpu_num=1, options=ModelOptions(models_folder=str(tmp_path)))

    with pytest.raises(ModelUnusable, match=f"hf download {sana.MODEL} --local-dir"):
        service.start()

    service.stop()
