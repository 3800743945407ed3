"""Two processes share every step of a request, and nobody sees a difference but in the time."""

import io
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from telefuser_grpc.pipeline.context import RunContext
from telefuser_grpc.pipeline.encode import encode
from telefuser_grpc.pipeline.loader import load
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.runner import render
from tests.fakes.service import ROOT, Deaths
from tests.pipelines.serving import PROMPT, Made, Served, serve
from tests.workers.local_pool import make_job

pytest.importorskip("diffusers")

FILE = "wan21_t2v_1_3b.py"
CLIP = {"width": 80, "height": 80, "num_frames": 9, "num_inference_steps": 3}
"""75 tokens: the ranks have unequal parts."""
LONG = CLIP | {"num_inference_steps": 60}
STARTED, RANK_STARTED = "replica started", "rank started"
FAINT = 4
"""The difference of a colour value that may come of another order of summing."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.wan import save_wan21_t2v

    folder = tmp_path_factory.mktemp("context")
    settings = {"parallel": "context", "parallelism": 2}
    with serve(FILE, folder, save_wan21_t2v, **settings) as served:
        yield served


@pytest.fixture
def alone(served: Served, tmp_path: Path) -> Made:
    """The clip of seed 7 as this process makes it."""
    path, options = (
        ROOT / "pipelines" / FILE,
        ModelOptions(model=str(served.service.folder / "model")),
    )
    loaded = load(path, task=None, parallelism=1, options=options)
    declared = loaded.contract.tasks["t2v"].parameters
    defaults = {name: each.default for name, each in declared.items() if each.default is not None}
    fields = defaults | CLIP | {"prompt": PROMPT, "negative_prompt": "", "seed": 7}
    job = replace(
        make_job(folder=tmp_path, **fields), kind="t2v", media_type="video", output_name="clip.mp4"
    )
    context = RunContext(report=lambda _: None, cancelled=threading.Event())
    (file,) = encode(render(loaded, job, context), job)
    loaded.close()
    return Made(Path(file.path).read_bytes(), [])


def test_clip_is_the_one_that_one_process_makes(served: Served, alone: Made) -> None:
    made = served.make(**CLIP, seed=7)

    assert made.frames == alone.frames == [(80, 80)] * 9
    assert made.steps == [1, 2, 3]
    difference = np.abs(_pixels(made) - _pixels(alone))
    assert difference.max() <= FAINT
    assert "preview" in {event.name for event in made.events}


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)

    assert served.make(**CLIP, seed=7).data == first.data != other.data


def test_cancel_stops_both_processes_and_the_next_task_has_them(served: Served) -> None:
    assert served.cancel_at_first_step(**LONG) == "cancelled"

    assert served.make(**CLIP).frames == [(80, 80)] * 9
    assert len(served.service.log.events(STARTED)) == 1


def test_member_of_a_batch_is_cancelled_in_both_processes(served: Served) -> None:
    for seed in (1, 2):  # how long one takes alone is measured first
        served.make(**LONG, seed=seed)
    tasks: list[str] = []
    before = served.create(**CLIP | {"num_inference_steps": 100})
    served.at_first_step(
        before, lambda: tasks.extend(served.create(**LONG, seed=seed) for seed in (1, 2))
    )
    served.cancel(before)

    served.at_first_step(tasks[1], lambda: served.cancel(tasks[1]))

    assert served.follow(tasks[1])[-1].data["status"] == "cancelled"
    assert served.made(tasks[0]).frames == [(80, 80)] * 9
    assert [each["tasks"] for each in served.service.log.events("tasks are made together")] == [
        tasks
    ]
    assert len(served.service.log.events(STARTED)) == 1


def test_task_survives_the_death_of_the_second_process(served: Served) -> None:
    task_id = served.create(**LONG)
    starts = len(served.service.log.events(STARTED))

    served.at_first_step(task_id, lambda: os.kill(_follower(served), signal.SIGKILL))

    assert served.made(task_id).frames == [(80, 80)] * 9
    assert len(served.service.log.events(STARTED)) == starts + 1
    assert served.service.log.events("replica leaves")[-1]["why"] == "rank 1 is gone"


def test_second_process_dies_with_the_first(served: Served) -> None:
    starts = len(served.service.log.events(STARTED))
    with Deaths([_follower(served)]) as deaths:
        os.kill(served.service.children()["replica 0"], signal.SIGKILL)

        deaths.wait()
    served.service.log.wait_for(STARTED, count=starts + 1)


def test_both_processes_die_with_the_service_while_they_load(served: Served) -> None:
    starts = len(served.service.log.events(RANK_STARTED))
    os.kill(served.service.children()["replica 0"], signal.SIGKILL)
    served.service.log.wait_for(RANK_STARTED, count=starts + 1)

    with Deaths([_follower(served)]) as deaths:
        served.service.kill()

        deaths.wait()


def _follower(served: Served) -> int:
    return int(served.service.log.events(RANK_STARTED)[-1]["pid"])


def _pixels(made: Made) -> Any:
    with av.open(io.BytesIO(made.data), "r") as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    return np.stack(frames).astype(int)
