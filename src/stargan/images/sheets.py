"""Sheets of many images."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def grid(pixels: np.ndarray, columns: int, *, titles: Sequence[str] = (), captions: Sequence[str] = ()) -> Image.Image:
    """Arranges images in rows, with a title above each column and a caption below each image, if given.

    Args:
        pixels: (N, H, W, 3) uint8.
        columns: Number of images in a row.
        titles: One text for each column.
        captions: One text for each image.
    """
    count, height, width, _ = pixels.shape
    rows = math.ceil(count / columns)
    size = max(10, min(14, width // 8))
    font = ImageFont.load_default(size)
    line = size + 4
    head, foot, gap = (line if titles else 0), (line if captions else 0), 2
    sheet = Image.new("RGB", (columns * (width + gap) + gap, head + rows * (height + foot + gap) + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((gap + column * (width + gap), 2), shorten(title, font, width), "black", font)
    for index in range(count):
        x = gap + index % columns * (width + gap)
        y = head + gap + index // columns * (height + foot + gap)
        sheet.paste(Image.fromarray(pixels[index]), (x, y))
        if captions:
            draw.text((x, y + height + 1), shorten(captions[index], font, width), "black", font)
    return sheet


def shorten(text: str, font: Any, width: int) -> str:
    """Shortens a text to `width` pixels, ending in an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
