"""How fast a replica is handed work, and whether it waits for the encoding of the task before."""

import asyncio
import time
from pathlib import Path

from benchmarks import native
from benchmarks.lab import PIPELINES, Lab, Rows
from benchmarks.row import Row, at_most
from telefuser_grpc.domain.job import Job
from telefuser_grpc.domain.task import Progress
from telefuser_grpc.scheduler.ports import Replica
from telefuser_grpc.workers.pool import LocalReplicaPool

CLIP_FRAMES = 80


async def dispatch(lab: Lab) -> Rows:
    """From the order to an idle replica to the first line of the pipeline's `run`."""
    count = lab.count(300, least=100)
    pool = LocalReplicaPool(
        PIPELINES / "clock.py",
        task=None,
        replicas=1,
        devices=[()],
        parallelism=1,
        preview_interval_seconds=1.0,
    )
    handed = []
    async with pool:
        await pool.contract()
        for number in range(count):
            async with pool.lease() as replica:
                handed.append(await _handed_milliseconds(replica, number))
    yield Row("job handed to an idle replica, to run() entered", "ms", handed, (at_most(5),))
    started = []
    async with (
        lab.service("clock", gateway=False) as service,
        native.connected(service.port) as client,
    ):
        for _ in range(count):
            started.append(await _started_milliseconds(client))
    yield Row("task started (its start_time), to run() entered", "ms", started)


async def overlap(lab: Lab) -> Rows:
    """Two tasks in a row whose clips take longer to encode than to make."""
    folder = lab.folder()
    gaps, encodings = [], []
    async with (
        lab.service("clip", gateway=False) as service,
        native.connected(service.port) as client,
    ):
        for number in range(lab.count(5)):
            files = [folder / f"{number}-{each}" for each in "ab"]
            ids = [await client.create(frames=CLIP_FRAMES, times=str(file)) for file in files]
            first_end, _ = await asyncio.gather(*map(client.complete, ids))
            (_, first_left), (second_entered, _) = map(_times, files)
            gaps.append((second_entered - first_left) / 1e6)
            encodings.append((first_end.event_time.ToNanoseconds() - first_left) / 1e6)
    yield Row("run() left to COMPLETED: encode, check, hash, store", "ms", encodings)
    yield Row("run() left to the next task's run() entered", "ms", gaps, (at_most(50),))


async def _handed_milliseconds(replica: Replica, number: int) -> float:
    job = Job(
        task_id=f"task_{number}",
        attempt=1,
        kind="t2v",
        media_type="none",
        fields={},
        inputs={},
        output_folder="",
        output_name="",
    )
    start = time.time_ns()
    run = await replica.run(job)
    stages = [each.stage async for each in run.updates() if isinstance(each, Progress)]
    await run.result()
    return (int(stages[0]) - start) / 1e6


async def _started_milliseconds(client: native.Native) -> float:
    task_id = await client.create()
    async for event in client.watch(task_id):
        if event.HasField("progress"):
            entered = int(event.progress.stage)
    start = (await client.get(task_id)).start_time.ToNanoseconds()
    return (entered - start) / 1e6


def _times(file: Path) -> tuple[int, int]:
    entered, left = map(int, file.read_text().split())
    return entered, left
