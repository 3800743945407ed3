"""What cannot be shared among ranks is refused, with what to set instead."""

from types import SimpleNamespace
from typing import Any

import pytest

from telefuser_grpc.pipeline import context_parallel
from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.context_parallel import (
    Meeting,
    check_context,
    check_split,
    meet,
    split_sequences,
    splits,
)
from telefuser_grpc.pipeline.options import ModelOptions

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

PLAN = {"proj_out": "gathered"}


class Denoiser:
    """Stands for a denoiser of diffusers, and keeps how it is split."""

    def __init__(self, plan: Any = None, *, heads: int = 12, error: str = "") -> None:
        self._cp_plan = plan
        self.config = {"num_attention_heads": heads}
        self.split: Any = None
        self._error = error

    def enable_parallelism(self, *, config: Any) -> None:
        if self._error:
            raise ValueError(self._error)
        self.split = config


class LTXVideoTransformer3DModel(Denoiser):
    """Bears the name of a class that fails."""


@pytest.mark.parametrize(
    ("parallel", "parallelism", "is_split"),
    [("spread", 2, False), ("context", 1, False), ("context", 2, True)],
)
def test_only_several_devices_are_given_a_part_each(
    parallel: Any, parallelism: int, is_split: bool
) -> None:
    assert splits(ModelOptions(parallel=parallel), parallelism) is is_split


def test_every_denoiser_is_split_among_all() -> None:
    denoisers = [Denoiser(PLAN), Denoiser(PLAN)]

    split_sequences(denoisers, 3)

    assert [each.split.ulysses_degree for each in denoisers] == [3, 3]
    assert all(each.split.ulysses_anything for each in denoisers)


@pytest.mark.parametrize(
    ("denoiser", "why"),
    [
        (Denoiser(), "diffusers cannot split Denoiser; set TELEFUSER_PARALLEL=spread"),
        (
            LTXVideoTransformer3DModel(PLAN),
            "diffusers cannot split LTXVideoTransformer3DModel; set TELEFUSER_PARALLEL=spread",
        ),
        (
            Denoiser(PLAN, heads=2),
            "Denoiser has 2 attention heads, which 4 devices cannot share: give each replica "
            "other devices (-g, -n), or set TELEFUSER_PARALLEL=spread",
        ),
        (Denoiser(PLAN, error="set a compatible attention backend"), "compatible attention"),
    ],
)
def test_a_denoiser_that_cannot_be_split_is_refused(denoiser: Any, why: str) -> None:
    with pytest.raises(ModelUnusable, match=r"^TELEFUSER_PARALLEL=context: ") as refused:
        split_sequences([denoiser], 4)

    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("heads", "size", "can_share"),
    [(12, 3, True), (12, 5, False), (12, 8, False), (40, 8, True), (30, 8, True), (30, 16, False)],
)
def test_every_device_needs_a_head(heads: int, size: int, can_share: bool) -> None:
    denoiser = Denoiser(PLAN, heads=heads)

    try:
        split_sequences([denoiser], size)
    except ModelUnusable:
        assert not can_share
    else:
        assert can_share


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"offload": "model"}, "TELEFUSER_OFFLOAD=model"),
        ({"step_cache": "first_block"}, "TELEFUSER_STEP_CACHE=first_block"),
    ],
)
def test_a_setting_that_does_not_go_with_it_is_named(options: Any, setting: str) -> None:
    with pytest.raises(ModelUnusable, match=f"^TELEFUSER_PARALLEL=context: .*{setting}"):
        check_context(ModelOptions(**options))


def test_a_file_whose_model_is_not_split_is_refused() -> None:
    split = SimpleNamespace(_parallel_config="split")
    whole = SimpleNamespace(_parallel_config=None)

    check_split([SimpleNamespace(components={"vae": whole, "transformer": split})])
    for pipes in ([], [SimpleNamespace(components={"vae": whole, "scheduler": object()})]):
        with pytest.raises(ModelUnusable, match=r"load_model.*TELEFUSER_PARALLEL=spread"):
            check_split(pipes)


def test_too_few_devices_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(context_parallel, "_stay_on_this_machine", lambda: None)

    with pytest.raises(ModelUnusable, match="needs 2 devices, and 1 can be seen"):
        meet(Meeting(file=str(tmp_path / "meeting"), rank=0, size=2))
