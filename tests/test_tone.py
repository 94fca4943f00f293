"""Photos of one tone keep it, photos in colour get all colours, and between them there is no jump."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from stargan import images
from stargan.photos import tone

SIDE = 64
REDDER = np.array((0.5, 0.2, -0.3), np.float32)[:, None, None]
LUMA = np.array(tone.LUMA)
FILTER = np.array(((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131)))  # of W3C and others


def coloured(saturation: float = 1) -> Image.Image:
    """A photo with smooth colours of all kinds."""
    noise = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    photo = Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return Image.blend(photo.convert("L").convert("RGB"), photo, saturation)


def duotone(*colours: str) -> Image.Image:
    """The same photo in tones from one colour to another, through a third if there are three."""
    gray = coloured().convert("L")
    return ImageOps.colorize(gray, colours[0], colours[-1], colours[1] if len(colours) == 3 else None)


def filtered() -> Image.Image:
    """The same photo through the sepia filter of programs, which clips."""
    return Image.fromarray(np.clip(np.asarray(coloured(), float) @ FILTER.T, 0, 255).astype(np.uint8))


def compressed(photo: Image.Image, quality: int) -> Image.Image:
    photo.save(file := io.BytesIO(), "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def inked(photo: Image.Image) -> Image.Image:
    photo.paste("red", (10, 10, 14, 15))
    return photo


TONED = {
    "black and white": compressed(coloured(0), 75),
    "sepia": compressed(duotone("#201008", "#fff0d0"), 75),
    "poor sepia": compressed(duotone("black", "#ffe8c0"), 30),
    "curved sepia": compressed(duotone("#1b0f05", "#8a6a45", "#fff0d0"), 75),
    "sepia of a filter": compressed(filtered(), 75),
    "a blueprint": duotone("#1030a0", "#e0f0ff"),
    "with ink": inked(duotone("#201008", "#fff0d0")),
}


def change(photo: Image.Image, by: np.ndarray = REDDER) -> np.ndarray:
    """What becomes of a change, in levels: (3, H, W)."""
    before = images.to_array([photo])
    after = np.clip(before + by, -1, 1)
    tone.keep(before, after)
    return 127.5 * (after - before)[0]


@pytest.mark.parametrize("name", TONED)
def test_a_photo_of_one_tone_keeps_it(name: str) -> None:
    own = images.to_array([TONED[name]])[0]
    after = own + change(TONED[name]) / 127.5
    curve = tone.Curve(own.reshape(3, -1))
    light = after.mean(0, dtype=np.float64)
    known = (light > curve.ends[0]) & (light < curve.ends[1])
    known[8:17, 8:17] = False  # ink
    distances = np.abs(after - curve.colours(light)).max(0)[known]
    assert 127.5 * np.percentile(distances, 95) < 12
    assert 127.5 * np.abs(after - own).mean() > 10


def test_black_and_white_stays_so_exactly() -> None:
    photo = coloured(0)
    found = change(photo)
    assert (found == found[0]).all()
    before = images.to_array([photo])[0]
    expected = np.tensordot(LUMA, np.clip(before + REDDER, -1, 1) - before, 1)
    np.testing.assert_allclose(found[0] / 127.5, np.clip(before[0] + expected, -1, 1) - before[0], atol=1e-5)
    assert not change(photo, np.zeros((3, 1, 1), np.float32)).any()
    assert (change(Image.new("RGB", (8, 8), "gray")) == change(Image.new("RGB", (8, 8), "gray"))[0]).all()


COLOURED = {"bright": (1, 1, 1), "dim": (0.3, 0.3, 0.3), "in warm light": (1, 0.5, 0.3)}


@pytest.mark.parametrize("light", COLOURED)
def test_a_photo_in_colour_gets_all_colours(light: str) -> None:
    photo = Image.fromarray((np.asarray(coloured()) * COLOURED[light]).astype(np.uint8))
    before = images.to_array([photo])
    np.testing.assert_array_equal(change(photo), 127.5 * (np.clip(before + REDDER, -1, 1) - before)[0])


def test_few_light_pixels_do_not_bend_the_curve() -> None:
    """In a dark photo with noise, nothing tells what colour light places would have."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-2, 3, (8, 8, 3)).repeat(8, 0).repeat(8, 1)
    dark = np.clip(40 + rng.integers(-8, 9, (SIDE, SIDE, 1)) + noise, 0, 255).astype(np.uint8)
    dark[0, :5] = 255
    found = change(Image.fromarray(dark), np.full((3, 1, 1), 0.8, np.float32))
    assert np.ptp(found, axis=0).max() < 15


def test_the_paler_a_photo_the_paler_the_change() -> None:
    found = [change(coloured(saturation)) for saturation in np.linspace(0, 0.3, 61)]
    colours = np.array([(each[0] - each[2]).mean() for each in found])
    assert colours[0] == 0
    assert colours[-1] > 80
    assert np.diff(colours).min() > -2
    assert np.diff(colours).max() < 25  # a jump would be 100
