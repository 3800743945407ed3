"""Visible devices are split into contiguous groups."""

from pathlib import Path

import pytest

from telefuser_grpc.workers.devices import AllotmentError, allot, has_accelerator


def test_devices_are_split_into_contiguous_groups() -> None:
    groups = allot(parallelism=4, replicas=2, environment={}, detect=lambda: True)

    assert groups == (("0", "1"), ("2", "3"))


def test_the_first_visible_tokens_are_used_as_they_are() -> None:
    visible = {"CUDA_VISIBLE_DEVICES": "GPU-1f, MIG-2a ,7"}

    groups = allot(parallelism=2, replicas=2, environment=visible, detect=lambda: False)

    assert groups == (("GPU-1f",), ("MIG-2a",))


def test_a_blank_list_counts_as_none() -> None:
    blank = {"CUDA_VISIBLE_DEVICES": " "}

    groups = allot(parallelism=1, replicas=1, environment=blank, detect=lambda: True)

    assert groups == (("0",),)


def test_too_few_visible_devices_are_refused() -> None:
    visible = {"CUDA_VISIBLE_DEVICES": "0,1"}

    with pytest.raises(AllotmentError) as refusal:
        allot(parallelism=4, replicas=2, environment=visible)

    assert str(refusal.value) == (
        "--parallelism=4 but only 2 GPUs visible (CUDA_VISIBLE_DEVICES=0,1)"
    )


def test_devices_that_cannot_be_shared_equally_are_refused() -> None:
    with pytest.raises(AllotmentError) as refusal:
        allot(parallelism=3, replicas=2, environment={}, detect=lambda: True)

    assert str(refusal.value) == "--parallelism (3) must be divisible by --num-replicas (2)"


def test_replicas_use_the_cpu_on_a_machine_without_accelerators() -> None:
    groups = allot(parallelism=2, replicas=2, environment={}, detect=lambda: False)

    assert groups == ((), ())


@pytest.mark.parametrize("node", ["nvidia0", "kfd", "davinci3"])
def test_device_nodes_tell_of_accelerators(tmp_path: Path, node: str) -> None:
    assert not has_accelerator(tmp_path)

    (tmp_path / node).touch()

    assert has_accelerator(tmp_path)
