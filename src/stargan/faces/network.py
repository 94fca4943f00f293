"""CenterFace, the network that finds faces.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point" (arXiv 1911.03599). It marks the centres
of faces on a map of a quarter of the image's size, with the box and five landmarks of each. weights/LICENSE.md says
where the weights come from.
"""

import functools
from importlib import resources
from typing import Any

import numpy as np

from stargan.model.onnx_session import session

STRIDE = 4  # pixels of the image for one of the map
MULTIPLE = 32  # sides that the network takes

WEIGHTS = resources.files(__package__).joinpath("weights/centerface.onnx")
LICENCE = resources.files(__package__).joinpath("weights/LICENSE.md")

Detections = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Scores (N,), boxes (N, 4) as left, top, right, bottom, landmarks (N, 5, 2); float32, in pixels."""


@functools.cache
def _session() -> Any:
    """The network in ONNX Runtime; loaded once."""
    return session(WEIGHTS.read_bytes(), spin=False)


def detect(pixels: np.ndarray, threshold: float) -> Detections:
    """Finds faces in one image at its own size.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        threshold: The least score.

    Returns:
        Faces, each once, the surest first.
    """
    height, width, _ = pixels.shape
    image = np.zeros((1, 3, -(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE), np.float32)
    image[0, :, :height, :width] = pixels.transpose(2, 0, 1)
    heat, size, offset, points = (map_[0] for map_ in _session().run(None, {"image": image}))
    rows, columns = np.nonzero(heat[0] > threshold)
    scores = heat[0, rows, columns]
    box_height, box_width = np.exp(size[:, rows, columns]) * STRIDE
    centre_y, centre_x = (np.stack((rows, columns)) + offset[:, rows, columns] + 0.5) * STRIDE
    left, top = centre_x - box_width / 2, centre_y - box_height / 2
    boxes = np.stack((left, top, left + box_width, top + box_height), 1)
    y, x = points[0::2, rows, columns], points[1::2, rows, columns]  # (5, N) each, in units of the box
    landmarks = np.stack((x * box_width + left, y * box_height + top), -1).transpose(1, 0, 2)
    keep = once(scores, boxes)
    return scores[keep], boxes[keep].astype(np.float32), landmarks[keep].astype(np.float32)


def once(scores: np.ndarray, boxes: np.ndarray, overlap: float = 0.3) -> np.ndarray:
    """Which boxes to keep so that each face has one (non-maximum suppression), the surest first.

    Args:
        scores: (N,).
        boxes: (N, 4) as left, top, right, bottom.
        overlap: Two boxes that share more of their union than this are one face.

    Returns:
        Indices.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left, kept = np.argsort(-scores, kind="stable"), []
    while len(left):
        best, others = left[0], left[1:]
        kept.append(best)
        sides = np.minimum(boxes[best, 2:], boxes[others, 2:]) - np.maximum(boxes[best, :2], boxes[others, :2])
        common = np.prod(np.clip(sides, 0, None), axis=1)
        left = others[common <= overlap * (areas[best] + areas[others] - common)]
    return np.asarray(kept, np.intp)
