"""The way in: what becomes a task, and what is refused and why."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telefuser_grpc.domain.contract import Enforcement, PipelineContract
from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.domain.sizes import InputLimits
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import (
    InputRejected,
    InvalidFields,
    MissingInputs,
    MissingParameters,
    PipelineNotReady,
    QueueFull,
    RequestIdReused,
    TaskAlreadyExists,
    TaskNotInferred,
    TeleFuserError,
    UnsupportedTask,
)
from telefuser_grpc.scheduler.admission import Admission, TaskRequest
from telefuser_grpc.scheduler.ports import TaskQuery
from tests.fakes.artifacts import MemoryArtifactStore, MemoryMediaInputs
from tests.fakes.builders import NOW
from tests.fakes.replicas import FakePool, Script
from tests.fakes.tasks import MemoryTaskStore
from tests.scheduler.house import House

CONTRACT = PipelineContract.parse(
    {
        "supported_tasks": ["t2v", "i2v"],
        "task_contracts": {
            "t2v": {
                "parameters": {
                    "prompt": {"type": "string", "required": True, "max_length": 50},
                    "steps": {"type": "integer", "default": 4, "minimum": 1, "maximum": 8},
                }
            },
            "i2v": {
                "parameters": {"prompt": {"type": "string", "required": True}},
                "input_limits": {"first_image_path": {"max_aspect_ratio": 8}},
            },
        },
    },
    stem="pipeline",
)
LEGACY = PipelineContract.legacy("t2v", stem="pipeline")


class Door:
    """An admission and the fakes around it; replicas hang, so that the queue fills."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.inputs = MemoryMediaInputs()
        self.admission = Admission(tasks=house.tasks, inputs=self.inputs, scheduler=house.scheduler)
        self.admission.open(CONTRACT)

    async def admit(self, **request: object) -> Task:
        """Admits a t2v request, changed as told."""
        given = {"fields": {"prompt": "a red ball"}, "kind": "t2v"} | request
        return await self.admission.admit(TaskRequest(**given))  # type: ignore[arg-type]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    pool = FakePool(script=Script(hangs_after=1))
    house = House(tasks=MemoryTaskStore(), pool=pool, artifacts=MemoryArtifactStore(tmp_path))
    async with house.scheduler:
        house.scheduler.open()
        yield Door(house)


async def test_an_admitted_task_is_stored_with_the_contracts_defaults(door: Door) -> None:
    task = await door.admit()

    stored = await door.house.tasks.get(task.id)
    assert stored.fields == {"prompt": "a red ball", "steps": 4}
    assert stored.output_name == f"{task.id}.mp4"
    assert task.id.startswith("task_")


async def test_ids_of_one_moment_have_nothing_in_common_that_could_be_guessed(door: Door) -> None:
    admission = Admission(
        tasks=door.house.tasks,
        inputs=door.inputs,
        scheduler=door.house.scheduler,
        clock=lambda: NOW,
    )
    admission.open(CONTRACT)
    request = TaskRequest(fields={"prompt": "x"}, kind="t2v")

    first, second = [(await admission.admit(request)).id for _ in range(2)]

    moment = len("task_") + 10
    assert first[:moment] == second[:moment]
    assert sum(a == b for a, b in zip(first[moment:], second[moment:], strict=True)) < 8


async def test_generic_defaults_fill_only_what_the_contract_does_not_declare(door: Door) -> None:
    task = await door.admit(generic_defaults={"steps": 99, "resolution": "720p"})

    assert task.fields["steps"] == 4
    assert task.fields["resolution"] == "720p"


@pytest.mark.parametrize(
    ("default", "given", "name"),
    [
        ("a/film.mp4", {}, "a/film.mp4"),
        ("", {}, "t1.mp4"),
        ("a.mp4", {"output_path": ""}, "t1.mp4"),
    ],
)
async def test_an_output_path_of_the_contract_names_the_file(
    door: Door, default: str, given: dict[str, str], name: str
) -> None:
    task = {"parameters": {"output_path": {"default": default}}}
    declared = {"supported_tasks": ["t2v"], "task_contracts": {"t2v": task}}
    door.admission.open(PipelineContract.parse(declared, stem="pipeline"))

    admitted = await door.admit(task_id="t1", fields={"prompt": "x", **given})

    assert admitted.output_name == name


async def test_the_kind_is_inferred_from_the_media_given(door: Door) -> None:
    media = {"prompt": "it moves", "first_image_path": "upload:1"}

    task = await door.admit(kind="", fields=media)

    assert task.kind == "i2v"
    assert task.inputs == {"first_image_path": "first_image_path.png"}
    assert "first_image_path" not in task.fields


async def test_a_kind_of_the_protocol_stands_only_for_a_request_without_media(door: Door) -> None:
    declared = {"supported_tasks": ["t2i", "t2v", "i2v"]}
    door.admission.open(PipelineContract.parse(declared, stem="pipeline"))
    media = {"prompt": "x", "first_image_path": "upload:1"}

    asked = [
        {"default_kind": "t2v"},
        {"default_kind": "vsr"},
        {"default_kind": ""},
        {"default_kind": "t2v", "fields": media},
    ]

    assert [(await door.admit(kind="", **request)).kind for request in asked] == [
        "t2v",
        "t2i",
        "t2i",
        "i2v",
    ]


async def test_a_media_type_bounds_what_is_inferred(door: Door) -> None:
    declared = {"supported_tasks": ["t2v", "t2i"]}
    door.admission.open(PipelineContract.parse(declared, stem="pipeline"))

    assert (await door.admit(kind="", media_type=MediaType.IMAGE)).kind == "t2i"


async def test_addresses_are_remembered_without_their_secrets(door: Door) -> None:
    media = {
        "prompt": "x",
        "first_image_path": "https://me:key@a.example/b.png?signature=s",
        "last_image_path": "data:image/png;base64,AAAA",
    }

    task = await door.admit(kind="i2v", fields=media)

    assert task.sources == {"first_image_path": "https://a.example/b.png"}


async def test_a_prompt_is_needed_where_the_contract_is_silent_of_prompts(door: Door) -> None:
    door.admission.open(PipelineContract.parse({"supported_tasks": ["t2v"]}, stem="pipeline"))

    with pytest.raises(MissingParameters) as refusal:
        await door.admit(fields={"prompt": ""})

    assert refusal.value.missing == ("prompt",)


async def test_room_can_be_asked_for_and_is_not_taken(door: Door) -> None:
    for _ in range(4):
        door.admission.check_room()
        await door.admit()

    with pytest.raises(QueueFull):
        door.admission.check_room()


async def test_there_is_no_room_before_a_pipeline_is_loaded(door: Door) -> None:
    admission = Admission(
        tasks=door.house.tasks, inputs=door.inputs, scheduler=door.house.scheduler
    )

    with pytest.raises(PipelineNotReady):
        admission.check_room()


async def test_relaxed_enforcement_takes_values_that_the_contract_does_not(door: Door) -> None:
    relaxed = Admission(
        tasks=door.house.tasks,
        inputs=door.inputs,
        scheduler=door.house.scheduler,
        enforcement=Enforcement.RELAXED,
    )
    relaxed.open(CONTRACT)

    task = await relaxed.admit(TaskRequest(fields={"prompt": "x", "steps": "many"}, kind="t2v"))

    assert task.fields["steps"] == "many"


@pytest.mark.parametrize(
    ("enforcement", "limits"),
    [(Enforcement.STRICT, CONTRACT.task("i2v").input_limits), (Enforcement.RELAXED, {})],
)
async def test_media_are_held_to_the_limits_of_their_kind_unless_relaxed(
    door: Door, enforcement: Enforcement, limits: dict[str, InputLimits]
) -> None:
    admission = Admission(
        tasks=door.house.tasks,
        inputs=door.inputs,
        scheduler=door.house.scheduler,
        enforcement=enforcement,
    )
    admission.open(CONTRACT)

    await admission.admit(TaskRequest(fields={"prompt": "x", "first_image_path": "upload:1"}))

    assert door.inputs.limits == limits


async def test_contents_stand_for_fields_that_differ_each_time(door: Door) -> None:
    def request(upload: str, content: str) -> dict[str, object]:
        fields = {"prompt": "x", "first_image_path": upload}
        return {
            "kind": "i2v",
            "fields": fields,
            "contents": {"first_image_path": content},
            "request_id": "r1",
        }

    first = await door.admit(**request("upload:1", "sha256:a"))

    assert (await door.admit(**request("upload:2", "sha256:a"))).id == first.id
    with pytest.raises(RequestIdReused):
        await door.admit(**request("upload:1", "sha256:b"))


async def test_nothing_is_admitted_before_a_pipeline_is_loaded(door: Door) -> None:
    admission = Admission(
        tasks=door.house.tasks, inputs=door.inputs, scheduler=door.house.scheduler
    )

    with pytest.raises(PipelineNotReady):
        await admission.admit(TaskRequest(fields={"prompt": "x"}))


@pytest.mark.parametrize(
    ("request_fields", "refusal"),
    [
        ({"kind": "vsr"}, UnsupportedTask),
        ({"kind": "i2v", "fields": {}}, MissingInputs),
        ({"fields": {}}, MissingParameters),
        ({"fields": {"prompt": ""}}, MissingParameters),
        ({"fields": {"prompt": "x" * 51}}, InvalidFields),
        ({"fields": {"prompt": "x", "steps": 9}}, InvalidFields),
        ({"fields": {"prompt": "x", "steps": "4"}}, InvalidFields),
        ({"fields": {"prompt": "x", "note": "y" * 32_001}}, InvalidFields),
        ({"fields": {"prompt": "x", "n" * 129: 1}}, InvalidFields),
        ({"fields": {"prompt": "x", "latent_data": {}}}, InvalidFields),
        ({"kind": "", "fields": {"prompt": "x", "audio_path": "upload:1"}}, TaskNotInferred),
        ({"task_id": "../etc"}, InvalidFields),
        ({"request_id": "r" * 129}, InvalidFields),
    ],
)
async def test_a_request_that_the_contract_refuses_leaves_nothing(
    door: Door, request_fields: dict[str, object], refusal: type[TeleFuserError]
) -> None:
    with pytest.raises(refusal):
        await door.admit(**request_fields)

    assert door.house.tasks.counts()[TaskState.PENDING] == 0
    assert door.inputs.taken == []


async def test_a_missing_input_is_told_before_a_missing_parameter(door: Door) -> None:
    with pytest.raises(MissingInputs) as refusal:
        await door.admit(kind="i2v", fields={})

    assert refusal.value.missing == ("first_image_path",)


async def test_a_file_without_a_contract_needs_a_prompt(door: Door) -> None:
    door.admission.open(LEGACY)

    with pytest.raises(InvalidFields) as refusal:
        await door.admit(fields={})

    assert [each.field for each in refusal.value.violations] == ["prompt"]


async def test_refused_media_gives_the_place_in_the_queue_back(door: Door) -> None:
    door.inputs.fault = InputRejected("first_image_path", "does not decode")
    media = {"prompt": "x", "first_image_path": "upload:1"}

    for _ in range(5):
        with pytest.raises(InputRejected):
            await door.admit(kind="i2v", fields=media)

    door.inputs.fault = None
    assert (await door.admit()).state is TaskState.PENDING


async def test_a_full_queue_refuses_before_media_is_taken(door: Door) -> None:
    for _ in range(4):
        await door.admit()

    with pytest.raises(QueueFull):
        await door.admit(kind="i2v", fields={"prompt": "x", "first_image_path": "upload:1"})

    assert door.inputs.dropped == []
    assert len(door.inputs.taken) == 4


async def test_the_same_request_id_gives_the_same_task(door: Door) -> None:
    first = await door.admit(request_id="r1")

    second = await door.admit(request_id="r1")

    assert second.id == first.id
    assert door.house.tasks.counts()[TaskState.PENDING] <= 1


async def test_the_same_request_twice_at_once_gives_one_task(door: Door) -> None:
    tasks = await asyncio.gather(*(door.admit(request_id="r1") for _ in range(4)))

    assert len({task.id for task in tasks}) == 1


async def test_a_repeated_request_is_answered_even_when_the_queue_is_full(door: Door) -> None:
    first = await door.admit(request_id="r1")
    for _ in range(3):
        await door.admit()

    assert (await door.admit(request_id="r1")).id == first.id


async def test_another_request_under_the_same_request_id_is_refused(door: Door) -> None:
    await door.admit(request_id="r1")

    with pytest.raises(RequestIdReused):
        await door.admit(request_id="r1", fields={"prompt": "a blue ball"})


async def test_a_chosen_id_is_taken_once_and_its_media_stay(door: Door) -> None:
    media = {"prompt": "x", "first_image_path": "upload:1"}
    await door.admit(task_id="mine", kind="i2v", fields=media)

    with pytest.raises(TaskAlreadyExists):
        await door.admit(task_id="mine", kind="i2v", fields=media)

    assert door.inputs.taken == ["mine"]
    assert door.inputs.dropped == []


async def test_a_caller_who_leaves_during_the_commit_loses_neither_task_nor_media(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    committing, commit = asyncio.Event(), asyncio.Event()
    create = door.house.tasks.create

    async def slow_create(task: Task) -> Task:
        committing.set()
        await commit.wait()
        return await create(task)

    monkeypatch.setattr(door.house.tasks, "create", slow_create)
    media = {"prompt": "x", "first_image_path": "upload:1"}
    call = asyncio.create_task(door.admit(task_id="mine", kind="i2v", fields=media))
    await committing.wait()

    call.cancel()
    commit.set()
    await door.house.pool.started("mine")

    assert door.inputs.dropped == []


def _several(count: int, **changes: object) -> list[TaskRequest]:
    return [
        TaskRequest(fields={"prompt": "a red ball", "seed": seed}, kind="t2v", **changes)  # type: ignore[arg-type]
        for seed in range(count)
    ]


async def test_requests_that_belong_together_become_tasks_in_their_order(door: Door) -> None:
    tasks = await door.admission.admit_all(_several(3))

    assert [task.fields["seed"] for task in tasks] == [0, 1, 2]


async def test_of_requests_that_belong_together_none_is_admitted_without_room_for_all(
    door: Door,
) -> None:
    with pytest.raises(QueueFull):
        await door.admission.admit_all(_several(door.house.scheduler.limits.queue + 1))

    assert door.house.scheduler.queue().waiting == ()
    assert door.house.pool.runs == []


async def test_requests_that_were_sent_together_again_are_the_same_tasks(door: Door) -> None:
    first = await door.admission.admit_all(_several(2, resends=0))
    again = await door.admission.admit_all(_several(2, resends=1))

    assert [task.id for task in again] == [task.id for task in first]


async def test_when_one_of_several_cannot_be_stored_the_others_are_ended(door: Door) -> None:
    (good,) = _several(1)
    bad = TaskRequest(fields={"prompt": "x", "first_image_path": "bad"}, kind="i2v")
    door.inputs.fault = InputRejected("first_image_path", "is no image")

    with pytest.raises(InputRejected):
        await door.admission.admit_all([good, bad])

    (task,) = (await door.house.tasks.list(TaskQuery())).tasks
    assert [event async for event in door.house.tasks.watch(task.id)][-1].is_last
    assert (await door.house.tasks.get(task.id)).state is TaskState.CANCELLED
