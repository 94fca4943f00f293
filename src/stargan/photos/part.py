"""A part of a photo that is cut out for a model."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from stargan.photos.sampling import scale_of

Fade = tuple[float, float]
"""How far from a side a change begins, and how far from it the change is whole, in shorter sides of the part."""

SOFT: Fade = (0.0, 0.1)
"""A soft border that leaves the side itself unchanged."""

WHOLE: Fade = (0.0, 0.0)
"""No border."""


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a photo, and its place in the photo.

    Attributes:
        image: RGB image of the size of the model.
        matrix: (2, 3) float64, from pixels of `image` to pixels of the photo: a turn, a scale and a shift.
        fade: How a change of the part fades out at its left, upper, right and lower side.
    """

    image: Image.Image
    matrix: np.ndarray
    fade: tuple[Fade, Fade, Fade, Fade] = (SOFT, SOFT, SOFT, SOFT)

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

    def is_whole(self, size: tuple[int, int]) -> bool:
        """Whether it is a whole photo of `size` (width, height), pixel for pixel and without a border."""
        same = self.image.size == size and np.array_equal(self.matrix, np.eye(2, 3))
        return same and all(fade == WHOLE for fade in self.fade)
