"""What a replica is told to run, and what it measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a replica is told to run.

    Attributes:
        fields: All task fields for the pipeline, `task` and `task_id` among them.
        inputs: Absolute paths of media by field name.
        output_folder: An absolute folder of this attempt alone, which exists.
        output_name: The wanted file's path below it, or "" for no file.
        trace_parent: W3C trace context that the run's spans belong to, or "".
    """

    task_id: str
    attempt: int
    kind: str
    media_type: str
    fields: Mapping[str, Any]
    inputs: Mapping[str, str]
    output_folder: str
    output_name: str
    trace_parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a finished run measured: seconds of the pipeline, and MiB of device memory.

    Attributes:
        batch_size: How many jobs were made together in those seconds.
    """

    inference_seconds: float
    peak_memory_mib: float | None = None
    batch_size: int = 1
