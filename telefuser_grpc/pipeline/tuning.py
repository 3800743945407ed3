"""What can be set on a loaded diffusers pipeline: its device, offload, caches and kernels."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.context_parallel import split_sequences, splits
from telefuser_grpc.pipeline.failure import public_message
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.step_cache import enable_step_cache

DENOISERS = ("transformer", "transformer_2", "unet")


def device() -> str:
    """Returns the kind of device that pipelines run on here."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def denoisers(pipe: Any) -> list[str]:
    """Names the parts of a pipeline that run once a step."""
    return [name for name in DENOISERS if getattr(pipe, name, None) is not None]


def place(pipe: Any, options: ModelOptions) -> None:
    """Puts a pipeline on its device, or what is in use of it."""
    if device() == "cpu" or options.offload == "none":
        pipe.to(device())
    elif options.offload == "model":
        pipe.enable_model_cpu_offload()
    elif options.offload == "sequential":
        pipe.enable_sequential_cpu_offload()
    else:
        import torch

        pipe.enable_group_offload(
            onload_device=torch.device("cuda"), offload_type="leaf_level", use_stream=True
        )


def tune(pipe: Any, options: ModelOptions, *, parallelism: int = 1) -> None:
    """Applies tiling, attention backend, split over ranks, step cache and compilation.

    Raises:
        ModelUnusable: The model's class cannot do what is asked; the message names the setting.
    """
    parts = [getattr(pipe, name) for name in denoisers(pipe)]
    if options.vae_tiling:
        _apply(getattr(pipe, "vae", pipe), "enable_tiling", "TELEFUSER_VAE_TILING=true")
    if options.attention:
        setting = f"TELEFUSER_ATTENTION={options.attention}"
        for part in parts:
            _apply(part, "set_attention_backend", setting, options.attention)
    if splits(options, parallelism):
        split_sequences(parts, parallelism)
    if options.step_cache != "none":
        enable_step_cache(pipe, options.step_cache, parts)
    if options.compile:
        for part in parts:
            _apply(part, "compile_repeated_blocks", "TELEFUSER_COMPILE=true", dynamic=True)


def quantization_config(options: ModelOptions) -> Any:
    """Returns what quantises the denoisers while they are read; None for none.

    Raises:
        ModelUnusable: The library is not installed.
    """
    if options.quantization == "none":
        return None
    library = "bitsandbytes" if options.quantization == "nf4" else "torchao"
    if find_spec(library) is None:
        raise ModelUnusable(
            f"TELEFUSER_QUANTIZATION={options.quantization} needs {library}: "
            f"`pip install {library}`"
        )
    from diffusers import PipelineQuantizationConfig

    return PipelineQuantizationConfig(quant_mapping=dict.fromkeys(DENOISERS, _quantizer(options)))


def _quantizer(options: ModelOptions) -> Any:
    import torch

    if options.quantization == "nf4":
        from diffusers import BitsAndBytesConfig

        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    from diffusers import TorchAoConfig
    from torchao import quantization

    kinds = {
        "int8": quantization.Int8WeightOnlyConfig,
        "int4": quantization.Int4WeightOnlyConfig,
        "float8": quantization.Float8WeightOnlyConfig,
    }
    return TorchAoConfig(kinds[options.quantization]())


def _apply(part: Any, method: str, setting: str, *values: Any, **named: Any) -> None:
    found: Callable[..., Any] | None = getattr(part, method, None)
    if found is None:
        raise ModelUnusable(f"{setting}: {type(part).__name__} cannot do that; unset it")
    try:
        found(*values, **named)
    except (ValueError, RuntimeError, ImportError, NotImplementedError) as error:
        raise ModelUnusable(f"{setting}: {public_message(error)}; unset it") from error
