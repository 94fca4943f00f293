"""Whether a translation still shows the same person, by a face recogniser where one is installed.

dlib's networks come with the packages `dlib-bin` and `face-recognition-models`: a detector, five landmarks, and 128
numbers a face, trained so that two pictures of one person lie less than 0.6 apart.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stargan.errors import require

SIDE = 256  # pixels, of the shorter side at least: the detector finds faces from 80 pixels on
PACKAGES = "pip install dlib-bin face-recognition-models"


class Recogniser:
    """Describes faces. Make one only where `installed`."""

    def __init__(self) -> None:
        dlib = require("dlib", "evaluate", "recognise faces")
        folder = _weights()
        assert folder is not None
        self._detect = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))

    def find(self, pixels: np.ndarray) -> Any:
        """The landmarks of the largest face in a picture, (H, W, 3) uint8; None where there is none."""
        large = _large(pixels)
        found = max(self._detect(large, 0), key=lambda box: box.area(), default=None)
        return None if found is None else self._landmarks(large, found)

    def describe(self, pixels: np.ndarray, faces: Sequence[Any]) -> np.ndarray:
        """Descriptions of faces at given landmarks.

        Args:
            pixels: (N, H, W, 3) uint8.
            faces: What `find` gave, of these pictures or of those that they were made from: a translation keeps
                where a face is, and a recogniser that cannot find it again is not asked.

        Returns:
            (N, 128) float64; NaN where there is no face.
        """
        out = np.full((len(pixels), 128), np.nan)
        for index, (picture, face) in enumerate(zip(pixels, faces, strict=True)):
            if face is not None:
                out[index] = self._network.compute_face_descriptor(_large(picture), face)
        return out


def installed() -> bool:
    """Whether the recogniser is to be had."""
    return importlib.util.find_spec("dlib") is not None and _weights() is not None


def _weights() -> Path | None:
    """Found without importing their package, whose import fails without setuptools."""
    found = importlib.util.find_spec("face_recognition_models")
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) / "models" if places else None


def _large(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    factor = max(1.0, SIDE / min(height, width))
    size = round(width * factor), round(height * factor)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
