"""Makes a pipeline file of a model directory: reads, plans, writes."""

from dataclasses import dataclass
from pathlib import Path

from telefuser_grpc.pipeline.drafting.model import read_model
from telefuser_grpc.pipeline.drafting.plan import plan_of
from telefuser_grpc.pipeline.drafting.source import source_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A pipeline file that is not written yet.

    Attributes:
        name: A name for it, of small letters, digits and underscores.
        kinds: The kinds of task that it serves.
        source: Its text.
    """

    name: str
    class_name: str
    kinds: tuple[str, ...]
    source: str


def draft(folder: Path) -> Draft:
    """Returns a pipeline file for a diffusers model directory. Imports diffusers.

    Raises:
        CannotDraft: There is no such model, or none that can be served.
    """
    plan = plan_of(read_model(folder))
    return Draft(
        name=plan.name,
        class_name=plan.class_name,
        kinds=plan.kinds,
        source=source_of(plan),
    )
