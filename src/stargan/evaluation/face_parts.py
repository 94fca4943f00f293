"""Figures that catch ugly faces: faces that get lost, and eyes and mouths that change where only hair should."""

import numpy as np
from PIL import Image

from stargan import faces
from stargan.domains import Domains
from stargan.evaluation.tasks import RequestedTranslations
from stargan.faces import Face, FaceCrop
from stargan.images import to_array
from stargan.progress import Progress

FACES_AT_MOST = 1000  # translations in which faces are looked for; each takes some 30 ms
NEAR = 0.15  # how far an eye or a corner of the mouth may be from its place in the source, in sides of the face
EYE = (0.35, 0.25)  # half the width and height of the part around an eye, in distances of the eyes
MOUTH = (0.15, 0.3)  # what is added to the mouth at each side, in distances of the eyes


def figures(
    face_crop: FaceCrop,
    domains: Domains,
    requested: RequestedTranslations,
    source_images: np.ndarray,
    translated: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    """Measures M translations of aligned faces.

    Args:
        face_crop: Where eyes and mouth are in these images.
        domains: The label layout.
        requested: The translations.
        source_images: (N, H, W, 3) uint8.
        translated: (M, H, W, 3) uint8.
        seed: Seed of the choice of at most `FACES_AT_MOST` translations.

    Returns:
        `face_lost` (0 or 1), `eyes_changed` and `mouth_changed`, each (M,). The first is NaN where the source has no
        face, the others where more than hair was requested.
    """
    lost = np.full(len(translated), np.nan)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(translated))[:FACES_AT_MOST])
    found: dict[int, Face | None] = {}
    with Progress("look for faces", len(chosen), "translations") as progress:
        for done, index in enumerate(chosen, 1):
            row = int(requested.rows[index])
            if row not in found:
                found[row] = _face(source_images[row])
            source = found[row]
            if source is not None:
                lost[index] = not _same_place(source, _face(translated[index]))
            progress.update(done)
    hair = only_hair(domains, requested)
    before, after = to_array(source_images[requested.rows[hair]]), to_array(translated[hair])
    change = np.abs(after - before).mean(1)
    parts = {"face_lost": lost}
    height, width = source_images.shape[1:3]
    for name, place in places(face_crop, (width, height)).items():
        parts[name] = np.full(len(translated), np.nan)
        parts[name][hair] = change[:, place].mean(1)
    return parts


def only_hair(domains: Domains, requested: RequestedTranslations) -> np.ndarray:
    """Indices of the translations that should change hair and nothing else."""
    hair = np.array([all(word.lower().endswith("hair") for word in name.split(", ")) for name in domains.group_names])
    changed = requested.changed
    return np.flatnonzero(changed[:, hair].any(1) & ~changed[:, ~hair].any(1))


def places(face_crop: FaceCrop, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """The pixels around the eyes and the mouth in images of `size` (width, height): (H, W) bool each."""
    right_eye, left_eye, right_mouth, left_mouth = face_crop.points(size)
    apart = float(np.linalg.norm(left_eye - right_eye))
    eye, mouth = apart * np.array(EYE), apart * np.array(MOUTH)
    boxes = {
        "eyes_changed": [(right_eye - eye, right_eye + eye), (left_eye - eye, left_eye + eye)],
        "mouth_changed": [(np.minimum(right_mouth, left_mouth) - mouth, np.maximum(right_mouth, left_mouth) + mouth)],
    }
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    return {
        name: np.any([(x >= a[0]) & (x <= b[0]) & (y >= a[1]) & (y <= b[1]) for a, b in corners], axis=0)
        for name, corners in boxes.items()
    }


def _face(pixels: np.ndarray) -> Face | None:
    return max(faces.find(Image.fromarray(pixels)), key=lambda face: face.size, default=None)


def _same_place(source: Face, other: Face | None) -> bool:
    if other is None:
        return False
    return bool((np.linalg.norm(source.landmarks - other.landmarks, axis=1) <= NEAR * source.size).all())
