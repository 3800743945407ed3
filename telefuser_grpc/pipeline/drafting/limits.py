"""What sizes, frame counts and rates a model makes, as its class and its parts say."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from telefuser_grpc.pipeline.drafting.call import Call
from telefuser_grpc.pipeline.drafting.model import Model
from telefuser_grpc.pipeline.parameters import ASPECT_RATIOS
from telefuser_grpc.pipeline.sizes import AREAS

USUAL_FPS = 16
USUAL_SECONDS = 5
USUAL_CLIP, USUAL_PICTURE = (832, 480), (1024, 1024)
RATE = re.compile(r"\bfps=(\d+)")
DIVISIBLE = re.compile(r"divisible by (\d+)")
PACKED = "vae_scale_factor * 2"
"""Stands in the code of a class that packs two by two latents itself."""
IN_PAIRS = ("AutoencoderKLCogVideoX",)
"""Autoencoders that always decode two latent frames together."""
ONE_SIZE = "use_learned_positional_embeddings"
SAMPLE_SIZE = re.compile(r"default_sample_size = (\d+)")
SIDES = re.compile(r"default_height = (\d+)\s+self\.default_width = (\d+)")

Size = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """How long the clips of a model are.

    Attributes:
        usual: The number of frames that its class makes unasked.
        every: A clip has a multiple of so many frames, and 1; a model of 1 makes any number.
    """

    fps: int
    usual: int
    every: int

    @property
    def seconds(self) -> int:
        """The usual length in whole seconds."""
        return max(1, (self.usual - 1) // self.fps)

    @property
    def most(self) -> int:
        """The largest number of frames that a request may ask for."""
        steps = max(self.usual - 1, self.seconds * self.fps)
        return round(steps / self.every) * self.every + 1


def frames_of(model: Model, call: Call) -> Frames:
    """Returns the length of a model's clips."""
    fps = _fps(call)
    named = (model.denoiser.get("sample_frames"), model.denoiser.get("num_frames"))
    numbers = (call.number(call.frame_count), *named, fps * USUAL_SECONDS + 1)
    usual = next(int(each) for each in numbers if isinstance(each, int | float) and each > 0)
    together = 2 if model.parts.get("vae") in IN_PAIRS else 1
    return Frames(fps=fps, usual=usual, every=together * _frames_per_latent(model.autoencoder))


def multiple_of(model: Model, call: Call) -> int:
    """Returns of what number of pixels a side must be a multiple."""
    spatial = _pixels_per_latent(model.autoencoder)
    packed = 2 if PACKED in call.code else 1
    told = map(int, DIVISIBLE.findall(call.code))
    return math.lcm(spatial * packed, spatial * _patch(model.denoiser), *told)


def size_of(model: Model, call: Call) -> Size:
    """Returns the width and height that a class makes unasked."""
    multiple = multiple_of(model, call)
    width, height = next(_sizes(model, call))
    return _near(width, multiple), _near(height, multiple)


def has_one_size(model: Model) -> bool:
    """Tells whether a denoiser has learned where things are, for its own size alone."""
    return bool(model.denoiser.get(ONE_SIZE))


def table_of(size: Size, multiple: int) -> dict[str, Size]:
    """Returns a size of about as many pixels for each aspect ratio, the own one first."""
    own = nearest_aspect(size)
    table = {own: size, _turned(own): size[::-1]}
    for name in ASPECT_RATIOS:
        root = math.sqrt(math.prod(size))
        stretch = math.sqrt(_ratio(name))
        table.setdefault(name, (_near(root * stretch, multiple), _near(root / stretch, multiple)))
    return {name: each for name, each in table.items() if name in ASPECT_RATIOS}


def nearest_aspect(size: Size) -> str:
    """Returns the name of the aspect ratio that is nearest to a size."""
    wanted = math.log(size[0] / size[1])
    return min(ASPECT_RATIOS, key=lambda name: abs(math.log(_ratio(name)) - wanted))


def nearest_resolution(size: Size) -> str:
    """Returns the name of the resolution whose pixels are nearest to a size."""
    wanted = math.log(math.prod(size))
    return min(AREAS, key=lambda name: abs(math.log(AREAS[name]) - wanted))


def _fps(call: Call) -> int:
    rates = (call.number("frame_rate"), call.number("fps"), *map(int, RATE.findall(call.examples)))
    return int(next((each for each in rates if each), USUAL_FPS))


def _frames_per_latent(autoencoder: Mapping[str, Any]) -> int:
    names = ("temporal_compression_ratio", "scale_factor_temporal")
    if told := next((each for name in names if (each := autoencoder.get(name))), None):
        return int(told)
    return int(2 ** sum(autoencoder.get("temperal_downsample") or ()))


def _pixels_per_latent(autoencoder: Mapping[str, Any]) -> int:
    names = ("spatial_compression_ratio", "scale_factor_spatial")
    if told := next((each for name in names if (each := autoencoder.get(name))), None):
        return int(told)
    return int(2 ** (len(autoencoder.get("block_out_channels") or (1,)) - 1))


def _patch(denoiser: Mapping[str, Any]) -> int:
    told = denoiser.get("patch_size") or denoiser.get("all_patch_size") or 1
    return int(told[-1] if isinstance(told, list) else told)


def _sizes(model: Model, call: Call) -> Iterator[tuple[float, float]]:
    """Yields sizes from where a class looks for them, the surest first."""
    width, height = call.number("width"), call.number("height")
    if width and height:
        yield width, height
    spatial, denoiser = _pixels_per_latent(model.autoencoder), model.denoiser
    across, down = denoiser.get("sample_width"), denoiser.get("sample_height")
    if across and down:
        yield across * spatial, down * spatial
    if sides := SIDES.search(call.code):
        yield float(sides[2]), float(sides[1])
    if latents := denoiser.get("sample_size") or _number(SAMPLE_SIZE, call.code):
        down, across = latents if isinstance(latents, list) else (latents, latents)
        yield across * spatial, down * spatial
    yield USUAL_CLIP if call.makes_video else USUAL_PICTURE


def _number(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.search(text)
    return int(match[1]) if match else 0


def _near(length: float, multiple: int) -> int:
    return max(1, round(length / multiple)) * multiple


def _turned(name: str) -> str:
    return ":".join(reversed(name.split(":")))


def _ratio(name: str) -> float:
    across, down = map(int, name.split(":"))
    return across / down
