"""Builds pools of real processes on the tiny pipelines, and the jobs that they run."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from telefuser_grpc.domain.job import Job
from telefuser_grpc.workers.pool import LocalReplicaPool
from telefuser_grpc.workers.process import COMMAND

TESTS = Path(__file__).parents[1]
SLOW_ENCODER = (sys.executable, str(TESTS / "workers" / "slow_encoder.py"))


def local_pool(
    pipeline: str,
    *,
    replicas: int = 1,
    start_timeout_seconds: float = 60.0,
    stop_grace_seconds: float = 5.0,
    command: Sequence[str] = COMMAND,
) -> LocalReplicaPool:
    """Returns a pool that serves `tests/pipelines/<pipeline>_pipeline.py` on the CPU."""
    return LocalReplicaPool(
        TESTS / "pipelines" / f"{pipeline}_pipeline.py",
        task=None,
        replicas=replicas,
        devices=[()] * replicas,
        parallelism=1,
        preview_interval_seconds=0.0,
        start_timeout_seconds=start_timeout_seconds,
        stop_grace_seconds=stop_grace_seconds,
        command=command,
    )


def make_job(task_id: str = "task_1", *, folder: Path | None = None, **fields: Any) -> Job:
    """Returns a job that makes a picture in `folder`, or nothing without one."""
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
