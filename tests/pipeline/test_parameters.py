"""Declarations that contracts share hold requests to what they say."""

from typing import Any

import pytest

from telefuser_grpc.domain.contract import TaskContract
from telefuser_grpc.errors import InvalidFields, MissingParameters
from telefuser_grpc.pipeline import parameters as declare

CONTRACT = TaskContract.parse(
    "t2v",
    {
        "parameters": {
            "prompt": declare.prompt(max_length=20, example="A cat"),
            "negative_prompt": declare.negative_prompt("blurry", max_length=20),
            "seed": declare.seed(),
            "num_inference_steps": declare.steps(40, maximum=50),
            "guidance_scale": declare.guidance(5.0),
            "target_video_length": declare.seconds(5, maximum=10, minimum=2),
            "num_frames": declare.frames(maximum=81),
            "width": declare.side("width", maximum=1280, multiple=16),
            "resolution": declare.resolution("480p", ("480p", "720p")),
            "aspect_ratio": declare.aspect_ratio(),
            "output_format": declare.output_format(),
            "output_path": declare.OUTPUT_PATH,
        }
    },
)


def test_request_of_a_prompt_gets_the_defaults() -> None:
    assert CONTRACT.complete({"prompt": "a cat"}) == {
        "prompt": "a cat",
        "negative_prompt": "blurry",
        "seed": 42,
        "num_inference_steps": 40,
        "guidance_scale": 5.0,
        "target_video_length": 5,
        "resolution": "480p",
        "aspect_ratio": "16:9",
        "output_format": "png",
        "output_path": "",
    }


def test_prompt_is_required() -> None:
    with pytest.raises(MissingParameters):
        CONTRACT.complete({})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", "x" * 20),
        ("seed", 2**63 - 1),
        ("num_inference_steps", 50),
        ("guidance_scale", 1.0),
        ("target_video_length", 10),
        ("num_frames", 5),
        ("num_frames", 81),
        ("width", 64),
        ("resolution", "720p"),
        ("aspect_ratio", "9:16"),
        ("output_format", "webp"),
    ],
)
def test_value_within_what_is_declared_is_taken(field: str, value: Any) -> None:
    assert CONTRACT.complete({"prompt": "a cat", field: value})[field] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", "x" * 21),
        ("negative_prompt", "x" * 21),
        ("seed", -1),
        ("seed", 2**63),
        ("num_inference_steps", 0),
        ("num_inference_steps", 51),
        ("guidance_scale", 0.5),
        ("guidance_scale", 21),
        ("target_video_length", 1),
        ("target_video_length", 11),
        ("num_frames", 1),
        ("num_frames", 6),
        ("num_frames", 85),
        ("width", 63),
        ("width", 1281),
        ("resolution", "1080p"),
        ("aspect_ratio", "21:9"),
        ("output_format", "gif"),
    ],
)
def test_value_beyond_what_is_declared_is_told_by_its_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidFields) as refused:
        CONTRACT.complete({"prompt": "a cat", field: value})

    assert [each.field for each in refused.value.violations] == [field]


def test_exact_sizes_have_no_default() -> None:
    declared = declare.exact_size(("1024x1024", "512x512"))
    contract = TaskContract.parse("t2i", {"parameters": {"resolution": declared}})

    assert contract.complete({}) == {}
    with pytest.raises(InvalidFields):
        contract.complete({"resolution": "1x1"})


def test_size_by_a_picture_is_declared_with_its_choices() -> None:
    declared = declare.resolution_of_image("480p", ("480p", "720p"))

    assert (declared["default"], declared["enum"]) == ("480p", ["480p", "720p"])
    assert "picture" in declared["description"]


def test_batch_agrees_in_all_but_what_each_has_for_itself() -> None:
    declared = declare.batch(CONTRACT.parameters, max_size=4)

    assert declared == {
        "keys": [
            "num_inference_steps",
            "guidance_scale",
            "target_video_length",
            "num_frames",
            "width",
            "resolution",
            "aspect_ratio",
        ],
        "max_size": 4,
    }


def test_same_seed_draws_the_same_noise() -> None:
    torch = pytest.importorskip("torch")

    def noise(seed: int) -> Any:
        return torch.randn(4, generator=declare.generator(seed))

    assert torch.equal(noise(7), noise(7))
    assert not torch.equal(noise(7), noise(8))
    assert declare.generator(2**63 - 1).device.type == "cpu"
