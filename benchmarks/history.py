"""Whether a task costs the same however many have been before it."""

import asyncio
import shutil

from benchmarks import native, stored
from benchmarks.lab import Lab, Rows, milliseconds
from benchmarks.row import Row
from benchmarks.throughput import run_tasks

SIZES = (100, 10_000, 100_000)


async def history(lab: Lab) -> Rows:
    """Creates and whole tasks on a store that has grown."""
    folder = lab.folder()
    last = 0
    for size in SIZES:
        await asyncio.to_thread(stored.store, folder, last + 1, size)
        async with (
            lab.service("noop", folder=folder, gateway=False, **stored.KEPT) as service,
            native.connected(service.port) as client,
        ):
            await run_tasks(client, 100)
            creates = [
                await milliseconds(client.create()) for _ in range(lab.count(200, least=100))
            ]
            rates = [(await run_tasks(client, lab.count(400, least=200)))[1] for _ in range(3)]
            counts = await client.status()
        last = counts.failed_count + counts.completed_count
        yield Row(f"create, {size:,} tasks stored", "ms", creates)
        yield Row(f"no-op tasks carried to their end, {size:,} stored", "/s", rates)
    await asyncio.to_thread(shutil.rmtree, folder)
