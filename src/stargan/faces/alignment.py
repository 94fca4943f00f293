"""Cutting a face out of a photo as the input of a model."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from stargan.faces.face import Face
from stargan.faces.sampling import cut, scale_of
from stargan.faces.similarity import similarity
from stargan.model.face_crop import FITTED, FaceCrop


@dataclass(frozen=True, eq=False)
class Alignment:
    """A face that is cut out of a photo, and its place in the photo.

    Attributes:
        image: RGB image of the size asked for.
        matrix: (2, 3) float64, from pixels of `image` to pixels of the photo: a turn, a scale and a shift.
    """

    image: Image.Image
    matrix: np.ndarray

    @property
    def scale(self) -> float:
        """Pixels of the photo along one pixel of `image`; below 1, the photo has less detail than the image."""
        return scale_of(self.matrix)

    @property
    def corners(self) -> np.ndarray:
        """The image's corners in the photo, clockwise from the top left one; (4, 2) float64, in pixels."""
        width, height = self.image.size
        square = np.array(((0, 0), (width, 0), (width, height), (0, height)))
        return square @ self.matrix[:, :2].T + self.matrix[:, 2]


def align(photo: Image.Image, face: Face, crop: FaceCrop, size: tuple[int, int]) -> Alignment:
    """Cuts a face out of a photo, with eyes and mouth at the same places as in the training images.

    Args:
        photo: RGB image, upright, of any size.
        face: One of its faces, from `find`.
        crop: Where eyes and mouth are in the training images.
        size: (width, height) of the result.

    Returns:
        The upright face. Where the square extends beyond the photo, the photo is mirrored.
    """
    matrix = similarity(crop.points(size), face.landmarks[list(FITTED)])
    return Alignment(cut(photo, matrix, size), matrix)
