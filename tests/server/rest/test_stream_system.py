"""What a service of sessions says of itself, over REST and over gRPC."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest_asyncio

from telefuser_grpc._gen.telefuser.rest.v1 import rest_system_service_pb2 as rest_pb
from telefuser_grpc._gen.telefuser.v1 import system_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1 import system_service_pb2_grpc
from telefuser_grpc.domain.session import DevicePeak, Phase, StreamFacts, StreamMode
from telefuser_grpc.scheduler.session_opening import Opening
from telefuser_grpc.scheduler.sessions import Sessions
from telefuser_grpc.scheduler.stream_service import StreamService, StreamServiceFacts
from telefuser_grpc.server.stream_server import StreamServer, StreamUseCases
from tests.fakes.streams import FakePeer, FakeStreamHost
from tests.server.rest.gateway import Answer, Gateway

FACTS = StreamServiceFacts(
    pipeline_file="worlds/walk.py",
    parallelism=2,
    security_level="STRICT",
    video_codec="VP8",
    video_bitrate=1_000_000,
    queue_limit=10,
    configured_concurrency=4,
)
LOADED = StreamFacts(
    mode=StreamMode.BIDIRECTIONAL,
    default_fps=8.0,
    phases=(
        Phase(
            name="pipeline_init",
            seconds=1.5,
            memory=(DevicePeak(device="cuda:0", peak_allocated_bytes=10, peak_reserved_bytes=20),),
        ),
    ),
    environment={"python_version": "3.11", "gpus": []},
)
SESSIONS = {
    "webrtc_active_sessions": 0,
    "webrtc_server_push_sessions": 0,
    "webrtc_bidirectional_sessions": 0,
    "webrtc_max_sessions": 3,
    "webrtc_video_codec": "VP8",
    "webrtc_video_bitrate": 1_000_000,
}


class System:
    """The service, asked without Envoy."""

    def __init__(self, host: FakeStreamHost, sessions: Sessions, channel: grpc.aio.Channel) -> None:
        self.host, self.sessions = host, sessions
        self._gateway = Gateway(SimpleNamespace(channel=channel))
        self.native = system_service_pb2_grpc.SystemServiceStub(channel)

    async def get(self, what: str) -> Answer:
        request = getattr(rest_pb, f"Get{what}Request")()
        return await self._gateway.ask(getattr(self._gateway.system, f"Get{what}"), request)


@pytest_asyncio.fixture
async def system() -> AsyncIterator[System]:
    host = FakeStreamHost()
    host.loaded = LOADED
    async with Sessions(host, limit=3) as sessions:
        service = StreamService(facts=FACTS, sessions=sessions, host=host)
        use = StreamUseCases(
            sessions=sessions,
            service=service,
            metrics=lambda: b"page",
            metrics_json=lambda: {"uptime_seconds": 1},
        )
        server = StreamServer("127.0.0.1:0", use, max_message_bytes=2**20)
        port = await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield System(host, sessions, channel)
        await server.stop(0)


async def test_health_tells_of_sessions(system: System) -> None:
    body = (await system.get("Health")).json

    told: dict[str, Any] = {"ready": True, "stream_ready": True, "stream_mode": "bidirectional"}
    assert (body.pop("status"), body.pop("version")) == ("healthy", "1.0.0")
    assert body.pop("timestamp").endswith("Z")
    assert body == told | SESSIONS


async def test_health_is_200_and_readiness_503_while_nothing_is_loaded(system: System) -> None:
    system.host.loaded = None

    health, ready = await system.get("Health"), await system.get("Readiness")

    assert (health.status, ready.status) == (200, 503)
    assert (health.json["stream_ready"], health.json["stream_mode"]) == (False, None)
    assert (ready.json["status"], ready.headers["retry-after"]) == ("not_ready", "5")


async def test_status_is_active_while_a_session_is_open(system: System) -> None:
    before = (await system.get("Status")).json
    await system.sessions.open(Opening(session_id="walk"), FakePeer(transport="grpc"))
    during = (await system.get("Status")).json
    await system.sessions.close("walk")
    after = (await system.get("Status")).json

    assert [each["service_status"] for each in (before, during, after)] == [
        "idle",
        "active",
        "idle",
    ]
    assert (during["active_tasks"], after["active_tasks"]) == (["walk"], [])
    assert during["webrtc_bidirectional_sessions"] == during["webrtc_active_sessions"] == 1
    assert before["execution_mode"] == "serial_single_pipeline"


async def test_metadata_tells_what_was_loaded_and_how(system: System) -> None:
    body = (await system.get("Metadata")).json

    memory = {"device": "cuda:0", "peak_allocated_bytes": 10, "peak_reserved_bytes": 20}
    assert body == {
        "service_type": "stream",
        "stream_mode": "bidirectional",
        "pipeline_file": "./worlds/walk.py",
        "security_level": "STRICT",
        "runner": "StreamPipelineService",
        "max_queue_size": 10,
        "default_fps": 8.0,
        "performance": {"phases": [{"name": "pipeline_init", "seconds": 1.5, "memory": [memory]}]},
        "environment": {"python_version": "3.11", "gpus": []},
        **SESSIONS,
    }


async def test_metadata_is_503_while_nothing_is_loaded(system: System) -> None:
    system.host.loaded = None

    answer = await system.get("Metadata")

    assert (answer.status, answer.detail) == (503, "Stream service is not running")


async def test_metrics_come_as_a_page_and_as_json(system: System) -> None:
    page, summary = await system.get("Metrics"), await system.get("MetricsJson")

    assert page.body == b"page"
    assert summary.json == {"uptime_seconds": 1, "webrtc": SESSIONS}


async def test_native_callers_learn_the_same(system: System) -> None:
    native = system.native
    system.host.loaded = None

    health = await native.GetHealth(pb.GetHealthRequest())
    readiness = await native.GetReadiness(pb.GetReadinessRequest())
    status = await native.GetStatus(pb.GetStatusRequest())
    metadata = await native.GetMetadata(pb.GetMetadataRequest())

    assert not health.ready
    assert readiness.message == "Stream service is not running"
    assert [each.replica for each in status.replicas] == [0]
    assert (metadata.parallelism, metadata.HasField("contract")) == (2, False)
