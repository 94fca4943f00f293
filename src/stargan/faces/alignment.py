"""Cutting a face out of a photo as the input of a model."""

from PIL import Image

from stargan.faces.face import Face
from stargan.model.face_crop import FITTED, FaceCrop
from stargan.photos import Part
from stargan.photos.sampling import sample
from stargan.photos.similarity import similarity


def align(photo: Image.Image, face: Face, crop: FaceCrop, size: tuple[int, int]) -> Part:
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
    return Part(sample(photo, matrix, size), matrix)
