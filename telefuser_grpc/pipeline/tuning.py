"""What can be set on a loaded diffusers pipeline: its device, offload, caches and kernels."""

from typing import Any

from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.options import ModelOptions

DENOISERS = ("transformer", "transformer_2", "unet")


def device() -> str:
    """Returns the kind of device that pipelines run on here."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def denoisers(pipe: Any) -> list[str]:
    """Names the parts of a pipeline that run once a step."""
    return [name for name in DENOISERS if getattr(pipe, name, None) is not None]


def free_bytes(devices: int) -> int:
    """Returns the free memory of the first devices together, of the machine without a GPU."""
    import os

    import torch

    if not torch.cuda.is_available():
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    count = min(devices, torch.cuda.device_count())
    return sum(torch.cuda.mem_get_info(number)[0] for number in range(count))


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


def tune(pipe: Any, options: ModelOptions) -> None:
    """Applies tiling, attention backend, step cache and compilation.

    Raises:
        ModelUnusable: The model's class cannot do what is asked; the message names the setting.
    """
    if options.vae_tiling:
        _ability(getattr(pipe, "vae", None), "enable_tiling", "TELEFUSER_VAE_TILING")()
    for part in (getattr(pipe, name) for name in denoisers(pipe)):
        if options.attention:
            _set_attention(part, options.attention)
        if options.step_cache != "none":
            enable = _ability(part, "enable_cache", "TELEFUSER_STEP_CACHE")
            enable(_cache_config(options.step_cache, pipe))
        if options.compile:
            _ability(part, "compile_repeated_blocks", "TELEFUSER_COMPILE")(dynamic=True)


def quantization_config(options: ModelOptions) -> Any:
    """Returns what quantises the denoisers while they are read; None for none.

    Raises:
        ModelUnusable: The library is not installed.
    """
    if options.quantization == "none":
        return None
    from diffusers import PipelineQuantizationConfig

    library = "bitsandbytes" if options.quantization == "nf4" else "torchao"
    try:
        mapping = dict.fromkeys(DENOISERS, _quantizer(options))
        return PipelineQuantizationConfig(quant_mapping=mapping)
    except ImportError as error:
        raise ModelUnusable(
            f"TELEFUSER_QUANTIZATION={options.quantization} needs {library}: "
            f"`pip install {library}`"
        ) from error


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


def _ability(part: Any, method: str, setting: str) -> Any:
    found = getattr(part, method, None)
    if found is None:
        raise ModelUnusable(f"{type(part).__name__} cannot do {setting}; unset it for this model")
    return found


def _set_attention(part: Any, backend: str) -> None:
    try:
        _ability(part, "set_attention_backend", "TELEFUSER_ATTENTION")(backend)
    except (ValueError, RuntimeError, ImportError) as error:
        raise ModelUnusable(f"TELEFUSER_ATTENTION={backend}: {error}") from error


def _cache_config(name: str, pipe: Any) -> Any:
    from diffusers import FirstBlockCacheConfig, PyramidAttentionBroadcastConfig
    from diffusers.hooks import TaylorSeerCacheConfig

    if name == "first_block":
        return FirstBlockCacheConfig(threshold=0.1)
    if name == "taylorseer":
        return TaylorSeerCacheConfig()
    return PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2,
        current_timestep_callback=lambda: pipe.current_timestep,
    )
