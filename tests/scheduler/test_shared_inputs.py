"""Tasks of one call that are asked for with the same media: it is taken once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.scheduler.admission import Admission, TaskRequest
from tests.fakes.artifacts import MemoryArtifactStore, MemoryMediaInputs
from tests.fakes.replicas import FakePool, Script
from tests.fakes.tasks import MemoryTaskStore
from tests.scheduler.house import House


@pytest.fixture
def inputs() -> MemoryMediaInputs:
    return MemoryMediaInputs()


@pytest.fixture
async def admission(tmp_path: Path, inputs: MemoryMediaInputs) -> AsyncIterator[Admission]:
    pool = FakePool(script=Script(hangs_after=1))
    house = House(tasks=MemoryTaskStore(), pool=pool, artifacts=MemoryArtifactStore(tmp_path))
    async with house.scheduler:
        house.scheduler.open()
        admission = Admission(tasks=house.tasks, inputs=inputs, scheduler=house.scheduler)
        admission.open(PipelineContract.parse({"supported_tasks": ["i2i", "t2i"]}, stem="p"))
        yield admission


def asked(*images: str) -> list[TaskRequest]:
    return [
        TaskRequest(
            kind="i2i" if image else "t2i",
            fields={"prompt": "x"} | ({"first_image_path": image} if image else {}),
        )
        for image in images
    ]


async def test_the_same_image_is_taken_once(
    admission: Admission, inputs: MemoryMediaInputs
) -> None:
    first, *others = await admission.admit_all(
        asked("http://x.y/a", "http://x.y/a", "http://x.y/a")
    )

    assert inputs.taken == [first.id]
    assert inputs.shared == [each.id for each in others]
    assert all(each.inputs == first.inputs for each in others)


async def test_other_images_are_taken_each(admission: Admission, inputs: MemoryMediaInputs) -> None:
    tasks = await admission.admit_all(asked("http://x.y/a", "http://x.y/b"))

    assert inputs.taken == [each.id for each in tasks]


async def test_tasks_without_media_share_nothing(
    admission: Admission, inputs: MemoryMediaInputs
) -> None:
    await admission.admit_all(asked("", ""))

    assert inputs.shared == []


async def test_image_that_has_gone_meanwhile_is_taken_again(
    admission: Admission, inputs: MemoryMediaInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(task_id: str, other: object) -> dict[str, str]:
        return {}

    monkeypatch.setattr(inputs, "share", gone)

    tasks = await admission.admit_all(asked("http://x.y/a", "http://x.y/a"))

    assert inputs.taken == [each.id for each in tasks]
