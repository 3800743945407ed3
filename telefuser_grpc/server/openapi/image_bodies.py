"""The bodies of the OpenAI images and models."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from telefuser_grpc.server.openai.image_bodies import (
    EditBody,
    EditObject,
    GenerationBody,
    VariationBody,
)
from telefuser_grpc.server.openapi.schemas import Described, drop_titles
from telefuser_grpc.server.openapi.task_bodies import FILM

LINK = f"http://localhost:8000/v1/images/{FILM}/content"
PIXEL = "iVBORw0KGgo="


class ImageTokens(Described):
    """Tokens of a side; diffusion pipelines count none."""

    text_tokens: int = Field(description="Of words.", ge=0, examples=[0])
    image_tokens: int = Field(description="Of pictures.", ge=0, examples=[0])


class ImageUsage(Described):
    """Tokens; diffusion pipelines count none."""

    input_tokens: int = Field(description="Read.", ge=0, examples=[0])
    output_tokens: int = Field(description="Written.", ge=0, examples=[0])
    total_tokens: int = Field(description="Of both.", ge=0, examples=[0])
    input_tokens_details: ImageTokens = Field(description="What was read.")
    output_tokens_details: ImageTokens = Field(description="What was written.")


class ImageItem(Described):
    """One image: its link, or its content."""

    url: str | None = Field(description="Where to fetch it.", examples=[LINK])
    b64_json: str | None = Field(description="The file in base64.", examples=[None])
    revised_prompt: str | None = Field(
        description="The prompt that it was made from, as it was given.", examples=["a cat"]
    )
    artifact_id: str = Field(
        description="Names the file among all that tasks have made.",
        examples=[f"local:tasks/{FILM}/outputs/images/{FILM}.png"],
    )
    artifact_metadata: dict[str, Any] = Field(description="What is known of the file.")


class Images(Described):
    """The images of a call, in the order of their seeds."""

    created: int = Field(description="When, in seconds of Unix time.", examples=[1763799298])
    data: list[ImageItem] = Field(description="The images.", min_length=1)
    background: str = Field(description="`transparent` or `opaque`.", examples=["opaque"])
    output_format: str = Field(description="The format that they have.", examples=["png"])
    quality: str = Field(description="The quality that was asked for.", examples=["auto"])
    size: str = Field(description="The size that they have.", examples=["1024x1024"])
    usage: ImageUsage = Field(description="Tokens.")
    peak_memory_mb: float | None = Field(
        description="The most memory that the pipeline took, where it is measured.",
        examples=[4096.5],
    )
    inference_time_s: float | None = Field(
        description="How long the pipeline ran, for all images together.", examples=[2.5]
    )


class Model(Described):
    """A pipeline that is served."""

    id: str = Field(description="Its name.", examples=["moving_shapes"])
    object: Literal["model"] = Field(description="Always this word.")
    created: int = Field(
        description="Since when it is served, in seconds of Unix time.", examples=[1763799298]
    )
    owned_by: str = Field(description="Always `telefuser`.", examples=["telefuser"])


class ModelList(Described):
    """What is served."""

    object: Literal["list"] = Field(description="Always this word.")
    data: list[Model] = Field(description="The models: one.")


FIELDS = {
    "prompt": "What to show, in words.",
    "model": "Recorded, and else ignored: the service has one pipeline. For names that begin with "
    "`gpt-image` the usual `response_format` is `b64_json`.",
    "n": "How many images, each with the next seed.",
    "size": "`<width>x<height>`, each from 1 to 8192, or `auto` for the pipeline's own.",
    "quality": "Reaches the pipeline unless it is `auto`.",
    "style": "`vivid` or `natural`; reaches the pipeline.",
    "background": "Reaches the pipeline unless it is `auto`.",
    "output_format": "The format of the files; one that cannot be written is ignored.",
    "output_compression": "The quality of JPEG and WebP in base64, in percent.",
    "response_format": "A link to each image (`url`, usual), or its content.",
    "stream": "Whether images and previews come as server-sent events, in base64.",
    "partial_images": "How many previews of each image a stream has, at most.",
    "seed": "Makes the first image repeatable. Without it the contract's, else 42.",
    "negative_prompt": "What not to show, in words.",
    "image_url": "The image, where no file is sent: an `http(s)` address, a `data:` URL or base64.",
}
EXAMPLES: dict[str, Any] = {"prompt": "a cat", "size": "1024x1024", "model": "qwen-image"}
FILE = {"type": "string", "format": "binary"}
FILES = {"type": "array", "items": FILE, "maxItems": 16}
IMAGES = {
    "image": FILE | {"description": "The image; the field may come several times."},
    "image[]": FILES | {"description": "Several images, as the official SDKs name them."},
    "mask": FILE | {"description": "Where to change it; reaches the pipeline as `mask`."},
}
NAMED = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"image_url": {"type": "string"}, "file_id": {"type": "string"}},
        },
    ]
}
NAMED_LIST = {"type": "array", "items": NAMED, "maxItems": 16}
NAME = (
    "an `http(s)` address, a `data:` URL, base64, or an object with an `image_url` or with the "
    "`file_id` of an upload."
)
NAMED_IMAGES = {
    "image": {
        "anyOf": [NAMED, NAMED_LIST],
        "description": f"One image or several: {NAME}",
    },
    "images": NAMED_LIST | {"description": f"The images: each {NAME}"},
    "mask": NAMED | {"description": f"Where to change it: {NAME}"},
}
IMAGE = {"image": FILE | {"description": "The image."}}
OTHERS = "Fields that the contract declares reach the pipeline; all others are ignored."


def generation_schema() -> dict[str, Any]:
    """Returns the schema of the body of a generation."""
    return _schema(GenerationBody, {})


def edit_schema() -> dict[str, Any]:
    """Returns the schema of the form of an edit."""
    return _schema(EditBody, IMAGES)


def edit_object_schema() -> dict[str, Any]:
    """Returns the schema of the JSON object of an edit."""
    schema = _schema(EditObject, NAMED_IMAGES)
    return schema | {"anyOf": [{"required": [name]} for name in ("image", "images", "image_url")]}


def variation_schema() -> dict[str, Any]:
    """Returns the schema of the form of a variation."""
    schema = _schema(VariationBody, IMAGE)
    return schema | {"required": ["image"]}


def _schema(model: type[BaseModel], files: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema()
    drop_titles(schema)
    for name, field in schema["properties"].items():
        field["description"] = FIELDS.get(name) or files[name]["description"]
        if name in EXAMPLES:
            field["examples"] = [EXAMPLES[name]]
    properties = {**schema["properties"], **files}
    return schema | {"description": f"What to make. {OTHERS}", "properties": properties}
