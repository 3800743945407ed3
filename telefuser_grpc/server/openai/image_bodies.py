"""The bodies that ask for images."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from telefuser_grpc.server.openai.image_size import AUTO, ImageSize

MAX_PROMPT_LENGTH = 32_000
MAX_COUNT = 10
MAX_SEED = 2**63 - 1
INLINE_MODELS = ("gpt-image", "chatgpt-image")  # their callers know no links


def _no_switch(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Number = Annotated[int, BeforeValidator(_no_switch)]
Prompt = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_LENGTH)]
Quality = Literal["low", "medium", "high", "xhigh", "max", "auto", "standard", "hd"]


class ImageBody(BaseModel):
    """What every body that asks for images may hold.

    Other fields reach the pipeline where its contract declares them, and are ignored else. Null
    stands for not given.
    """

    model_config = ConfigDict(extra="allow")

    model: str | None = None
    n: Annotated[Number, Field(ge=1, le=MAX_COUNT)] = 1
    size: str | None = None
    quality: Quality | None = None
    style: Literal["vivid", "natural"] | None = None
    background: Literal["transparent", "opaque", "auto"] | None = None
    output_format: Literal["png", "jpeg", "jpg", "webp", "gif", "svg"] | None = None
    output_compression: Annotated[Number, Field(ge=0, le=100)] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    stream: bool = False
    partial_images: Annotated[Number, Field(ge=0, le=3)] = 0
    seed: Annotated[Number, Field(ge=0, le=MAX_SEED)] | None = None
    negative_prompt: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_given(cls, given: Any) -> Any:
        is_object = isinstance(given, Mapping)
        return (
            {name: each for name, each in given.items() if each is not None} if is_object else given
        )

    @field_validator("size")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if not value or value.strip().lower() == AUTO:
            return None
        return ImageSize.parse(value).text

    @property
    def wanted_format(self) -> str | None:
        """The format of the files, under its official name."""
        return "jpeg" if self.output_format == "jpg" else self.output_format

    @property
    def is_inline(self) -> bool:
        """Tells whether images come inside the answer; a link to each is the usual way."""
        if self.stream or self.response_format:
            return self.stream or self.response_format == "b64_json"
        return (self.model or "").startswith(INLINE_MODELS)


def _reference(value: Any) -> str:
    """Returns what a task reads for an image: an address, its content, or an upload."""
    match value:
        case (str() as given) | {"image_url": str() as given} if given:
            return given
        case {"file_id": str() as upload} if upload:
            return f"upload:{upload}"
    raise ValueError(
        'must be an address, a data URL, base64, {"image_url": "<address>"} or '
        '{"file_id": "<upload>"}'
    )


class GenerationBody(ImageBody):
    """The body of `POST /v1/images/generations`."""

    prompt: Prompt


class EditBody(GenerationBody):
    """The texts of a form for `POST /v1/images/edits`."""

    image_url: str | None = None


class EditObject(EditBody):
    """The JSON object for `POST /v1/images/edits`: its images are named, not sent."""

    image: list[str] = []
    images: list[str] = []
    mask: str | None = None

    @field_validator("image", "images", mode="before")
    @classmethod
    def _named(cls, value: Any) -> list[str]:
        return [_reference(each) for each in (value if isinstance(value, list) else [value])]

    @field_validator("mask", mode="before")
    @classmethod
    def _named_mask(cls, value: Any) -> str:
        return _reference(value)

    @property
    def references(self) -> list[tuple[str, str]]:
        """The images that are named: the field that names one, and how a task reads it."""
        url = [self.image_url] if self.image_url else []
        named = {"image": self.image, "images": self.images, "image_url": url}
        return [(field, each) for field, images in named.items() for each in images]


class VariationBody(ImageBody):
    """The texts of a form for `POST /v1/images/variations`."""

    prompt: Prompt = "a variation of the image"
