"""How training images were cut, in terms of the face in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stargan.errors import ModelError

Point = tuple[float, float]

FITTED = (0, 1, 3, 4)
"""Which of a face's five landmarks are laid on a `FaceCrop`: not the nose, which moves most as a head turns."""

NAMES = ("right_eye", "left_eye", "right_mouth", "left_mouth")  # of the person


@dataclass(frozen=True)
class FaceCrop:
    """Where the eyes and the corners of the mouth lie in an image that was cut around a face.

    Points are x to the right and y down from the middle of the image, in units of its shorter side, so that they hold
    for every image size and shape that is cut around the same middle.

    Attributes:
        right_eye: The person's right eye, on the left of the image.
        left_eye: The other eye.
        right_mouth: The corner of the mouth below the right eye.
        left_mouth: The other corner.
    """

    right_eye: Point
    left_eye: Point
    right_mouth: Point
    left_mouth: Point

    @classmethod
    def measured(cls, landmarks: np.ndarray, size: tuple[float, float], crop: float | None = None) -> "FaceCrop":
        """From the mean landmarks of images and the way they are cut.

        Args:
            landmarks: (5, 2) in pixels, in the order of `Face.landmarks`.
            size: (width, height) of those images.
            crop: Shorter side in pixels of the part in their middle that is used; None for the shorter side itself.
        """
        relative = (np.asarray(landmarks, float)[list(FITTED)] - np.asarray(size) / 2) / (crop or min(size))
        return cls(*((round(float(x), 4), round(float(y), 4)) for x, y in relative))

    def within(self, fraction: float) -> "FaceCrop":
        """The same faces in the central part of the images, which has this fraction of their size."""
        return FaceCrop(
            *((round(x / fraction, 4), round(y / fraction, 4)) for x, y in map(self.__getattribute__, NAMES))
        )

    def points(self, size: tuple[int, int]) -> np.ndarray:
        """The four points in an image of `size` (width, height): (4, 2) float64, in pixels."""
        relative = np.array([getattr(self, name) for name in NAMES])
        return relative * min(size) + np.asarray(size) / 2

    def to_json(self) -> dict[str, list[float]]:
        """A dictionary of the four points, for a model file."""
        return {name: list(getattr(self, name)) for name in NAMES}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "FaceCrop":
        """The inverse of `to_json`.

        Raises:
            ModelError: A point is missing, or is not two numbers within the image or near it.
        """
        points = {name: _point(name, found.get(name)) for name in NAMES}
        if len({*points.values()}) < len(NAMES):
            raise ModelError("face crop: two of its points are the same")
        return cls(**points)


def _point(name: str, value: Any) -> Point:
    numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    fine = [isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= 2 for number in numbers]
    if len(fine) != 2 or not all(fine):
        raise ModelError(f"face crop: {name} is {value!r}; it must be two numbers between -2 and 2")
    return float(numbers[0]), float(numbers[1])


CELEBA = FaceCrop.measured(
    np.array(((69.1, 112.9), (109.3, 112.0), (87.5, 136.0), (72.3, 153.6), (106.1, 153.1))), (178, 218), 178
)
"""CelebA's aligned images, of which the central 178 of 178x218 pixels are used.

The points are the medians that `faces.find` gives on 130 of its images. CelebA's own eyes lie near (69.5, 112.5) and
(107.3, 112.5); `find` sees the left eye 2 pixels beside that, as it does in photos, so that its own points cut photos
as CelebA was cut.
"""
