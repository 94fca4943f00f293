"""Finding faces in photos of any size and orientation."""

import math

import numpy as np
from PIL import Image

from stargan.faces import network
from stargan.faces.face import Face
from stargan.photos.sampling import sample

SEARCH = 1024  # longer side to which photos are reduced for the search, to limit the cost
TURNED = 640  # the same for the three searches of a photo that is turned
ENLARGED = 640  # smaller images are enlarged up to this, at most twice
OVERVIEW = 320  # a second search, for faces that fill the photo
CLOSER = 256  # side of the square in which a face is looked at again
AROUND = 2.5  # side of that square, in sides of the face
ASIDE = 0.2  # how far from its middle a face may be, in sides of that square
SMALLEST = 8.0  # smaller faces, in pixels, are not enlarged further for the second look
SURE = 0.5  # minimum score of a face in the second look
MAYBE = 0.25  # minimum score of a candidate in the search


def find(image: Image.Image) -> list[Face]:
    """Finds the faces of an image.

    The image is searched at no more than `SEARCH` pixels on its longer side. Each candidate gets a second look,
    upright and at a size that suits the network. That makes the landmarks exact in large photos and in tilted faces,
    and removes most false detections. If no face is found, the image is searched again turned by 90, 180 and 270
    degrees. Time grows with the number of faces.

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


def find_again(image: Image.Image, face: Face) -> Face | None:
    """Looks for a face near where it was in the frame before; takes a small part of the time of `find`.

    Args:
        image: RGB image.
        face: Where it was.

    Returns:
        None if there is no face.
    """
    return _closer(image, face)


def _search(image: Image.Image, turns: int, longest: int) -> list[Face]:
    """Faces that are upright after `turns` quarter turns of the image, counterclockwise."""
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
    """Candidates in a resized image that is turned, in pixels of the original image of `size`."""
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
    """Maps points of an image that was turned counterclockwise back to the image itself.

    Args:
        points: (..., 2), x and y in pixels of the turned image.
        turns: Number of quarter turns.
        size: (width, height) of the image itself.

    Returns:
        (..., 2), in pixels of the image itself.
    """
    x, y = points[..., 0], points[..., 1]
    width, height = size
    back = {0: (x, y), 1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[turns % 4]
    return np.stack(back, -1)


def _closer(image: Image.Image, face: Face) -> Face | None:
    """Finds a candidate again in an upright square around it; None if there is no face."""
    step = AROUND * max(face.size, SMALLEST) / CLOSER
    turn = math.radians(face.angle)
    linear = step * np.array(((math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))))
    middle = np.full(2, CLOSER / 2)
    matrix = np.column_stack((linear, face.landmarks.mean(0) - linear @ middle))
    view = sample(image, matrix, (CLOSER, CLOSER), fine=1, edges="black")
    scores, boxes, landmarks = network.detect(np.asarray(view), SURE)
    distances = np.linalg.norm(landmarks.mean(1) - middle, axis=1)
    if not (distances < ASIDE * CLOSER).any():
        return None
    best = int(np.argmin(distances))
    corners = boxes[best][[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
    return _face(corners @ linear.T + matrix[:, 2], landmarks[best] @ linear.T + matrix[:, 2], scores[best])
