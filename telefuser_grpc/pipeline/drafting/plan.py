"""Decides what a drafted file serves: kinds, inputs, parameters and how the model is loaded."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from telefuser_grpc.pipeline.drafting.call import BY_HAND, Call, call_of
from telefuser_grpc.pipeline.drafting.limits import (
    Frames,
    Size,
    frames_of,
    has_one_size,
    multiple_of,
    size_of,
    table_of,
)
from telefuser_grpc.pipeline.drafting.model import Model, title
from telefuser_grpc.pipeline.drafting.refusal import CannotDraft

IN_FULL = re.compile(
    r'from_pretrained\([^()]*subfolder="(\w+)",\s*(?:torch_)?dtype=torch\.float32', re.DOTALL
)
"""How the examples of a class load a part that keeps full precision."""
FULL_AUTOENCODERS = ("AutoencoderKLWan",)
TEXT_KINDS = ("t2v", "t2i")
GB = 1e9
LARGE = 20 * GB


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a drafted file says.

    Attributes:
        place: The directory of the model.
        has_one_size: It can make no other.
        float32: The parts that keep full precision.
        sound: The part that knows the sample rate of the sound; "" for a silent model.
        together: How many tasks it may make at once; 1 where the class takes one.
        decodes_slices: What it makes together can be decoded one by one.
    """

    name: str
    title: str
    place: str
    class_name: str
    call: Call
    kinds: tuple[str, ...]
    frames: Frames
    size: Size
    has_one_size: bool
    multiple: int
    float32: tuple[str, ...]
    memory: str
    sound: str
    together: int
    decodes_slices: bool

    @property
    def sizes(self) -> dict[str, Size]:
        """A size for each aspect ratio, the own one first."""
        table = table_of(self.size, self.multiple)
        return dict([*table.items()][:1]) if self.has_one_size else table

    @property
    def media_kinds(self) -> list[str]:
        """The kinds that are made from pictures or clips."""
        return [kind for kind in self.kinds if kind not in TEXT_KINDS]

    @property
    def has_text(self) -> bool:
        """Whether there is a kind of words alone."""
        return len(self.media_kinds) < len(self.kinds)

    @property
    def has_batch(self) -> bool:
        """Whether it makes several tasks together."""
        return self.together > 1

    @property
    def has_strength(self) -> bool:
        """Whether a request says how much of what is given is made anew."""
        strength = self.call.number("strength")
        return strength is not None and strength <= 1

    @property
    def counts_frames(self) -> bool:
        """Whether the class is told a number of frames."""
        return bool(self.call.frame_count)

    def has(self, argument: str) -> bool:
        """Tells whether the class's call takes an argument."""
        return argument in self.call.arguments


def plan_of(model: Model) -> Plan:
    """Returns what the file of a model is to say.

    Raises:
        CannotDraft: Its class cannot be served by a drafted file.
    """
    call = call_of(model.pipeline_class)
    kinds = _kinds(model, call)
    if not kinds:
        raise CannotDraft(f"{call.class_name} with such parts makes no kind of task; {BY_HAND}")
    return Plan(
        name=_identifier(title(model.folder)),
        title=re.sub(r"[^\w .+-]", "_", title(model.folder)),
        place=str(model.folder),
        class_name=call.class_name,
        call=call,
        kinds=kinds,
        frames=frames_of(model, call),
        size=size_of(model, call),
        has_one_size=has_one_size(model),
        multiple=multiple_of(model, call),
        float32=tuple(_in_full(model, call)),
        memory=_memory(model),
        sound="vocoder" if call.has_sound and "vocoder" in model.parts else "",
        together=_together(model, call, kinds),
        decodes_slices=_decodes_slices(model),
    )


def _kinds(model: Model, call: Call) -> tuple[str, ...]:
    """Leaves out what a class takes and the parts of this model cannot make."""
    kinds = call.kinds()
    if "fl2v" not in kinds:
        return kinds
    if model.index.get("expand_timesteps"):  # the first picture is put in as a frame, no other is
        return tuple(kind for kind in kinds if kind != "fl2v")
    if "image_encoder" not in model.parts or "pos_embed_seq_len" not in model.denoiser:
        return kinds
    wrong = "i2v" if model.denoiser["pos_embed_seq_len"] else "fl2v"  # it sees two pictures, or one
    return tuple(kind for kind in kinds if kind != wrong)


def _together(model: Model, call: Call, kinds: tuple[str, ...]) -> int:
    """Returns how many tasks to make at once, of words alone: pictures and clips differ in size."""
    if not call.takes_lists or call.has_sound or not set(kinds) <= set(TEXT_KINDS):
        return 1
    if not call.makes_video:
        return 8
    return 2 if max(model.weight_bytes.values(), default=0) > LARGE else 4


def _decodes_slices(model: Model) -> bool:
    """Tells whether the autoencoder can; those that are told a time mix the slices up."""
    import diffusers

    autoencoder = getattr(diffusers, model.parts.get("vae", ""), None)
    is_told_a_time = model.autoencoder.get("timestep_conditioning")
    return hasattr(autoencoder, "enable_slicing") and not is_told_a_time


def _in_full(model: Model, call: Call) -> Iterator[str]:
    shown = IN_FULL.findall(call.examples)
    for name, class_name in model.parts.items():
        if name in shown or class_name in FULL_AUTOENCODERS:
            yield name


def _identifier(text: str) -> str:
    name = re.sub(r"\W+", "_", text.lower(), flags=re.ASCII).strip("_")
    return name if name[:1].isalpha() else f"model_{name}".strip("_")


def _memory(model: Model) -> str:
    sizes = model.weight_bytes
    if not sizes:
        return "unknown: there were no weights in the directory"
    largest = max(sizes, key=sizes.__getitem__)
    return (
        f"weights {_gb(sum(sizes.values()))} as they are stored; {_gb(sizes[largest])}, "
        f"the {largest}'s, with TELEFUSER_OFFLOAD=model"
    )


def _gb(size: int) -> str:
    if size < GB:
        return f"{size / 1e6:.1f} MB"
    return f"{size / GB:.0f} GB" if size > 10 * GB else f"{size / GB:.1f} GB"
