"""Replicas that crash, hang, leak and lie cost at most their own run, and never a place."""

import asyncio
import os
import signal
import tempfile
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from telefuser_grpc.domain.job import Job
from telefuser_grpc.domain.replica import ReplicaState
from telefuser_grpc.domain.task import Progress
from telefuser_grpc.errors import NoCapacity, OutputInvalid, PipelineFailed, ReplicaDied
from telefuser_grpc.workers import replica as replica_module
from telefuser_grpc.workers.pool import LocalReplicaPool
from telefuser_grpc.workers.replica import LocalReplica
from tests.end_to_end.gates import Gate
from tests.workers.local_pool import SLOW_ENCODER, local_pool, make_job

CPU = ("",)


async def test_a_replica_that_lies_on_its_channel_is_replaced() -> None:
    lies = [
        *("noise", "huge", "unknown", "stranger", "other attempt", "too early"),
        *("rendered twice", "loaded twice"),
    ]
    async with local_pool("lying") as pool:
        for lie in lies:
            with pytest.raises(ReplicaDied, match="broke the protocol"):
                await _finish(pool, make_job(prompt=lie))

        await _finish(pool, make_job("honest"))
        assert pool.status()[0].restarts == len(lies)


@pytest.mark.parametrize("lie", ["done twice", "step after done"])
async def test_what_comes_after_the_end_of_a_run_changes_nothing_of_it(lie: str) -> None:
    async with local_pool("lying") as pool:
        run = await _start(pool, make_job(prompt=lie))
        report, files = await run.result()
        await _restarted(pool)

        await _finish(pool, make_job("honest"))
        (status,) = pool.status()
    assert (report.inference_seconds, files) == (1.0, ())
    assert status.restarts == 1
    assert "broke the protocol" in status.last_error


@pytest.mark.parametrize(
    ("lie", "why"), [("secret", "outside of its folder"), ("link", "is a link")]
)
async def test_a_forged_result_shows_no_file_of_the_server(
    tmp_path: Path, lie: str, why: str
) -> None:
    async with local_pool("lying") as pool:
        run = await _start(pool, make_job(folder=tmp_path, prompt=lie))

        with pytest.raises(OutputInvalid, match=why):
            await run.result()


async def test_reports_that_make_no_sense_become_steps_that_do() -> None:
    async with local_pool("unruly") as pool, pool.lease() as replica:
        run = await replica.run(make_job(prompt="counts"))
        told = [each async for each in run.updates() if isinstance(each, Progress)]
        await run.result()

    most = 2**31 - 1
    assert [(each.step, each.steps) for each in told] == [
        *((1, 4), (3, 4), (2, 4), (4, 4), (most, most), (0, 4))
    ]


@pytest.mark.parametrize(
    ("misdeed", "message"),
    [
        ("strange", "returned a function; return frames"),
        ("no text", r"ValueError: \?"),
        ("counts in words", "ValueError: invalid literal"),
    ],
)
async def test_what_cannot_be_told_fails_its_run_and_keeps_the_replica(
    tmp_path: Path, misdeed: str, message: str
) -> None:
    async with local_pool("unruly") as pool:
        with pytest.raises((PipelineFailed, OutputInvalid), match=message):
            await _finish(pool, make_job(folder=tmp_path, prompt=misdeed))

        await _finish(pool, make_job("next"))
        assert pool.status()[0].restarts == 0


async def test_a_job_that_cannot_be_sent_fails_and_keeps_the_replica() -> None:
    async with local_pool("noop") as pool:
        for prompt in ("\udcff", "x" * (65 * 2**20)):
            with pytest.raises(PipelineFailed, match="too large or no text"):
                await _finish(pool, make_job(prompt=prompt))

        await _finish(pool, make_job("next"))
        assert pool.status()[0].restarts == 0


async def test_noise_on_the_standard_streams_does_not_disturb_the_channel() -> None:
    async with local_pool("unruly", devices=[("chats",)]) as pool:
        for prompt in ("chat", "mute", "chatless"):
            await _finish(pool, make_job(prompt=prompt))

        (status,) = pool.status()
    assert status.restarts == 0


@pytest.mark.parametrize(("misdeed", "status"), [("vanish", 0), ("interrupt", 1)])
async def test_a_process_that_ends_by_itself_in_a_run_is_replaced(
    misdeed: str, status: int
) -> None:
    async with local_pool("unruly") as pool:
        with pytest.raises(ReplicaDied, match=f"exited with status {status}"):
            await _finish(pool, make_job(prompt=misdeed))

        await _finish(pool, make_job("next"))


async def test_a_stopped_process_is_replaced_in_a_run_and_while_idle() -> None:
    async with local_pool("unruly", silence_seconds=0.4) as pool:
        with pytest.raises(ReplicaDied, match=r"did not answer for 0\.4 s"):
            await _finish(pool, make_job(prompt="stop"))
        idle = await _lease(pool)
        os.kill(idle.pid, signal.SIGSTOP)
        await _restarted(pool, times=2)

        assert (await _lease(pool)).pid != idle.pid


async def test_an_encoder_that_hangs_after_a_stop_costs_its_replica(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "ENCODING_SECONDS", 0.05)
    gate, arrival = Gate(tmp_path / "gate"), Gate(tmp_path / "arrival")
    async with local_pool("noop", command=SLOW_ENCODER) as pool:
        run = await _start(pool, make_job(gate=str(gate), arrival=str(arrival)))
        await asyncio.to_thread(Path(str(arrival)).read_text)
        await run.stop(0.01)
        await _restarted(pool)

        await _finish(pool, make_job("next"))
        assert "did not end an encoding" in pool.status()[0].last_error


async def test_a_pipeline_that_hangs_in_its_stop_is_killed() -> None:
    async with local_pool("unruly", devices=[("stays",)], stop_grace_seconds=0.1) as pool:
        replica = await _lease(pool)

    assert not Path(f"/proc/{replica.pid}").exists()


@pytest.mark.parametrize(
    ("manners", "why"),
    [
        ("fails", "unruly_pipeline.py: RuntimeError: no memory left on this device (line 35)"),
        ("hangs", "Replica 1 did not load its pipeline within 3 s"),
        ("vanishes", "Replica 1 exited with status 0"),
        (
            "unsendable",
            "Pipeline contract cannot be sent: Encoding objects of type object is unsupported",
        ),
    ],
)
async def test_a_start_fails_when_one_replica_cannot_and_names_it(manners: str, why: str) -> None:
    devices = [CPU, (manners,)]
    async with local_pool("unruly", replicas=2, devices=devices, start_timeout_seconds=3) as pool:
        with pytest.raises(NoCapacity):
            await pool.contract()

        assert pool.start_failure == f"replica 1: {why}"
        assert not pool.is_lost


async def test_a_cause_that_all_replicas_share_is_told_once() -> None:
    async with local_pool("broken", replicas=2) as pool:
        with pytest.raises(NoCapacity):
            await pool.contract()
        await _until_lost(pool)

    assert pool.start_failure == (
        "broken_pipeline.py: RuntimeError: the weights are missing (line 9)"
    )


async def test_a_start_waits_until_every_replica_has_loaded() -> None:
    async with local_pool("noop", replicas=2) as pool:
        await pool.contract()

        assert [each.state for each in pool.status()] == [ReplicaState.IDLE] * 2


async def test_a_replica_whose_contract_differs_from_the_others_is_refused() -> None:
    async with local_pool("unruly", replicas=2, devices=[CPU, ("differs",)]) as pool:
        with pytest.raises(NoCapacity):
            await pool.contract()

    assert "declares another contract than the others" in pool.start_failure


async def test_the_loss_of_all_replicas_is_logged_once_as_critical() -> None:
    with capture_logs() as logs:
        async with local_pool("broken", replicas=2) as pool:
            await _until_lost(pool)
            for _ in range(2):
                with pytest.raises(NoCapacity):
                    await _lease(pool)

    critical = [line for line in logs if line["log_level"] == "critical"]
    assert [line["event"] for line in critical] == ["all replicas are dead"]
    assert "the weights are missing" in critical[0]["why"]


async def test_a_warm_replica_has_run_before_it_is_ready_and_a_failed_warm_up_is_told() -> None:
    async with local_pool("lying", warmup=True) as pool:
        await pool.contract()
    async with local_pool("picky", warmup=True) as pool:
        with pytest.raises(NoCapacity):
            await pool.contract()

    assert pool.start_failure == (
        "The warm-up of t2v failed: ValueError: the prompt must not be empty"
    )


async def test_a_replica_is_recycled_after_so_many_tasks_and_between_two() -> None:
    with capture_logs() as logs:
        async with local_pool("noop", max_tasks_per_replica=2) as pool:
            pids = []
            for number in range(5):
                run = await _start(pool, make_job(f"task_{number}"), pids)
                await run.result()
            (status,) = pool.status()

    first, second, third = dict.fromkeys(pids)
    assert pids == [first, first, second, second, third]
    assert (status.recycles, status.restarts, status.last_error) == (2, 0, "")
    recycled = [line for line in logs if line["event"] == "replica recycled"]
    assert [line["why"] for line in recycled] == ["it has run 2 tasks"] * 2
    assert not [line for line in logs if line["event"] == "replica died"]


async def test_a_replica_over_its_memory_is_recycled() -> None:
    async with local_pool("noop", replica_max_rss_bytes=2**20) as pool:
        pids: list[int] = []
        for number in range(2):
            await (await _start(pool, make_job(f"task_{number}"), pids)).result()
        await _until(pool, ReplicaState.IDLE)
        (status,) = pool.status()
    assert pids[0] != pids[1]
    assert (status.recycles, status.restarts) == (2, 0)


async def test_a_replica_below_its_memory_stays() -> None:
    async with local_pool("noop", replica_max_rss_bytes=2**40) as pool:
        pids: list[int] = []
        for number in range(2):
            await (await _start(pool, make_job(f"task_{number}"), pids)).result()

    assert pids[0] == pids[1]


async def test_a_recycled_replica_ends_what_it_still_encodes(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    async with local_pool(
        "noop", command=SLOW_ENCODER, max_tasks_per_replica=1, stop_grace_seconds=0.3
    ) as pool:
        pids: list[int] = []
        slow = await _start(pool, make_job(gate=str(gate)), pids)
        waits = asyncio.create_task(_lease(pool))
        result = asyncio.create_task(slow.result())
        done, _ = await asyncio.wait((waits, result), timeout=0.5)
        assert not done

        gate.open()
        await result
        assert (await waits).pid != pids[0]


@pytest.mark.parametrize("parent", [None, "replicas"])
async def test_temporary_files_of_a_pipeline_go_with_its_replica(
    tmp_path: Path, parent: str | None
) -> None:
    temporary = tmp_path / parent if parent else None
    async with local_pool("unruly", temporary=temporary) as pool:
        with pytest.raises(PipelineFailed) as failure:
            await _finish(pool, make_job(prompt="litter"))
        name = failure.value.message.removeprefix("ValueError: ")
        folder = (temporary or Path(tempfile.gettempdir())) / name
        assert folder.name.startswith("telefuser-replica-")
        assert any(folder.iterdir())

    assert not folder.exists()


async def _start(pool: LocalReplicaPool, job: Job, pids: list[int] | None = None) -> Any:
    """Denoises a job and returns its run."""
    async with pool.lease() as replica:
        if pids is not None:
            pids.append(replica.pid)
        run = await replica.run(job)
        async for _ in run.updates():
            pass
    return run


async def _finish(pool: LocalReplicaPool, job: Job) -> None:
    await (await _start(pool, job)).result()


async def _lease(pool: LocalReplicaPool) -> LocalReplica:
    async with pool.lease() as replica:
        return replica


async def _restarted(pool: LocalReplicaPool, *, times: int = 1) -> None:
    async with asyncio.timeout(30), aclosing(pool.changes()) as changes:
        async for _ in changes:
            if pool.status()[0].restarts >= times:
                return


async def _until(pool: LocalReplicaPool, *states: ReplicaState) -> None:
    async with asyncio.timeout(30), aclosing(pool.changes()) as changes:
        async for _ in changes:
            if tuple(each.state for each in pool.status()) == states:
                return


async def _until_lost(pool: LocalReplicaPool) -> None:
    async with asyncio.timeout(30), aclosing(pool.changes()) as changes:
        async for _ in changes:
            if pool.is_lost:
                return
