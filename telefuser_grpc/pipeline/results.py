"""Reads what a pipeline's function has returned, in any of the forms that files use."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from telefuser_grpc.domain.job import Job, RunReport
from telefuser_grpc.errors import OutputInvalid
from telefuser_grpc.pipeline.rendering import Audio, Rendering

FRAME_KEYS = ("frames", "video", "images", "image")
FILE_KEYS = ("output_path", "uri")
MEASURES = ("inference_time_s", "peak_memory_mb", "peak_memory_gb")
EXPECTED = {*FRAME_KEYS, *FILE_KEYS, *MEASURES, "metrics", "fps", "audio"}
DEFAULT_FPS = 16.0
CLOCK_SLACK_SECONDS = 1.0
"""By how much the clock of a file system may be behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured around a run, used where the pipeline does not tell by itself.

    Attributes:
        since: When it began, in seconds since 1970.
        batch_size: How many jobs it made.
    """

    seconds: float
    peak_memory_mib: float | None
    since: float = 0.0
    batch_size: int = 1


def read_result(result: Any, job: Job, *, measured: Measured, fps: float | None) -> Rendering:
    """Returns the rendering of a job: pictures in main memory, or the file that was written.

    `fps` is what the file says of its clips in general.

    Raises:
        OutputInvalid: The result has a form that is not understood.
    """
    extras = result if isinstance(result, Mapping) else {}
    pictures, audio = _pictures(result)
    file = "" if pictures is not None else _written_file(result, job)
    if pictures is None and not file and job.output_name:
        _refuse_other_names(extras)
    return Rendering(
        report=_report(extras, measured),
        frames=None if pictures is None else _to_host(_unwrap_batch(pictures)),
        file=file,
        fps=_fps(extras, job, fps),
        audio=None if audio is None else _audio(*audio),
    )


def check_origin(rendering: Rendering, job: Job, *, since: float) -> None:
    """Refuses a file outside of the job's folder that was not written since a time: not its own.

    Raises:
        OutputInvalid
    """
    if not (rendering.file and job.output_name):
        return
    path = Path(rendering.file).resolve()
    if path.is_relative_to(Path(job.output_folder).resolve()) or not path.is_file():
        return
    if path.stat().st_ctime < since - CLOCK_SLACK_SECONDS:
        raise OutputInvalid(
            f"The pipeline returned {path.name!r}, which it did not write for this task; write to "
            "output_path"
        )


def _refuse_other_names(extras: Mapping[str, Any]) -> None:
    if others := [str(name) for name in extras if name not in EXPECTED]:
        raise OutputInvalid(
            f"The pipeline returned {', '.join(others)}, and wrote no file; name pictures "
            "'frames' or 'images', and a file 'output_path'"
        )


def _pictures(result: Any) -> tuple[Any, Any]:
    """Separates the pictures of a result from a pair of samples and rate; None where absent."""
    match result:
        case None | str() | Path():
            return None, None
        case Mapping():
            return _first_of(result, FRAME_KEYS), result.get("audio")
        case (video, audio, int() | float() as rate):
            return video, None if audio is None else (audio, rate)
        case (video,) if isinstance(result, tuple):  # a diffusers call with return_dict=False
            return video, None
        case list() | tuple():
            return result, None
    if hasattr(result, "frames"):
        return result.frames, None
    if hasattr(result, "images"):
        return result.images, None
    if _is_image(result):
        return [result], None
    if hasattr(result, "ndim"):
        return (result[None] if result.ndim < 4 else result), None
    raise OutputInvalid(
        f"The pipeline returned a {type(result).__name__}; return frames, images or a file's path"
    )


def _first_of(values: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    found = next((values[key] for key in keys if values.get(key) is not None), None)
    if found is None or isinstance(found, list | tuple):
        return found
    return _pictures(found)[0]


def _is_image(value: Any) -> bool:
    return hasattr(value, "mode") and hasattr(value, "size") and hasattr(value, "convert")


def _unwrap_batch(pictures: Any) -> Any:
    """Takes the clip out of a batch of one."""
    is_batch = getattr(pictures, "ndim", 0) == 5 or (
        isinstance(pictures, list | tuple)
        and len(pictures) > 0
        and (isinstance(pictures[0], list | tuple) or getattr(pictures[0], "ndim", 0) == 4)
    )
    if not is_batch:
        return pictures
    if len(pictures) != 1:
        raise OutputInvalid(f"The pipeline returned {len(pictures)} clips; a task takes one")
    return pictures[0]


def _to_host(value: Any) -> Any:
    """Copies tensors off their device now, so that the device is free for the next task."""
    if isinstance(value, list | tuple):
        return [_to_host(each) for each in value]
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _written_file(result: Any, job: Job) -> str:
    named = result
    if isinstance(result, Mapping):
        named = next((result[key] for key in FILE_KEYS if result.get(key)), None)
    if named is None and not job.output_name:
        return ""
    wanted = str(named or job.output_name).removeprefix("file://")
    if "://" in wanted:
        raise OutputInvalid("The pipeline returned a remote address; it must write a local file")
    path = Path(job.output_folder, wanted)
    return str(path) if named or path.exists() else ""


def _fps(extras: Mapping[str, Any], job: Job, fps: float | None) -> float:
    given = (extras.get("fps"), job.fields.get("fps"), job.fields.get("target_fps"), fps)
    return next((float(each) for each in given if _is_positive(each)), DEFAULT_FPS)


def _audio(samples: Any, rate: Any) -> Audio:
    return Audio(samples=_to_host(samples), rate=int(rate))


def _report(extras: Mapping[str, Any], measured: Measured) -> RunReport:
    nested = extras.get("metrics")
    told = {**(nested if isinstance(nested, Mapping) else {}), **extras}
    seconds, mib, gib = (
        float(told[name]) if _is_positive(told.get(name)) else None for name in MEASURES
    )
    memory = mib if gib is None or mib is not None else gib * 1024
    return RunReport(
        inference_seconds=measured.seconds if seconds is None else seconds,
        peak_memory_mib=measured.peak_memory_mib if memory is None else memory,
        batch_size=measured.batch_size,
    )


def _is_positive(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12
