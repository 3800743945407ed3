"""The native system service."""

import grpc

from telefuser_grpc import __version__
from telefuser_grpc._gen.telefuser.v1 import contract_pb2
from telefuser_grpc._gen.telefuser.v1 import system_service_pb2 as pb
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.errors import PipelineFailed
from tests.fakes.replicas import Script
from tests.server.backend import Backend
from tests.server.refusal import refusal


async def test_health_is_answered_before_and_after_loading(loading: Backend) -> None:
    before = await loading.system_service.GetHealth(pb.GetHealthRequest())
    loading.open()
    after = await loading.system_service.GetHealth(pb.GetHealthRequest())

    assert (before.ready, after.ready) == (False, True)
    assert before.version == __version__
    assert after.server_time.seconds > 1_700_000_000


async def test_readiness_says_why_not(loading: Backend) -> None:
    readiness = await _readiness(loading)

    assert not readiness.ready
    assert readiness.message.startswith("No service is initialized")


async def test_readiness_has_nothing_to_say_when_ready(backend: Backend) -> None:
    assert await _readiness(backend) == pb.GetReadinessResponse(ready=True)


async def test_lost_replicas_and_the_stop_are_not_ready(backend: Backend) -> None:
    backend.pool.respawns = False
    backend.pool.replicas[0].die()
    lost = await _readiness(backend)
    await backend.scheduler.drain()
    stopping = await _readiness(backend)

    assert (lost.ready, stopping.ready) == (False, False)
    assert "dead" in lost.message
    assert "stopping" in stopping.message


async def test_status_counts_tasks_and_tells_of_replicas(backend: Backend) -> None:
    await backend.run_to_end("t1")
    await backend.run_to_end("t2", Script(error=PipelineFailed("no")))
    await backend.create("running")
    await backend.started("running")
    await backend.create("waiting")

    status = await backend.system_service.GetStatus(pb.GetStatusRequest())

    assert status == pb.GetStatusResponse(
        pending_count=1,
        processing_count=1,
        queue_limit=3,
        completed_count=1,
        failed_count=1,
        replicas=[pb.Replica(state=pb.REPLICA_STATE_BUSY, task_id="running", task_ids=["running"])],
    )


async def test_status_tells_of_deaths(backend: Backend) -> None:
    backend.pool.replicas[0].die()

    status = await backend.system_service.GetStatus(pb.GetStatusRequest())

    assert status.replicas[0].restart_count == 1
    assert status.replicas[0].last_error == "Replica 0 died"


async def test_metadata_tells_of_batches_where_a_contract_does(loading: Backend) -> None:
    entries = {"t2v": {"batch": {"keys": ["steps"], "max_size": 4}}}
    declared = {"supported_tasks": ["t2v", "t2i"], "task_contracts": entries}
    loading.open(PipelineContract.parse(declared, stem="batches"))

    contract = (await loading.system_service.GetMetadata(pb.GetMetadataRequest())).contract

    assert contract.tasks[0].batching == contract_pb2.Batching(keys=["steps"], max_size=4)
    assert not contract.tasks[1].HasField("batching")


async def test_metadata_tells_of_limits_where_a_contract_does(loading: Backend) -> None:
    limits = {"first_image_path": {"max_aspect_ratio": 8}, "ref_video_path": {"max_frames": 241}}
    entries = {"i2v": {"input_limits": limits, "max_pixels": 399_360}}
    declared = {"supported_tasks": ["i2v", "t2i"], "task_contracts": entries}
    loading.open(PipelineContract.parse(declared, stem="limits"))

    contract = (await loading.system_service.GetMetadata(pb.GetMetadataRequest())).contract

    assert contract.tasks[0].max_pixels == 399_360
    assert contract.tasks[0].input_limits == {
        "first_image_path": contract_pb2.InputLimits(max_aspect_ratio=8),
        "ref_video_path": contract_pb2.InputLimits(max_frames=241),
    }
    assert not contract.tasks[1].HasField("max_pixels")
    assert not contract.tasks[1].input_limits


async def test_metadata_has_the_contract_without_hidden_parameters(backend: Backend) -> None:
    metadata = await backend.system_service.GetMetadata(pb.GetMetadataRequest())

    assert (metadata.replica_count, metadata.parallelism, metadata.queue_limit) == (1, 1, 3)
    contract = metadata.contract
    assert (contract.pipeline_name, contract.contract_version) == ("shapes", "v1")
    assert contract.declared
    assert [each.kind for each in contract.tasks] == ["t2v", "i2v", "t2i"]
    assert [each.media_type for each in contract.tasks] == ["video", "video", "image"]
    assert list(contract.tasks[1].required_inputs) == ["first_image_path"]
    assert list(contract.tasks[1].optional_inputs) == ["last_image_path"]
    prompt, steps, mode, guidance = contract.tasks[0].parameters
    assert prompt == contract_pb2.Parameter(
        name="prompt",
        type="string",
        required=True,
        default_value={"null_value": 0},
        description="What to show",
        max_length=50,
    )
    assert (steps.name, steps.minimum, steps.maximum) == ("steps", 1, 8)
    assert steps.default_value.number_value == 4
    assert (mode.name, list(mode.enum_values)) == ("mode", ["fast", "fine"])
    assert (guidance.name, guidance.unit) == ("guidance", "weight")


async def test_metadata_is_unavailable_until_a_pipeline_is_loaded(loading: Backend) -> None:
    refused = await refusal(loading.system_service.GetMetadata(pb.GetMetadataRequest()))

    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert (refused.reason, refused.retry_seconds) == ("PIPELINE_NOT_READY", 5)


async def _readiness(backend: Backend) -> pb.GetReadinessResponse:
    return await backend.system_service.GetReadiness(pb.GetReadinessRequest())
