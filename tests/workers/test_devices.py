"""Visible devices are split into contiguous groups."""

from pathlib import Path

import pytest

from telefuser_grpc.workers.devices import AllotmentError, allot, visibility


def machine(folder: Path, node: str) -> Path:
    (folder / node).touch()
    return folder


def test_devices_are_split_into_contiguous_groups(tmp_path: Path) -> None:
    groups = allot(parallelism=4, replicas=2, environment={}, folder=machine(tmp_path, "nvidia0"))

    assert groups == (("0", "1"), ("2", "3"))


def test_the_first_visible_tokens_are_used_as_they_are(tmp_path: Path) -> None:
    visible = {"CUDA_VISIBLE_DEVICES": "GPU-1f, MIG-2a ,7"}

    groups = allot(parallelism=2, replicas=2, environment=visible, folder=tmp_path)

    assert groups == (("GPU-1f",), ("MIG-2a",))


def test_a_blank_list_counts_as_none(tmp_path: Path) -> None:
    blank = {"CUDA_VISIBLE_DEVICES": " "}

    groups = allot(
        parallelism=1, replicas=1, environment=blank, folder=machine(tmp_path, "nvidia0")
    )

    assert groups == (("0",),)


def test_too_few_visible_devices_are_refused(tmp_path: Path) -> None:
    visible = {"CUDA_VISIBLE_DEVICES": "0,1"}

    with pytest.raises(AllotmentError) as refusal:
        allot(parallelism=4, replicas=2, environment=visible, folder=tmp_path)

    assert str(refusal.value) == (
        "--parallelism=4 but only 2 GPUs visible (CUDA_VISIBLE_DEVICES=0,1)"
    )


@pytest.mark.parametrize(("devices", "replicas"), [(3, 2), (2, 4), (1, 16)])
def test_devices_that_cannot_be_shared_equally_are_refused(
    tmp_path: Path, devices: int, replicas: int
) -> None:
    folder = machine(tmp_path, "nvidia0")

    with pytest.raises(AllotmentError) as refusal:
        allot(parallelism=devices, replicas=replicas, environment={}, folder=folder)

    assert str(refusal.value) == (
        f"--parallelism ({devices}) must be divisible by --num-replicas ({replicas})"
    )


def test_replicas_use_the_cpu_on_a_machine_without_accelerators(tmp_path: Path) -> None:
    groups = allot(parallelism=2, replicas=2, environment={}, folder=tmp_path)

    assert groups == ((), ())


PLATFORMS = [
    ("nvidia0", "CUDA_VISIBLE_DEVICES"),
    ("dxg", "CUDA_VISIBLE_DEVICES"),
    ("kfd", "HIP_VISIBLE_DEVICES"),
    ("davinci3", "ASCEND_RT_VISIBLE_DEVICES"),
]


@pytest.mark.parametrize(("node", "variable"), PLATFORMS)
def test_each_platform_is_split_by_its_own_variable(
    tmp_path: Path, node: str, variable: str
) -> None:
    environment = {variable: "6,7"}
    folder = machine(tmp_path, node)

    groups = allot(parallelism=2, replicas=2, environment=environment, folder=folder)
    seen = visibility(groups[1], environment, folder)

    assert groups == (("6",), ("7",))
    assert seen[variable] == "7"


@pytest.mark.parametrize(("node", "variable"), PLATFORMS)
def test_too_few_devices_are_told_with_the_platforms_own_variable(
    tmp_path: Path, node: str, variable: str
) -> None:
    folder = machine(tmp_path, node)

    with pytest.raises(AllotmentError, match=f"only 1 GPUs visible .{variable}=6"):
        allot(parallelism=2, replicas=1, environment={variable: "6"}, folder=folder)


@pytest.mark.parametrize(("node", "variable"), PLATFORMS)
def test_device_nodes_tell_of_accelerators_without_any_variable(
    tmp_path: Path, node: str, variable: str
) -> None:
    folder = machine(tmp_path, node)

    groups = allot(parallelism=2, replicas=2, environment={}, folder=folder)

    assert groups == (("0",), ("1",))
    assert visibility(groups[0], {}, folder)[variable] == "0"


def test_amd_devices_may_be_limited_by_the_compatible_variable(tmp_path: Path) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "3"}
    folder = machine(tmp_path, "kfd")

    (group,) = allot(parallelism=1, replicas=1, environment=environment, folder=folder)

    assert visibility(group, environment, folder) == {
        "HIP_VISIBLE_DEVICES": "3",
        "CUDA_VISIBLE_DEVICES": "3",
    }


def test_a_variable_of_another_platform_limits_nothing(tmp_path: Path) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "7"}
    folder = machine(tmp_path, "davinci0")

    groups = allot(parallelism=1, replicas=1, environment=environment, folder=folder)

    assert groups == (("0",),)
    assert visibility(groups[0], environment, folder) == {"ASCEND_RT_VISIBLE_DEVICES": "0"}
