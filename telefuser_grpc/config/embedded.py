"""Finds the pipeline files that come with the package."""

import re
from collections.abc import Mapping
from pathlib import Path

EMBEDDED = "moving_shapes"
EXAMPLES: Mapping[str, str] = {  # files that the documents name, and ours for the same model
    "wan21_14b_image_to_video_h100": "wan21_i2v_14b_480p",
    "wan22_14b_image_to_video_distill_h100": "wan22_i2v_a14b_distill",
    "qwen_image_pipeline": "qwen_image",
}
FAMILIES: Mapping[str, tuple[str, str]] = {  # how words of a path begin: what diffusers lacks
    "liveact": ("speech-to-video", "wan22_animate_14b, which follows a film of a speaker"),
    "s2v": ("speech-to-video", "wan22_animate_14b, which follows a film of a speaker"),
    "longcat": ("LongCat-Video", "skyreels_v2, where text, a picture or a clip goes on"),
    "flashvsr": ("FlashVSR", "kandinsky6_sr_vsr, which scales clips up"),
    "lingbot": ("LingBot-World", "stream_sana_wm, a world that is walked with the same keys"),
}


def pipelines_folder() -> Path:
    """Returns the folder of the pipeline files that come with the package."""
    package = Path(__file__).parents[1]
    folders = (package / "_pipelines", package.parent / "pipelines")
    return next(folder for folder in folders if folder.is_dir())


def served_file(path: Path | None) -> Path:
    """Returns the pipeline file that is meant: the embedded one when none is named.

    Where no such file is, its name may be that of one that comes with the package, or of an example
    in the documents. What is meant by neither is returned as it is.
    """
    if path is not None and path.exists():
        return path
    stem = EMBEDDED if path is None else path.stem
    ours = pipelines_folder() / f"{EXAMPLES.get(stem, stem)}.py"
    return ours if path is None or ours.is_file() else path


def not_found(path: Path) -> str:
    """Says that there is no such pipeline file, and what there is instead of a family we lack."""
    text = f"pipeline file {str(path)!r} does not exist"
    words = re.split("[^a-z0-9]+", str(path).lower())
    for beginning, (family, nearest) in FAMILIES.items():
        if any(word.startswith(beginning) for word in words):
            return f"{text}: diffusers has no class for {family}; the nearest is {nearest}"
    return f"{text}; name a Python file"
