"""Builds pools of real processes on the tiny pipelines, and the jobs that they run."""

import sys
from pathlib import Path
from typing import Any

from telefuser_grpc.domain.job import Job
from telefuser_grpc.workers.pool import LocalReplicaPool

TESTS = Path(__file__).parents[1]
SLOW_ENCODER = (sys.executable, str(TESTS / "workers" / "slow_encoder.py"))


def local_pool(pipeline: str, *, replicas: int = 1, **options: Any) -> LocalReplicaPool:
    """Returns a pool that serves `tests/pipelines/<pipeline>_pipeline.py`, else on the CPU."""
    defaults = {
        "task": None,
        "devices": [()] * replicas,
        "parallelism": 1,
        "preview_interval_seconds": 0.0,
        "start_timeout_seconds": 60.0,
    }
    path = TESTS / "pipelines" / f"{pipeline}_pipeline.py"
    return LocalReplicaPool(path, replicas=replicas, **(defaults | options))


def make_job(task_id: str = "task_1", *, folder: Path | None = None, **fields: Any) -> Job:
    """Returns a first attempt that makes a picture in `folder`, or nothing without one."""
    return Job(
        task_id=task_id,
        attempt=1,
        kind="t2i" if folder else "t2v",
        media_type="image" if folder else "none",
        fields=fields,
        inputs={},
        output_folder=str(folder or ""),
        output_name=f"images/{task_id}.png" if folder else "",
    )
