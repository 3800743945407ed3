"""Pictures and clips to give to pipelines, as data URLs."""

import base64
import io

from PIL import Image


def picture(width: int, height: int) -> str:
    """Returns a PNG: a slope of colours."""
    buffer = io.BytesIO()
    colours = [Image.linear_gradient("L").rotate(90 * turns) for turns in range(3)]
    Image.merge("RGB", colours).resize((width, height)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
