"""What the call of a diffusers pipeline takes and makes, read from its class."""

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from telefuser_grpc.pipeline.drafting.refusal import CannotDraft

FRAME_COUNTS = ("num_frames", "frames", "video_length")
GIVEN = frozenset(
    {
        *("prompt", "negative_prompt", "image", "last_image", "video", "width", "height"),
        *("num_inference_steps", "guidance_scale", "true_cfg_scale", "strength", "generator"),
        *("frame_rate", "fps", "output_type", *FRAME_COUNTS),
    }
)
"""The arguments that a drafted file passes on."""
CONTROLS = (
    *("mask_image", "mask_video", "control_image", "control_video", "control_mask", "controls"),
    *("conditioning_frames", "controlnet_conditioning_scale", "adapter_conditioning_scale"),
    *("gligen_boxes", "audio"),
)
"""Arguments that a class cannot do without, whatever their defaults, and no request has."""
INTERNAL = re.compile(
    r".*(embeds?|_mask|kwargs|latents|_per_prompt|tensor_inputs)(_\d)?|callback.*|ip_adapter.*|"
    "latents|return_dict|timesteps|sigmas|eta|attention_mask"
)
NEEDS_MEDIA = re.compile(
    "2Img|ImageToImage|I2I|Image(To|2)Video|I2V|Edit(?!ing)|Ups(cale|ample)|SuperResolution|SRP|"
    "Variation|Pix2Pix|Refiner|ToWorld|Video(To|2)Video"
)
"""Names of classes whose image or video is needed although it has a default."""
LISTS = re.compile(r"list\[(str|\S*Generator)\]", re.IGNORECASE)
ONE_BY_ONE = ("SkyReelsV2DiffusionForcingPipeline", "WanVACEPipeline")
"""Classes that say they take several prompts at once, and fail with them."""
ENLARGES = re.compile("Ups(cale|ample)|SuperResolution|SRP")
FRAMES, PICTURES = ("frames",), ("images", "image")
BY_HAND = "write its file by hand (those of `telefuser pipelines` are examples)"

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The call of a pipeline class.

    Attributes:
        arguments: All that it takes, with their defaults, `inspect.Parameter.empty` for none.
        result: The field of what it returns that holds the frames or pictures.
        has_sound: It returns sound, too.
        takes_lists: It takes several prompts at once, each with a generator of its own.
        examples: What its documentation shows.
        code: The source of the class.
    """

    class_name: str
    arguments: Arguments
    result: str
    has_sound: bool
    takes_lists: bool
    examples: str
    code: str

    @property
    def makes_video(self) -> bool:
        """Tells whether it makes a clip, not a picture."""
        return self.result in FRAMES

    @property
    def enlarges(self) -> bool:
        """Tells whether the size of its result is that of its input, many times."""
        return bool(ENLARGES.search(self.class_name))

    @property
    def takes_size(self) -> bool:
        """Tells whether width and height can be chosen."""
        return {"width", "height"} <= self.arguments.keys()

    @property
    def frame_count(self) -> str:
        """The argument that says how many frames are made; "" if there is none."""
        return next((name for name in FRAME_COUNTS if name in self.arguments), "")

    @property
    def left_alone(self) -> tuple[str, ...]:
        """The arguments that keep their defaults, but those for programs alone."""
        return tuple(
            name
            for name in self.arguments
            if name not in GIVEN and not INTERNAL.fullmatch(name) and name != "self"
        )

    def number(self, name: str) -> float | None:
        """Returns the default of an argument if it is a number."""
        default = self.arguments.get(name)
        is_number = isinstance(default, int | float) and not isinstance(default, bool)
        return default if is_number else None

    def kinds(self) -> tuple[str, ...]:
        """Returns the kinds of task that it makes, those of fewer inputs first."""
        return tuple(self._kinds())

    def _kinds(self) -> Iterator[str]:
        makes = "v" if self.makes_video else "i"
        if "prompt" in self.arguments and not self._needs_media:
            yield f"t2{makes}"
        if "image" in self.arguments:
            yield f"i2{makes}"
        if "last_image" in self.arguments:
            yield "fl2v"
        if self.makes_video and "video" in self.arguments and "mask" not in self.arguments:
            yield "vsr" if self.enlarges else "vc"

    @property
    def _needs_media(self) -> bool:
        media = [each for each in ("image", "video") if each in self.arguments]
        required = [each for each in media if self.arguments[each] is inspect.Parameter.empty]
        return bool(required or NEEDS_MEDIA.search(self.class_name))


def call_of(pipeline_class: Any) -> Call:
    """Reads a pipeline class.

    Raises:
        CannotDraft: It takes what a request cannot give, or makes neither frames nor pictures.
    """
    name = pipeline_class.__name__
    arguments = _arguments(pipeline_class)
    _check(name, arguments)
    fields = _result_fields(pipeline_class)
    result = next((each for each in (*FRAMES, *PICTURES) if each in fields), "")
    call = Call(
        class_name=name,
        arguments=arguments,
        result=result,
        has_sound="audio" in fields,
        takes_lists=_takes_lists(pipeline_class),
        examples=pipeline_class.__call__.__doc__ or "",
        code=inspect.getsource(pipeline_class),
    )
    if not result or (call.frame_count and not call.makes_video):
        made = f" ({', '.join(fields)})" if fields else ""
        raise CannotDraft(f"{name} makes neither a clip nor a picture{made}; {BY_HAND}")
    if not call.kinds():
        raise CannotDraft(f"{name} takes neither prompt nor image nor video; {BY_HAND}")
    return call


def _arguments(pipeline_class: Any) -> Arguments:
    parameters = inspect.signature(pipeline_class.__call__).parameters.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        each.name: each.default
        for each in parameters
        if each.name != "self" and each.kind not in variadic
    }


def _takes_lists(pipeline_class: Any) -> bool:
    parameters = inspect.signature(pipeline_class.__call__).parameters
    return pipeline_class.__name__ not in ONE_BY_ONE and all(
        name in parameters and LISTS.search(str(parameters[name].annotation))
        for name in ("prompt", "generator")
    )


def _check(name: str, arguments: Arguments) -> None:
    unknown = [
        each
        for each, default in arguments.items()
        if each in CONTROLS or (default is inspect.Parameter.empty and each not in GIVEN)
    ]
    if unknown:
        raise CannotDraft(
            f"{name} takes {', '.join(unknown)}, which a drafted file cannot provide; {BY_HAND}"
        )


def _result_fields(pipeline_class: Any) -> tuple[str, ...]:
    """Returns the fields of the outputs that the module of a class knows."""
    from diffusers.utils import BaseOutput

    outputs = [
        each
        for each in vars(sys.modules[pipeline_class.__module__]).values()
        if isinstance(each, type)
        and issubclass(each, BaseOutput)
        and "PipelineOutput" in each.__name__
    ]
    names = (field.name for each in outputs for field in dataclasses.fields(each))
    return tuple(dict.fromkeys(names))
