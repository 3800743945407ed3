"""A drafted pipeline file is valid, says what its model can do, and renders what it declares."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.pipeline.drafting import CannotDraft, Draft, draft
from telefuser_grpc.pipeline.drafting.model import read_model
from telefuser_grpc.pipeline.drafting.plan import plan_of
from telefuser_grpc.pipeline.encode import encode
from telefuser_grpc.pipeline.loader import LoadedPipeline, PipelineLoadError, load
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.runner import render, render_batch
from telefuser_grpc.validator import Level, validate_file
from tests.fakes.media_files import mp4, still
from tests.fakes.pipelines import Watcher, make_job
from tests.fakes.service import ROOT

pytest.importorskip("diffusers")
numpy = pytest.importorskip("numpy")

MODELS = ("t2v", "i2v", "i2v of one size", "fl2v", "vc", "sound", "t2i", "i2i", "upscale")
CLIP = {"width": 80, "height": 64, "num_frames": 5, "num_inference_steps": 2}
PICTURE = {"width": 80, "height": 64, "num_inference_steps": 2}
SMALLER = {"width": 64, "height": 48, "num_inference_steps": 2}
RENDERED = [
    ("t2v", "t2v", CLIP, (5, 80, 64)),
    ("i2v", "i2v", CLIP, (5, 80, 64)),
    ("i2v of one size", "i2v", {"num_frames": 9, "num_inference_steps": 2}, (9, 80, 64)),
    ("fl2v", "i2v", CLIP, (5, 80, 64)),
    ("fl2v", "fl2v", CLIP, (5, 80, 64)),
    ("vc", "vc", CLIP | {"strength": 0.5}, (5, 80, 64)),
    ("sound", "i2v", CLIP | {"width": 96, "num_frames": 9}, (9, 96, 64)),
    ("t2i", "t2i", SMALLER, (1, 64, 48)),
    ("i2i", "t2i", PICTURE, (1, 80, 64)),
    ("i2i", "i2i", PICTURE, (1, 80, 64)),
    ("upscale", "i2i", {"num_inference_steps": 2}, (1, 256, 128)),
]


@dataclasses.dataclass(frozen=True)
class Drafted:
    """A draft and the file that it was written to."""

    draft: Draft
    path: Path
    model: Path


@pytest.fixture(scope="module")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Drafted]:
    folder = tmp_path_factory.mktemp("drafted")
    known: dict[str, Drafted] = {}

    def one(name: str) -> Drafted:
        if name not in known:
            model = folder / f"Tiny-{name} 1.0"
            _save(name, model)
            path = folder / f"{name}.py"
            made = draft(model)
            path.write_text(made.source)
            known[name] = Drafted(made, path, model)
        return known[name]

    return one


@pytest.fixture(scope="module")
def loaded(drafted: Callable[[str], Drafted]) -> Iterator[Callable[[str], LoadedPipeline]]:
    opened: dict[str, LoadedPipeline] = {}

    def one(name: str) -> LoadedPipeline:
        if name not in opened:
            opened[name] = load(drafted(name).path, task=None, parallelism=1)
        return opened[name]

    yield one
    for each in opened.values():
        each.close()


def _save(name: str, folder: Path) -> None:
    import torch
    from diffusers import WanVideoToVideoPipeline

    from tests.pipelines.tiny import cogvideo, ltx2, pictures, upscale, wan

    torch.manual_seed(0)
    match name:
        case "t2v":
            wan.save_wan21_t2v(folder)
        case "i2v":
            wan.save_wan21_i2v(folder)
        case "i2v of one size":
            cogvideo.save_cogvideox_i2v(folder)
        case "fl2v":
            wan.save_wan22_i2v(folder)
        case "vc":
            WanVideoToVideoPipeline(**wan.parts(), transformer=wan.transformer()).save_pretrained(
                folder
            )
        case "sound":
            ltx2.save_ltx2_i2v(folder)
        case "t2i":
            pictures.save_stable_diffusion(folder)
        case "i2i":
            pictures.save_flux2_klein(folder)
        case "upscale":
            upscale.save_sd_x4_upscale(folder)


@pytest.mark.parametrize("name", MODELS)
def test_draft_passes_the_strict_lint_and_the_formatter(
    name: str, drafted: Callable[[str], Drafted]
) -> None:
    path = drafted(name).path

    report = validate_file(path, level=Level.STRICT)
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--config", ROOT / "pyproject.toml", "--no-cache", path]
    formatted = subprocess.run([*ruff, "format", "--check", *options], capture_output=True)
    linted = subprocess.run([*ruff, "check", *options], capture_output=True)

    assert (report.is_safe, report.violations) == (True, ())
    assert formatted.returncode == 0
    assert linted.returncode == 0, linted.stdout.decode()


@pytest.mark.parametrize(("name", "kind", "asked", "made"), RENDERED)
def test_draft_renders_each_kind_that_it_declares(
    name: str,
    kind: str,
    asked: dict[str, Any],
    made: tuple[int, int, int],
    loaded: Callable[[str], LoadedPipeline],
    tmp_path: Path,
) -> None:
    pipeline, watcher = loaded(name), Watcher()
    contract = pipeline.contract.task(kind)
    inputs = {each: _input(each, tmp_path) for each in contract.inputs}
    fields = contract.complete({"prompt": "a cat in the sun", **asked, **inputs})
    output_name = f"t.{'mp4' if contract.media_type == 'video' else 'png'}"
    job = make_job(
        tmp_path,
        output_name=output_name,
        media_type=contract.media_type,
        fields=fields,
        inputs=inputs,
    )

    files = encode(render(pipeline, dataclasses.replace(job, kind=kind), watcher.context), job)

    facts = files[0].facts
    assert (facts.frame_count, facts.width, facts.height) == made
    assert facts.has_sound is (name == "sound")
    assert watcher.steps


def _input(name: str, folder: Path) -> str:
    is_clip = name == "ref_video_path"
    path = folder / f"{name}.{'mp4' if is_clip else 'png'}"
    path.write_bytes(mp4(frames=7) if is_clip else still(width=64, height=32))
    return str(path)


def test_every_declared_kind_is_rendered_here(loaded: Callable[[str], LoadedPipeline]) -> None:
    declared = {(name, kind) for name in MODELS for kind in loaded(name).contract.tasks}

    assert declared == {(name, kind) for name, kind, *_ in RENDERED}


@pytest.mark.parametrize(
    ("name", "kind", "asked", "max_size"), [("t2v", "t2v", CLIP, 4), ("t2i", "t2i", SMALLER, 8)]
)
def test_draft_of_words_alone_makes_tasks_together(
    name: str,
    kind: str,
    asked: dict[str, Any],
    max_size: int,
    loaded: Callable[[str], LoadedPipeline],
    tmp_path: Path,
) -> None:
    pipeline = loaded(name)
    contract = pipeline.contract.task(kind)
    fields = [
        contract.complete({"prompt": prompt, "seed": seed, **asked})
        for prompt, seed in [("a cat", 1), ("a dog in the sun", 1), ("a cat", 2)]
    ]
    jobs = [make_job(tmp_path, media_type=contract.media_type, fields=each) for each in fields]

    alone = [_frames(render(pipeline, job, Watcher().context)) for job in jobs]
    together = render_batch(pipeline, jobs, [Watcher().context for _ in jobs])

    assert contract.batching is not None
    assert contract.batching.max_size == max_size
    assert set(asked) < set(contract.batching.keys)
    assert all(
        abs(_frames(one) - other).max() < 0.01 for one, other in zip(together, alone, strict=True)
    )
    assert all(
        abs(alone[one] - alone[other]).max() > 0.02 for one, other in [(0, 1), (0, 2), (1, 2)]
    )


def _frames(rendering: Any) -> Any:
    """Returns pictures as numbers up to 1, of 8 bits or finer."""
    frames = numpy.asarray(rendering.frames)
    return frames / 255.0 if frames.dtype == numpy.uint8 else frames


@pytest.mark.parametrize("name", ["i2v", "fl2v", "vc", "sound", "i2i", "upscale"])
def test_draft_that_takes_media_makes_one_task_at_a_time(
    name: str, loaded: Callable[[str], LoadedPipeline]
) -> None:
    assert not any(task.batching for task in loaded(name).contract.tasks.values())


@pytest.mark.parametrize(
    ("name", "sizes", "max_size"),
    [
        ("HunyuanVideoPipeline", {}, 4),
        ("HunyuanVideoPipeline", {"transformer": 26_000_000_000}, 2),
        ("FluxPipeline", {"transformer": 24_000_000_000}, 8),
        ("WanVACEPipeline", {}, 1),
        ("SkyReelsV2DiffusionForcingPipeline", {}, 1),
    ],
)
def test_draft_makes_as_many_together_as_class_and_size_allow(
    name: str, sizes: dict[str, int], max_size: int, tmp_path: Path
) -> None:
    model = dataclasses.replace(read_model(_index(tmp_path, _class_name=name)), weight_bytes=sizes)

    assert plan_of(model).together == max_size


@pytest.mark.parametrize("is_told_a_time", [False, True])
def test_autoencoder_that_is_told_a_time_decodes_a_batch_at_once(
    is_told_a_time: bool, tmp_path: Path
) -> None:
    _index(tmp_path, _class_name="LTXPipeline", vae=["diffusers", "AutoencoderKLLTXVideo"])
    (tmp_path / "vae").mkdir()
    settings = {"timestep_conditioning": is_told_a_time}
    (tmp_path / "vae/config.json").write_text(json.dumps(settings))

    source = draft(tmp_path).source

    assert ("pipe.vae.enable_slicing()" in source) is not is_told_a_time
    assert "def run_batch(" in source


def test_draft_takes_the_defaults_of_the_class(loaded: Callable[[str], LoadedPipeline]) -> None:
    parameters = loaded("t2v").contract.task("t2v").parameters

    assert parameters["num_inference_steps"].default == 50
    assert parameters["guidance_scale"].default == 5.0
    assert parameters["target_video_length"].default == 5
    assert parameters["aspect_ratio"].default == "16:9"
    assert parameters["num_frames"].enum[-1] == "81"
    assert loaded("t2v").module.SIZES["16:9"] == "832x480"
    assert loaded("t2v").module.FPS == 16


def test_draft_keeps_in_full_precision_what_the_class_wants_so(
    drafted: Callable[[str], Drafted],
) -> None:
    assert 'float32=("vae",)' in drafted("t2v").draft.source
    assert 'float32=("image_encoder", "vae")' in drafted("i2v").draft.source
    assert "float32" not in drafted("t2i").draft.source


def test_draft_says_what_it_was_made_from(drafted: Callable[[str], Drafted]) -> None:
    made = drafted("t2v")

    source = made.draft.source
    assert source.startswith('"""Tiny-t2v 1.0: WanPipeline of diffusers, for t2v.\n')
    assert "guidance_scale_2" in source.split('"""')[1]
    assert f'MODEL = "{made.model}"' in source
    assert made.draft.name == "tiny_t2v_1_0"


def test_picture_decides_the_shape_where_no_size_is_asked(
    loaded: Callable[[str], LoadedPipeline], tmp_path: Path
) -> None:
    pipeline = loaded("i2i")
    inputs = {"first_image_path": _input("first_image_path", tmp_path)}
    fields = pipeline.contract.task("i2i").complete(
        {"prompt": "a cat", "num_inference_steps": 1, **inputs}
    )
    job = dataclasses.replace(
        make_job(tmp_path, output_name="t.png", media_type="image", fields=fields, inputs=inputs),
        kind="i2i",
    )

    facts = encode(render(pipeline, job, Watcher().context), job)[0].facts

    assert (facts.width, facts.height) == (182, 90)


def test_file_finds_its_model_where_nothing_else_is_named(
    drafted: Callable[[str], Drafted], tmp_path: Path
) -> None:
    made = drafted("t2v")
    moved = tmp_path / "moved.py"
    moved.write_text(made.draft.source.replace(str(made.model), str(tmp_path / "gone")))

    with pytest.raises(PipelineLoadError, match=r"gone is not here; .*TELEFUSER_MODEL") as refused:
        load(moved, task=None, parallelism=1)
    elsewhere = ModelOptions(model=str(made.model))
    load(moved, task=None, parallelism=1, options=elsewhere).close()

    assert str(tmp_path) not in str(refused.value)


def _index(folder: Path, **entries: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps(entries))
    return folder


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("FutureVideoPipeline", "has no pipeline class 'FutureVideoPipeline', and the model was"),
        ("UNet2DModel", "has no pipeline class 'UNet2DModel'"),
        ("KandinskyPipeline", "takes image_embeds, negative_image_embeds, which"),
        ("StableDiffusionInpaintPipeline", "takes mask_image, which"),
        ("WanAnimatePipeline", "takes pose_video, face_video, mask_video, which"),
        ("StableAudioPipeline", r"makes neither a clip nor a picture \(audios\)"),
        ("DDPMPipeline", "takes neither prompt nor image nor video"),
    ],
)
def test_class_that_cannot_be_served_is_refused(name: str, why: str, tmp_path: Path) -> None:
    folder = _index(tmp_path, _class_name=name, _diffusers_version="9.9.0")

    with pytest.raises(CannotDraft, match=why) as refused:
        draft(folder)

    assert "; " in str(refused.value), "no remedy"


def test_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotDraft, match=r"there is no directory .*; download the model"):
        draft(tmp_path / "none")


def test_folder_of_models_is_refused_with_the_name_of_one(tmp_path: Path) -> None:
    _index(tmp_path / "wan", _class_name="WanPipeline")

    with pytest.raises(CannotDraft, match=r"has no model_index.json; .* such as 'wan'"):
        draft(tmp_path)


def test_part_of_a_model_is_refused(tmp_path: Path) -> None:
    _index(tmp_path, _class_name="WanPipeline")
    (tmp_path / "vae").mkdir()

    with pytest.raises(CannotDraft, match="name the directory above it"):
        draft(tmp_path / "vae")


def test_single_file_of_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wan.safetensors").touch()

    with pytest.raises(CannotDraft, match="from_single_file"):
        draft(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"_class_name": 3}'])
def test_index_without_a_class_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(text)

    with pytest.raises(CannotDraft, match="download the model again"):
        draft(tmp_path)


@pytest.mark.parametrize("text", ["[]", '{"block_out_channels": "wide"}'])
def test_part_with_settings_that_make_no_sense_is_refused(text: str, tmp_path: Path) -> None:
    _index(tmp_path, _class_name="StableDiffusionPipeline", vae=["diffusers", "AutoencoderKL"])
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/config.json").write_text(text)

    with pytest.raises(CannotDraft, match="download the model again"):
        draft(tmp_path)
