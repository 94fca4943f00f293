"""Finding faces in photos of any size, whichever way up."""

import math

import numpy as np
from PIL import Image

from stargan.faces import network
from stargan.faces.face import Face
from stargan.faces.sampling import cut

SEARCH = 1024  # longer side at which photos are searched; it bounds the cost
TURNED = 640  # longer side at which they are searched lying and upside down, three times more
ENLARGED = 640  # smaller images are enlarged up to this, at most twice
OVERVIEW = 320  # a second search, for faces that fill the photo
CLOSER = 256  # side of the square in which a face is looked at again
AROUND = 2.5  # side of that square, in sides of the face
ASIDE = 0.2  # how far from its middle a face may be, in sides of that square
SMALLEST = 8.0  # side in pixels of a face below which nothing more is seen by looking closer
SURE = 0.5  # the least score of a face that is returned
MAYBE = 0.25  # the least score of what is looked at again


def find(image: Image.Image) -> list[Face]:
    """Finds the faces of an image.

    The image is searched at no more than `SEARCH` pixels on its longer side. What might be a face is then looked at
    again, upright, at a size that suits the network: that gives exact landmarks in large photos and in faces that are
    tilted, and drops most of what is no face. Where there is no upright face, the image is searched lying on its sides
    and upside down.

    Args:
        image: RGB image, upright as `images.decode` gives it.

    Returns:
        Faces from left to right, by the middle of their boxes.
    """
    found = _search(image, 0, SEARCH)
    if not found:
        turned = [_search(image, turns, TURNED) for turns in (1, 3, 2)]
        found = max(turned, key=lambda faces: sum(face.score for face in faces))
    return sorted(found, key=lambda face: face.box[0] + face.box[2])


def _search(image: Image.Image, turns: int, longest: int) -> list[Face]:
    """Faces that are upright once the image is turned counterclockwise by a quarter so many times."""
    longer = max(image.size)
    fine = min(longest, max(longer, min(ENLARGED, 2 * longer)))
    small = _resized(image, fine)
    looks = [small, _resized(small, OVERVIEW)] if fine > OVERVIEW else [small]
    candidates = _once([face for look in looks for face in _detect(look, turns, image.size)])
    return _once([face for candidate in candidates if (face := _closer(image, candidate)) is not None])


def _resized(image: Image.Image, longer: int) -> Image.Image:
    """The image with so many pixels on its longer side."""
    scale = longer / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _detect(small: Image.Image, turns: int, size: tuple[int, int]) -> list[Face]:
    """What might be faces in a resized image once it is turned, in pixels of the image of `size`."""
    scores, boxes, landmarks = network.detect(np.rot90(np.asarray(small), turns), MAYBE)
    points = np.concatenate((boxes.reshape(-1, 2, 2), landmarks), 1)
    points = turned_back(points, turns, small.size) * (np.asarray(size) / np.asarray(small.size))
    return [_face(found[:2], found[2:], score) for found, score in zip(points, scores, strict=True)]


def _once(faces: list[Face]) -> list[Face]:
    if len(faces) < 2:
        return faces
    kept = network.once(np.array([face.score for face in faces]), np.array([face.box for face in faces]))
    return [faces[index] for index in kept]


def _face(corners: np.ndarray, landmarks: np.ndarray, score: float) -> Face:
    """A face whose box goes around corners (N, 2)."""
    (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
    return Face((left, top, right, bottom), landmarks.astype(np.float32), float(score))


def turned_back(points: np.ndarray, turns: int, size: tuple[int, int]) -> np.ndarray:
    """From an image that was turned counterclockwise by quarters to the image itself.

    Args:
        points: (..., 2), x and y in pixels of the turned image.
        turns: How many quarters.
        size: (width, height) of the image itself.

    Returns:
        (..., 2), in pixels of the image itself.
    """
    x, y = points[..., 0], points[..., 1]
    width, height = size
    back = {0: (x, y), 1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[turns % 4]
    return np.stack(back, -1)


def _closer(image: Image.Image, face: Face) -> Face | None:
    """The face as it is found in an upright square around it, or None where none is found."""
    step = AROUND * max(face.size, SMALLEST) / CLOSER
    turn = math.radians(face.angle)
    linear = step * np.array(((math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))))
    middle = np.full(2, CLOSER / 2)
    matrix = np.column_stack((linear, face.landmarks.mean(0) - linear @ middle))
    view = cut(image, matrix, (CLOSER, CLOSER), fine=1, edges="black")
    scores, boxes, landmarks = network.detect(np.asarray(view), SURE)
    distances = np.linalg.norm(landmarks.mean(1) - middle, axis=1)
    if not (distances < ASIDE * CLOSER).any():
        return None
    best = int(np.argmin(distances))
    corners = boxes[best][[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
    return _face(corners @ linear.T + matrix[:, 2], landmarks[best] @ linear.T + matrix[:, 2], scores[best])
