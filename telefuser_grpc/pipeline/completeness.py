"""Refuses a model whose files hold other weights than its configuration asks for.

The libraries fill in what is missing with random numbers, leave out what they do not know, and say
so in their log.
"""

import inspect
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline.checkpoint import ModelUnusable, how_to_get, title, too_new

READ = "from_pretrained"
WITH_INFO = "output_loading_info"

NO_SETTING = ("quantization_config",)
"""What a configuration may hold besides the settings of a class."""

_reading = threading.RLock()
"""Who holds it has changed how the libraries' classes read, which all threads share."""

Told = Mapping[str, Any]
Check = Callable[[Path, Any, Told], None]


@contextmanager
def all_weights_needed(folder: Path, *, default: str) -> Iterator[None]:
    """Holds every part that diffusers and transformers read meanwhile to its configuration.

    One thread does so at a time; another waits.

    Args:
        default: The hub id of a model that would do, for the remedy.

    Raises:
        ModelUnusable: A part lacks weights, or has settings and weights that its class does not
            know; it is raised as soon as that part is read.
    """
    from diffusers import ModelMixin
    from transformers import PreTrainedModel

    def check(part: Path, model: Any, told: Told) -> None:
        if lacking := sorted(_lacking(model, set(told["missing_keys"]))):
            raise ModelUnusable(
                f"The model in {title(folder)!r} is not whole: the files of {part.name} lack "
                f"{len(lacking)} of the weights that its config.json asks for, as {lacking[0]}; "
                f"{how_to_get(default)}"
            )
        strange = sorted(_strange(part, model)) if isinstance(model, ModelMixin) else []
        if strange and told["unexpected_keys"]:
            raise too_new(folder, f"{', '.join(strange)} in {part.name}/config.json")

    with _reading, ExitStack() as stack:
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
        check(Path(place), model, info)
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


def _strange(part: Path, model: Any) -> Iterator[str]:
    """Yields the settings of a part that its class does not have."""
    known = inspect.signature(type(model).__init__).parameters
    for key in json.loads((part / "config.json").read_text()):
        if not key.startswith("_") and key not in known and key not in NO_SETTING:
            yield key
