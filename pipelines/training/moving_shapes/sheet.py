"""Draws the sample sheet of the model card with the released weights."""

from pathlib import Path

import moving_shapes
import numpy as np
import torch
from PIL import Image

PROMPTS = (
    "a red circle moving right on a navy background",
    "a blue square moving up on a gray background",
    "a yellow triangle moving left on a black background",
    "a green square falling on a brown background",
    "a purple circle on a gray background",
    "a white triangle rising on a navy background",
    "an orange circle going down over black",
    "the cyan square slides to the right, brown background",
    "红色圆形向右移动，深蓝色背景",
    "黑色背景上，一个黄色三角形向左移动",
    "一个绿色的方形在灰色背景上",
    "紫色圆圈下落，棕色背景",
)
SHEET = Path(moving_shapes.__file__).with_suffix("") / "samples.png"
EVERY = 2
"""Frames from one column to the next."""


def main() -> None:
    """Write one row per prompt, time from left to right."""
    torch.set_num_threads(1)
    pipeline = moving_shapes.get_pipeline()
    generators = [torch.Generator().manual_seed(42) for _ in PROMPTS]
    clips = pipeline(PROMPTS, generator=generators, output_type="np").frames
    rows = [np.concatenate(list(clip[::EVERY]), axis=1) for clip in clips]
    Image.fromarray(np.concatenate(rows)).save(SHEET, optimize=True)


if __name__ == "__main__":
    main()
