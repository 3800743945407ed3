"""The bodies that ask for videos, and the fields of tasks that they stand for."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.kinds import INPUT_FIELDS, MediaType
from telefuser_grpc.domain.parameter import Parameter
from telefuser_grpc.server.openai.video_size import FIELDS as SIZE_FIELDS
from telefuser_grpc.server.openai.video_size import VideoSize

MAX_PROMPT_LENGTH = 4000
MAX_SECONDS = 60
MAX_SEED = 2**63 - 1
DEFAULT_SIZE = VideoSize.parse("1024x576")
DEFAULTS: Mapping[str, Any] = {"target_video_length": 4, "seed": 1024}
INHERITED = (
    *("target_video_length", "seed", "negative_prompt", "model"),
    *DEFAULT_SIZE.fields,
)
"""What a video that is made from another one takes over from it."""
RESERVED = frozenset({"task", "task_id", "remixed_from_video_id", "openai_video_size"})


def _no_switch(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Seconds = Annotated[int, BeforeValidator(_no_switch), Field(ge=1, le=MAX_SECONDS)]
Seed = Annotated[int, BeforeValidator(_no_switch), Field(ge=0, le=MAX_SEED)]


class VideoBody(BaseModel):
    """What every body that asks for a video may hold.

    Other fields reach the pipeline where its contract declares them, and are ignored else. Null
    and the empty text stand for not given.
    """

    model_config = ConfigDict(extra="allow")

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_LENGTH)
    model: str | None = None
    seconds: Seconds | None = None
    size: str | None = None
    seed: Seed | None = None
    negative_prompt: str | None = None
    output_path: str | None = None

    @field_validator("seconds", "seed", mode="before")
    @classmethod
    def _empty_is_not_given(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("size")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value:
            VideoSize.parse(value)
        return value

    def fields(self, contract: PipelineContract) -> dict[str, Any]:
        """Returns the fields of a task that the caller has given, media apart."""
        given = {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "model": self.model,
            "target_video_length": self.seconds,
            "seed": self.seed,
            "output_path": self.output_path,
        }
        size = VideoSize.parse(self.size).fields if self.size else {}
        told = {name: value for name, value in given.items() if value not in (None, "")}
        return {**self._declared_extras(contract), **told, **size}

    def _declared_extras(self, contract: PipelineContract) -> dict[str, Any]:
        known = parameters(contract).keys() - RESERVED - set(INPUT_FIELDS)
        extras = self.model_extra or {}
        return {name: value for name, value in extras.items() if name in known}


class Reference(BaseModel):
    """A picture or video to begin with: its address or data URL, or the id of an upload."""

    image_url: str | None = None
    file_id: str | None = None


class StoredVideo(BaseModel):
    """A video that was made before."""

    id: str


Nested = TypeVar("Nested", bound=BaseModel)


def _text_or(model: type[Nested], value: Any, what: str) -> str | Nested | None:
    """Reads what may be a text or an object, and says in one sentence when it is neither."""
    if value is None or isinstance(value, str):
        return value
    try:
        return model.model_validate(value)
    except ValidationError:
        raise ValueError(f"must be {what}") from None


class CreateVideoBody(VideoBody):
    """The body of `POST /v1/videos`."""

    input_reference: str | Reference | None = None
    reference_url: str | None = None

    @field_validator("input_reference", mode="before")
    @classmethod
    def _one_reference(cls, value: Any) -> str | Reference | None:
        return _text_or(Reference, value, 'an address, a data URL or {"image_url": "<address>"}')

    @property
    def references(self) -> list[str]:
        """The references that are given, each as a task reads it."""
        named = self.input_reference
        if isinstance(named, Reference):
            upload = f"upload:{named.file_id}" if named.file_id else None
            return [each for each in (named.image_url, upload, self.reference_url) if each]
        return [each for each in (named, self.reference_url) if each]


class SourceVideoBody(VideoBody):
    """The body of `POST /v1/videos/edits` and `POST /v1/videos/extensions`."""

    video: str | StoredVideo | None = None

    @field_validator("video", mode="before")
    @classmethod
    def _one_video(cls, value: Any) -> str | StoredVideo | None:
        return _text_or(StoredVideo, value, 'a file, an address, a data URL or {"id": "<video>"}')

    @property
    def stored_id(self) -> str:
        """The id of the video to start from; "" where it is given otherwise."""
        if isinstance(self.video, StoredVideo):
            return self.video.id
        return self.video if self.video and not set(self.video) & set(":/") else ""

    @property
    def reference(self) -> str:
        """The address or data URL of the video to start from, or ""."""
        return self.video if isinstance(self.video, str) and not self.stored_id else ""


def generic_defaults(contract: PipelineContract) -> dict[str, Any]:
    """Returns what stands for fields that neither the caller nor the contract has given.

    A pipeline that declares anything of sizes chooses its own.
    """
    has_sizes = not SIZE_FIELDS.isdisjoint(parameters(contract))
    return {**DEFAULTS, **({} if has_sizes else DEFAULT_SIZE.fields)}


def parameters(contract: PipelineContract) -> dict[str, Parameter]:
    """Returns the parameters that the pipeline declares for any kind of video."""
    return {
        name: each
        for task in contract.tasks.values()
        if task.media_type is MediaType.VIDEO
        for name, each in task.parameters.items()
        if each.exposed
    }
