"""One run with the contract's defaults, so that the first request does not pay for the first."""

import tempfile
import threading
from pathlib import Path

import structlog

from telefuser_grpc.domain.contract import PipelineContract, TaskContract
from telefuser_grpc.domain.job import Job
from telefuser_grpc.domain.kinds import IMAGE_FIELDS, MediaType
from telefuser_grpc.errors import TaskFailed
from telefuser_grpc.pipeline.context import RunContext
from telefuser_grpc.pipeline.encode import encode
from telefuser_grpc.pipeline.loader import LoadedPipeline, PipelineLoadError
from telefuser_grpc.pipeline.runner import render

PICTURE_SIZE = (512, 512)
NAMES = {MediaType.VIDEO: "warmup.mp4", MediaType.IMAGE: "warmup.png", MediaType.NONE: ""}

logger = structlog.get_logger()


def warm_up(loaded: LoadedPipeline) -> None:
    """Runs the first kind of task that needs no more than pictures, and encodes what it makes.

    Grey pictures stand for those. A pipeline whose kinds all need clips or sound stays cold.

    Raises:
        PipelineLoadError: The run failed.
    """
    task = _easiest(loaded.contract)
    if task is None:
        logger.warning("no warm-up", why="every kind of task needs a clip or sound")
        return
    with tempfile.TemporaryDirectory(prefix="warmup-") as folder:
        job = _job(task, Path(folder))
        context = RunContext(report=lambda _: None, cancelled=threading.Event())
        try:
            encode(render(loaded, job, context), job)
        except TaskFailed as failure:
            why = f"The warm-up of {task.kind} failed: {failure.message}"
            raise PipelineLoadError(why) from failure
    logger.info("pipeline is warm", kind=task.kind)


def _easiest(contract: PipelineContract) -> TaskContract | None:
    tasks = contract.tasks.values()
    return next((each for each in tasks if set(each.required_inputs) <= set(IMAGE_FIELDS)), None)


def _job(task: TaskContract, folder: Path) -> Job:
    fields = {
        name: each.default
        for name, each in task.parameters.items()
        if each.exposed and each.default is not None
    }
    return Job(
        task_id="warmup",
        attempt=1,
        kind=task.kind,
        media_type=task.media_type,
        fields={"prompt": "", **fields},
        inputs={name: _picture(folder / f"{name}.png") for name in task.required_inputs},
        output_folder=str(folder),
        output_name=NAMES[task.media_type],
    )


def _picture(path: Path) -> str:
    from PIL import Image  # not needed by pipelines without pictures

    Image.new("RGB", PICTURE_SIZE, "grey").save(path)
    return str(path)
