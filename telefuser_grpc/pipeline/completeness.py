"""Refuses a model whose files hold fewer weights than its configuration asks for.

The libraries fill in what is missing with random numbers, and say so in their log.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline.checkpoint import ModelUnusable, how_to_get, title

READ = "from_pretrained"
WITH_INFO = "output_loading_info"

Check = Callable[[Path, Any, set[str]], None]


@contextmanager
def all_weights_needed(folder: Path, *, default: str) -> Iterator[None]:
    """Holds every part that diffusers and transformers read meanwhile to its configuration.

    Args:
        default: The hub id of a model that would do, for the remedy.

    Raises:
        ModelUnusable: A part lacks weights; it is raised as soon as that part is read.
    """
    from diffusers import ModelMixin
    from transformers import PreTrainedModel

    def check(part: Path, model: Any, missing: set[str]) -> None:
        if lacking := sorted(_lacking(model, missing)):
            raise ModelUnusable(
                f"The model in {title(folder)!r} is not whole: {part.name}/config.json asks for "
                f"{len(lacking)} weights that are not in the files of {part.name}, as "
                f"{lacking[0]}; {how_to_get(default)}"
            )

    with ExitStack() as stack:
        for base in (ModelMixin, PreTrainedModel):
            stack.enter_context(_checked(base, check))
        yield


@contextmanager
def _checked(base: Any, check: Check) -> Iterator[None]:
    original = vars(base)[READ]

    def read(cls: Any, place: Any, *args: Any, **settings: Any) -> Any:
        wants_info = settings.pop(WITH_INFO, False)
        told = original.__func__(cls, place, *args, **settings, **{WITH_INFO: True})
        if not isinstance(told, tuple):  # a format of which nothing is told
            return told
        model, info = told
        check(Path(place), model, set(info["missing_keys"]))
        return told if wants_info else model

    setattr(base, READ, classmethod(read))
    try:
        yield
    finally:
        setattr(base, READ, original)


def _lacking(model: Any, missing: set[str]) -> Iterator[str]:
    """Yields what is missing: not other names of what was read, nor counts, nor what is no more."""
    weights = dict(model.named_parameters(remove_duplicate=False))
    buffers = {name: each for name, each in model.named_buffers() if each.is_floating_point()}
    read = {id(weight) for name, weight in weights.items() if name not in missing}
    for name, weight in (weights | buffers).items():
        if name in missing and id(weight) not in read:
            yield name
