"""The summary of a data set: the table and the contact sheet of `stargan data`."""

import numpy as np
from PIL import Image

from stargan import images
from stargan.data.cache import CachedImages
from stargan.data.pairs import KIND as PAIRS
from stargan.data.sources import SPLITS, Source
from stargan.errors import one_line
from stargan.progress import counted

PER_DOMAIN = 6  # images of each domain on the sheet
SIDE = 96  # longest side of an image on the sheet, in pixels
NAMED = 20  # unreadable files that the table names


def table(source: Source, cached: CachedImages | None = None) -> str:
    """The format of a data set, its images by domain and split, and the images that are left out.

    Args:
        source: The data set.
        cached: Its decoded images; None does not name those that are left out.

    Returns:
        Lines of text without a final newline. The counts include images that are left out.
    """
    names = source.label_set.names
    wide = max(len("images"), *map(len, names))
    rows = {split: source.rows(split) for split in SPLITS}
    count, labels = counted(len(source.files), "image"), counted(len(names), "label")
    lines = [f"{source.name} ({source.kind}): {count}, {labels}"]
    lines.append(" ".join([" " * wide, *(f"{split:>9}" for split in SPLITS), f"{'all':>9}"]))
    lines.append(_row("images", [len(rows[split]) for split in SPLITS], wide))
    for column, name in enumerate(names):
        lines.append(_row(name, [int((source.labels[rows[split], column] == 1).sum()) for split in SPLITS], wide))
    for group in source.label_set.groups:
        if len(group.names) > 1:
            kind = "exactly one of" if group.categorical else "at most one of"
            lines.append(f"{group.name + ': ' if group.name else ''}{kind} {', '.join(group.names)}")
    untrained = source.lacking(rows["train"]).values()
    lines += [f"no training images of {domain}: stargan train will refuse this" for domain in untrained]
    lines += source.notes
    left_out = _left_out(source, cached) if cached else []
    if not left_out and not any(note.startswith("left out") for note in source.notes):
        lines.append("left out: nothing")
    return "\n".join(map(one_line, lines + left_out))


def contact_sheet(source: Source, cached: CachedImages) -> Image.Image:
    """A grid with some images of each domain in a row, captioned; `SIDE` pixels at most each.

    Of pairs, a row has images to translate, and the next row their translations.
    """
    readable = np.setdiff1d(np.arange(len(source.files)), list(cached.bad))
    height, width = cached.pixels.shape[1:3]
    factor = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if source.kind == PAIRS:
        first = _spread(readable[np.isin(source.partners(readable), readable) & (readable < len(source.files) // 2)])
        shown = {"to translate": first, source.label_set.names[0]: source.partners(first)}
    else:
        shown = {
            name: _spread(readable[source.labels[readable, column] == 1])
            for column, name in enumerate(source.label_set.names)
        }
    cells = np.full((len(shown) * PER_DOMAIN, size[1], size[0], 3), 255, np.uint8)
    captions = [""] * len(cells)
    for number, (name, rows) in enumerate(shown.items()):
        for cell, row in enumerate(rows, number * PER_DOMAIN):
            cells[cell] = np.asarray(Image.fromarray(cached.pixels[row]).resize(size))
            captions[cell] = name
    return images.grid(cells, PER_DOMAIN, captions=captions)


def _spread(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, min(PER_DOMAIN, len(rows))).astype(int)]


def _left_out(source: Source, cached: CachedImages) -> list[str]:
    bad = cached.unreadable
    lines = [f"unreadable: {source.files[row]}: {bad[row]}" for row in sorted(bad)[:NAMED]]
    lines += [f"and {len(bad) - NAMED} more unreadable files"] if len(bad) > NAMED else []
    lines += [f"left out: {counted(len(bad), 'unreadable image')}, which the counts include"] if bad else []
    return lines + ([f"left out: {cached.without_faces(source)}"] if cached.faceless else [])


def _row(name: str, counts: list[int], wide: int) -> str:
    return " ".join([f"{name:{wide}}", *(f"{count:9}" for count in (*counts, sum(counts)))])
