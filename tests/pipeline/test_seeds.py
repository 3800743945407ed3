"""What a run draws from global generators follows from its job."""

import random
from typing import Any

import numpy
import pytest

from telefuser_grpc.pipeline.seeds import seed_libraries
from tests.workers.local_pool import make_job

torch = pytest.importorskip("torch")


def drawn(task_id: str, **fields: Any) -> tuple[float, float, float]:
    seed_libraries(make_job(task_id, **fields))
    return random.random(), float(numpy.random.random()), float(torch.rand(1))


@pytest.mark.parametrize("seed", [0, 7, -1, 2**63 - 1, 2**64 + 3])
def test_same_seed_gives_the_same_numbers_whatever_the_task(seed: int) -> None:
    first = drawn("task_a", seed=seed)

    assert drawn("task_b", seed=seed) == first
    assert not set(first) & set(drawn("task_a", seed=seed + 1))


@pytest.mark.parametrize("fields", [{}, {"seed": None}, {"seed": "7"}, {"seed": True}])
def test_task_without_a_seed_has_numbers_of_its_own(fields: dict[str, Any]) -> None:
    first = drawn("task_a", **fields)

    assert drawn("task_a", **fields) == first, "in every rank of a replica"
    assert drawn("task_b", **fields) != first
