"""Parts of photos: cutting them out, and putting changes back."""

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from stargan import images, photos
from stargan.photos import guided, layers, pasting, similarity
from stargan.photos.sampling import sample

SIZE = (32, 32)


def smooth(width: int, height: int, seed: int = 0) -> Image.Image:
    """An image without fine detail, so that interpolation changes little."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def part_at(
    photo: Image.Image, x: float, y: float, side: float, angle: float = 0, size: tuple[int, int] = SIZE
) -> photos.Part:
    """A square part with its middle at (x, y), turned clockwise by `angle`."""
    turn, step = np.radians(angle), side / size[0]
    linear = step * np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    matrix = np.column_stack((linear, (x, y) - linear @ np.array(size) / 2))
    return photos.Part(sample(photo, matrix, size), matrix)


def crowd() -> Image.Image:
    """A drawn photo with a face of about 30 pixels in its middle."""
    photo = Image.new("RGB", (90, 80), (60, 120, 180))
    draw = ImageDraw.Draw(photo)
    draw.ellipse((31, 22, 59, 58), (224, 172, 140))
    draw.pieslice((29, 18, 61, 54), 180, 360, (70, 45, 30))
    for x in (39, 51):
        draw.ellipse((x - 2, 37, x + 2, 41), (30, 30, 40))
    draw.line((40, 51, 50, 51), (150, 60, 60), 2)
    return photo


def arrays(part: photos.Part) -> np.ndarray:
    return images.to_array([part.image])


# ---------------------------------------------------------------- whole photos


def test_a_photo_of_the_models_size_becomes_the_result_itself() -> None:
    photo, other = smooth(*SIZE), smooth(*SIZE, seed=1)
    whole = photos.Part(photo, np.eye(2, 3), (photos.part.WHOLE,) * 4)
    before, after = images.to_array([photo]), images.to_array([other])
    assert photos.put_back(photo, before, after, [whole]).tobytes() == other.tobytes()
    half = np.asarray(photos.put_back(photo, before, after, [whole], strength=0.5), int)
    assert np.abs(half - (np.asarray(photo, int) + np.asarray(other)) / 2).max() <= 0.5
    # The same by the way of all other parts.
    layer = layers.Layer.of(whole, before[0], (after - before)[0] * np.float32(127.5), photo, photo.size)
    pasting._add(photo, [layer], {1: photo}, (0, 0, *photo.size))
    assert photo.tobytes() == other.tobytes()


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
    assert photos.put_back(photo, before, before, [part]).tobytes() == photo.tobytes()
    after = np.clip(before + 0.5, -1, 1)
    assert photos.put_back(photo, before, after, [part], strength=0).tobytes() == photo.tobytes()
    assert photos.put_back(photo, before, after, [part], np.zeros((1, *SIZE))).tobytes() == photo.tobytes()


@pytest.mark.parametrize("angle", [0, 30, 135])
@pytest.mark.parametrize(("side", "detail"), [(24, 768), (130, 768), (900, 768), (130, 100), (300, 40), (900, 100)])
def test_pixels_outside_the_square_stay(monkeypatch: pytest.MonkeyPatch, side: int, detail: int, angle: float) -> None:
    monkeypatch.setattr(layers, "DETAIL", detail)  # above it, changes are computed in cells of several pixels
    photo = smooth(400, 300)
    part = part_at(photo, 180, 160, side, angle)
    before = arrays(part)
    made = np.asarray(photos.put_back(photo, before, -before, [part]))
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
    after[..., 8:11, 20:23] += 0.6  # its middle is at (21.5, 9.5)
    made = np.asarray(photos.put_back(photo, before, after, [part]), float)[..., 0] - 90
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
        return int(np.asarray(photos.put_back(photo, before, after, [part], *options, **more))[50, 50, 0])

    assert middle() == 140
    assert middle(strength=0.5) == 120
    assert middle(np.full((1, *SIZE), 0.25, np.float32)) == 110
    assert middle(strength=10) == 255


def test_a_part_beyond_the_photo_changes_nothing() -> None:
    photo = smooth(100, 80)
    part = part_at(photo, 300, -200, 60, 10)
    before = arrays(part)
    assert photos.put_back(photo, before, -before, [part]).tobytes() == photo.tobytes()


def test_the_photo_itself_changes_only_when_asked() -> None:
    photo = smooth(80, 80)
    part = part_at(photo, 40, 40, 60)
    before = arrays(part)
    kept = photo.tobytes()
    made = photos.put_back(photo, before, -before, [part])
    assert photo.tobytes() == kept
    assert photos.put_back(photo, before, -before, [part], in_place=True) is photo
    assert photo.tobytes() == made.tobytes() != kept


@pytest.mark.parametrize("detail", [layers.DETAIL, 64])
def test_the_size_of_tiles_does_not_show(monkeypatch: pytest.MonkeyPatch, detail: int) -> None:
    monkeypatch.setattr(layers, "DETAIL", detail)
    photo = smooth(300, 300)
    part = part_at(photo, 150, 150, 200, 33)
    before = arrays(part)
    whole = photos.put_back(photo, before, -before, [part])
    monkeypatch.setattr(pasting, "TILE", 50)
    tiled = np.asarray(photos.put_back(photo, before, -before, [part]), int)
    difference = np.abs(tiled - np.asarray(whole, int))
    assert difference.max() <= 1  # where rounding decides otherwise
    assert (difference > 0).mean() < 1e-4


def test_large_parts_are_changed_in_cells_as_small_ones_in_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = smooth(400, 400)
    part = part_at(photo, 190, 210, 300, 20)
    before = arrays(part)
    fine = np.asarray(photos.put_back(photo, before, -before, [part]), int)
    monkeypatch.setattr(layers, "DETAIL", 100)
    coarse = np.asarray(photos.put_back(photo, before, -before, [part]), int)
    change = np.abs(fine - np.asarray(photo, int)).mean()
    assert change > 10
    assert np.abs(fine - coarse).mean() < 0.1 * change  # what cells of 3 pixels lose of detail of 16


@pytest.mark.parametrize(("side", "detail"), [(20, 768), (32, 768), (45, 768), (128, 768), (200, 768), (240, 64)])
def test_a_part_that_is_not_turned_changes_as_a_turned_one(
    monkeypatch: pytest.MonkeyPatch, side: int, detail: int
) -> None:
    """Its change is read along lines, and its pixels are copied where they are the photo's."""
    monkeypatch.setattr(layers, "DETAIL", detail)
    photo = smooth(300, 300)
    straight, turned = (part_at(photo, 140, 160, side, angle) for angle in (0, 1e-7))
    assert not straight.matrix[0, 1]
    assert turned.matrix[0, 1]
    before = arrays(straight)
    made, other = (np.asarray(photos.put_back(photo, before, -before, [p]), int) for p in (straight, turned))
    difference = np.abs(made - other)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_changes_of_parts_that_overlap_add_up() -> None:
    photo = Image.new("RGB", (200, 100), (60, 70, 80))
    parts = [part_at(photo, x, 50, 80) for x in (80, 120)]
    before = np.concatenate([arrays(part) for part in parts])
    made = photos.put_back(photo, before, before + np.float32(20 / 127.5), parts)
    row = np.asarray(made)[50, :, 0]
    assert (row[65], row[100], row[135], row[5]) == (80, 100, 80, 60)


def test_the_order_of_parts_does_not_matter() -> None:
    photo = smooth(300, 200)
    parts = [part_at(photo, x, 100, 120, x) for x in (100, 150, 170)]
    before = np.concatenate([arrays(part) for part in parts])
    after = np.clip(before * -0.2, -1, 1)
    made = photos.put_back(photo, before, after, parts)
    backwards = photos.put_back(photo, before[::-1], after[::-1], parts[::-1])
    assert np.abs(np.asarray(made, int) - np.asarray(backwards, int)).max() <= 1


@pytest.mark.parametrize("angle", [0, 15])
@pytest.mark.parametrize("side", [20, 30, 40])
def test_the_change_of_a_small_face_is_averaged(side: int, angle: float) -> None:
    """A model of 128 pixels paints more detail than the photo has; its average goes into the photo."""
    photo = crowd()
    part = part_at(photo, 45, 40, side, angle, (128, 128))
    assert part.scale == pytest.approx(side / 128)
    before = arrays(part)
    stripes = np.where(np.arange(128) % 2 < 1, 100, -60).astype(np.float32) / np.float32(127.5)
    for pattern in (stripes, stripes[:, None], stripes * np.sign(stripes[:, None])):
        change = np.broadcast_to(pattern, (128, 128))
        made = np.asarray(photos.put_back(photo, before, before + change, [part]), int) - np.asarray(photo, int)
        middle = made[40 - side // 4 : 40 + side // 4, 45 - side // 4 : 45 + side // 4]
        # Levels near 0 and 255 are cut off.
        assert np.abs(np.median(middle) - change.mean() * 127.5) < 2
        assert np.ptp(middle, axis=(0, 1)).max() <= 8


def test_a_change_stops_at_the_photo_s_edges() -> None:
    """Enlarged 16 times, a change of all that is dark ends within two pixels of the edge, where it is sharp."""
    large = np.full((256, 256, 3), 220, np.uint8)
    large[:, :121] = 40
    photo = Image.fromarray(large)
    small = images.to_array([photo.resize((16, 16), Image.Resampling.BOX)])[0]
    change = np.where(small < 0, 50, 0).astype(np.float32)
    change[:, :, 7] *= 0.5  # the column that is half dark
    colours = images.to_array([photo])[0]
    made = guided.apply(guided.fit(change, small, colours), colours)
    assert made.shape == (3, 256, 256)
    dark, light = made[0, 64:192, 112:119], made[0, 64:192, 123:130]
    assert dark.min() > 30
    assert light.max() < 15


def test_texture_stays_where_a_model_makes_things_flat() -> None:
    """Of gray stripes that a model turned into one colour, the change is that colour's, not the stripes' opposite."""
    stripes = np.tile(np.array((125, 125, 145, 145), np.uint8), (256, 64))
    large = images.to_array([Image.fromarray(np.repeat(stripes[..., None], 3, 2))])[0]
    slopes, offsets = guided.without_texture(large, 8)
    assert np.ptp(slopes * large + offsets) < 0.3 * np.ptp(large)
    edge = np.where(np.arange(256) < 128, -0.6, 0.6).astype(np.float32)[None, None].repeat(256, 1)
    slopes, offsets = guided.without_texture(edge, 8)
    assert np.abs(slopes * edge + offsets - edge).max() < 0.15


def test_what_a_model_draws_stays_sharp() -> None:
    """The frame of glasses on even skin, enlarged four times; of a change as small as noise, only the mean is used."""
    skin = np.full((3, 128, 128), 0.3, np.float32)
    small = skin[:, ::4, ::4]
    change = np.zeros_like(small)
    change[:, 15] = -120
    made = guided.apply(guided.fit(change, small, skin), skin)
    assert made[0, 60:64, 64].min() < -90  # averaged with the skin around it, it would be a third
    assert abs(made[0, 52, 64]) < 10
    noise = np.random.default_rng(0).normal(0, 3, small.shape).astype(np.float32)
    assert guided.apply(guided.fit(noise, small, skin), skin).std() < 0.5 * noise.std()


def test_nothing_rings() -> None:
    photo = Image.new("RGB", (300, 300), (100, 110, 120))
    part = part_at(photo, 150, 150, 280)
    before = arrays(part)
    after = before.copy()
    after[..., 10:20, 10:20] += 80 / 127.5
    made = np.asarray(photos.put_back(photo, before, after, [part]), int)[..., 0]
    assert made.min() >= 98
    assert made.max() <= 182


# ---------------------------------------------------------------- windows


@pytest.mark.parametrize("size", [(200, 100), (100, 233), (301, 100), (128, 128), (640, 427), (30, 17)])
@pytest.mark.parametrize("shape", [(32, 32), (48, 64)])
@pytest.mark.parametrize("fraction", [1, 0.8, 0.4])
def test_windows_cover_the_whole_photo_without_a_seam(
    size: tuple[int, int], shape: tuple[int, int], fraction: float
) -> None:
    """The same change in all windows is the same change in all the photo."""
    photo = smooth(*size).point(lambda level: 20 + level * 3 // 4)  # so that nothing is cut off at white
    parts = [photos.cut(photo, window, shape) for window in photos.cover(photo.size, shape, fraction)]
    assert len(parts) < 40
    before = images.to_array([part.image for part in parts])
    made = photos.put_back(photo, before, before + np.float32(20 / 127.5), parts)
    change = np.asarray(made, int) - np.asarray(photo, int)
    assert (change.min(), change.max()) >= (19, 19)
    assert change.max() <= 21


def test_the_cells_of_large_windows_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "DETAIL", 100)
    photo = smooth(701, 301).point(lambda level: 20 + level * 3 // 4)
    parts = [photos.cut(photo, window, SIZE) for window in photos.cover(photo.size, SIZE)]
    assert layers.cell_size(parts[0]) == 3
    before = images.to_array([part.image for part in parts])
    made = photos.put_back(photo, before, before + np.float32(20 / 127.5), parts)
    change = np.asarray(made, int) - np.asarray(photo, int)
    assert 19 <= change.min() <= change.max() <= 21


@pytest.mark.parametrize(
    ("size", "shape", "fraction", "count"),
    [
        ((300, 300), (64, 64), 1, 1),
        ((356, 436), (178, 218), 1, 1),
        ((4000, 3000), (128, 96), 1, 1),
        ((600, 300), (64, 64), 1, 3),
        ((300, 340), (64, 64), 1, 2),
        ((300, 300), (64, 64), 0.8, 4),
        ((300, 300), (64, 64), 0.5, 9),
        ((90, 60), (64, 64), 0.1, 2),  # not by windows of 6 pixels
    ],
)
def test_windows_are_few_and_overlap(
    size: tuple[int, int], shape: tuple[int, int], fraction: float, count: int
) -> None:
    boxes = np.array([window.box for window in photos.cover(size, shape, fraction)])
    assert len(boxes) == count
    sides = boxes[:, 2:] - boxes[:, :2]
    np.testing.assert_allclose(sides, np.broadcast_to(sides[0], sides.shape))
    assert sides[0, 0] / sides[0, 1] == pytest.approx(shape[0] / shape[1])
    np.testing.assert_allclose((*boxes.min(0)[:2], *boxes.max(0)[2:]), (0, 0, *size), atol=0.5)
    for axis in (0, 1):
        starts = np.unique(boxes[:, axis])
        steps = np.diff(starts)
        np.testing.assert_allclose(steps, steps.mean() if len(steps) else 0)
        assert (steps <= 0.75 * sides[0, axis] + 1e-6).all()


def test_a_window_is_cut_as_training_images_are() -> None:
    photo = smooth(300, 200)
    (*_, last) = photos.cover(photo.size, (64, 64))
    part = photos.cut(photo, last, (64, 64))
    trained = np.asarray(images.fit(photo.crop((100, 0, 300, 200)), (64, 64)))
    assert (np.asarray(part.image)[:, 2:] == trained[:, 2:]).all()  # at its left, the window looks a bit further
    np.testing.assert_allclose(part.corners, ((100, 0), (300, 0), (300, 200), (100, 200)))


def test_a_change_is_fitted_as_least_squares_say() -> None:
    """The slopes of a window, with the variance that is added to them, by NumPy's solver."""
    rng = np.random.default_rng(0)
    guide, change = rng.uniform(-1, 1, (2, 3, 3, 3))
    slopes, _ = guided._fit(change, guide)
    windows = [np.pad(one, ((0, 0), (1, 1), (1, 1)), "symmetric") for one in (guide, change)]
    expected = []
    for row, column in np.ndindex(3, 3):
        x, y = (one[:, row : row + 3, column : column + 3].reshape(3, 9) for one in windows)
        x, y = (one - one.mean(1, keepdims=True) for one in (x, y))
        expected.append(np.linalg.solve(x @ x.T / 9 + guided.SMOOTH * np.eye(3), x @ y.T / 9))
    whole = np.pad(np.reshape(expected, (3, 3, 3, 3)), ((1, 1), (1, 1), (0, 0), (0, 0)), "symmetric")
    means = np.mean([whole[r : r + 3, c : c + 3] for r, c in np.ndindex(3, 3)], 0)
    np.testing.assert_allclose(np.moveaxis(slopes, (0, 1), (2, 3)), means, atol=1e-6)


@pytest.mark.parametrize("radius", [1, 2, 4, 5])
def test_means_over_windows(radius: int) -> None:
    planes = np.random.default_rng(0).normal(size=(2, 11, 13))
    padded = np.pad(planes, ((0, 0), (radius, radius), (radius, radius)), "symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1,) * 2, (1, 2))
    np.testing.assert_allclose(guided._mean(planes, radius), windows.mean((-2, -1)), atol=1e-12)


def test_a_function_of_colour_is_the_same_everywhere() -> None:
    """Three windows that a model darkens alike: the photo is darker by the same function, also where they overlap."""
    photo = smooth(600, 200)
    parts = [photos.cut(photo, window, (64, 64)) for window in photos.cover(photo.size, (64, 64))]
    before = images.to_array([part.image for part in parts])
    made = np.asarray(photos.put_back(photo, before, before * np.float32(0.6), parts), float)
    expected = (np.asarray(photo, float) - 127.5) * 0.6 + 127.5
    errors = np.abs(made - expected).mean((0, 2))  # for each column
    assert errors.max() < 12
    assert errors.max() < 2 * np.median(errors)
