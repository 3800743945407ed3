"""The embedded model is loaded from the repository and draws what its prompt says."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

PIPELINE_FILE = Path(__file__).parents[2] / "pipelines" / "moving_shapes.py"
FEW_STEPS = 4
RED, NAVY = np.array([225, 40, 40]), np.array([15, 25, 85])


@pytest.fixture(scope="module")
def moving_shapes() -> ModuleType:
    return _import("moving_shapes_under_test", PIPELINE_FILE)


@pytest.fixture(scope="module")
def pipeline(moving_shapes: ModuleType) -> Any:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HF_HUB_OFFLINE", "1")
        return moving_shapes.get_pipeline(parallelism=1)


def test_a_missing_model_directory_says_what_to_do(tmp_path: Path) -> None:
    lonely = tmp_path / "moving_shapes.py"
    lonely.write_bytes(PIPELINE_FILE.read_bytes())

    with pytest.raises(FileNotFoundError, match=r"restore it|train it"):
        _import("moving_shapes_without_weights", lonely).get_pipeline()


def test_every_default_is_one_of_its_choices(moving_shapes: ModuleType) -> None:
    for task in moving_shapes.PIPELINE_CONTRACT["task_contracts"].values():
        for name, parameter in task["parameters"].items():
            default = parameter.get("default")
            assert default in parameter.get("enum", [default]), name


def test_folding_loses_nothing(moving_shapes: ModuleType) -> None:
    clips = torch.rand(2, 8, 3, 64, 64)

    assert torch.allclose(moving_shapes.unfold(moving_shapes.fold(clips)), clips, atol=1e-4)


def test_the_same_seed_draws_the_same_bytes(moving_shapes: ModuleType, pipeline: Any) -> None:
    first = _draw(moving_shapes, pipeline, num_inference_steps=FEW_STEPS)
    second = _draw(moving_shapes, pipeline, num_inference_steps=FEW_STEPS)

    assert first.tobytes() == second.tobytes()


def test_another_seed_draws_another_clip(moving_shapes: ModuleType, pipeline: Any) -> None:
    first = _draw(moving_shapes, pipeline, seed=1, num_inference_steps=FEW_STEPS)
    second = _draw(moving_shapes, pipeline, seed=2, num_inference_steps=FEW_STEPS)

    assert not np.array_equal(first, second)


def test_a_clip_drawn_in_a_batch_is_the_clip_drawn_alone(pipeline: Any) -> None:
    prompts = ["a red circle on a black background", "a blue square moving up on a gray background"]
    settings = {"num_inference_steps": FEW_STEPS, "output_type": "np"}

    batch = pipeline(prompts, generator=[_seeded(1), _seeded(2)], **settings).frames
    alone = pipeline(prompts[1], generator=_seeded(2), **settings).frames

    assert np.abs(batch[1].astype(int) - alone[0]).max() <= 1


def test_colour_background_and_motion_follow_the_prompt(
    moving_shapes: ModuleType, pipeline: Any
) -> None:
    clip = _draw(moving_shapes, pipeline).astype(float)

    red = np.linalg.norm(clip - RED, axis=-1) < np.linalg.norm(clip - NAVY, axis=-1)
    columns = [np.nonzero(frame)[1].mean() for frame in red]
    assert np.linalg.norm(np.median(clip[red], axis=0) - RED) < 60
    assert np.linalg.norm(np.median(clip[~red], axis=0) - NAVY) < 30
    assert columns[-1] - columns[0] > 15


def test_chinese_words_are_read_as_the_english_ones(pipeline: Any) -> None:
    english = pipeline.tokenizer("navy background, red circle right moving").input_ids

    assert pipeline.tokenizer("深蓝色背景，红色圆形向右移动").input_ids == english


def test_a_prompt_in_chinese_draws_what_it_says(moving_shapes: ModuleType, pipeline: Any) -> None:
    clip = _draw(moving_shapes, pipeline, prompt="深蓝色背景上，一个红色圆形向右移动").astype(float)

    red = np.linalg.norm(clip - RED, axis=-1) < np.linalg.norm(clip - NAVY, axis=-1)
    columns = [np.nonzero(frame)[1].mean() for frame in red]
    assert columns[-1] - columns[0] > 15


def test_a_clip_of_a_first_frame_begins_with_it(
    moving_shapes: ModuleType, pipeline: Any, tmp_path: Path
) -> None:
    picture = np.full((64, 64, 3), NAVY, dtype=np.uint8)
    picture[22:42, 8:28] = RED
    Image.fromarray(picture).save(tmp_path / "first.png")
    request = {"task": "i2v", "first_image_path": str(tmp_path / "first.png")}

    clip = _draw(moving_shapes, pipeline, **request, num_inference_steps=FEW_STEPS)

    assert np.array_equal(clip[0], picture)
    assert not np.array_equal(clip[1], picture)


@pytest.mark.parametrize(
    ("steps", "hops", "with_key", "shares"),
    [
        (24, 2, True, [12, 6, 6]),
        (3, 2, True, [1, 1, 1]),
        (1, 2, True, [1, 1, 1]),
        (24, 2, False, [12, 12]),
        (24, 0, True, [24]),
    ],
)
def test_every_part_of_a_clip_is_given_steps(
    moving_shapes: ModuleType, steps: int, hops: int, with_key: bool, shares: list[int]
) -> None:
    assert moving_shapes.share_steps(steps, hops, with_key=with_key) == shares


@pytest.mark.parametrize(("seconds", "fps"), [(1, 8), (2, 8), (4, 12)])
def test_a_clip_has_the_frames_its_length_and_rate_ask_for(
    moving_shapes: ModuleType, pipeline: Any, seconds: int, fps: int
) -> None:
    clip = _draw(
        moving_shapes, pipeline, target_video_length=seconds, fps=fps, num_inference_steps=1
    )

    assert clip.shape == (seconds * fps, 64, 64, 3)


def test_an_image_is_one_frame(moving_shapes: ModuleType, pipeline: Any) -> None:
    result = moving_shapes.run(pipeline, _request(task="t2i", num_inference_steps=1), _context())

    assert [image.size for image in result["images"]] == [(64, 64)]


def test_the_callback_sees_every_step(moving_shapes: ModuleType, pipeline: Any) -> None:
    seen = []

    def on_step_end(pipe: Any, index: int, timestep: Any, tensors: dict) -> dict:
        seen.append((index, pipe.num_timesteps))
        return tensors

    moving_shapes.run(pipeline, _request(num_inference_steps=FEW_STEPS), _context(on_step_end))

    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_a_step_can_be_previewed(moving_shapes: ModuleType, pipeline: Any) -> None:
    previews = []

    def on_step_end(pipe: Any, index: int, timestep: Any, tensors: dict) -> dict:
        previews.append(pipe.decode_preview(tensors["denoised"]))
        return tensors

    moving_shapes.run(pipeline, _request(num_inference_steps=FEW_STEPS), _context(on_step_end))

    assert [preview.size for preview in previews] == [(64, 64)] * FEW_STEPS


def test_a_cancelled_call_leaves_the_pipeline_usable(
    moving_shapes: ModuleType, pipeline: Any
) -> None:
    before = _draw(moving_shapes, pipeline, num_inference_steps=FEW_STEPS)

    with pytest.raises(_CancelledError):
        moving_shapes.run(pipeline, _request(), _context(_cancel))

    after = _draw(moving_shapes, pipeline, num_inference_steps=FEW_STEPS)
    assert np.array_equal(before, after)


class _CancelledError(Exception):
    """What a context raises to stop a call."""


def _cancel(pipe: Any, index: int, timestep: Any, tensors: dict) -> dict:
    raise _CancelledError


def _keep_going(pipe: Any, index: int, timestep: Any, tensors: dict) -> dict:
    return tensors


def _context(on_step_end: Any = _keep_going) -> SimpleNamespace:
    return SimpleNamespace(on_step_end=on_step_end)


def _request(**fields: Any) -> dict[str, Any]:
    prompt = "a red circle moving right on a navy background"
    return {"task": "t2v", "prompt": prompt, "seed": 42} | fields


def _draw(moving_shapes: ModuleType, pipeline: Any, **fields: Any) -> np.ndarray:
    frames = moving_shapes.run(pipeline, _request(**fields), _context())["frames"]
    return np.stack([np.asarray(frame) for frame in frames])


def _seeded(seed: int) -> Any:
    return torch.Generator().manual_seed(seed)


def _import(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
