"""Parts of photos: cutting them out, and putting changes back."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from stargan import images, photos
from stargan.photos import guided, pasting, similarity
from stargan.photos.sampling import sample

SIZE = (32, 32)


def smooth(width: int, height: int, seed: int = 0) -> Image.Image:
    """An image without fine detail, so that interpolation changes little."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def part_at(photo: Image.Image, x: float, y: float, side: float, angle: float = 0) -> photos.Part:
    """A square part with its middle at (x, y), turned clockwise by `angle`."""
    turn, step = np.radians(angle), side / SIZE[0]
    linear = step * np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    matrix = np.column_stack((linear, (x, y) - linear @ np.array(SIZE) / 2))
    return photos.Part(sample(photo, matrix, SIZE), matrix)


def arrays(part: photos.Part) -> np.ndarray:
    return images.to_array([part.image])[0]


# ---------------------------------------------------------------- similarities


def test_a_similarity_is_recovered() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(5, 2))
    for angle, scale in ((0, 1), (0.4, 2.5), (3, 0.1)):
        linear = scale * np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
        matrix = similarity.similarity(source, source @ linear.T + (7, -3))
        np.testing.assert_allclose(matrix, np.column_stack((linear, (7, -3))), atol=1e-12)
        np.testing.assert_allclose(similarity.invert(matrix)[:, :2] @ linear, np.eye(2), atol=1e-12)


def test_a_similarity_never_mirrors() -> None:
    source = np.array(((0.0, 0.0), (1, 0), (0, 1)))
    matrix = similarity.similarity(source, source * (-1, 1))
    assert np.linalg.det(matrix[:, :2]) >= 0


# ---------------------------------------------------------------- putting back


@pytest.mark.parametrize("side", [20, 90, 500])
def test_no_change_changes_nothing(side: int) -> None:
    photo = smooth(300, 200)
    part = part_at(photo, 150, 100, side, 25)
    before = arrays(part)
    assert photos.put_back(photo, before, before, part).tobytes() == photo.tobytes()
    after = np.clip(before + 0.5, -1, 1)
    assert photos.put_back(photo, before, after, part, strength=0).tobytes() == photo.tobytes()
    assert photos.put_back(photo, before, after, part, np.zeros(SIZE)).tobytes() == photo.tobytes()


@pytest.mark.parametrize("angle", [0, 30, 135])
@pytest.mark.parametrize("side", [24, 130, 900])
def test_pixels_outside_the_square_stay(side: int, angle: float) -> None:
    photo = smooth(400, 300)
    part = part_at(photo, 180, 160, side, angle)
    before = arrays(part)
    made = np.asarray(photos.put_back(photo, before, -before, part))
    to_square = similarity.invert(part.matrix)
    grid = np.stack(np.meshgrid(np.arange(400) + 0.5, np.arange(300) + 0.5), -1)
    inside = ((place := grid @ to_square[:, :2].T + to_square[:, 2]) > 0).all(-1) & (place < 32).all(-1)
    original = np.asarray(photo)
    assert (made[~inside] == original[~inside]).all()
    assert (made[inside] != original[inside]).any()


@pytest.mark.parametrize("angle", [0, 30, 90, -160])
@pytest.mark.parametrize("side", [32, 200, 460])
def test_a_change_comes_back_at_its_place(side: int, angle: float) -> None:
    photo = Image.new("RGB", (500, 500), (90, 100, 110))
    part = part_at(photo, 250, 240, side, angle)
    before = arrays(part)
    after = before.copy()
    after[:, 8:11, 20:23] += 0.6  # its middle is at (21.5, 9.5)
    made = np.asarray(photos.put_back(photo, before, after, part), float)[..., 0] - 90
    place = part.matrix[:, :2] @ (21.5, 9.5) + part.matrix[:, 2]
    y, x = np.mgrid[:500, :500] + 0.5
    found = np.array(((made * x).sum(), (made * y).sum())) / made.sum()
    np.testing.assert_allclose(found, place, atol=1)


def test_strength_and_mask_scale_the_change() -> None:
    photo = Image.new("RGB", (100, 100), (100, 100, 120))
    part = part_at(photo, 50, 50, 80)
    before = arrays(part)
    after = before + np.float32(40 / 127.5)

    def middle(*options: Any, **more: Any) -> int:
        return int(np.asarray(photos.put_back(photo, before, after, part, *options, **more))[50, 50, 0])

    assert middle() == 140
    assert middle(strength=0.5) == 120
    assert middle(np.full(SIZE, 0.25, np.float32)) == 110
    assert middle(strength=10) == 255


def test_a_gray_photo_stays_gray() -> None:
    photo = smooth(100, 100).convert("L").convert("RGB")
    part = part_at(photo, 50, 50, 80)
    before = arrays(part)
    after = before + np.array((0.5, 0.2, -0.3), np.float32)[:, None, None]
    made = np.asarray(photos.put_back(photo, before, after, part))
    assert (np.ptp(made, axis=-1) == 0).all()
    assert (made != np.asarray(photo)).any()


def test_the_photo_itself_changes_only_when_asked() -> None:
    photo = smooth(80, 80)
    part = part_at(photo, 40, 40, 60)
    before = arrays(part)
    kept = photo.tobytes()
    made = photos.put_back(photo, before, -before, part)
    assert photo.tobytes() == kept
    assert photos.put_back(photo, before, -before, part, in_place=True) is photo
    assert photo.tobytes() == made.tobytes() != kept


def test_the_size_of_strips_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = smooth(300, 300)
    part = part_at(photo, 150, 150, 200, 33)
    before = arrays(part)
    whole = photos.put_back(photo, before, -before, part)
    monkeypatch.setattr(pasting, "AT_ONCE", 3000)
    assert photos.put_back(photo, before, -before, part).tobytes() == whole.tobytes()


def test_faces_that_overlap_are_put_back_one_after_the_other() -> None:
    photo = Image.new("RGB", (200, 100), (60, 70, 80))
    made = photo
    for x in (80, 120):
        part = part_at(photo, x, 50, 80)
        before = arrays(part)
        made = photos.put_back(made, before, before + np.float32(20 / 127.5), part)
    row = np.asarray(made)[50, :, 0]
    assert (row[65], row[100], row[135], row[5]) == (80, 100, 80, 60)


def test_a_change_stops_at_the_photo_s_edges() -> None:
    """Enlarged 16 times, a change of all that is dark ends within two pixels of the edge, where it is sharp."""
    large = np.full((256, 256, 3), 220, np.uint8)
    large[:, :121] = 40
    photo = Image.fromarray(large)
    small = images.to_array([photo.resize((16, 16), Image.Resampling.BOX)])[0]
    change = np.where(small < 0, 50, 0).astype(np.float32)
    change[:, :, 7] *= 0.5  # the column that is half dark
    made = guided.enlarge(change, small, images.to_array([photo])[0])
    assert made.shape == (3, 256, 256)
    dark, light = made[0, 64:192, 112:119], made[0, 64:192, 123:130]
    assert dark.min() > 30
    assert light.max() < 15


def test_texture_stays_where_a_model_makes_things_flat() -> None:
    """Of gray stripes that a model turned into one colour, the change is that colour's, not the stripes' opposite."""
    stripes = np.tile(np.array((120, 120, 150, 150), np.uint8), (256, 64))
    large = images.to_array([Image.fromarray(np.repeat(stripes[..., None], 3, 2))])[0]
    flat = guided.without_texture(large, 8)
    assert np.ptp(flat) < 0.3 * np.ptp(large)
    edge = np.where(np.arange(256) < 128, -0.6, 0.6).astype(np.float32)[None, None].repeat(256, 1)
    assert np.abs(guided.without_texture(edge, 8) - edge).max() < 0.15


def test_nothing_rings() -> None:
    photo = Image.new("RGB", (300, 300), (100, 110, 120))
    part = part_at(photo, 150, 150, 280)
    before = arrays(part)
    after = before.copy()
    after[:, 10:20, 10:20] += 80 / 127.5
    made = np.asarray(photos.put_back(photo, before, after, part), int)[..., 0]
    assert made.min() >= 98
    assert made.max() <= 182
