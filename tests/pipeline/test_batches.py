"""Several jobs run together: each has its own seed, steps, previews, cancel and result."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.errors import OutOfMemory, OutputInvalid, PipelineFailed, TaskCancelled
from telefuser_grpc.pipeline.loader import LoadedPipeline, PipelineLoadError, load
from telefuser_grpc.pipeline.rendering import Rendering
from telefuser_grpc.pipeline.runner import render, render_batch
from tests.fakes.pipelines import Watcher, make_job, write_file

Loader = Callable[[str], LoadedPipeline]

CONTRACT = """
PIPELINE_CONTRACT = {
    "supported_tasks": ["t2v"],
    "task_contracts": {"t2v": {"batch": {"keys": [], "max_size": 4}}},
}
"""
WAN = (
    CONTRACT
    + """
import torch
from tests.fakes.pipelines import tiny_wan, wan_call

def get_pipeline():
    return tiny_wan()

def run(pipeline, request, context):
    return run_batch(pipeline, [request], [context])[0]

def run_batch(pipeline, requests, contexts):
    arguments = wan_call()
    arguments["generator"] = [torch.Generator().manual_seed(each["seed"]) for each in requests]
    for name in ("prompt_embeds", "negative_prompt_embeds"):
        arguments[name] = arguments[name].repeat(len(requests), 1, 1)
    return pipeline(**arguments).frames
"""
)
PLAIN = (
    CONTRACT
    + """
def get_pipeline(): return []
def run(pipeline, request, context): return None
def run_batch(pipeline, requests, contexts):
"""
)


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loader]:
    opened: list[LoadedPipeline] = []

    def load_source(source: str) -> LoadedPipeline:
        opened.append(load(write_file(tmp_path, source), task=None, parallelism=1))
        return opened[-1]

    yield load_source
    for each in opened:
        each.close()


@pytest.fixture
def wan(loaded: Loader) -> LoadedPipeline:
    pytest.importorskip("diffusers")
    return loaded(WAN)


def together(
    pipeline: LoadedPipeline, folder: Path, watchers: list[Watcher], **fields: list[Any]
) -> list[Any]:
    """Renders a job for each watcher; every field has a value for each."""
    jobs = [
        make_job(folder, fields={name: values[index] for name, values in fields.items()})
        for index in range(len(watchers))
    ]
    return render_batch(pipeline, jobs, [each.context for each in watchers])


def test_each_member_is_what_its_seed_makes_alone(wan: LoadedPipeline, tmp_path: Path) -> None:
    seeds = [1, 7, 3]
    alone = [
        render(wan, make_job(tmp_path, fields={"seed": seed}), Watcher().context) for seed in seeds
    ]

    batched = together(wan, tmp_path, [Watcher() for _ in seeds], seed=seeds)

    assert [each.report.batch_size for each in (*alone, *batched)] == [1, 1, 1, 3, 3, 3]
    for one, other in zip(alone, batched, strict=True):
        assert one.frames.shape == other.frames.shape
        assert abs(one.frames - other.frames).max() < 1e-4
    assert abs(batched[0].frames - batched[1].frames).max() > 1e-3


def test_every_step_reaches_every_member(wan: LoadedPipeline, tmp_path: Path) -> None:
    watchers = [Watcher(), Watcher()]

    together(wan, tmp_path, watchers, seed=[1, 2])

    assert [each.steps for each in watchers] == [[(1, 4), (2, 4), (3, 4), (4, 4)]] * 2


def test_each_member_previews_its_own_latents(wan: LoadedPipeline, tmp_path: Path) -> None:
    alone, *watchers = [Watcher(preview_interval_seconds=0) for _ in range(3)]
    render(wan, make_job(tmp_path, fields={"seed": 2}), alone.context)

    together(wan, tmp_path, watchers, seed=[1, 2])

    assert difference(alone, watchers[1]) < 4
    assert difference(alone, watchers[0]) > 40


def test_latents_that_are_not_one_for_each_member_are_not_shown(
    loaded: Loader, tmp_path: Path
) -> None:
    pytest.importorskip("diffusers")
    one_by_one = "[run_batch(pipeline, [each], [])[0] for each in requests]"
    source = WAN.replace(
        "    arguments = wan_call()",
        f"    if contexts: return {one_by_one}\n    arguments = wan_call()",
    )
    watchers = [Watcher(preview_interval_seconds=0), Watcher(preview_interval_seconds=0)]

    together(loaded(source), tmp_path, watchers, seed=[1, 2])

    assert [each.previews for each in watchers] == [[], []]
    assert [len(each.steps) for each in watchers] == [8, 8]


def test_a_cancelled_member_hears_no_more_while_the_others_run_on(
    wan: LoadedPipeline, tmp_path: Path
) -> None:
    stopped, other = Watcher(cancel_after=2), Watcher()
    expected = render(wan, make_job(tmp_path, fields={"seed": 2}), Watcher().context)

    results = together(wan, tmp_path, [stopped, other], seed=[1, 2])

    assert stopped.steps == [(1, 4), (2, 4)]
    assert len(other.steps) == 4
    assert abs(results[1].frames - expected.frames).max() < 1e-4


def test_the_denoising_stops_when_all_members_are_cancelled(
    wan: LoadedPipeline, tmp_path: Path
) -> None:
    watchers = [Watcher(cancel_after=2), Watcher(cancel_after=1)]

    with pytest.raises(TaskCancelled):
        together(wan, tmp_path, watchers, seed=[1, 2])

    assert [each.steps for each in watchers] == [[(1, 4), (2, 4)], [(1, 4)]]


def test_a_file_that_tells_of_its_members_is_stopped_by_the_last_only(
    loaded: Loader, tmp_path: Path
) -> None:
    body = """
    for step in (1, 2, 3):
        for context in contexts:
            context.progress(step, 3)
        pipeline.append([context.cancelled for context in contexts])
    return [None, None]
"""
    watchers = [Watcher(cancel_after=1), Watcher(cancel_after=2)]
    pipeline = loaded(PLAIN + body)

    with pytest.raises(TaskCancelled):
        together(pipeline, tmp_path, watchers)

    assert pipeline.pipeline == [[True, False]]


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("return [None]", OutputInvalid, "run_batch returned 1 results for 2 requests"),
        ("return None", OutputInvalid, "run_batch returned a NoneType; return a list"),
        ("return {'frames': []}", OutputInvalid, "run_batch returned a dict; return a list"),
        ("raise MemoryError", OutOfMemory, "Out of memory"),
        ("1 / 0", PipelineFailed, "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_made_together_says_why(
    loaded: Loader, tmp_path: Path, body: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        together(loaded(PLAIN + f"    {body}"), tmp_path, [Watcher(), Watcher()])


def test_a_result_of_no_form_is_its_own_members_failure(loaded: Loader, tmp_path: Path) -> None:
    pipeline = loaded(PLAIN + "    return [3.5, None]")

    wrong, right = together(pipeline, tmp_path, [Watcher(), Watcher()])

    assert isinstance(wrong, OutputInvalid)
    assert isinstance(right, Rendering)


def test_a_contract_with_batches_needs_run_batch(tmp_path: Path) -> None:
    source = PLAIN.partition("def run_batch")[0]
    message = "task_contracts.t2v.batch: the pipeline file must define run_batch(pipeline, "

    with pytest.raises(PipelineLoadError, match=re.escape(message)):
        load(write_file(tmp_path, source), task=None, parallelism=1)


def test_an_entry_point_may_name_the_function(loaded: Loader, tmp_path: Path) -> None:
    named = 'PIPELINE_CONTRACT["entrypoints"] = {"run_batch": "make"}\n'
    source = PLAIN.replace("run_batch", "make") + "    return [None, None]\n" + named

    assert len(together(loaded(source), tmp_path, [Watcher(), Watcher()])) == 2


def difference(one: Watcher, other: Watcher) -> float:
    """Returns by how much, of 255, two last previews differ on average."""
    import numpy as np
    from PIL import Image

    pictures = [
        np.asarray(Image.open(io.BytesIO(each.previews[-1].image)), dtype=float)
        for each in (one, other)
    ]
    return float(abs(pictures[0] - pictures[1]).mean())
