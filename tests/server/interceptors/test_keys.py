"""Who is let in by the server itself, whose calls are, and what ends when a key is revoked."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from telefuser_grpc._gen.envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from telefuser_grpc._gen.telefuser.rest.v1 import rest_system_service_pb2 as system
from telefuser_grpc._gen.telefuser.rest.v1 import rest_task_service_pb2 as rest
from telefuser_grpc._gen.telefuser.v1 import artifact_service_pb2, task_pb2
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2 as pb
from telefuser_grpc.domain.api_key import read_list
from telefuser_grpc.gateway.descriptors import rpc_methods
from telefuser_grpc.scheduler.names import stored_id
from telefuser_grpc.server.interceptors.keys import DOWNLOADS, PUBLIC_CALLS, KeyCheck
from telefuser_grpc.server.keys import (
    MISSING,
    NOT_BEARER,
    REVOKED,
    UNKNOWN,
    KeyRing,
    named_by_gateway,
)
from telefuser_grpc.server.openai.streaming import OPENING
from tests.server.backend import COMPLETES, Backend, create_request
from tests.server.openai.images_face import CONTRACT as PAINTER
from tests.server.openai.images_face import PNG, Face, events
from tests.server.openai.video_caller import VideoCaller
from tests.server.refusal import Refusal, read_refusal, refusal
from tests.server.rest.gateway import Gateway, transcoded

STUDIO, LAB, SPARE = "sk-studio-0123456789", "sk-lab-0123456789", "sk-spare-0123456789"
KEYS = read_list(f"studio:{STUDIO},lab:{LAB}")
T1 = stored_id("t1", "studio")
Metadata = tuple[tuple[str, str], ...]


@pytest.fixture
def ring() -> KeyRing:
    """The keys of two callers."""
    return KeyRing(KEYS)


@pytest.fixture
async def backend(tmp_path: Path, ring: KeyRing) -> AsyncIterator[Backend]:
    """A service that checks keys itself."""
    async with Backend(tmp_path, keys=KeyCheck(ring.by_key, ring)) as backend:
        backend.open()
        yield backend


@pytest.fixture
async def behind(tmp_path: Path, ring: KeyRing) -> AsyncIterator[Backend]:
    """A service whose gateway checks the keys."""
    async with Backend(tmp_path, keys=KeyCheck(ring.by_gateway, ring)) as backend:
        backend.open()
        yield backend


def bearer(key: str) -> Metadata:
    return (("authorization", f"Bearer {key}"),)


def named(caller: str) -> Metadata:
    return (("x-client-id", next(key.id for key in KEYS if key.name == caller)),)


@pytest.mark.parametrize(
    "metadata",
    [
        bearer(STUDIO),
        (("authorization", f"bearer {STUDIO}"),),
        (("authorization", f"BEARER  {STUDIO} "),),
        (("x-api-key", STUDIO),),
        (("authorization", "Basic eA=="), ("x-api-key", STUDIO)),
        (("x-api-key", "nonsense"), *bearer(STUDIO)),
        (*bearer(STUDIO), *named("lab")),
    ],
)
async def test_task_is_its_callers_and_nobody_elses(backend: Backend, metadata: Metadata) -> None:
    await backend.task_service.CreateTask(create_request(task_id="t1"), metadata=metadata)

    stranger = await refusal(_get(backend, "t1", bearer(LAB)))
    owner = await _get(backend, "t1", bearer(STUDIO))

    assert (await backend.tasks.get(T1)).owner == "studio"
    assert stranger.code is grpc.StatusCode.NOT_FOUND
    assert owner.task.task_id == "t1"


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ((), MISSING),
        ((("authorization", ""), ("x-api-key", "")), MISSING),
        (named("studio"), MISSING),
        ((("authorization", STUDIO),), NOT_BEARER),
        ((("authorization", f"Bearer {STUDIO} {LAB}"),), NOT_BEARER),
        (bearer("wrong"), UNKNOWN),
        (bearer(STUDIO[:-1]), UNKNOWN),
        (bearer(KEYS[0].digest), UNKNOWN),
        ((("x-api-key", f"sha256:{KEYS[0].digest}"),), UNKNOWN),
    ],
)
@pytest.mark.parametrize("method", ["GetTask", "WatchTask"])
async def test_who_has_no_valid_key_is_unauthenticated(
    backend: Backend, method: str, metadata: Metadata, message: str
) -> None:
    request = pb.GetTaskRequest if method == "GetTask" else pb.WatchTaskRequest

    refused = await refusal(
        getattr(backend.task_service, method)(request(task_id="t1"), metadata=metadata)
    )

    assert refused == Refusal(
        code=grpc.StatusCode.UNAUTHENTICATED,
        message=message,
        reason="UNAUTHENTICATED",
        domain="telefuser",
        metadata={},
        violations={},
        retry_seconds=None,
    )


async def test_upload_without_a_key_is_refused_before_a_byte_is_read(backend: Backend) -> None:
    never = asyncio.Event()

    async def messages() -> AsyncIterator[artifact_service_pb2.UploadInputRequest]:
        await never.wait()
        yield artifact_service_pb2.UploadInputRequest()

    refused = await refusal(backend.artifact_service.UploadInput(messages()))

    assert refused.code is grpc.StatusCode.UNAUTHENTICATED


async def test_refusal_over_rest_is_401_that_names_the_scheme(behind: Backend) -> None:
    answer = await Gateway(behind).status("t1")

    assert (answer.status, answer.detail) == (401, MISSING)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_refusal_over_rest_is_the_gateways_on_every_path(behind: Backend) -> None:
    face = Face(behind)

    answers = [
        await Gateway(behind).status("t1"),
        await face.list_models(),
        await face.generate({"prompt": "p"}),
        await face.edit({"prompt": "p"}, {"image": PNG}),
        await VideoCaller(behind).get("v1"),
    ]

    error = {"message": MISSING, "type": "invalid_request_error", "param": None}
    told = {"error": error | {"code": "invalid_api_key"}, "detail": MISSING}
    assert [(each.status, each.json) for each in answers] == [(401, told)] * 5


async def test_gateway_is_believed_about_callers_whose_keys_hold(behind: Backend) -> None:
    await behind.task_service.CreateTask(create_request(task_id="t1"), metadata=named("lab"))

    strangers = [
        await refusal(_get(behind, "t1", metadata))
        for metadata in ((("x-client-id", "lab"),), (("x-client-id", "lab#0000000000000000"),))
    ]

    assert (await behind.tasks.get(stored_id("t1", "lab"))).owner == "lab"
    assert {each.message for each in strangers} == {UNKNOWN}


@pytest.mark.parametrize(
    ("client_id", "owner"),
    [("lab", "lab"), (KEYS[1].id, "lab"), ("auth0|7#x", "auth0|7#x")],
)
async def test_gateway_elsewhere_is_believed_about_everybody(
    tmp_path: Path, client_id: str, owner: str
) -> None:
    async with Backend(tmp_path, keys=KeyCheck(named_by_gateway, KeyRing())) as backend:
        backend.open()
        metadata = (("x-client-id", client_id),)
        await backend.task_service.CreateTask(create_request(task_id="t1"), metadata=metadata)

        nobody = await refusal(_get(backend, "t1", bearer(LAB)))

        assert (await backend.tasks.get(stored_id("t1", owner))).owner == owner
        assert nobody.code is grpc.StatusCode.UNAUTHENTICATED


async def test_public_calls_need_no_key_and_see_totals_alone(backend: Backend) -> None:
    gateway = Gateway(backend)
    health = health_pb2_grpc.HealthStub(backend.channel)

    checked = await health.Check(health_pb2.HealthCheckRequest())
    healthy = await gateway.ask(gateway.system.GetHealth, system.GetHealthRequest())
    refused = await gateway.ask(gateway.system.GetStatus, system.GetStatusRequest())

    assert checked.status == health_pb2.HealthCheckResponse.SERVING
    assert (healthy.status, refused.status) == (200, 401)


async def test_reflection_and_channelz_need_a_key(backend: Backend) -> None:
    reflection = reflection_pb2_grpc.ServerReflectionStub(backend.channel)
    channelz = channelz_pb2_grpc.ChannelzStub(backend.channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    servers = channelz_pb2.GetServersRequest()

    with pytest.raises(grpc.aio.AioRpcError) as silent:
        await reflection.ServerReflectionInfo().read()
    refused = await refusal(channelz.GetServers(servers))
    answers = reflection.ServerReflectionInfo(iter([question]), metadata=bearer(LAB))
    (listed,) = [answer async for answer in answers]
    await channelz.GetServers(servers, metadata=bearer(LAB))

    assert read_refusal(silent.value).reason == refused.reason == "UNAUTHENTICATED"
    assert listed.list_services_response.service


async def test_file_is_looked_for_in_the_name_of_who_asks_the_gateway(behind: Backend) -> None:
    behind.pool.scripts[T1] = [COMPLETES]
    await behind.task_service.CreateTask(create_request(task_id="t1"), metadata=named("studio"))
    await _ended(behind, "t1", named("studio"))
    path = f"/v1/files/download/{(await behind.tasks.get(T1)).output_name}"

    mine = await _check(behind, path, named("studio"))
    foreign = await _check(behind, path, named("lab"))
    absent = await _check(behind, path.replace("t1", "t2"), named("lab"))

    assert mine.HasField("ok_response")
    assert foreign == absent
    assert foreign.denied_response.status.code == 404


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/v1/files/download/t1.mp4", {"error", "detail"}),
        ("/v1/images/t1/content", {"error", "detail"}),
        ("/v1/videos/t1/content?variant=thumbnail", {"error", "detail"}),
        ("/outputs/video_20250405_100001.mp4", {"task_id", "status", "error", "code"}),
        ("/v1/files/other", {"error", "detail"}),
    ],
)
async def test_file_for_a_key_that_was_revoked_meanwhile_is_401_as_its_path_words_it(
    behind: Backend, ring: KeyRing, path: str, keys: set[str]
) -> None:
    ring.replace(KEYS[1:])

    for headers in (named("studio"), ()):
        denied = (await _check(behind, path, headers)).denied_response

        told = {each.header.key: each.header.value for each in denied.headers}
        assert denied.status.code == 401
        assert json.loads(denied.body).keys() == keys
        assert told["www-authenticate"] == "Bearer"


async def test_video_whose_name_is_its_key_is_looked_for_in_nobodys_name(behind: Backend) -> None:
    denied = (await _check(behind, f"/videos/{'0' * 32}.mp4", ())).denied_response

    assert denied.status.code == 404


async def test_revoked_key_ends_a_watch_that_waits(backend: Backend, ring: KeyRing) -> None:
    await _create(backend, "t1", STUDIO)
    watch, other = _watch(backend, "t1", STUDIO), _watch(backend, "t1", STUDIO)
    await anext(aiter(watch))
    await anext(aiter(other))
    await backend.started(T1)

    ring.replace(KEYS[1:])
    async with asyncio.timeout(1):
        refused = [await refusal(each) for each in (watch, other)]

    assert [(each.code, each.message) for each in refused] == [
        (grpc.StatusCode.UNAUTHENTICATED, REVOKED)
    ] * 2
    assert await backend.tasks.closed.get() == T1
    assert (await backend.tasks.get(T1)).state == "processing"


async def test_revoked_key_ends_server_sent_events(behind: Backend, ring: KeyRing) -> None:
    await behind.task_service.CreateTask(create_request(task_id="t1"), metadata=named("studio"))
    metadata = transcoded(x_client_id=KEYS[0].id)
    stream = Gateway(behind).tasks.StreamTaskEvents(
        rest.StreamTaskEventsRequest(task_id="t1"), metadata=metadata
    )
    await anext(aiter(stream))

    ring.replace(KEYS[1:])
    async with asyncio.timeout(1):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for _ in stream:
                pass

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_revoked_key_ends_a_stream_of_images_with_an_error(
    behind: Backend, ring: KeyRing
) -> None:
    behind.open(PAINTER)
    call = Face(behind).begin({"prompt": "p", "stream": True}, x_client_id=KEYS[0].id)
    assert (await call.read()).body.data == OPENING

    ring.replace(KEYS[1:])
    async with asyncio.timeout(1):
        (event,) = events((await call.read()).body.data)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()

    assert (event["type"], event["error"]["code"]) == ("error", "invalid_api_key")
    assert event["error"]["message"] == REVOKED
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_revoked_key_ends_a_call_for_images_with_401(behind: Backend, ring: KeyRing) -> None:
    behind.open(PAINTER)
    face = Face(behind)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        asked = group.create_task(face.generate({"prompt": "p"}, x_client_id=KEYS[0].id))
        await face.first_task()

        ring.replace(KEYS[1:])

    assert (asked.result().status, asked.result().detail) == (401, REVOKED)
    assert asked.result().json["error"]["code"] == "invalid_api_key"


async def test_other_keys_streams_go_on_those_of_the_same_caller_too(
    backend: Backend, ring: KeyRing
) -> None:
    both = read_list(f"studio:{STUDIO},studio:{SPARE},lab:{LAB}")
    ring.replace(both)
    await _create(backend, "t1", STUDIO)
    old, new = _watch(backend, "t1", STUDIO), _watch(backend, "t1", SPARE)
    await anext(aiter(old))
    await anext(aiter(new))

    ring.replace(both[1:])
    await refusal(old)
    cancelled = pb.CancelTaskRequest(task_id="t1")
    await backend.task_service.CancelTask(cancelled, metadata=bearer(SPARE))

    states = [response.event.state_change.state async for response in new]
    assert states[-1] == task_pb2.TASK_STATE_CANCELLED


async def test_download_in_progress_is_finished_with_a_revoked_key(
    backend: Backend, ring: KeyRing
) -> None:
    backend.pool.scripts[T1] = [COMPLETES]
    await _create(backend, "t1", STUDIO)
    await _ended(backend, "t1", bearer(STUDIO))
    await backend.rewrite(T1, bytes(3 * 2**20))
    name = (await backend.tasks.get(T1)).artifacts[0].id
    request = artifact_service_pb2.DownloadArtifactRequest(artifact_id=name)
    download = backend.artifact_service.DownloadArtifact(request, metadata=bearer(STUDIO))
    await anext(aiter(download))

    ring.replace(KEYS[1:])
    received = sum([len(response.chunk) async for response in download])
    refused = await refusal(
        backend.artifact_service.DownloadArtifact(request, metadata=bearer(STUDIO))
    )

    assert received == 3 * 2**20
    assert refused.code is grpc.StatusCode.UNAUTHENTICATED


async def test_watcher_who_leaves_is_forgotten(backend: Backend, ring: KeyRing) -> None:
    await _create(backend, "t1", STUDIO)
    watch = _watch(backend, "t1", STUDIO)
    await anext(aiter(watch))

    watch.cancel()
    await backend.tasks.closed.get()

    ring.replace(KEYS[1:])
    assert not ring._streams


async def test_calls_that_are_named_exist() -> None:
    known = {f"/{each.containing_service.full_name}/{each.name}": each for each in rpc_methods()}

    assert known.keys() >= PUBLIC_CALLS | DOWNLOADS
    assert all(known[each].server_streaming for each in DOWNLOADS)


def _get(backend: Backend, task_id: str, metadata: Metadata) -> Any:
    return backend.task_service.GetTask(pb.GetTaskRequest(task_id=task_id), metadata=metadata)


async def _create(backend: Backend, task_id: str, key: str) -> None:
    await backend.task_service.CreateTask(create_request(task_id=task_id), metadata=bearer(key))


def _watch(backend: Backend, task_id: str, key: str) -> Any:
    request = pb.WatchTaskRequest(task_id=task_id)
    return backend.task_service.WatchTask(request, metadata=bearer(key))


async def _ended(backend: Backend, task_id: str, metadata: Metadata) -> None:
    request = pb.WatchTaskRequest(task_id=task_id)
    async for _ in backend.task_service.WatchTask(request, metadata=metadata):
        pass


async def _check(backend: Backend, path: str, headers: Metadata) -> Any:
    request = external_auth_pb2.CheckRequest()
    request.attributes.request.http.path = path
    request.attributes.request.http.headers.update(dict(headers))
    return await external_auth_pb2_grpc.AuthorizationStub(backend.channel).Check(request)
