"""What an operator says of the model behind a pipeline file; everything that costs is off."""

from dataclasses import dataclass
from typing import Literal

Dtype = Literal["auto", "bfloat16", "float16", "float32"]
Offload = Literal["none", "model", "group", "sequential"]
Quantization = Literal["none", "int8", "int4", "float8", "nf4"]
Parallel = Literal["spread", "context"]
StepCache = Literal["none", "first_block", "taylorseer", "pyramid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """The second argument of `get_pipeline(parallelism, options)`.

    Attributes:
        model: A diffusers directory or hub id in place of the file's own; "" takes that.
        models_folder: Where models lie, each under its hub id; "" looks in the hub's cache only.
        dtype: Of the weights; "auto" is bfloat16 on a GPU and float32 on the CPU.
        offload: Which weights wait in main memory: none, whole models while they are not used
            ("model", some 10 % slower), blocks that are fetched ahead ("group"), or single layers
            ("sequential", several times slower, least memory).
        vae_tiling: Decodes in tiles: far less memory for large results, a little slower.
        quantization: Of the denoiser's weights: int8, int4 and float8 by torchao, nf4 by
            bitsandbytes; less memory, slightly other pictures.
        attention: A diffusers attention backend, as "flash", "sage" or "native"; "" is torch's.
        compile: Compiles the denoiser's blocks: the first run of a shape takes minutes longer.
        step_cache: Skips work between similar steps: up to twice as fast, other pictures.
        parallel: What each of several devices of a replica holds: parts of the model ("spread"), or
            the whole, so that they share the sequence of every step ("context": faster).
        loras: Adapters to merge, each `place` or `place:weight`: a file, a directory or a hub id;
            `transformer=` or `transformer_2=` before it names one of two experts, else both.
    """

    model: str = ""
    models_folder: str = ""
    dtype: Dtype = "auto"
    offload: Offload = "none"
    vae_tiling: bool = False
    quantization: Quantization = "none"
    attention: str = ""
    compile: bool = False
    step_cache: StepCache = "none"
    parallel: Parallel = "spread"
    loras: tuple[str, ...] = ()
