"""How much memory the service holds when it has just begun."""

from benchmarks import native
from benchmarks.lab import Lab, Rows
from benchmarks.machine import children, resident_mebibytes
from benchmarks.row import Row, at_most


async def memory(lab: Lab) -> Rows:
    """Resident memory of each process after the first task, shared pages counted in each."""
    async with lab.service("noop") as service, native.connected(service.port) as client:
        await client.complete(await client.create())
        started = children(service.pid)
        replicas = [each.pid for each in (await client.status()).replicas]
        server = resident_mebibytes(service.pid)
        envoy = sum(resident_mebibytes(pid) for pid in started.keys() - replicas)
        replica = sum(map(resident_mebibytes, replicas))
    yield Row("resident memory: server", "MiB", [server])
    yield Row("resident memory: Envoy", "MiB", [envoy])
    yield Row("resident memory: server + Envoy", "MiB", [server + envoy], (at_most(160, "max"),))
    yield Row("resident memory: replica without torch", "MiB", [replica])
