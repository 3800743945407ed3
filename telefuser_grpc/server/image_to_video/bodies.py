"""The bodies of the Image-to-Video API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

Preset = Literal["fast", "standard", "high", "batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetValues:
    """What a preset stands for.

    Attributes:
        values: Stand for fields that the caller has not given.
        together: How many such videos are made, or wait, for each replica at once.
    """

    values: Mapping[str, Any]
    together: int


def _preset(frames: int, steps: int, *, together: int, **others: Any) -> PresetValues:
    usual = {"resolution": "512p", "num_frames": frames, "steps": steps, "guidance_scale": 9.0}
    return PresetValues(values=usual | others, together=together)


PRESETS: Mapping[str, PresetValues] = {
    "fast": _preset(8, 30, together=3),
    "standard": _preset(16, 50, together=2),
    "high": _preset(24, 80, together=1, resolution="768p", guidance_scale=10.0),
    "batch": _preset(16, 50, together=1),
}
SIDES = {"256p": 256, "512p": 512, "768p": 768}


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "Input should be a number")
    return value


Number = BeforeValidator(_no_boolean)


class GenerateBody(BaseModel):
    """The body of `POST /generate`."""

    image_base64: Annotated[str, StringConstraints(min_length=1)] = Field(
        description="The picture, a PNG or JPEG, as base64 or as a data URL."
    )
    prompt: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)
    ] = Field(description="What happens in the video, in English.")
    resolution: Literal["256p", "512p", "768p"] = Field(
        "512p", description="Width and height of the video, a square."
    )
    num_frames: Annotated[int, Number] = Field(16, ge=8, le=32, description="Frames.")
    fps: Annotated[int, Number] = Field(8, ge=4, le=24, description="Frames per second.")
    steps: Annotated[int, Number] = Field(50, ge=10, le=100, description="Steps of denoising.")
    guidance_scale: Annotated[float, Number] = Field(
        9.0, ge=1, le=20, allow_inf_nan=False, description="How closely it follows the prompt."
    )
    output_format: Literal["mp4", "gif"] = Field("mp4", description="The format of the file.")
    preset: Preset | None = Field(
        None, description="Stands for values of fields that are not given: how fine the video is."
    )

    def completed(self) -> "GenerateBody":
        """Returns the body with the preset's values for what the caller has not given."""
        if self.preset is None:
            return self
        values = PRESETS[self.preset].values
        return self.model_copy(
            update={
                name: value for name, value in values.items() if name not in self.model_fields_set
            }
        )

    @property
    def side(self) -> int:
        """Width and height of the video: it is a square."""
        return SIDES[self.resolution]

    @property
    def parameters(self) -> dict[str, Any]:
        """What an answer says of the request."""
        return {
            "resolution": self.resolution,
            "num_frames": self.num_frames,
            "fps": self.fps,
            "steps": self.steps,
            "guidance_scale": self.guidance_scale,
        }
