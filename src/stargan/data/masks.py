"""Recognises folders of segmentation masks, which are no images of a domain."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stargan import images
from stargan.errors import ImageError

_WORDS = frozenset({
    "mask", "masks", "anno", "annos", "annotation", "annotations", "label", "labels", "seg", "segs", "segmentation",
    "segmentations", "segmap", "segmaps", "gt", "groundtruth", "truth", "parsing", "trimap", "trimaps", "matte",
    "mattes", "segmentationclass", "segmentationobject",
})  # fmt: skip
_SAMPLE = 4  # images of a folder to look at
_COLOURS = 64  # a mask has fewer colours; a photo that is not tiny has more


def named(name: str) -> bool:
    """Whether a folder is called as those of masks are."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name))
    return any(word.lower() in _WORDS for word in words) or name.lower().replace("_", "") in _WORDS


def drawn(root: Path, files: Sequence[str], *, gray: bool = False) -> bool:
    """Whether a few of the images look like masks: a few even colours, or if `gray` a few levels of gray."""
    chosen = [files[index] for index in np.linspace(0, len(files) - 1, min(_SAMPLE, len(files))).astype(int)]
    return all(_few_colours(root / name, gray) for name in dict.fromkeys(chosen))


def beside(files: Sequence[str], others: Sequence[str]) -> bool:
    """Whether most of the files are named after one of the others: `7.png` or `7_mask.png` after `7.jpg`."""
    names = {_stem(name) for name in others}
    stems = [_stem(name) for name in files]
    return sum(stem in names or stem.rpartition("_")[0] in names for stem in stems) > 0.8 * len(stems)


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0] or name.rpartition("/")[2]


def _few_colours(path: Path, gray: bool) -> bool:
    try:
        image = images.decode(path)
    except ImageError:
        return False
    found = image.getcolors(_COLOURS)
    if found is None or image.width * image.height < 4 * len(found):
        return False
    colours = [colour for _, colour in found if isinstance(colour, tuple)]
    return not gray or (len(colours) > 1 and all(max(colour) == min(colour) for colour in colours))
