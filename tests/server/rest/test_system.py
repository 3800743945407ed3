"""The documented REST face of the service itself."""

import asyncio
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from telefuser_grpc._gen.telefuser.rest.v1 import rest_system_service_pb2 as pb
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.errors import PipelineFailed
from telefuser_grpc.scheduler.service import ServiceFacts
from telefuser_grpc.server.server import Server
from tests.fakes.replicas import FakePool, Script
from tests.server.backend import MAX_MESSAGE_BYTES, Backend
from tests.server.rest.gateway import Answer, Gateway

SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def test_health_is_200_before_and_after_loading(loading: Backend) -> None:
    before = await _health(loading)
    loading.open()
    after = await _health(loading)

    assert (before.status, after.status) == (200, 200)
    assert list(after.json) == ["status", "timestamp", "version", "pipeline_ready", "ready"]
    assert (before.json["status"], before.json["pipeline_ready"]) == ("healthy", False)
    assert (after.json["version"], after.json["pipeline_ready"]) == ("1.0.0", True)
    assert SECOND.fullmatch(after.json["timestamp"])


async def test_readiness_is_503_until_loaded(loading: Backend) -> None:
    before = await _ready(loading)
    loading.open()
    after = await _ready(loading)

    assert (before.status, before.json["status"]) == (503, "not_ready")
    assert before.headers["retry-after"] == "5"
    assert (after.status, after.json["status"]) == (200, "ready")


async def test_readiness_is_503_when_every_replica_is_lost(backend: Backend) -> None:
    backend.pool.respawns = False
    backend.pool.replicas[0].die()

    assert (await _ready(backend)).status == 503
    assert (await _health(backend)).status == 200


async def test_readiness_holds_while_one_replica_of_a_pool_lives(tmp_path: Path) -> None:
    async with Backend(tmp_path, pool=FakePool(replicas=2, respawns=False)) as backend:
        backend.open()
        backend.pool.replicas[0].die()

        one_left = await _ready(backend)
        backend.pool.replicas[1].die()
        none_left = await _ready(backend)

    assert (one_left.status, one_left.json["status"]) == (200, "ready")
    assert (none_left.status, none_left.json["status"]) == (503, "not_ready")


async def test_status_of_an_idle_service(gateway: Gateway) -> None:
    answer = await gateway.ask(gateway.system.GetStatus, pb.GetStatusRequest())

    assert answer.body == (
        b'{"service_status":"idle","current_task":null,"current_tasks":[],"processing_count":0,'
        b'"max_concurrent_processing":1,"active_tasks":[],"pending_tasks":0,"queue_size":3,'
        b'"total_tasks":0,"completed_tasks":0,"failed_tasks":0,"cancelled_tasks":0,'
        b'"effective_max_concurrent_tasks":1,"configured_max_concurrent_tasks":10,'
        b'"execution_mode":"serial_single_pipeline","pool":[{"id":0,"device_ids":[],'
        b'"status":"idle","state":"idle","task_id":null,"task_ids":[],"restarts":0,"pid":null,'
        b'"last_error":null}]}'
    )


async def test_status_of_a_busy_service(backend: Backend, gateway: Gateway) -> None:
    await backend.run_to_end("done")
    await backend.run_to_end("failed", Script(error=PipelineFailed("no")))
    for task_id in ("a", "b"):
        await backend.create(task_id)
    await backend.started("a")

    body = (await gateway.ask(gateway.system.GetStatus, pb.GetStatusRequest())).json

    assert body["service_status"] == "busy"
    assert body["current_task"] == "a"
    assert body["current_tasks"] == body["active_tasks"] == ["a"]
    assert (body["processing_count"], body["pending_tasks"], body["total_tasks"]) == (1, 1, 4)
    assert (body["completed_tasks"], body["failed_tasks"], body["cancelled_tasks"]) == (1, 1, 0)
    replica = body["pool"][0]
    assert (replica["status"], replica["task_id"], replica["task_ids"]) == ("busy", "a", ["a"])


async def test_replica_that_starts_is_dead_in_the_documented_words(
    backend: Backend, gateway: Gateway
) -> None:
    starting = ReplicaStatus(id=0, state=ReplicaState.STARTING, devices=("3",), pid=7)
    backend.pool.status = lambda: [starting]  # type: ignore[method-assign]

    body = (await gateway.ask(gateway.system.GetStatus, pb.GetStatusRequest())).json

    assert body["pool"][0] == {
        "id": 0,
        "device_ids": ["3"],
        "status": "dead",
        "state": "starting",
        "task_id": None,
        "task_ids": [],
        "restarts": 0,
        "pid": 7,
        "last_error": None,
    }
    assert body["effective_max_concurrent_tasks"] == 0


async def test_metadata_has_the_documented_keys_and_keeps_the_order(gateway: Gateway) -> None:
    answer = await _metadata(gateway)

    body = answer.json
    contracts = body.pop("task_contracts")
    assert answer.status == 200
    assert body == {
        "pipeline_file": "./shapes.py",
        "parallelism": 1,
        "task": "t2v",
        "security_level": "NONE",
        "runner": "PipelineRunner",
        "declared_pipeline_contract": True,
        "contract_version": "v1",
        "pipeline_name": "shapes",
        "supported_tasks": ["t2v", "i2v", "t2i"],
        "supported_media_types": ["video", "image"],
        "entrypoints": {"get_pipeline": "get_pipeline", "run_with_file": "run_with_file"},
        "execution_mode": "serial_single_pipeline",
        "effective_max_concurrent_tasks": 1,
        "service_effective_max_concurrent_tasks": 1,
        "service_configured_max_concurrent_tasks": 10,
        "max_queue_size": 3,
    }
    assert list(contracts) == ["t2v", "i2v", "t2i"]
    assert list(contracts["t2v"]["parameters"]) == ["prompt", "steps", "mode", "guidance"]
    assert contracts["i2v"]["required_inputs"] == ["first_image_path"]
    assert contracts["i2v"]["optional_inputs"] == ["last_image_path"]
    assert contracts["t2v"]["parameters"]["steps"] == {
        "type": "integer",
        "required": False,
        "default": 4,
        "description": "",
        "enum": [],
        "exposed": True,
        "minimum": 1,
        "maximum": 8,
    }


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("examples/wan_video/wan.py", "./examples/wan_video/wan.py"),
        ("wan.py", "./wan.py"),
        ("../wan.py", "../wan.py"),
        ("/path/to/pipeline.py", "/path/to/pipeline.py"),
    ],
)
async def test_metadata_writes_a_relative_path_with_its_dot(
    tmp_path: Path, path: str, told: str
) -> None:
    facts = ServiceFacts(pipeline_file=path, parallelism=1, task="", replicas=1)
    async with Backend(tmp_path, facts=facts) as backend:
        backend.open()

        body = (await _metadata(Gateway(backend))).json

    assert body["pipeline_file"] == told


async def test_metadata_of_a_pool_tells_of_its_replicas(tmp_path: Path) -> None:
    facts = ServiceFacts(pipeline_file="./p.py", parallelism=1, task="t2i", replicas=2)
    async with Backend(tmp_path, facts=facts, pool=FakePool(replicas=2)) as backend:
        backend.open()

        body = (await _metadata(Gateway(backend))).json

    assert (body["task"], body["execution_mode"]) == ("t2i", "concurrent_pipeline_pool")
    assert body["pool"] == {
        "num_replicas": 2,
        "live_replicas": 2,
        "replica_device_ids": [[], []],
        "per_instance_execution_mode": "serial_single_pipeline",
    }


async def test_metadata_tell_of_batches_where_a_contract_does(loading: Backend) -> None:
    batch = {"keys": ["steps"], "max_size": 4}
    entries = {"t2v": {"batch": batch}}
    declared = {"supported_tasks": ["t2v", "t2i"], "task_contracts": entries}
    loading.open(PipelineContract.parse(declared, stem="batches"))

    contracts = (await _metadata(Gateway(loading))).json["task_contracts"]

    assert contracts["t2v"]["batch"] == batch
    assert "batch" not in contracts["t2i"]


async def test_metadata_tell_of_limits_where_a_contract_does(loading: Backend) -> None:
    limits = {"first_image_path": {"max_aspect_ratio": 8.0}, "ref_video_path": {"max_frames": 241}}
    entries = {"i2v": {"input_limits": limits, "max_pixels": 399_360}}
    declared = {"supported_tasks": ["i2v", "t2i"], "task_contracts": entries}
    loading.open(PipelineContract.parse(declared, stem="limits"))

    contracts = (await _metadata(Gateway(loading))).json["task_contracts"]

    assert contracts["i2v"]["input_limits"] == limits
    assert contracts["i2v"]["max_pixels"] == 399_360
    assert not {"input_limits", "max_pixels"} & contracts["t2i"].keys()


async def test_metadata_is_503_until_loaded(loading: Backend) -> None:
    answer = await _metadata(Gateway(loading))

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.detail.startswith("No service is initialized")


async def test_metrics_have_the_type_of_prometheus(gateway: Gateway) -> None:
    answer = await gateway.ask(gateway.system.GetMetrics, pb.GetMetricsRequest())

    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.body == b"telefuser_up 1\n"


async def test_metrics_as_json_keep_the_documented_order(tmp_path: Path) -> None:
    summary = {"uptime_seconds": 3600, "tasks": {"created": 1}, "registered_stages": ["b", "a"]}

    async with _measured(tmp_path, metrics_json=lambda: summary) as backend:
        answer = await _asked(backend, "GetMetricsJson", pb.GetMetricsJsonRequest())

    assert (answer.status, answer.content_type) == (200, "application/json")
    assert answer.body == (
        b'{"uptime_seconds":3600,"tasks":{"created":1},"registered_stages":["b","a"]}'
    )


@pytest.mark.parametrize(
    ("method", "request_"),
    [("GetMetrics", pb.GetMetricsRequest()), ("GetMetricsJson", pb.GetMetricsJsonRequest())],
)
async def test_disabled_metrics_are_404_and_say_how_to_enable_them(
    method: str, request_: Any, tmp_path: Path
) -> None:
    async with _measured(tmp_path, metrics=None, metrics_json=None) as backend:
        answer = await _asked(backend, method, request_)

    assert (answer.status, answer.code) == (404, grpc.StatusCode.NOT_FOUND)
    assert answer.json == {
        "detail": "Metrics are disabled; start the service with TELEFUSER_ENABLE_METRICS=true"
    }


async def test_slow_page_of_metrics_holds_up_no_other_call(tmp_path: Path) -> None:
    asked, answers = threading.Event(), threading.Event()

    def page() -> bytes:
        asked.set()
        answers.wait(30)
        return b"page"

    async with _measured(tmp_path, metrics=page) as backend, asyncio.TaskGroup() as group:
        scrape = group.create_task(_asked(backend, "GetMetrics", pb.GetMetricsRequest()))
        await asyncio.to_thread(asked.wait, 30)
        meanwhile = await _health(backend)
        answers.set()

    assert meanwhile.status == 200
    assert scrape.result().body == b"page"


def _measured(folder: Path, **metrics: Any) -> Backend:
    """Returns a backend whose server takes its metrics from the test."""
    backend = Backend(folder)
    use_cases = replace(backend.use_cases, **metrics)
    backend.server = Server(backend.address, use_cases, max_message_bytes=MAX_MESSAGE_BYTES)
    return backend


async def _health(backend: Backend) -> Answer:
    return await _asked(backend, "GetHealth", pb.GetHealthRequest())


async def _ready(backend: Backend) -> Answer:
    return await _asked(backend, "GetReadiness", pb.GetReadinessRequest())


async def _metadata(gateway: Gateway) -> Answer:
    return await gateway.ask(gateway.system.GetMetadata, pb.GetMetadataRequest())


async def _asked(backend: Backend, method: str, request: Any) -> Answer:
    gateway = Gateway(backend)
    return await gateway.ask(getattr(gateway.system, method), request)
