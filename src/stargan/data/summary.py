"""What `stargan data` shows."""

import numpy as np
from PIL import Image

from stargan import images
from stargan.data.cache import Pictures
from stargan.data.sources import SPLITS, Source

PER_DOMAIN = 6  # pictures of each domain on the sheet
SIDE = 96  # longest side of a picture on the sheet, in pixels
NAMED = 20  # unreadable files named


def table(source: Source, pictures: Pictures | None = None) -> str:
    """Counts per domain and split, what kind of set it is, and the unreadable files by name.

    Args:
        source: The data set.
        pictures: Its decoded pictures; None says nothing of unreadable files.

    Returns:
        Lines of text without a newline at the end. Unreadable files are counted too.
    """
    names = source.label_set.names
    wide = max(len("pictures"), *map(len, names))
    rows = {split: source.rows(split) for split in SPLITS}
    lines = [f"{source.name} ({source.kind}): {len(source.files)} pictures, {len(names)} labels"]
    lines.append(" ".join([" " * wide, *(f"{split:>9}" for split in SPLITS), f"{'all':>9}"]))
    lines.append(_row("pictures", [len(rows[split]) for split in SPLITS], wide))
    for column, name in enumerate(names):
        lines.append(_row(name, [int(source.labels[rows[split], column].sum()) for split in SPLITS], wide))
    for group in source.label_set.groups:
        if len(group.names) > 1:
            kind = "exactly one of" if group.categorical else "at most one of"
            lines.append(f"{group.name + ': ' if group.name else ''}{kind} {', '.join(group.names)}")
    return "\n".join(lines + (_unreadable(source, pictures.bad) if pictures else []))


def contact_sheet(source: Source, pictures: Pictures) -> Image.Image:
    """Some pictures of each domain, a row each, captioned; at most `SIDE` pixels a picture."""
    readable = np.setdiff1d(np.arange(len(source.files)), list(pictures.bad))
    height, width = pictures.pixels.shape[1:3]
    factor = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    cells = np.full((len(source.label_set.names) * PER_DOMAIN, size[1], size[0], 3), 255, np.uint8)
    captions = [""] * len(cells)
    for column, name in enumerate(source.label_set.names):
        rows = readable[source.labels[readable, column] == 1]
        chosen = rows[np.linspace(0, len(rows) - 1, min(PER_DOMAIN, len(rows))).astype(int)]
        for cell, row in enumerate(chosen, column * PER_DOMAIN):
            cells[cell] = np.asarray(Image.fromarray(pictures.pixels[row]).resize(size))
            captions[cell] = name
    return images.grid(cells, PER_DOMAIN, captions=captions)


def _unreadable(source: Source, bad: dict[int, str]) -> list[str]:
    lines = [f"unreadable: {source.files[row]}: {bad[row]}" for row in sorted(bad)[:NAMED]]
    return lines + ([f"and {len(bad) - NAMED} more unreadable files"] if len(bad) > NAMED else [])


def _row(name: str, counts: list[int], wide: int) -> str:
    return " ".join([f"{name:{wide}}", *(f"{count:9}" for count in (*counts, sum(counts)))])
