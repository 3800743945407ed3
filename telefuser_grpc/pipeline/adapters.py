"""Finds the adapters without which a pipeline file is not what it says."""

from pathlib import Path

from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.options import ModelOptions


def find_adapter(hub_id: str, file: str, options: ModelOptions) -> Path:
    """Returns an adapter's file: in the models folder, or in the hub's cache.

    Raises:
        ModelUnusable: It is in neither; the message says how to get it.
    """
    if options.models_folder:
        path = Path(options.models_folder).expanduser() / hub_id / file
        if path.is_file():
            return path
    from huggingface_hub import try_to_load_from_cache  # a replica's, heavy

    cached = try_to_load_from_cache(hub_id, file)
    if isinstance(cached, str):
        return Path(cached)
    raise ModelUnusable(
        f"The adapter {hub_id}/{file} is not here; download it with `hf download {hub_id} {file} "
        f"--local-dir models/{hub_id}` and set TELEFUSER_MODELS_FOLDER=models"
    )
