"""What a call for images asks for: the tasks that make them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from telefuser_grpc.domain.contract import PipelineContract, TaskContract
from telefuser_grpc.domain.kinds import INPUT_FIELDS, MediaType
from telefuser_grpc.errors import TaskNotInferred
from telefuser_grpc.scheduler.admission import TaskRequest
from telefuser_grpc.server.openai.image_bodies import MAX_SEED, ImageBody
from telefuser_grpc.server.openai.image_format import task_format
from telefuser_grpc.server.openai.image_size import FIELDS as SIZE_FIELDS
from telefuser_grpc.server.openai.image_size import ImageSize

DEFAULT_SEED = 42
DEFAULT_SIZE = {"resolution": "1024x1024", "aspect_ratio": "1:1"}
RESERVED = frozenset({"task", "task_id", "output_path", *INPUT_FIELDS})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOrder:
    """A body with its media.

    Attributes:
        prompt: What to show.
        media: Inputs by the fields of tasks, as tasks read them.
        sent_as: What the caller calls those fields.
        contents: As of a `TaskRequest`.
        extras: Fields of the body that have no meaning of their own here.
    """

    body: ImageBody
    prompt: str
    media: Mapping[str, str] = field(default_factory=dict)
    sent_as: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def revised_prompt(self) -> str | None:
        """The prompt that the images are made from, where the caller has given one."""
        return self.prompt if "prompt" in self.body.model_fields_set else None

    def requests(self, contract: PipelineContract) -> list[TaskRequest]:
        """Returns a request for each image, in their order.

        Raises:
            UnsupportedTask: The pipeline makes no images of such inputs.
        """
        kind = self._kind(contract)
        task = contract.task(kind)
        fields = self._fields(task)
        return [
            TaskRequest(
                kind=kind,
                fields=fields if seed is None else fields | {"seed": seed},
                generic_defaults=self._generic_defaults(task),
                contents=self.contents,
            )
            for seed in self._seeds(task)
        ]

    def _kind(self, contract: PipelineContract) -> str:
        usual = ("i2i", "edit") if self.media else ("t2i",)
        if not self.media and usual[0] in contract.tasks:
            return usual[0]
        try:
            return contract.infer_kind(self.media, media_type=MediaType.IMAGE)
        except TaskNotInferred:
            return next((kind for kind in usual if kind in contract.tasks), usual[0])

    def _fields(self, task: TaskContract) -> dict[str, Any]:
        body = self.body
        known = task.parameters.keys() - RESERVED
        given = {
            "prompt": self.prompt,
            "negative_prompt": body.negative_prompt,
            "model": body.model,
            "quality": None if body.quality == "auto" else body.quality,
            "style": body.style,
            "background": None if body.background == "auto" else body.background,
            "output_format": task_format(body.wanted_format, task),
        }
        return {
            **{name: each for name, each in self.extras.items() if name in known},
            **{name: each for name, each in given.items() if each},
            **(ImageSize.parse(body.size).fields(task) if body.size else {}),
            **self.media,
        }

    def _generic_defaults(self, task: TaskContract) -> dict[str, Any]:
        """A pipeline that declares anything of sizes chooses its own."""
        has_sizes = self.body.size or not task.parameters.keys().isdisjoint(SIZE_FIELDS)
        return {
            "seed": DEFAULT_SEED,
            "output_format": "png",
            **({} if has_sizes else DEFAULT_SIZE),
        }

    def _seeds(self, task: TaskContract) -> list[int | None]:
        """Returns a seed for each image; None leaves it to the contract, and to chance there."""
        first = _default_seed(task) if self.body.seed is None else self.body.seed
        others = range(1, self.body.n)
        if first < 0:
            return [self.body.seed, *(None for _ in others)]
        return [self.body.seed, *((first + number) % (MAX_SEED + 1) for number in others)]


def _default_seed(task: TaskContract) -> int:
    declared = task.parameters.get("seed")
    if declared and declared.exposed and isinstance(declared.default, int):
        return declared.default
    return DEFAULT_SEED
