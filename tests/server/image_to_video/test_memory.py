"""What a run needs, and what it may take."""

from collections.abc import Sequence

import pytest

from telefuser_grpc.server.image_to_video.memory import DeviceMemory, Shape
from tests.server.image_to_video.conftest import GIB, Gpu

SMALL, LARGE = (512, 512, 16), (768, 768, 24)


class Machine:
    """GPUs of 24 GB, of which so much is taken."""

    def __init__(self, *used_gb: float, total_gb: float = 24) -> None:
        self.gpus = [Gpu(int(each * GIB), int(total_gb * GIB)) for each in used_gb]

    def __call__(self) -> Sequence[Gpu]:
        return self.gpus


@pytest.mark.parametrize(
    ("shape", "gigabytes"), [(SMALL, 13.5), (LARGE, 17.8), ((1024, 1024, 32), 21.5)]
)
def test_known_shapes_need_the_documented_gigabytes(shape: Shape, gigabytes: float) -> None:
    assert DeviceMemory(Machine()).required_gb(shape) == pytest.approx(gigabytes)


@pytest.mark.parametrize("shape", [(512, 512, 32), (768, 768, 16), (768, 768, 20)])
def test_shapes_between_need_something_between(shape: Shape) -> None:
    assert 13.5 < DeviceMemory(Machine()).required_gb(shape) < 17.8


@pytest.mark.parametrize(("used", "fits"), [(8.4, True), (8.5, False), (8.6, False)])
def test_run_fits_where_more_is_free_than_it_needs_with_two_gigabytes(
    used: float, fits: bool
) -> None:
    memory = DeviceMemory(Machine(used))
    memory.begin()

    assert memory.fits(SMALL) is fits


def test_memory_of_the_resident_model_counts_as_free_for_its_own_run() -> None:
    machine = Machine(0.0)
    memory = DeviceMemory(machine)
    memory.begin()

    machine.gpus = [Gpu(13 * GIB, 24 * GIB)]

    assert memory.fits(SMALL)


def test_what_others_took_meanwhile_does_not() -> None:
    machine = Machine(0.0)
    memory = DeviceMemory(machine)
    memory.begin()

    machine.gpus = [Gpu(23 * GIB, 24 * GIB)]

    assert not memory.fits(SMALL)


def test_memory_that_an_earlier_process_gave_back_is_not_forgotten() -> None:
    machine = Machine(13.0)
    memory = DeviceMemory(machine)
    memory.begin()

    machine.gpus = [Gpu(0, 24 * GIB)]
    memory.fits(SMALL)
    machine.gpus = [Gpu(13 * GIB, 24 * GIB)]

    assert memory.fits(SMALL)


def test_measured_memory_replaces_what_was_guessed() -> None:
    memory = DeviceMemory(Machine(0.0))

    memory.learn(SMALL, 10 * 1024.0)
    memory.learn(SMALL, 9 * 1024.0)
    memory.learn(LARGE, None)

    assert memory.required_gb(SMALL) == 10.0
    assert memory.required_gb(LARGE) == pytest.approx(17.8)


def test_one_gpu_with_room_is_enough() -> None:
    assert DeviceMemory(Machine(23.0, 0.0)).fits(SMALL)


@pytest.mark.parametrize("gpus", [[], [Gpu(None, None)], [Gpu(5, None)]])
def test_without_readings_everything_fits(gpus: list[Gpu]) -> None:
    memory = DeviceMemory(lambda: gpus)

    assert memory.fits((1024, 1024, 32))
    assert memory.used_gb() == 0.0
