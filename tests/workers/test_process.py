"""No process and no descriptor is left behind, whoever dies first."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from telefuser_grpc.domain.task import Progress
from telefuser_grpc.errors import ReplicaDied
from telefuser_grpc.workers.messages import Load, RunJob, Stepped
from telefuser_grpc.workers.pool import LocalReplicaPool
from telefuser_grpc.workers.process import COMMAND, ReplicaProcess, replica_environment
from tests.workers.local_pool import TESTS, local_pool, make_job

SERVER = """
import asyncio
import sys
from pathlib import Path
from tests.workers.local_pool import local_pool, make_job

async def serve():
    pool = local_pool("stalling", temporary=Path(sys.argv[1]))
    async with pool, pool.lease() as replica:
        run = await replica.run(make_job(prompt="hang"))
        async for _ in run.updates():
            print("pid", replica.pid, flush=True)

asyncio.run(serve())
"""


async def test_closing_leaves_no_process() -> None:
    async with (
        local_pool("noop", replicas=2) as pool,
        pool.lease() as one,
        pool.lease() as other,
    ):
        pids = [one.pid, other.pid]

    assert not any(_exists(pid) for pid in pids)


async def test_closing_kills_a_run_that_hangs() -> None:
    async with local_pool("stalling", stop_grace_seconds=0.05) as pool, pool.lease() as replica:
        run = await replica.run(make_job(prompt="hang"))
        async with aclosing(run.updates()) as updates:
            await anext(updates)

    assert not _exists(replica.pid)


async def test_closing_while_loading_leaves_no_process() -> None:
    pid = 0
    async with (
        local_pool("noop", stop_grace_seconds=0.0) as pool,
        aclosing(pool.changes()) as changes,
    ):
        while not pid:
            await anext(changes)
            pid = pool.status()[0].pid

    assert not _exists(pid)


async def test_what_a_replica_has_started_dies_with_it() -> None:
    async with local_pool("crashing") as pool, pool.lease() as replica:
        run = await replica.run(make_job(prompt="abandon"))
        updates = run.updates()
        await anext(updates)
        told = await anext(updates)
        assert isinstance(told, Progress)
        child = os.pidfd_open(told.step)
        with pytest.raises(ReplicaDied):
            await anext(updates)

    assert _has_died(child)


async def test_twenty_deaths_leak_no_descriptor() -> None:
    async with local_pool("crashing") as pool:
        await _crash(pool)
        async with pool.lease():
            before = _descriptors()
        for _ in range(20):
            await _crash(pool)
        async with pool.lease():
            after = _descriptors()

        assert pool.status()[0].restarts == 21
    assert after == before


async def test_a_replica_exits_in_the_middle_of_a_run_when_its_server_has_gone() -> None:
    process = await _hung_replica()

    process.channel.close()

    async with asyncio.timeout(5):
        await process._child.wait()


async def test_a_replica_ignores_the_interrupt_of_a_terminal() -> None:
    process = await _started("stalling")
    process.channel.send(RunJob(make_job()))
    assert isinstance(await process.channel.receive(), Stepped)

    os.kill(process.pid, signal.SIGINT)

    for _ in range(3):
        assert isinstance(await process.channel.receive(), Stepped)
    process.kill()
    await process._child.wait()
    assert process.exit_text == "was killed by SIGKILL, as a system does whose memory runs out"


async def test_a_command_that_does_not_exist_cannot_be_started() -> None:
    before = _descriptors()

    with pytest.raises(OSError, match="No such file"):
        await ReplicaProcess.spawn(("/nowhere/python",), {})

    await asyncio.sleep(0)  # the transport closes its socket in the next turn
    assert _descriptors() == before


def test_a_killed_server_leaves_no_process(tmp_path: Path) -> None:
    assert _has_died(_replica_of_a_killed_server(tmp_path))


async def test_what_a_killed_server_leaves_goes_with_the_next_start(tmp_path: Path) -> None:
    assert _has_died(_replica_of_a_killed_server(tmp_path / "replicas"))
    (left,) = (tmp_path / "replicas").iterdir()

    async with local_pool("noop", temporary=tmp_path / "replicas") as pool, pool.lease():
        (now,) = (tmp_path / "replicas").iterdir()

    assert left.name.startswith("telefuser-replica-")
    assert now != left
    assert not list((tmp_path / "replicas").iterdir())


def test_a_replica_sees_its_own_devices() -> None:
    environment = replica_environment({"CUDA_VISIBLE_DEVICES": "0,1"}, ["GPU-1f", "1"])

    assert environment["CUDA_VISIBLE_DEVICES"] == "GPU-1f,1"
    assert "OMP_NUM_THREADS" not in environment


@pytest.mark.parametrize("name", ["TF_MODEL_ZOO_PATH", "TELEAI_EXAMPLE_OUTPUT_DIR", "HF_HOME"])
def test_a_pipeline_file_finds_the_variables_that_the_server_was_given(name: str) -> None:
    assert replica_environment({name: "/models"}, ())[name] == "/models"


def test_a_replica_without_devices_uses_one_thread_unless_told_otherwise() -> None:
    assert replica_environment({}, ())["OMP_NUM_THREADS"] == "1"
    assert replica_environment({"OMP_NUM_THREADS": "8"}, ())["OMP_NUM_THREADS"] == "8"
    assert "CUDA_VISIBLE_DEVICES" not in replica_environment({}, ())


def test_a_replica_has_temporary_files_of_its_own_but_keeps_what_is_compiled() -> None:
    environment = replica_environment({}, (), temporary="/tmp/of-a-replica")

    assert environment["TMPDIR"] == "/tmp/of-a-replica"
    assert not environment["TORCHINDUCTOR_CACHE_DIR"].startswith("/tmp/of-a-replica")
    assert "TMPDIR" not in replica_environment({}, ())


def test_a_place_for_what_is_compiled_is_the_operators_to_choose() -> None:
    chosen = {"TORCHINDUCTOR_CACHE_DIR": "/cache"}

    environment = replica_environment(chosen, (), temporary="/tmp/of-a-replica")

    assert environment["TORCHINDUCTOR_CACHE_DIR"] == "/cache"


def test_secrets_of_the_server_are_none_of_a_pipelines_business() -> None:
    secrets = ("TELEFUSER_API_KEYS", "TELEFUSER_API_KEYS_FILE", "TELEFUSER_TURN_CREDENTIAL")

    environment = replica_environment({**dict.fromkeys(secrets, "x"), "HF_HOME": "/m"}, ())

    assert environment["HF_HOME"] == "/m"
    assert not environment.keys() & set(secrets)


async def _crash(pool: LocalReplicaPool) -> None:
    async with pool.lease() as replica:
        run = await replica.run(make_job(prompt="exit"))
        with pytest.raises(ReplicaDied, match="exited with status 3"):
            async for _ in run.updates():
                pass


async def _started(pipeline: str) -> ReplicaProcess:
    process = await ReplicaProcess.spawn(COMMAND, replica_environment(os.environ, ()))
    path = str(TESTS / "pipelines" / f"{pipeline}_pipeline.py")
    process.channel.send(
        Load(pipeline=path, task=None, parallelism=1, preview_interval_seconds=0.0)
    )
    await process.channel.receive()
    return process


async def _hung_replica() -> ReplicaProcess:
    process = await _started("stalling")
    process.channel.send(RunJob(make_job(prompt="hang")))
    await process.channel.receive()
    return process


def _replica_of_a_killed_server(temporary: Path) -> int:
    """Kills a server while its replica works; returns that as a process to wait for."""
    command = [sys.executable, "-c", SERVER, str(temporary)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS.parent)
    with server:
        assert server.stdout is not None
        line = next(line for line in server.stdout if line.startswith("pid"))
        replica = os.pidfd_open(int(line.split()[1]))
        server.kill()
    return replica


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _has_died(process: int) -> bool:
    """Waits for the end of a process that may be nobody's child any more."""
    death = select.poll()
    death.register(process, select.POLLIN)
    try:
        return bool(death.poll(5000))
    finally:
        os.close(process)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
