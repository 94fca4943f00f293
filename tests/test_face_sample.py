"""Whether the images of a data set are aligned on faces, and where the faces lie."""

import numpy as np
from conftest import PLACE
from PIL import Image

from stargan.data import cartoons, face_sample
from stargan.faces import CELEBA, FaceCrop


def look(photos: list[Image.Image], side: int = 64) -> face_sample.FaceSample:
    pixels = np.stack([np.asarray(photo.resize((side, side))) for photo in photos])
    return face_sample.look([(pixels, np.arange(len(pixels)))])


def distance(one: FaceCrop, other: FaceCrop) -> float:
    return float(np.abs(one.points((1, 1)) - other.points((1, 1))).max())


def test_aligned_faces_are_measured(aligned_faces: list[Image.Image]) -> None:
    for side in (128, 48):
        sample = look(aligned_faces, side)
        assert sample.face_crop is not None
        # The cut is 120 of 128 pixels.
        assert distance(sample.face_crop, PLACE.within(120 / 128)) < 0.03
        assert not sample.unaligned
        assert not sample.elsewhere(sample.face_crop)
        assert sample.elsewhere(CELEBA)


def test_celeba_is_recognised(aligned_faces: list[Image.Image]) -> None:
    """Whatever a sample of it gives within the spread of samples, the result is the same constant."""
    sample = look(aligned_faces)
    shift = (CELEBA.points((1, 1)) - PLACE.within(120 / 128).points((1, 1)))[[0, 1, 1, 2, 3]] * 128
    like_celeba = face_sample.FaceSample(
        sample.looked_at, sample.with_faces, sample.size, sample.landmarks + shift.astype(np.float32)
    )
    assert like_celeba.face_crop is CELEBA


def test_faces_in_different_places_have_none(photos_of_faces: list[Image.Image]) -> None:
    sample = look(photos_of_faces, 128)
    assert sample.with_faces > 15
    assert sample.face_crop is None
    assert sample.unaligned
    assert sample.elsewhere(CELEBA)


def test_images_without_faces() -> None:
    sample = look([Image.effect_noise((64, 64), 50).convert("RGB")] * 40)
    assert sample.looked_at == 4  # then no more than nine of ten can show one
    assert sample.face_crop is None
    assert not sample.unaligned
    assert not sample.elsewhere(CELEBA)


def test_drawn_faces_are_not_taken_for_faces() -> None:
    drawn = [cartoons.draw(*cartoons.sample(0, number), 128) for number in range(12)]
    sample = look(drawn, 128)
    assert sample.with_faces == 0
    assert sample.face_crop is None


def test_few_images_prove_nothing(aligned_faces: list[Image.Image]) -> None:
    assert look(aligned_faces[:7]).face_crop is None
    assert look(aligned_faces[:8]).face_crop is not None


def test_only_the_given_rows_of_all_data_sets_count(aligned_faces: list[Image.Image]) -> None:
    pixels = np.stack([np.asarray(face.resize((64, 64))) for face in aligned_faces])
    blank = np.zeros_like(pixels)
    rows = np.arange(6)
    sample = face_sample.look([(pixels, rows), (np.concatenate((blank, pixels)), 20 + rows)])
    assert (sample.looked_at, sample.with_faces) == (12, 12)


def test_the_largest_of_several_faces_must_dominate(aligned_faces: list[Image.Image]) -> None:
    def with_another(side: int) -> list[Image.Image]:
        photos = [Image.new("RGB", (256, 128), "gray") for _ in range(8)]
        for photo, face in zip(photos, aligned_faces, strict=False):
            photo.paste(face, (0, 0))
            photo.paste(face.resize((side, side)), (160, 20))
        return photos

    def wide(photos: list[Image.Image]) -> face_sample.FaceSample:
        return face_sample.look([(np.stack([np.asarray(photo) for photo in photos]), np.arange(8))])

    assert wide(with_another(60)).face_crop is not None
    assert wide(with_another(96)).face_crop is None
    assert wide(with_another(96)).unaligned
