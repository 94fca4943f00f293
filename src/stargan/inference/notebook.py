"""What models and results look like in notebooks. Names come from model files, hence all text is escaped."""

import base64
import io
from collections.abc import Mapping
from html import escape

import numpy as np
from PIL import Image, ImageOps

from stargan import images
from stargan.model.card import ALL
from stargan.model.info import ModelInfo

SIDE = 192  # of an image in a sheet, in pixels
COLUMNS = 4


def html(info: ModelInfo) -> str:
    """A table of what a model changes and how often it succeeds, as far as that was measured, and its limits."""
    width, height = info.image_size
    tasks = info.card.tasks if info.card else {}
    rows = []
    for name in info.domains.group_names:
        words = [word for label in name.split(", ") for word in (label, f"{label}=0") if word in tasks]
        found = [f"{escape(word)} {1 - tasks[word]['error'].value:.0%}" for word in words if "error" in tasks[word]]
        rows.append(f"<tr><td>{escape(name)}</td><td>{', '.join(found) or 'not measured'}</td></tr>")
    about = "faces in photos" if info.face_crop else "images"
    total = tasks.get(ALL, {}).get("error")
    measured = f"; {1 - total.value:.0%} of all requests succeed" if total else ""
    limits = f"<p>{escape(info.card.limits)}</p>" if info.card and info.card.limits else ""
    licence = f"<p>Licence of the data: {escape(info.licence)}</p>" if info.licence else ""
    return (
        f"<p><b>stargan model</b> for {about}, {width}x{height} pixels{measured}</p>"
        "<table><thead><tr><th>changes</th><th>succeeds</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{limits}{licence}"
    )


def png(image: Image.Image) -> bytes:
    """An image as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def figures_html(title: str, figures: Mapping[str, str], image: bytes = b"", notes: tuple[str, ...] = ()) -> str:
    """An image as a PNG file, figures by name, and remarks."""
    source = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in figures.items())
    return (
        f"<p><b>{escape(title)}</b></p>"
        + (f'<img src="{source}" alt="{escape(title)}">' if image else "")
        + (f"<table><tbody>{rows}</tbody></table>" if rows else "")
        + "".join(f"<p>{escape(note)}</p>" for note in notes)
    )


class Translations(list[tuple[str, Image.Image]]):
    """Pairs of a target in words and an image. In a notebook, it shows itself as one sheet."""

    def _repr_png_(self) -> bytes | None:
        if not self:
            return None
        tiles = [ImageOps.pad(image.convert("RGB"), (SIDE, SIDE), color="white") for _, image in self]
        columns = min(COLUMNS, len(tiles))
        return png(
            images.grid(np.stack([np.asarray(tile) for tile in tiles]), columns, captions=[word for word, _ in self])
        )
