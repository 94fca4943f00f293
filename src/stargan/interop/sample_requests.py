"""Images with random requests, from which int8 takes the ranges of its numbers, and on which files are compared."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stargan import faces, images
from stargan.data import cartoons, image_files
from stargan.errors import DataError
from stargan.model.info import ModelInfo

CALIBRATION, MEASURED = 200, 8  # images, at most: in all; to compare

Batch = tuple[np.ndarray, np.ndarray]
"""An image, (1, 3, H, W) in [-1, 1], and the generator's second input, (1, L), float32."""
Samples = tuple[list[Image.Image], list[Image.Image]]
"""Images to calibrate on, and images to compare."""
Classify = Callable[[np.ndarray], np.ndarray]
"""An attribute classifier, from images, (N, 3, H, W), to probabilities, (N, C)."""


def samples(given: Sequence[Path], info: ModelInfo) -> Samples:
    """Reads images as the model gets them.

    Args:
        given: Image files, or folders of them; if there are none, faces are drawn.
        info: The description of the model.

    Returns:
        Those to calibrate on, and those to compare: different ones, unless there is only one, or they are drawn.

    Raises:
        DataError: An image cannot be read, or a folder has none.
    """
    if not given:
        drawn = _drawn(info, MEASURED)
        return drawn, drawn
    files = _spread(_files(given), CALIBRATION)
    measured = _spread(files, min(MEASURED, (len(files) + 1) // 2))
    others = [file for file in files if file not in measured] or files
    calibration, compared = ([_cut(file, info) for file in each] for each in (others, measured))
    return calibration, compared


def requests(chosen: Sequence[Image.Image], info: ModelInfo, classify: Classify | None) -> list[Batch]:
    """Requests a random change of each image.

    Args:
        chosen: From `samples`.
        info: The description of the model.
        classify: The attribute classifier; None if there is none.
    """
    random, domains, batches = np.random.default_rng(0), info.domains, []
    for index, sample in enumerate(chosen):
        pixels = images.to_array([sample])
        values = domains.decide(classify(pixels)) if classify else domains.random_values(random, 1)
        dataset = index % len(domains.sets)
        labels = domains.labels(domains.random_changes(random, values, dataset), dataset)
        batches.append((pixels, info.architecture.condition(domains, labels, values)))
    return batches


def _files(given: Sequence[Path]) -> list[Path]:
    """The image files that are given or in given folders."""
    files: list[Path] = []
    for path in given:
        found = [path / name for name in image_files.find(path).files] if path.is_dir() else [path]
        if not found:
            raise DataError(f"--calibrate {path}: no images in this folder")
        files += found
    return files


def _cut(path: Path, info: ModelInfo) -> Image.Image:
    """An image as the model gets it: its largest face if the model is about faces, else its centre."""
    photo = images.decode(path, info.range or "own")
    if info.face_crop:
        largest = max(faces.find(photo), key=lambda face: face.size, default=None)
        if largest:
            return faces.align(photo, largest, info.face_crop, info.image_size).image
    return images.fit(photo, info.image_size, info.crop)


def _drawn(info: ModelInfo, count: int) -> list[Image.Image]:
    side = min(max(info.image_size), 512)
    return [images.fit(cartoons.draw(*cartoons.sample(0, index), side), info.image_size) for index in range(count)]


def _spread(items: list[Any], count: int) -> list[Any]:
    """At most so many of the items, from all parts of the list."""
    return [items[index * len(items) // count] for index in range(count)] if len(items) > count else items
