"""A face in an image: its box, landmarks and pose."""

import math
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels."""

IN_PROFILE = 0.65
"""From this `Face.yaw` on a face shows mainly one side."""


@dataclass(frozen=True, eq=False)
class Face:
    """One face of an image.

    Pixel (0, 0) covers the square from (0, 0) to (1, 1), as in Pillow; its centre is (0.5, 0.5).

    Attributes:
        box: The face from forehead to chin, upright in the image; it may reach over the image's border.
        landmarks: (5, 2) float32, x and y in pixels of the upright image: the eye, on the left in a face that is not
            turned, the other eye, the tip of the nose, the left and the right corner of the mouth. In a face that is
            upside down, the first eye is on the right of the image.
        score: How sure the finder is, 0 to 1.
    """

    box: Box
    landmarks: np.ndarray
    score: float

    @property
    def angle(self) -> float:
        """How far the face is turned in the image plane, in degrees, clockwise, -180 to 180; 0 is upright."""
        (x, y) = _down(self.landmarks)
        return math.degrees(math.atan2(-x, y))

    @property
    def size(self) -> float:
        """Side in pixels of a square that has the area of the box."""
        left, top, right, bottom = self.box
        return math.sqrt(max(right - left, 0) * max(bottom - top, 0))

    @property
    def yaw(self) -> float:
        """How far the face looks to one side: 0 is to the front, about 1 in profile, negative to the image's left.

        The nose's distance from the line between the middle of the eyes and the middle of the mouth, in units of half
        the distance of the eyes.
        """
        eyes, mouth = self.landmarks[:2].mean(0), self.landmarks[3:].mean(0)
        down = (mouth - eyes) / max(float(np.linalg.norm(mouth - eyes)), 1e-6)
        right = np.array((down[1], -down[0]))
        half = np.abs((self.landmarks[1] - self.landmarks[0]) @ right) / 2
        return float((self.landmarks[2] - eyes) @ right / max(float(half), 0.02 * self.size, 1e-6))

    @property
    def in_profile(self) -> bool:
        """Whether it shows mainly one side, which a model trained on faces seen from the front changes badly."""
        return abs(self.yaw) >= IN_PROFILE

    def cut_by_border(self, size: tuple[int, int]) -> bool:
        """Whether a landmark or more than a tenth of the box lies outside an image of `size` (width, height)."""
        left, top, right, bottom = self.box
        width, height = max(right - left, 1e-6), max(bottom - top, 1e-6)
        inside_x = max(0.0, min(right, size[0]) - max(left, 0)) / width
        inside_y = max(0.0, min(bottom, size[1]) - max(top, 0)) / height
        outside = np.any(self.landmarks < 0) or np.any(self.landmarks > np.asarray(size))
        return bool(outside or inside_x * inside_y < 0.9)


def _down(landmarks: np.ndarray) -> tuple[float, float]:
    """The direction from forehead to chin: the eyes' and the mouth's lines turned, and from the eyes to the mouth."""
    eyes, mouth = landmarks[1] - landmarks[0], landmarks[4] - landmarks[3]
    right = (eyes + mouth) / 2
    down = landmarks[3:].mean(0) - landmarks[:2].mean(0)
    x, y = down + np.array((-right[1], right[0]))
    return float(x), float(y)
