"""API keys of a whole service: with its gateway, without one, and behind one elsewhere."""

import asyncio
import hashlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from telefuser_grpc.client import Client, TFClient
from telefuser_grpc.domain.api_key import read_list
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import TaskNotFound, Unauthenticated
from telefuser_grpc.gateway.options import GatewayOptions
from telefuser_grpc.gateway.process import Gateway
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.fakes.otlp import OtlpReceiver
from tests.fakes.service import Service

ALICE, BOB = "sk-alice-0123456789", "sk-bob-0123456789"
ACT = {"kind": "act", "task_id": "task_1"}
WITHIN_SECONDS = 1.0


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A file with the keys of two callers."""
    path = tmp_path / "keys.txt"
    path.write_text(f"alice: {ALICE}\nbob: {BOB}\n")
    path.chmod(0o600)
    return path


def _headers(key: str) -> dict[str, str]:
    return {"authorization": f"bearer {key}"}


def test_revoked_key_ends_its_streams_within_a_second_and_no_others(
    tmp_path: Path, keys: Path, gate: Gate
) -> None:
    with (
        Service(PUPPET, tmp_path, api_keys_file=keys) as service,
        Client(service.target, api_key=ALICE) as alice,
        Client(service.target, api_key=BOB) as bob,
        service.http() as http,
    ):
        alice.create(**ACT, parameters={"gate": str(gate)})
        gate.wait_for_visitor()
        with http.stream("GET", "/v1/tasks/task_1/events", headers=_headers(ALICE)) as events:
            frames = events.iter_raw()
            watch, queue = alice.watch("task_1"), bob.watch_queue()
            for each in (watch, queue, frames):
                next(each)

            keys.write_text(f"bob: {BOB}\n")
            service.log.wait_for("api keys changed")
            revoked = time.monotonic()
            with pytest.raises(Unauthenticated, match="revoked"):
                list(watch)
            list(frames)
            seconds = time.monotonic() - revoked

        with pytest.raises(Unauthenticated, match="not valid"):
            alice.get("task_1")
        gate.open()
        assert any(not each.running for each in queue)  # bob goes on
        queue.close()

    assert seconds < WITHIN_SECONDS


def test_key_that_is_added_lets_in_without_a_restart(tmp_path: Path, keys: Path) -> None:
    new = "sk-new-0123456789abc"
    with Service(PUPPET, tmp_path, api_keys_file=keys) as service, service.http() as http:
        before = http.get("/v1/tasks", headers=_headers(new)).status_code
        with keys.open("a") as file:
            file.write(f"carol: {new}\n")
        service.log.wait_for("api keys changed")
        _until(lambda: http.get("/v1/tasks", headers=_headers(new)).status_code == 200)

        with TFClient(f"http://{service.target}", api_key=new) as client:
            task = client.create_task("t2i")
            for _ in client.watch(task["task_id"]):
                pass
            assert client.get_task_status(task["task_id"])["status"] == "completed"

    assert before == 401


def test_without_a_gateway_the_server_compares_digests_itself(tmp_path: Path, keys: Path) -> None:
    digest = hashlib.sha256(ALICE.encode()).hexdigest()
    keys.write_text(f"alice: sha256:{digest}\n")
    with (
        Service(PUPPET, tmp_path, api_keys_file=keys, gateway=False) as service,
        Client(service.target, api_key=ALICE) as alice,
        Client(service.target, api_key=digest) as thief,
        Client(service.target) as nobody,
    ):
        alice.create(**ACT)
        assert alice.wait("task_1").state is TaskState.COMPLETED
        for stranger, said in ((thief, "not valid"), (nobody, "No API key was given")):
            with pytest.raises(Unauthenticated, match=said):
                stranger.get("task_1")

        keys.write_text(f"bob: {BOB}\n")
        service.log.wait_for("api keys changed")
        with pytest.raises(Unauthenticated):
            alice.get("task_1")


def test_gateway_elsewhere_checks_keys_for_a_server_that_trusts_it(tmp_path: Path) -> None:
    with Service(PUPPET, tmp_path, gateway=False, trust_gateway=True) as service:
        with (
            _gateway_elsewhere(service, tmp_path) as target,
            Client(target, api_key=ALICE) as alice,
            Client(target, api_key=BOB) as bob,
            Client(target) as nobody,
        ):
            alice.create(**ACT)
            alice.wait("task_1")
            with pytest.raises(TaskNotFound):
                bob.get("task_1")
            with pytest.raises(Unauthenticated):
                nobody.get("task_1")
        with Client(service.target, api_key=ALICE) as past, pytest.raises(Unauthenticated):
            past.get("task_1")


def test_digests_cannot_be_given_to_a_gateway(tmp_path: Path) -> None:
    service = Service(PUPPET, tmp_path, api_keys=f"alice:sha256:{'0' * 64}")
    service.launch()

    assert service.exit_code() == 1
    assert "error: the key of alice is given as its SHA-256" in service.log.text
    assert "--no-gateway" in service.log.text
    service.log.close()


def test_no_key_is_ever_logged(tmp_path: Path, keys: Path) -> None:
    with (
        OtlpReceiver() as receiver,
        Service(
            PUPPET,
            tmp_path,
            api_keys_file=keys,
            otlp_endpoint=receiver.endpoint,
            log_level="debug",
        ) as service,
        service.http() as http,
    ):
        for path in (f"/v1/tasks?api_key={ALICE}", f"/v1/tasks/x/status?key={BOB}"):
            http.get(path)
            http.get(path, headers=_headers(ALICE))
        keys.write_text(f"bob: {BOB}\ncarol: two words\n")
        service.log.wait_for("api keys not changed")
        service.signal(signal.SIGTERM)  # what is traced is sent at the end
        service.exit_code()
        said = service.log.text + str(receiver.spans)

    assert "api_key=hidden" in said
    assert ALICE not in said
    assert BOB not in said


def test_service_that_is_open_to_the_network_says_so_loudly(tmp_path: Path) -> None:
    with Service(PUPPET, tmp_path, host="0.0.0.0") as service:
        (warning,) = service.log.events(
            "open to everybody who reaches it; set TELEFUSER_API_KEYS or listen on 127.0.0.1"
        )

    assert (warning["level"], warning["host"]) == ("warning", "0.0.0.0")


@contextmanager
def _gateway_elsewhere(service: Service, folder: Path) -> Iterator[str]:
    """Runs Envoy with keys before a server that checks none."""
    options = GatewayOptions(
        upstream=service.target, port=0, api_keys=read_list(f"alice:{ALICE},bob:{BOB}")
    )
    gateway = Gateway(options, folder / "gateway", drain_seconds=0)
    with asyncio.Runner() as runner:
        runner.run(gateway.__aenter__())
        try:
            yield f"127.0.0.1:{gateway.port}"
        finally:
            runner.run(gateway.__aexit__(None, None, None))


def _until(happens: Callable[[], bool]) -> None:
    """Asks until Envoy has taken a file, of which it tells nobody."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not happens():
        assert time.monotonic() < deadline
