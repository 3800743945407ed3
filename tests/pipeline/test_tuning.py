"""Every setting of a loaded model does what it says, or is refused by its name."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from telefuser_grpc.pipeline import tuning
from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.tuning import denoisers, place, quantization_config, tune

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")


class Recorder:
    """Notes every call of any method."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *values, **named: self.calls.append((name, *values, named))


class Refusing:
    """A part whose every ability fails."""

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise ValueError(f"no {name} in /opt/secret/kernels")

        return fail


def pipeline(**parts: Any) -> Any:
    return SimpleNamespace(transformer=Recorder(), vae=Recorder(), **parts)


def test_denoisers_are_the_parts_that_run_once_a_step() -> None:
    pipe = SimpleNamespace(transformer=1, transformer_2=None, unet=2, vae=3)

    assert denoisers(pipe) == ["transformer", "unet"]


def test_nothing_is_set_that_nobody_asked_for() -> None:
    pipe = pipeline()

    tune(pipe, ModelOptions())

    assert pipe.transformer.calls == pipe.vae.calls == []


def test_tiling_is_of_the_vae() -> None:
    pipe = pipeline()

    tune(pipe, ModelOptions(vae_tiling=True))

    assert pipe.vae.calls == [("enable_tiling", {})]


def test_attention_and_compilation_are_of_all_denoisers() -> None:
    pipe = pipeline(transformer_2=Recorder())

    tune(pipe, ModelOptions(attention="sage", compile=True))

    assert (
        pipe.transformer.calls
        == pipe.transformer_2.calls
        == [
            ("set_attention_backend", "sage", {}),
            ("compile_repeated_blocks", {"dynamic": True}),
        ]
    )
    assert pipe.vae.calls == []


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        (ModelOptions(vae_tiling=True), "TELEFUSER_VAE_TILING=true"),
        (ModelOptions(attention="flash"), "TELEFUSER_ATTENTION=flash"),
        (ModelOptions(compile=True), "TELEFUSER_COMPILE=true"),
    ],
)
@pytest.mark.parametrize("part", [object(), Refusing()])
def test_what_a_part_cannot_do_is_refused_by_its_setting(
    options: ModelOptions, setting: str, part: object
) -> None:
    pipe = SimpleNamespace(transformer=part, vae=part)

    with pytest.raises(ModelUnusable) as refused:
        tune(pipe, options)

    assert str(refused.value).startswith(setting)
    assert str(refused.value).endswith("unset it")
    assert "secret" not in str(refused.value)


def test_pipeline_without_a_vae_is_named() -> None:
    with pytest.raises(ModelUnusable, match="SimpleNamespace cannot do that"):
        tune(SimpleNamespace(transformer=Recorder()), ModelOptions(vae_tiling=True))


@pytest.fixture
def transformer() -> Any:
    from tests.pipelines.tiny.wan import transformer

    return transformer()


def test_attention_of_torch_is_taken(transformer: Any) -> None:
    tune(SimpleNamespace(transformer=transformer), ModelOptions(attention="native"))

    backends = {each.processor._attention_backend for each in _attentions(transformer)}
    assert {backend.value for backend in backends} == {"native"}


@pytest.mark.parametrize("backend", ["flash", "nonsense"])
def test_attention_that_is_not_here_is_refused(transformer: Any, backend: str) -> None:
    with pytest.raises(ModelUnusable, match=f"TELEFUSER_ATTENTION={backend}"):
        tune(SimpleNamespace(transformer=transformer), ModelOptions(attention=backend))


def test_compilation_is_of_the_repeated_blocks(
    transformer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda module, **_: compiled.append(type(module).__name__)
    )

    tune(SimpleNamespace(transformer=transformer), ModelOptions(compile=True))

    assert compiled == ["WanTransformerBlock"] * 2


@pytest.mark.parametrize("offload", ["none", "model", "group", "sequential"])
def test_pipeline_stays_whole_on_a_machine_without_a_gpu(
    offload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "device", lambda: "cpu")
    pipe = Recorder()

    place(pipe, ModelOptions(offload=offload))

    assert pipe.calls == [("to", "cpu", {})]


@pytest.mark.parametrize(
    ("offload", "call"),
    [
        ("none", ("to", "cuda", {})),
        ("model", ("enable_model_cpu_offload", {})),
        ("sequential", ("enable_sequential_cpu_offload", {})),
        (
            "group",
            (
                "enable_group_offload",
                {
                    "onload_device": torch.device("cuda"),
                    "offload_type": "leaf_level",
                    "use_stream": True,
                },
            ),
        ),
    ],
)
def test_weights_wait_where_it_is_asked(
    offload: Any, call: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "device", lambda: "cuda")
    pipe = Recorder()

    place(pipe, ModelOptions(offload=offload))

    assert pipe.calls == [call]
    assert hasattr(diffusers.DiffusionPipeline, call[0])


def test_nothing_is_quantised_unless_asked() -> None:
    assert quantization_config(ModelOptions()) is None


@pytest.mark.parametrize(
    ("kind", "library"), [("int8", "torchao"), ("float8", "torchao"), ("nf4", "bitsandbytes")]
)
def test_quantisation_without_its_library_names_it(
    kind: Any, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "find_spec", lambda _: None)

    with pytest.raises(ModelUnusable, match=f"`pip install {library}`"):
        quantization_config(ModelOptions(quantization=kind))


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("int8", "Int8WeightOnlyConfig"),
        ("int4", "Int4WeightOnlyConfig"),
        ("float8", "Float8WeightOnlyConfig"),
    ],
)
def test_torchao_quantises_the_denoisers_alone(
    kind: Any, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "find_spec", lambda _: object())
    monkeypatch.setattr(diffusers, "TorchAoConfig", lambda chosen: ("torchao", chosen))
    monkeypatch.setattr(
        diffusers, "PipelineQuantizationConfig", lambda quant_mapping: quant_mapping
    )
    torchao, quantization = ModuleType("torchao"), ModuleType("torchao.quantization")
    for name in ("Int8WeightOnlyConfig", "Int4WeightOnlyConfig", "Float8WeightOnlyConfig"):
        setattr(quantization, name, lambda name=name: name)
    torchao.quantization = quantization  # type: ignore[attr-defined]  # a fake of the library
    monkeypatch.setitem(sys.modules, "torchao", torchao)

    mapping = quantization_config(ModelOptions(quantization=kind))

    assert mapping == dict.fromkeys(("transformer", "transformer_2", "unet"), ("torchao", config))


def _attentions(transformer: Any) -> list[Any]:
    return [each for each in transformer.modules() if hasattr(each, "processor")]


def test_tiles_are_as_good_as_the_whole(tmp_path: Path) -> None:
    from tests.pipelines.tiny.wan import vae

    model = vae()
    latents = torch.zeros(1, 16, 1, 40, 40)
    whole = model.decode(latents).sample

    tune(SimpleNamespace(vae=model), ModelOptions(vae_tiling=True))

    assert model.use_tiling
    assert model.decode(latents).sample.shape == whole.shape
