"""Looks for faces in a few images of a data set: are they aligned, and where do the faces lie?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from stargan import faces, images
from stargan.faces import CELEBA, FaceCrop

SAMPLE = 32  # images to look at
SIDE = 128  # shorter side in pixels at which they are looked at: enough for exact landmarks
FEWEST = 8  # images that must show one face, in a data set of whatever size
ALIGNED = 0.9  # share of the images that must show one face
DOMINANT = 1.5  # times as large as any other face, the largest one counts as the only one

# Distances in shorter sides of the images:
SCATTER = 0.04  # largest median distance of a point from its median place; CelebA has 0.02
SAME = 0.02  # from CelebA's points, within which a data set counts as CelebA; parts of CelebA differ by up to 0.01
ELSEWHERE = 0.06  # from which on faces do not lie where a model expects them


@dataclass(frozen=True)
class FaceSample:
    """The faces in a few images of a data set.

    Attributes:
        looked_at: Number of the images.
        with_faces: Number of those that show a face.
        size: (width, height) at which they were looked at.
        landmarks: (K, 5, 2) in pixels, of the images that show one face, or one that dominates.
    """

    looked_at: int
    with_faces: int
    size: images.Size
    landmarks: np.ndarray

    @cached_property
    def face_crop(self) -> FaceCrop | None:
        """Where the face lies in the images; None unless it lies at the same place in nearly all of them.

        For CelebA it is a constant, so that it is the same for every part of CelebA and on every machine.
        """
        if len(self.landmarks) < _enough(self.looked_at):
            return None
        points = np.array([_points(one, self.size) for one in self.landmarks])
        distances = np.linalg.norm(points - np.median(points, 0), axis=2)
        if np.median(distances, 0).max() > SCATTER:
            return None
        found = FaceCrop.measured(np.median(self.landmarks, 0), self.size)
        return CELEBA if _distance(found, CELEBA) <= SAME else found

    @property
    def unaligned(self) -> bool:
        """Whether most images show faces, but not at the same place."""
        return self.face_crop is None and 2 * self.with_faces > self.looked_at

    def elsewhere(self, expected: FaceCrop) -> bool:
        """Whether most images show faces, but at other places than expected."""
        return self.unaligned or (self.face_crop is not None and _distance(self.face_crop, expected) > ELSEWHERE)


def look(data: Sequence[tuple[np.ndarray, np.ndarray]]) -> FaceSample:
    """Looks for faces in up to `SAMPLE` images.

    It stops as soon as too many show no face or several, since it takes longest where nothing is found.

    Args:
        data: For each data set, its images as they are cut for a model, (N, H, W, 3) uint8, and which of them to use,
            (M,) rows.
    """
    chosen = _chosen(data)
    height, width = data[0][0].shape[1:3]
    size = (round(width * SIDE / min(width, height)), round(height * SIDE / min(width, height)))
    looked_at, with_faces = 0, 0
    landmarks: list[np.ndarray] = []
    for pixels in chosen:
        if looked_at - len(landmarks) > len(chosen) - _enough(len(chosen)):
            break
        found = sorted(faces.find(images.fit(Image.fromarray(pixels), size)), key=lambda face: -face.size)
        looked_at += 1
        with_faces += bool(found)
        if found and (len(found) == 1 or found[0].size >= DOMINANT * found[1].size):
            landmarks.append(found[0].landmarks)
    return FaceSample(looked_at, with_faces, size, np.array(landmarks).reshape(-1, 5, 2))


def _chosen(data: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """Images from all parts of all data sets, in an order that mixes them; (H, W, 3) uint8 each."""
    owners = np.repeat(np.arange(len(data)), [len(rows) for _, rows in data])
    rows = np.concatenate([rows for _, rows in data])
    chosen = np.random.default_rng(0).permutation(len(rows))[:SAMPLE]
    return [np.asarray(data[owners[index]][0][rows[index]]) for index in chosen]


def _enough(count: int) -> int:
    """How many of `count` images must show one face."""
    return max(FEWEST, math.ceil(ALIGNED * count))


def _points(landmarks: np.ndarray, size: images.Size) -> np.ndarray:
    """The points of a `FaceCrop`, (4, 2), in shorter sides."""
    return FaceCrop.measured(landmarks, size).points((1, 1))


def _distance(one: FaceCrop, other: FaceCrop) -> float:
    return float(np.abs(one.points((1, 1)) - other.points((1, 1))).max())
