"""What a contract allows under one name it allows under every other, in every file."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest

from telefuser_grpc.domain.contract import PipelineContract, TaskContract
from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.catalogue import pipeline_files
from telefuser_grpc.pipeline.loader import import_file
from telefuser_grpc.pipeline.sizes import frame_count, size_of
from tests.fakes.service import ROOT

pytest.importorskip("diffusers")

MULTIPLE = re.compile(r"rounded up to a multiple of (\d+)")

Served = tuple[ModuleType, TaskContract]


@pytest.fixture(
    scope="module", params=pipeline_files(ROOT / "pipelines"), ids=lambda path: str(path.stem)
)
def tasks(request: pytest.FixtureRequest) -> list[Served]:
    path: Path = request.param
    file = import_file(path)
    contract = PipelineContract.parse(file.PIPELINE_CONTRACT, stem=path.stem)
    return [(file, task) for task in contract.tasks.values()]


def test_size_that_a_name_stands_for_may_be_asked_in_pixels(tasks: list[Served]) -> None:
    for _, task in tasks:
        for width, height in _named_sizes(task):
            task.complete({**_needed(task), "width": width, "height": height})


def test_clip_of_so_many_seconds_may_be_asked_in_frames(tasks: list[Served]) -> None:
    for file, task in tasks:
        for frames in _frames_of_seconds(file, task):
            task.complete({**_needed(task), "num_frames": frames})


def test_resolution_has_the_aspect_that_can_be_asked(tasks: list[Served]) -> None:
    of_words = declare.resolution("", ())["description"]
    for _, task in tasks:
        resolution = task.parameters.get("resolution")
        if resolution and resolution.description == of_words:
            assert "aspect_ratio" in task.parameters


def test_defaults_are_such_as_a_caller_may_give(tasks: list[Served]) -> None:
    for _, task in tasks:
        defaults = task.complete(_needed(task))

        assert task.complete(defaults) == defaults


def _named_sizes(task: TaskContract) -> Iterator[tuple[int, int]]:
    """Yields the sizes that come of resolutions, in the shapes that are asked or usual."""
    sides = task.parameters.get("width")
    if sides is None:
        return
    (multiple,) = map(int, MULTIPLE.findall(sides.description))
    aspect = task.parameters.get("aspect_ratio")
    for name, shape in product(
        task.parameters["resolution"].enum, aspect.enum if aspect else declare.ASPECT_RATIOS
    ):
        yield size_of({"resolution": name, "aspect_ratio": shape}, multiple=multiple)


def _frames_of_seconds(file: ModuleType, task: TaskContract) -> Iterator[int]:
    seconds, frames = (task.parameters.get(name) for name in ("target_video_length", "num_frames"))
    if seconds is None or frames is None:
        return
    fewest, next_ = map(int, frames.enum[:2])
    for length in range(int(seconds.minimum or 1), int(seconds.maximum or 0) + 1):
        asked = {"target_video_length": length}
        yield frame_count(asked, fps=file.FPS, every=next_ - fewest)


def _needed(task: TaskContract) -> dict[str, str]:
    return {"prompt": "a cat", **dict.fromkeys(task.required_inputs, "a file")}
