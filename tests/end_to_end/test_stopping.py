"""Ctrl-C and SIGTERM: the service stops soon, and the next one goes on where it was."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import Unavailable
from tests.end_to_end.begun import until_begun
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.end_to_end.stories import is_gapless, words
from tests.fakes.service import Deaths, Service

PENDING, PROCESSING, COMPLETED = TaskState.PENDING, TaskState.PROCESSING, TaskState.COMPLETED

MakeGate = Callable[[], Gate]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    limits = {"drain_seconds": 0.2, "cancel_timeout": 0.3, "max_attempts": 1}
    with Service(PUPPET, tmp_path, **limits) as service:
        yield service


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_running_task_waits_for_the_next_service(
    service: Service, gate: Gate, number: signal.Signals
) -> None:
    with service.client() as client:
        running = client.create("act", parameters={"steps": 10_000, "step_seconds": 0.01})
        events = client.watch(running.id)
        seen = [next(events) for _ in range(4)]
        waiting = client.create("act")
        with Deaths(service.children().values()) as deaths:
            service.signal(number)
            code = service.exit_code()
            deaths.wait()
        assert "Traceback" not in service.log.text
        service.log.close()

        service.start()
        after = client.get(running.id)
        client.cancel(running.id)
        seen += events
        story = list(client.watch(running.id))

        assert code == 0
        assert after.state in (PENDING, PROCESSING)
        assert seen == story
        assert is_gapless(story)
        states = [word for word in words(story) if isinstance(word, TaskState)]
        assert states[:4] == [PENDING, PROCESSING, PENDING, PROCESSING]
        assert client.wait(waiting.id).state is COMPLETED
        assert client.get(running.id).attempt == 2


def test_stop_is_no_death_of_a_task(service: Service, gate: Gate) -> None:
    """Although a death may be its only one."""
    with service.client() as client:
        task = client.create("act", parameters={"gate": str(gate)})
        for attempts in (1, 2):
            until_begun(client, task.id, attempts=attempts)
            gate.wait_for_visitor()
            service.signal(signal.SIGTERM)
            assert service.exit_code() == 0
            service.log.close()
            service.start()
        gate.open()

        assert client.wait(task.id).state is COMPLETED
        assert client.get(task.id).attempt == 3


def test_short_run_may_end_first(tmp_path: Path, make_gate: MakeGate) -> None:
    gate, encode_gate = make_gate(), make_gate()
    with Service(PUPPET, tmp_path, drain_seconds=60) as service, service.client() as client:
        gates = {"gate": str(gate), "encode_gate": str(encode_gate)}
        task = client.create("t2v", "p", parameters=gates)
        events = client.watch(task.id)
        gate.wait_for_visitor()
        for pid in (service.children()["replica 0"], service.process.pid):  # as systemd does
            os.kill(pid, signal.SIGTERM)
        service.log.wait_for("server stops")
        refused = refusal(client)
        gate.open()
        encode_gate.open()

        assert words(events) == [PENDING, PROCESSING, 1, 2, 3, COMPLETED]
        assert service.exit_code() == 0
        assert refused.reason == "SHUTTING_DOWN"


def refusal(client: Client) -> Unavailable:
    with pytest.raises(Unavailable) as refused:
        client.create("act", request_id="")
    return refused.value


def test_idle_service_stops_at_once(service: Service) -> None:
    service.signal(signal.SIGINT)

    assert service.process.wait(10) == 0
    assert "Traceback" not in service.log.text
