"""Writes clips as GIF: smaller and slower than they are, because the format has no compression."""

import math
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline.video import frame_rate

MAX_SIDE = 512
MAX_FPS = 20
PALETTE_FRAMES = 8


def write_gif(path: Path, frames: Iterable[Any], *, fps: float) -> None:
    """Encodes RGB frames into a looping GIF with one palette of 256 colours."""
    import av  # not needed by tasks without clips

    rate = frame_rate(fps)
    stride = math.ceil(rate / MAX_FPS)
    small = [_small(pixels) for pixels in islice(frames, 0, None, stride)]
    palette, table = _palette(small)
    with av.open(str(path), "w", format="gif", options={"loop": "0"}) as out:
        stream = out.add_stream("gif", rate=rate / stride)
        stream.height, stream.width = small[0].shape[:2]
        stream.pix_fmt = "pal8"
        for index, pixels in enumerate(small):
            pixels_and_palette: Any = _indexed(pixels, table), palette
            frame = av.VideoFrame.from_ndarray(pixels_and_palette, format="pal8")
            frame.pts = index
            frame.time_base = stride / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _small(pixels: Any) -> Any:
    import numpy as np
    from PIL import Image  # loaded by few

    height, width = pixels.shape[:2]
    if max(height, width) <= MAX_SIDE:
        return pixels
    scale = MAX_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def _palette(frames: list[Any]) -> tuple[Any, Any]:
    """Returns 256 colours for all frames, and the nearest one for each of 32768 coarse colours."""
    import numpy as np
    from PIL import Image  # loaded already

    chosen = frames[:: math.ceil(len(frames) / PALETTE_FRAMES)]
    source = Image.fromarray(np.concatenate(chosen))
    quantized = source.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours: Any = np.zeros((256, 4), np.uint8)
    used = np.array(quantized.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colours[: len(used), 1:] = used
    colours[:, 0] = 255
    cells = np.indices((32, 32, 32)).reshape(3, -1).T.astype(np.uint8) * 8 + 4
    grid = Image.fromarray(cells.reshape(128, 256, 3))
    table = np.asarray(grid.quantize(palette=quantized, dither=Image.Dither.NONE)).ravel()
    return colours, table


def _indexed(pixels: Any, table: Any) -> Any:
    coarse = pixels.astype("uint16") >> 3
    return table[coarse[:, :, 0] << 10 | coarse[:, :, 1] << 5 | coarse[:, :, 2]]
