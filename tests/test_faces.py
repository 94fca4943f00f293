"""Faces in photos: finding and aligning; the network itself where a portrait is at hand."""

import dataclasses
import json
from importlib import resources
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from stargan import faces, images
from stargan.errors import ModelError
from stargan.faces import finder, network
from stargan.model import face_crop
from stargan.model.face_crop import CELEBA, FaceCrop
from stargan.photos import put_back
from stargan.photos.sampling import sample

SIZE = (32, 32)
NOSE = np.array((0.0, 0.1))
EVEN = FaceCrop((-0.1, 0.0), (0.1, 0.0), (-0.08, 0.2), (0.08, 0.2))  # both sides of the face alike


def smooth(width: int, height: int, seed: int = 0) -> Image.Image:
    """An image without fine detail, so that interpolation changes little."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def face_at(x: float, y: float, side: float, angle: float = 0, *, template: FaceCrop = CELEBA) -> faces.Face:
    """A face whose aligned square has its middle at (x, y), such a side, and is turned clockwise by `angle`."""
    turn = np.radians(angle)
    matrix = side * np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    right_eye, left_eye, right_mouth, left_mouth = (getattr(template, name) for name in face_crop.NAMES)
    points = np.array((right_eye, left_eye, NOSE, right_mouth, left_mouth)) @ matrix.T + (x, y)
    left, top, right, bottom = x - side / 3, y - side / 3, x + side / 3, y + side / 3
    return faces.Face((left, top, right, bottom), points.astype(np.float32), 0.9)


# ---------------------------------------------------------------- a face


@pytest.mark.parametrize("angle", [0, 15, -30, 90, -90, 179])
def test_the_angle_of_a_face(angle: float) -> None:
    assert face_at(50, 60, 40, angle, template=EVEN).angle == pytest.approx(angle, abs=1e-3)


def test_a_profile_is_seen_whichever_way_the_face_is_turned() -> None:
    for angle in (0, 70, 180):
        front = face_at(50, 60, 40, angle, template=EVEN)
        assert abs(front.yaw) < 0.01
        assert not front.in_profile
        turned = front.landmarks.copy()
        turned[2] = turned[1] + (turned[4] - turned[1]) / 2  # the nose below the left eye
        side = dataclasses.replace(front, landmarks=turned)
        assert side.yaw == pytest.approx(0.9, abs=0.05)
        assert side.in_profile


def test_a_face_that_the_border_cuts() -> None:
    assert not face_at(50, 50, 60).cut_by_border((100, 100))
    assert face_at(10, 50, 60).cut_by_border((100, 100))
    assert face_at(50, 50, 60).cut_by_border((60, 100))
    assert face_at(50, 50, 60).size == pytest.approx(40)


# ---------------------------------------------------------------- how training images were cut


def test_a_crop_holds_for_every_size() -> None:
    landmarks = np.array(((69.5, 112.5), (107.3, 112.5), (88, 135), (71, 152), (106, 152)))
    measured = FaceCrop.measured(landmarks, (178, 218), 178)
    np.testing.assert_allclose(measured.points((178, 178))[:2], ((69.5, 92.5), (107.3, 92.5)), atol=0.02)
    np.testing.assert_allclose(measured.points((356, 356)), measured.points((178, 178)) * 2)
    np.testing.assert_allclose(measured.points((178, 218)), landmarks[[0, 1, 3, 4]], atol=0.02)
    assert FaceCrop.measured(landmarks, (178, 218)) == measured


def test_celeba_is_cut_as_its_images_are() -> None:
    """The eyes lie near where CelebA puts them, once its centre is cut and resized."""
    points = CELEBA.points((128, 128)) * 178 / 128 + (0, 20)
    np.testing.assert_allclose(points[:2], ((69.5, 112.5), (107.3, 112.5)), atol=2.1)


def test_a_crop_goes_into_a_file_and_comes_back() -> None:
    assert FaceCrop.from_json(json.loads(json.dumps(CELEBA.to_json()))) == CELEBA


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("right_eye", None),
        ("left_eye", [1]),
        ("left_eye", "ab"),
        ("right_mouth", [0.1, float("nan")]),
        ("left_mouth", [0.1, 3]),
        ("left_mouth", [True, 0.1]),
    ],
)
def test_a_damaged_crop_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ModelError, match=f"face crop: {name} is "):
        FaceCrop.from_json({**CELEBA.to_json(), name: value})
    with pytest.raises(ModelError, match="the same"):
        FaceCrop.from_json({**CELEBA.to_json(), "left_eye": CELEBA.to_json()["right_eye"]})


# ---------------------------------------------------------------- aligning


def test_an_image_that_is_cut_already_is_aligned_to_itself() -> None:
    """What training images go through and what aligned photos go through is the same."""
    photo = smooth(178, 218)
    face = face_at(89, 109, 178)
    aligned = faces.align(photo, face, CELEBA, (64, 64))
    trained = images.fit(photo, (64, 64), 178)
    difference = np.abs(np.asarray(aligned.image, float) - np.asarray(trained, float))
    assert difference.mean() < 1.5
    assert aligned.scale == pytest.approx(178 / 64, rel=1e-4)
    np.testing.assert_allclose(aligned.corners, ((0, 20), (178, 20), (178, 198), (0, 198)), atol=0.02)


@pytest.mark.parametrize("angle", [30, 90, 180, -120])
@pytest.mark.parametrize("side", [24, 100, 700])
def test_a_turned_face_comes_out_upright(angle: float, side: int) -> None:
    """A quarter is darker than the others: it lies in the same corner however the face is turned."""
    size = side * 2
    square = np.zeros((size, size, 3), np.uint8)
    grid = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), -1) - side
    turn = np.radians(-angle)
    upright = grid @ np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn)))).T
    square[(upright[..., 0] < 0) & (upright[..., 1] < 0)] = 200
    aligned = faces.align(Image.fromarray(square), face_at(side, side, side, angle), CELEBA, SIZE)
    pixels = np.asarray(aligned.image, float)[..., 0]
    assert pixels[:14, :14].min() > 190
    assert max(pixels[:, 18:].max(), pixels[18:].max()) < 10


def test_beyond_the_border_the_photo_is_mirrored() -> None:
    photo = smooth(60, 60)
    mirrored = np.pad(np.asarray(photo), ((60, 60), (60, 60), (0, 0)), "symmetric")
    for x, y in ((5, 30), (58, 58), (30, 2)):
        face, inside = face_at(x, y, 40, 20), face_at(x + 60, y + 60, 40, 20)
        aligned = faces.align(photo, face, CELEBA, SIZE)
        wide = faces.align(Image.fromarray(mirrored), inside, CELEBA, SIZE)
        assert np.abs(np.asarray(aligned.image, int) - np.asarray(wide.image, int)).max() <= 1
    far = faces.align(photo, face_at(-100, 200, 40), CELEBA, SIZE)  # nothing of it lies in the photo
    assert np.asarray(far.image).min() > 0


def test_a_large_face_is_averaged() -> None:
    """A pattern finer than the result's pixels becomes gray, not stripes."""
    stripes = np.tile(np.array((0, 255), np.uint8), (1200, 600))
    photo = Image.fromarray(np.repeat(stripes[..., None], 3, 2))
    for angle in (0, 20):
        aligned = faces.align(photo, face_at(600, 600, 800, angle), CELEBA, SIZE)
        assert np.ptp(np.asarray(aligned.image, float)) < 12


# ---------------------------------------------------------------- finding


def test_points_of_a_turned_image_come_back() -> None:
    pixels = np.zeros((7, 5), int)
    pixels[2, 4] = 1
    for turns in range(4):
        ((y, x),) = np.argwhere(np.rot90(pixels, turns))
        back = finder.turned_back(np.array((x + 0.5, y + 0.5)), turns, (5, 7))
        np.testing.assert_allclose(back, (4.5, 2.5))


def test_each_face_is_kept_once() -> None:
    boxes = np.array(((0, 0, 10, 10), (1, 0, 11, 10), (20, 0, 30, 10), (8, 0, 18, 10)), float)
    assert network.once(np.array((0.5, 0.9, 0.7, 0.6)), boxes).tolist() == [1, 2, 3]
    assert network.once(np.empty(0), np.empty((0, 4))).tolist() == []


def test_no_face_in_a_field_of_colour() -> None:
    for size in ((1, 1), (3, 200), (100, 80)):
        assert faces.find(Image.new("RGB", size, "orange")) == []


def test_weights_come_with_their_licence() -> None:
    assert network.WEIGHTS.is_file()
    licence = resources.files(faces).joinpath("weights/LICENSE.md").read_text("utf-8")
    assert all(word in licence for word in ("CenterFace", "MIT", "WIDER FACE", "non-commercial"))


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    data = pytest.importorskip("skimage.data", reason="scikit-image's portrait is not installed")
    return Image.fromarray(data.astronaut())


EYES = np.array(((205, 102), (249, 103)))  # of the astronaut, in pixels, by eye


def test_the_astronaut_is_found(portrait: Image.Image) -> None:
    (face,) = faces.find(portrait)
    assert face.score > 0.8
    assert np.linalg.norm(face.landmarks[:2] - EYES, axis=1).max() < 6
    assert abs(face.angle) < 10
    assert not face.in_profile
    assert not face.cut_by_border(portrait.size)


@pytest.mark.parametrize("angle", [90, 180, 270, 35])
def test_a_face_is_found_whichever_way_up(portrait: Image.Image, angle: int) -> None:
    """Its landmarks are the upright face's, turned."""
    (upright,) = faces.find(portrait)
    (face,) = faces.find(portrait.rotate(-angle, Image.Resampling.BICUBIC))
    turn = np.radians(angle)
    matrix = np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    expected = (upright.landmarks - 256) @ matrix.T + 256
    assert np.linalg.norm(face.landmarks - expected, axis=1).max() < 5


def test_small_and_large_faces_and_their_order(portrait: Image.Image) -> None:
    """Two faces of 25 and 100 pixels in one photo, from left to right; and one that fills it."""
    photo = Image.new("RGB", (900, 512), "gray")
    photo.paste(portrait, (388, 0))
    photo.paste(ImageOps.mirror(portrait).resize((128, 128)), (100, 300))
    small, large = faces.find(photo)
    assert small.size < 40 < 80 < large.size
    (close,) = faces.find(portrait.crop((150, 30, 300, 210)).resize((1500, 1800)))
    assert close.size > 900


def test_a_portrait_is_aligned_and_put_back(portrait: Image.Image) -> None:
    """Aligned anew, the photo shows the change that was made to its square."""
    (face,) = faces.find(portrait)
    aligned = faces.align(portrait, face, CELEBA, SIZE)
    before = images.to_array([aligned.image])
    after = np.clip(before * 0.6, -1, 1)
    made = put_back(portrait, before, after, [aligned])
    again = images.to_array([sample(made, aligned.matrix, SIZE)])
    inner = (..., slice(6, -6), slice(6, -6))
    assert np.abs(again - after)[inner].mean() < 0.03 < np.abs(before - after)[inner].mean()
