"""Sheets of many images."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 2  # pixels between images
_LEADING = 4  # pixels between lines of text


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
    size = _font_size(width)
    font = ImageFont.load_default(size)
    head, foot = (size + _LEADING if titles else 0), (size + _LEADING if captions else 0)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, head + rows * (height + foot + GAP) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((GAP + column * (width + GAP), 2), shorten(title, font, width), "black", font)
    for index in range(count):
        x = GAP + index % columns * (width + GAP)
        y = head + GAP + index // columns * (height + foot + GAP)
        sheet.paste(Image.fromarray(pixels[index]), (x, y))
        if captions:
            draw.text((x, y + height + 1), shorten(captions[index], font, width), "black", font)
    return sheet


def titled_rows(sheet: tuple[int, int], columns: int, image: tuple[int, int]) -> tuple[int, int] | None:
    """Finds the images in what `grid` made with titles and without captions.

    Args:
        sheet: (width, height) of the sheet.
        columns: Number of images in a row.
        image: (width, height) of one image.

    Returns:
        The number of rows, and how far from the top the first one is; None if the sheet has another layout.
    """
    top = _font_size(image[0]) + _LEADING + GAP
    rows, rest = divmod(sheet[1] - top, image[1] + GAP)
    if sheet[0] != columns * (image[0] + GAP) + GAP or rest or rows < 1:
        return None
    return rows, top


def _font_size(width: int) -> int:
    return max(10, min(14, width // 8))


def shorten(text: str, font: Any, width: int) -> str:
    """Shortens a text to `width` pixels, ending in an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
