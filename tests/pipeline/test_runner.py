"""A job runs on a loaded pipeline, whatever the style of its file, and leaves nothing behind."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telefuser_grpc.errors import OutOfMemory, PipelineFailed, TaskCancelled, TaskFailed
from telefuser_grpc.pipeline.encode import encode
from telefuser_grpc.pipeline.loader import LoadedPipeline, load
from telefuser_grpc.pipeline.runner import OUTPUT_FOLDER_VARIABLE, render
from tests.fakes.pipelines import Watcher, make_job, write_file

Loader = Callable[[str], LoadedPipeline]

# A file in TeleFuser's style, which knows nothing of this service.
TELEFUSER_STYLE = """
from tests.fakes.pipelines import tiny_wan, wan_call

PIPELINE_MANIFEST = {"pipeline_name": "tiny", "supported_tasks": ["t2v"]}
PPL_CONFIG = {"target_fps": 8}

class Wrapper:
    def __init__(self):
        self.pipe = tiny_wan()

def get_pipeline(parallelism=1):
    return Wrapper()

def run_with_file(pipeline, seed, output_path):
    frames = pipeline.pipe(**wan_call(seed=seed)).frames[0]
    return {"frames": frames}
"""
OURS = """
PIPELINE_CONTRACT = {"supported_tasks": ["t2v"]}
def get_pipeline(parallelism=1): return []
def run(pipeline, request, context):
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loader]:
    opened: list[LoadedPipeline] = []

    def load_source(source: str) -> LoadedPipeline:
        opened.append(load(write_file(tmp_path, source), task="t2v", parallelism=1))
        return opened[-1]

    yield load_source
    for each in opened:
        each.close()


def test_a_file_in_telefusers_style_reports_its_steps(tmp_path: Path, loaded: Loader) -> None:
    pytest.importorskip("diffusers")
    pipeline, watcher = loaded(TELEFUSER_STYLE), Watcher(preview_interval_seconds=0)
    job = make_job(tmp_path, fields={"seed": 1})

    files = encode(render(pipeline, job, watcher.context), job)

    assert watcher.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(watcher.previews) == 4
    assert watcher.progress[-1].remaining_seconds == 0.0
    assert (files[0].facts.frame_count, files[0].facts.width) == (5, 32)


def test_a_file_in_telefusers_style_stops_at_the_next_step(tmp_path: Path, loaded: Loader) -> None:
    pytest.importorskip("diffusers")
    pipeline, watcher = loaded(TELEFUSER_STYLE), Watcher(cancel_after=2)
    job = make_job(tmp_path, fields={"seed": 1})
    before = render(pipeline, job, Watcher().context)

    with pytest.raises(TaskCancelled):
        render(pipeline, job, watcher.context)
    after = render(pipeline, job, Watcher().context)

    assert watcher.steps == [(1, 4), (2, 4)]
    assert after.frames.tobytes() == before.frames.tobytes()


def test_our_run_gets_the_request_and_a_context(tmp_path: Path, loaded: Loader) -> None:
    source = OURS + "    pipeline.append(dict(request)); context.progress(1, 2)"
    pipeline, watcher = loaded(source), Watcher()
    job = make_job(tmp_path, fields={"prompt": "x"}, inputs={"first_image_path": "/tasks/t/a.png"})

    render(pipeline, job, watcher.context)

    assert pipeline.pipeline[0]["prompt"] == "x"
    assert pipeline.pipeline[0]["first_image_path"] == "/tasks/t/a.png"
    assert watcher.steps == [(1, 2)]


def test_coroutines_of_a_file_share_one_event_loop(tmp_path: Path, loaded: Loader) -> None:
    source = """
        import asyncio
        class Pipeline:
            async def astart(self): self.loop = asyncio.get_running_loop()
        def get_pipeline(): return Pipeline()
        async def run_with_file(pipeline, output_path):
            assert asyncio.get_running_loop() is pipeline.loop
            return output_path
    """
    pipeline = loaded(source)

    rendering = render(pipeline, make_job(tmp_path), Watcher().context)

    assert rendering.file == str(tmp_path / "t.mp4")


def test_what_a_plain_function_leaves_to_be_awaited_is_awaited(
    tmp_path: Path, loaded: Loader
) -> None:
    source = """
        def get_pipeline(): return None
        async def make(output_path): return output_path
        def run_with_file(pipeline, output_path): return make(output_path)
    """

    rendering = render(loaded(source), make_job(tmp_path), Watcher().context)

    assert rendering.file == str(tmp_path / "t.mp4")


def test_the_output_folder_is_in_the_environment_while_a_job_runs(
    tmp_path: Path, loaded: Loader
) -> None:
    source = OURS + f"    import os; pipeline.append(os.environ[{OUTPUT_FOLDER_VARIABLE!r}])"
    pipeline = loaded(source)

    render(pipeline, make_job(tmp_path), Watcher().context)

    assert pipeline.pipeline == [str(tmp_path)]
    assert OUTPUT_FOLDER_VARIABLE not in os.environ


def test_an_output_folder_of_the_operator_is_put_back(
    tmp_path: Path, loaded: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OUTPUT_FOLDER_VARIABLE, "/operator")

    render(loaded(OURS + "    return None"), make_job(tmp_path), Watcher().context)

    assert os.environ[OUTPUT_FOLDER_VARIABLE] == "/operator"


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("1 / 0", PipelineFailed, "ZeroDivisionError: division by zero"),
        ("raise OSError('no /srv/x')", PipelineFailed, "OSError: no <path>"),
        ("raise SystemExit(3)", PipelineFailed, "SystemExit: 3"),
        ("raise MemoryError", OutOfMemory, "reduce resolution or frame count"),
        ("import asyncio; raise asyncio.CancelledError", PipelineFailed, "CancelledError"),
    ],
)
def test_a_failure_is_told_and_the_pipeline_works_on(
    tmp_path: Path, loaded: Loader, body: str, error: type[TaskFailed], message: str
) -> None:
    pipeline = loaded(OURS + f"    if 'fail' in request: {body}")

    with pytest.raises(error, match=message):
        render(pipeline, make_job(tmp_path, fields={"fail": 1}), Watcher().context)

    assert render(pipeline, make_job(tmp_path), Watcher().context).frames is None


@pytest.mark.parametrize(
    "body",
    [
        "context.raise_if_cancelled()",
        "pass",
        "raise ValueError('stopped')",
        "exec('try: context.progress(1, 2)\\nexcept Exception: pass')",
    ],
)
def test_a_run_that_was_cancelled_ends_as_cancelled_however_it_ended(
    tmp_path: Path, loaded: Loader, body: str
) -> None:
    pipeline, watcher = loaded(OURS + f"    request['cancel'].set(); {body}"), Watcher()

    with pytest.raises(TaskCancelled):
        render(pipeline, make_job(tmp_path, fields={"cancel": watcher.cancelled}), watcher.context)


def test_a_run_that_is_cancelled_already_does_not_begin(tmp_path: Path, loaded: Loader) -> None:
    pipeline, watcher = loaded(OURS + "    pipeline.append(1)"), Watcher()
    watcher.cancelled.set()

    with pytest.raises(TaskCancelled):
        render(pipeline, make_job(tmp_path), watcher.context)

    assert pipeline.pipeline == []


def test_a_request_changed_by_a_run_is_whole_for_the_next(tmp_path: Path, loaded: Loader) -> None:
    pipeline = loaded(OURS + "    pipeline.append(request.pop('prompt'))")
    job = make_job(tmp_path, fields={"prompt": "x"})

    render(pipeline, job, Watcher().context)
    render(pipeline, job, Watcher().context)

    assert pipeline.pipeline == ["x", "x"]


def test_the_seconds_of_a_run_are_measured(tmp_path: Path, loaded: Loader) -> None:
    report = render(loaded(OURS + "    pass"), make_job(tmp_path), Watcher().context).report

    assert 0 < report.inference_seconds < 10
    assert report.peak_memory_mib is None
