"""The native task service: what callers send, get and are refused."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from telefuser_grpc._gen.telefuser.v1 import error_pb2, task_pb2
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2 as pb
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.errors import PipelineFailed
from tests.fakes.media_files import still
from tests.fakes.replicas import Script
from tests.server.backend import COMPLETES, Backend, create_request
from tests.server.refusal import refusal

UNKNOWN = {"task_id": "task_unknown"}


class TestCreate:
    async def test_answers_the_task_as_stored(self, backend: Backend) -> None:
        task = await backend.create("t1", parameters={"mode": "fast"}, negative_prompt="blur")

        assert (task.task_id, task.kind) == ("t1", "t2v")
        assert task.state == task_pb2.TASK_STATE_PENDING
        assert dict(task.parameters) == {
            "prompt": "a red ball",
            "negative_prompt": "blur",
            "mode": "fast",
            "steps": 4,
            "guidance": 7.5,
        }
        assert task.last_sequence == 1
        assert task.create_time.ToJsonString() == "2026-01-02T03:04:05.678901Z"
        assert not task.HasField("start_time")
        assert not task.HasField("seed")

    @pytest.mark.parametrize("seed", [0, 2**53 + 1, 2**63 - 1, -(2**63)])
    async def test_every_int64_seed_stays_exact(self, backend: Backend, seed: int) -> None:
        backend.pool.script = COMPLETES
        created = await backend.create(seed=seed)
        stored = await backend.ended(created.task_id)

        assert created.seed == stored.seed == seed
        assert (await backend.started(created.task_id)).job.fields["seed"] == seed

    async def test_whole_numbers_reach_the_pipeline_as_integers(self, backend: Backend) -> None:
        task = await backend.create(
            parameters={"steps": 3, "guidance": 2.5, "sizes": [1, {"a": 2}], "huge": 1e300}
        )

        fields = (await backend.started(task.task_id)).job.fields
        assert repr(fields["steps"]) == "3"
        assert repr(fields["guidance"]) == "2.5"
        assert repr(fields["sizes"]) == "[1, {'a': 2}]"
        assert repr(fields["huge"]) == "1e+300"

    async def test_kind_is_read_in_any_case_and_inferred_when_absent(
        self, backend: Backend
    ) -> None:
        image = task_pb2.TaskInput(upload_id=await _upload(backend))

        assert (await backend.create(kind=" T2V ")).kind == "t2v"
        assert (await backend.create(kind="")).kind == "t2v"
        assert (await backend.create(kind="", inputs={"first_image_path": image})).kind == "i2v"

    async def test_input_is_answered_as_a_handle(self, backend: Backend) -> None:
        image = task_pb2.TaskInput(upload_id=await _upload(backend))

        task = await backend.create("t1", kind="i2v", inputs={"first_image_path": image})

        path = (await backend.started("t1")).job.inputs["first_image_path"]
        handle = task.inputs["first_image_path"].uri
        assert path.endswith(f"/t1/inputs/{handle}")
        assert "/" not in handle
        assert "first_image_path" not in task.parameters

    async def test_same_request_id_returns_the_same_task(self, backend: Backend) -> None:
        first = await backend.create(request_id="r1")
        again = await backend.create(request_id="r1")

        assert first.task_id == again.task_id
        assert len(await _listed(backend)) == 1

    @pytest.mark.parametrize(
        ("changes", "reason", "violations"),
        [
            ({"kind": "s2v"}, "UNSUPPORTED_TASK", {"task": "UNSUPPORTED"}),
            ({"kind": "i2v"}, "MISSING_INPUTS", {"first_image_path": "MISSING_INPUT"}),
            (
                {"kind": "i2v", "prompt": ""},
                "MISSING_INPUTS",
                {"first_image_path": "MISSING_INPUT"},
            ),
            ({"prompt": ""}, "MISSING_PARAMETERS", {"prompt": "MISSING_PARAMETER"}),
            ({"prompt": "x" * 51}, "INVALID_FIELDS", {"prompt": "TOO_LONG"}),
            (
                {"negative_prompt": "x" * 32_001},
                "INVALID_FIELDS",
                {"negative_prompt": "STRING_TOO_LONG"},
            ),
            ({"parameters": {"steps": "4"}}, "INVALID_FIELDS", {"steps": "INTEGER_TYPE"}),
            ({"parameters": {"steps": 4.5}}, "INVALID_FIELDS", {"steps": "INTEGER_TYPE"}),
            (
                {"parameters": {"steps": 0, "mode": "slow"}},
                "INVALID_FIELDS",
                {"steps": "GREATER_THAN_EQUAL", "mode": "ENUM"},
            ),
            ({"parameters": {"steps": 9}}, "INVALID_FIELDS", {"steps": "LESS_THAN_EQUAL"}),
            (
                {"parameters": {"seed": 1, "prompt": "p", "task": "t2v"}},
                "INVALID_FIELDS",
                dict.fromkeys(
                    ["parameters.seed", "parameters.prompt", "parameters.task"], "VALUE_ERROR"
                ),
            ),
            (
                {"inputs": {"first_image": task_pb2.TaskInput(upload_id="u")}},
                "INVALID_FIELDS",
                {"inputs.first_image": "EXTRA_FORBIDDEN"},
            ),
            (
                {"inputs": {"first_image_path": task_pb2.TaskInput()}},
                "INVALID_FIELDS",
                {"inputs.first_image_path": "MISSING"},
            ),
            ({"task_id": "../x"}, "INVALID_FIELDS", {"task_id": "STRING_PATTERN_MISMATCH"}),
            ({"request_id": "r" * 129}, "INVALID_FIELDS", {"request_id": "STRING_TOO_LONG"}),
            (
                {"parameters": {"output_path": "/etc/x.mp4"}},
                "INVALID_FIELDS",
                {"output_path": "OUTPUT_PATH"},
            ),
            (
                {"inputs": {"first_image_path": task_pb2.TaskInput(uri="http://127.0.0.1/a.png")}},
                "INPUT_REJECTED",
                {"first_image_path": "INPUT_REJECTED"},
            ),
        ],
    )
    async def test_refuses_what_the_contract_does_not_allow(
        self, backend: Backend, changes: dict[str, Any], reason: str, violations: dict[str, str]
    ) -> None:
        refused = await refusal(backend.task_service.CreateTask(create_request(**changes)))

        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert (refused.reason, refused.domain) == (reason, "telefuser")
        assert refused.violations == violations
        assert refused.retry_seconds is None
        assert await _listed(backend) == []

    async def test_refusal_names_what_is_supported(self, backend: Backend) -> None:
        refused = await refusal(backend.task_service.CreateTask(create_request(kind="s2v")))

        assert refused.metadata == {"task": "s2v", "supported_tasks": "t2v,i2v,t2i"}

    @pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
    async def test_refuses_numbers_that_json_does_not_have(
        self, backend: Backend, number: float
    ) -> None:
        parameters = Struct()
        parameters.update({"shift": {"a": [1, number]}})

        refused = await refusal(
            backend.task_service.CreateTask(create_request(parameters=parameters))
        )

        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.violations == {"parameters.shift": "FINITE_NUMBER"}

    async def test_refuses_an_upload_that_is_not_there(self, backend: Backend) -> None:
        image = task_pb2.TaskInput(upload_id="upload_" + "a" * 26)

        refused = await refusal(
            backend.task_service.CreateTask(create_request(inputs={"first_image_path": image}))
        )

        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert refused.reason == "UPLOAD_NOT_FOUND"
        assert refused.metadata == {"upload_id": "upload_" + "a" * 26}

    async def test_refuses_a_full_queue_and_says_when_to_return(self, backend: Backend) -> None:
        for _ in range(3):
            await backend.create()

        refused = await refusal(backend.task_service.CreateTask(create_request()))

        assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (refused.reason, refused.metadata) == ("QUEUE_FULL", {"limit": "3"})
        assert refused.retry_seconds
        assert refused.message == "Task queue is full (max 3 tasks)"

    async def test_refuses_a_taken_id(self, backend: Backend) -> None:
        await backend.create("t1")

        refused = await refusal(backend.task_service.CreateTask(create_request(task_id="t1")))

        assert refused.code is grpc.StatusCode.ALREADY_EXISTS
        assert (refused.reason, refused.metadata) == ("TASK_ALREADY_EXISTS", {"task_id": "t1"})

    async def test_refuses_a_request_id_of_another_request(self, backend: Backend) -> None:
        await backend.create(request_id="r1")

        refused = await refusal(
            backend.task_service.CreateTask(create_request(request_id="r1", seed=1))
        )

        assert refused.code is grpc.StatusCode.ALREADY_EXISTS
        assert (refused.reason, refused.metadata) == ("REQUEST_ID_REUSED", {"request_id": "r1"})

    async def test_refuses_until_a_pipeline_is_loaded(self, loading: Backend) -> None:
        refused = await refusal(loading.task_service.CreateTask(create_request()))

        assert refused.code is grpc.StatusCode.UNAVAILABLE
        assert (refused.reason, refused.retry_seconds) == ("PIPELINE_NOT_READY", 5)

    async def test_refuses_while_the_server_stops(self, backend: Backend) -> None:
        await backend.scheduler.drain()

        refused = await refusal(backend.task_service.CreateTask(create_request()))

        assert refused.code is grpc.StatusCode.UNAVAILABLE
        assert (refused.reason, refused.retry_seconds) == ("SHUTTING_DOWN", 5)

    async def test_refuses_when_every_replica_is_lost(self, backend: Backend) -> None:
        backend.pool.respawns = False
        backend.pool.replicas[0].die()

        refused = await refusal(backend.task_service.CreateTask(create_request()))

        assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (refused.reason, refused.retry_seconds) == ("NO_CAPACITY", None)

    async def test_refuses_while_the_disk_is_full(self, backend: Backend) -> None:
        backend.tasks.full = True

        refused = await refusal(backend.task_service.CreateTask(create_request()))

        assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (refused.reason, refused.retry_seconds) == ("STORAGE_FULL", 30)


class TestGet:
    async def test_completed_task_has_everything(self, backend: Backend) -> None:
        task = await backend.run_to_end("t1", seed=7)

        assert task.state == task_pb2.TASK_STATE_COMPLETED
        assert (task.attempt, task.replica, task.inference_seconds) == (1, 0, 1.0)
        assert not task.HasField("peak_memory_mib")
        assert not task.HasField("error")
        assert (task.progress.step, task.progress.steps) == (4, 4)
        assert task.progress.stage == "denoising"
        assert [each.filename for each in task.artifacts] == ["t1.mp4"]
        assert task.artifacts[0].artifact_id == "local:tasks/t1/outputs/videos/t1.mp4"
        assert task.HasField("start_time")
        assert task.HasField("finish_time")

    async def test_failed_task_says_why(self, backend: Backend) -> None:
        error = PipelineFailed("The pipeline raised ValueError: no")

        task = await backend.run_to_end("t1", Script(error=error))

        assert task.state == task_pb2.TASK_STATE_FAILED
        assert task.error.reason == error_pb2.ERROR_REASON_PIPELINE_FAILED
        assert task.error.message == "The pipeline raised ValueError: no"
        assert not task.artifacts


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("GetTask", pb.GetTaskRequest),
        ("CancelTask", pb.CancelTaskRequest),
        ("DeleteTask", pb.DeleteTaskRequest),
        ("WatchTask", pb.WatchTaskRequest),
    ],
)
async def test_unknown_id_is_not_found(backend: Backend, method: str, request_type: Any) -> None:
    refused = await refusal(getattr(backend.task_service, method)(request_type(**UNKNOWN)))

    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert (refused.reason, refused.metadata) == ("TASK_NOT_FOUND", UNKNOWN)
    assert refused.domain == "telefuser"


class TestList:
    async def test_pages_are_newest_first_and_meet_without_gap(self, backend: Backend) -> None:
        for number in range(5):
            await backend.run_to_end(f"t{number}")

        first = await backend.task_service.ListTasks(pb.ListTasksRequest(page_size=2))
        second = await _next_page(backend, first, page_size=2)
        third = await _next_page(backend, second, page_size=2)

        assert [_ids(page) for page in (first, second, third)] == [
            ["t4", "t3"],
            ["t2", "t1"],
            ["t0"],
        ]
        assert third.next_page_token == ""

    async def test_filters_by_state_and_kind(self, backend: Backend) -> None:
        await backend.run_to_end("done")
        await backend.run_to_end("picture", kind="t2i")
        await backend.run_to_end("failed", Script(error=PipelineFailed("no")))

        failed = [task_pb2.TASK_STATE_FAILED, task_pb2.TASK_STATE_CANCELLED]
        assert await _listed(backend, states=failed) == ["failed"]
        assert await _listed(backend, kinds=["t2i"]) == ["picture"]
        assert await _listed(backend, kinds=["t2v", "t2i"]) == ["failed", "picture", "done"]
        assert await _listed(backend, kinds=["t2i"], states=failed) == []

    async def test_token_holds_for_its_own_filter_only(self, backend: Backend) -> None:
        for number in range(3):
            await backend.run_to_end(f"t{number}")
        first = await backend.task_service.ListTasks(pb.ListTasksRequest(page_size=1))

        refused = await refusal(_next_page(backend, first, kinds=["t2v"]))

        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.reason == "INVALID_PAGE_TOKEN"
        assert refused.violations == {"page_token": "VALUE_ERROR"}

    async def test_malformed_token_is_refused(self, backend: Backend) -> None:
        refused = await refusal(
            backend.task_service.ListTasks(pb.ListTasksRequest(page_token="../../x"))
        )

        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.reason == "INVALID_PAGE_TOKEN"

    @pytest.mark.parametrize("state", [task_pb2.TASK_STATE_UNSPECIFIED, 99])
    async def test_state_that_does_not_exist_is_refused(self, backend: Backend, state: Any) -> None:
        refused = await refusal(backend.task_service.ListTasks(pb.ListTasksRequest(states=[state])))

        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.violations == {"states": "ENUM"}


class TestCancel:
    async def test_waiting_task_is_cancelled_at_once(self, backend: Backend) -> None:
        await backend.create("running")
        await backend.started("running")
        await backend.create("waiting")

        response = await backend.task_service.CancelTask(pb.CancelTaskRequest(task_id="waiting"))

        assert response.task.state == task_pb2.TASK_STATE_CANCELLED
        assert response.task.error.reason == error_pb2.ERROR_REASON_CANCELLED

    async def test_running_task_is_cancelling_until_it_has_stopped(self, backend: Backend) -> None:
        await backend.create("t1")
        await backend.started("t1")

        response = await backend.task_service.CancelTask(pb.CancelTaskRequest(task_id="t1"))

        assert response.task.state == task_pb2.TASK_STATE_CANCELLING
        assert (await backend.ended("t1")).state == task_pb2.TASK_STATE_CANCELLED

    async def test_ended_task_stays_as_it_is(self, backend: Backend) -> None:
        before = await backend.run_to_end("t1")

        response = await backend.task_service.CancelTask(pb.CancelTaskRequest(task_id="t1"))

        assert response.task == before


class TestDelete:
    async def test_ended_task_goes_with_its_files(self, backend: Backend) -> None:
        await backend.run_to_end("t1")

        await backend.task_service.DeleteTask(pb.DeleteTaskRequest(task_id="t1"))

        assert await _listed(backend) == []
        assert not (backend.root / "tasks" / "t1").exists()

    async def test_running_task_is_refused(self, backend: Backend) -> None:
        await backend.create("t1")
        await backend.started("t1")

        refused = await refusal(backend.task_service.DeleteTask(pb.DeleteTaskRequest(task_id="t1")))

        assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
        assert refused.reason == "TASK_NOT_ENDED"
        assert refused.metadata == {"task_id": "t1", "state": "processing"}


class TestWatch:
    async def test_tells_the_whole_life_in_order(self, backend: Backend) -> None:
        backend.pool.script = Script(steps=2, previews=frozenset({1}))
        await backend.create("t1")

        events = [each async for each in backend.events("t1")]

        assert [_told(each) for each in events] == [
            "PENDING",
            "PROCESSING",
            "1/2",
            "preview 1",
            "2/2",
            "COMPLETED",
        ]
        assert [each.sequence for each in events] == [1, 2, 3, 4, 5, 6]
        assert [each.attempt for each in events] == [0, 1, 1, 1, 1, 1]
        assert events[3].preview.image == b"jpeg"
        assert events[3].preview.content_type == "image/jpeg"
        assert [each.filename for each in events[-1].state_change.artifacts] == ["t1.mp4"]
        assert {each.task_id for each in events} == {"t1"}

    async def test_history_meets_what_happens_next(self, backend: Backend) -> None:
        gate = asyncio.Event()
        backend.pool.script = Script(steps=2, gates={2: gate})
        await backend.create("t1")
        events = backend.events("t1")

        history = [_told(await anext(events)) for _ in range(3)]
        gate.set()
        live = [_told(each) async for each in events]

        assert history == ["PENDING", "PROCESSING", "1/2"]
        assert live == ["2/2", "COMPLETED"]

    async def test_resumes_after_a_sequence(self, backend: Backend) -> None:
        await backend.run_to_end("t1")

        everything = [each async for each in backend.events("t1")]
        rest = [each async for each in backend.events("t1", 3)]

        assert rest == everything[3:]
        assert [each async for each in backend.events("t1", len(everything))] == []

    async def test_leaves_out_previews_on_demand(self, backend: Backend) -> None:
        await backend.run_to_end("t1", Script(steps=2, previews=frozenset({1, 2})))

        told = [_told(each) async for each in backend.events("t1", omit_previews=True)]

        assert told == ["PENDING", "PROCESSING", "1/2", "2/2", "COMPLETED"]

    async def test_many_watchers_see_the_same(self, backend: Backend) -> None:
        gate = asyncio.Event()
        backend.pool.script = Script(gates={1: gate})
        await backend.create("t1")
        watchers = [asyncio.create_task(_all(backend, "t1")) for _ in range(3)]
        await backend.started("t1")

        gate.set()

        first, *others = await asyncio.gather(*watchers)
        assert _told(first[-1]) == "COMPLETED"
        assert others == [first, first]

    async def test_is_closed_when_the_caller_goes(self, backend: Backend) -> None:
        await backend.create("t1")
        call = backend.task_service.WatchTask(pb.WatchTaskRequest(task_id="t1"))
        await anext(aiter(call))

        call.cancel()

        assert await backend.tasks.closed.get() == "t1"

    async def test_failure_says_why(self, backend: Backend) -> None:
        backend.pool.script = Script(steps=0, error=PipelineFailed("no"))
        await backend.create("t1")

        *_, last = await _all(backend, "t1")

        assert last.state_change.state == task_pb2.TASK_STATE_FAILED
        assert last.state_change.error.reason == error_pb2.ERROR_REASON_PIPELINE_FAILED
        assert last.state_change.error.message == "no"


class TestQueue:
    async def test_tells_places_and_the_limit(self, backend: Backend) -> None:
        for task_id in ("a", "b", "c"):
            await backend.create(task_id)
        await backend.started("a")

        queue = (await backend.task_service.GetQueue(pb.GetQueueRequest())).queue

        assert [(each.task_id, each.position) for each in queue.waiting] == [("b", 1), ("c", 2)]
        assert list(queue.running) == ["a"]
        assert (queue.limit, queue.ended_count) == (3, 0)

    async def test_expects_starts_once_it_has_seen_a_run(self, backend: Backend) -> None:
        await backend.run_to_end("seen")
        await backend.create("a")
        await backend.started("a")
        await backend.create("b")

        queue = (await backend.task_service.GetQueue(pb.GetQueueRequest())).queue

        assert queue.waiting[0].expected_start_time.ToJsonString() == "2026-01-02T03:04:06.678901Z"

    async def test_watch_tells_now_and_after_each_change(self, backend: Backend) -> None:
        watch = aiter(backend.task_service.WatchQueue(pb.WatchQueueRequest()))

        empty = (await anext(watch)).queue
        await backend.create("a")
        await backend.started("a")
        busy = (await anext(watch)).queue
        while not busy.running:
            busy = (await anext(watch)).queue

        assert (list(empty.waiting), list(empty.running), empty.limit) == ([], [], 3)
        assert list(busy.running) == ["a"]


class TestBounds:
    """Errors fit into the metadata that a client takes, whatever the request held."""

    @pytest.mark.parametrize("text", ["x" * 100_000, "图" * 50_000])
    async def test_long_id_in_an_error_is_cut(self, backend: Backend, text: str) -> None:
        refused = await refusal(backend.task_service.GetTask(pb.GetTaskRequest(task_id=text)))

        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert text.startswith(refused.metadata["task_id"][:50])

    @pytest.mark.parametrize("text", ["x" * 100_000, "图" * 50_000])
    async def test_long_kind_in_an_error_is_cut(self, backend: Backend, text: str) -> None:
        refused = await refusal(backend.task_service.CreateTask(create_request(kind=text)))

        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.reason == "UNSUPPORTED_TASK"
        assert list(refused.violations) == ["task"]

    async def test_many_long_fields_in_an_error_are_cut(self, backend: Backend) -> None:
        contract = PipelineContract.parse(_many_parameters(), stem="many")
        backend.open(contract)
        wrong = dict.fromkeys(contract.tasks["t2v"].parameters, 1)

        refused = await refusal(backend.task_service.CreateTask(create_request(parameters=wrong)))

        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert 5 < len(refused.violations) < 100


def _many_parameters() -> dict[str, Any]:
    parameters = {f"{number}{'图' * 50}": {"type": "string"} for number in range(100)}
    return {"supported_tasks": ["t2v"], "task_contracts": {"t2v": {"parameters": parameters}}}


async def _upload(backend: Backend) -> str:
    async with backend.uploads.receive() as sink:
        await sink.write(still())
        return (await sink.finish()).id


async def _all(backend: Backend, task_id: str) -> list[task_pb2.TaskEvent]:
    return [each async for each in backend.events(task_id)]


async def _listed(backend: Backend, **filters: Any) -> list[str]:
    return _ids(await backend.task_service.ListTasks(pb.ListTasksRequest(**filters)))


def _next_page(backend: Backend, page: pb.ListTasksResponse, **filters: Any) -> Any:
    request = pb.ListTasksRequest(page_token=page.next_page_token, **filters)
    return backend.task_service.ListTasks(request)


def _ids(page: pb.ListTasksResponse) -> list[str]:
    return [task.task_id for task in page.tasks]


def _told(event: task_pb2.TaskEvent) -> str:
    match event.WhichOneof("event"):
        case "state_change":
            name = task_pb2.TaskState.Name(event.state_change.state)
            return name.removeprefix("TASK_STATE_")
        case "progress":
            return f"{event.progress.step}/{event.progress.steps}"
        case "preview":
            return f"preview {event.preview.step}"
    raise AssertionError(event)
