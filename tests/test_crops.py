"""Crops: a number of pixels becomes a fraction of a data set's own images."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stargan import images
from stargan.config.recipes import RECIPES, recipe
from stargan.data import cache, crops, sources
from stargan.data.sources import Source


def data_set(root: Path, *sizes: images.Size) -> Source:
    """Noise of the given sizes, in two folders."""
    rng = np.random.default_rng(0)
    for index, (width, height) in enumerate(sizes):
        path = root / "ab"[index % 2] / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)
    return sources.find(root)


def chosen(source: Source, crop: float | None, size: images.Size = (16, 16)) -> tuple[float | None, list[str]]:
    """The fraction, and the lines for the user."""
    lines: list[str] = []
    return crops.fraction([source], size, crop, lines.append), lines


@given(
    st.integers(2, 700),
    st.tuples(st.integers(1, 900), st.integers(1, 900)),
    st.tuples(st.integers(1, 64), st.integers(1, 64)),
)
def test_a_fraction_cuts_exactly_what_the_pixels_cut(pixels: int, whole: images.Size, quarter: images.Size) -> None:
    size = (4 * quarter[0], 4 * quarter[1])
    fraction = crops.as_fraction(pixels, [whole], size)
    assert fraction is None or fraction < 1
    assert images.central_box(whole, size, fraction) == images.central_box(whole, size, pixels)


def test_celeba_stays_the_same_to_the_last_bit(tmp_path: Path) -> None:
    """The recipes cut as much as fits, which of 178x218 pixels are the official central 178."""
    source = data_set(tmp_path / "set", (178, 218), (178, 218))
    for name in ("celeba", "official"):
        crop, lines = chosen(source, recipe(name).crop, (128, 128))
        assert (crop, lines) == (None, [])
        pixels = cache.load(source, (128, 128), crop, folder=tmp_path / "c").pixels
        for row in range(2):
            photo = images.decode(source.path(row))
            official = photo.crop((0, 20, 178, 198)).resize((128, 128), Image.Resampling.BILINEAR)
            assert np.array_equal(pixels[row], np.asarray(official))
    assert chosen(source, 178, (128, 128)) == (None, [])  # as it was written in recipes and commands before


def test_no_recipe_cuts_a_number_of_pixels() -> None:
    assert {config.crop for config in RECIPES.values()} == {None}


def test_pixels_of_images_of_one_size(tmp_path: Path) -> None:
    source = data_set(tmp_path / "set", *[(60, 40)] * 4)
    fraction, lines = chosen(source, 30)
    assert (fraction, lines) == (0.75, [])
    before = cache.load(source, (16, 16), 30, folder=tmp_path / "c").pixels
    after = cache.load(source, (16, 16), fraction, folder=tmp_path / "c").pixels
    assert np.array_equal(before, after)
    assert chosen(source, 40) == (None, [])
    assert chosen(source, 400) == (None, [])


@pytest.mark.parametrize(("crop", "expected"), [(None, None), (1, None), (0.3, 0.3)])
def test_fractions_stay_as_they_are(crop: float | None, expected: float | None, tmp_path: Path) -> None:
    source = data_set(tmp_path, (60, 40), (50, 50))
    assert chosen(source, crop) == (expected, [])


def test_images_of_several_sizes_are_cut_in_proportion(tmp_path: Path) -> None:
    source = data_set(tmp_path, (100, 50), (60, 40), (60, 40))
    fraction, (line,) = chosen(source, 30)
    assert fraction == 0.75
    assert (
        line
        == "--crop 30: the images have several sizes; each is cut like 60x40, the most common one: 0.75 of what fits"
    )


def test_crop_178_of_other_images_is_as_much_as_fits(tmp_path: Path) -> None:
    source = data_set(tmp_path, *[(256, 300)] * 4)
    crop, (line,) = chosen(source, 178)
    assert crop is None
    assert line == (
        "--crop 178: CelebA's crop, as much as fits in its images; used like that on 256x300; "
        "for their central 178 pixels: --crop 0.6953"
    )
    small = data_set(tmp_path / "small", *[(90, 90)] * 4)
    assert chosen(small, 178)[1] == [
        "--crop 178: CelebA's crop, as much as fits in its images; used like that on 90x90"
    ]


def test_unreadable_images_have_no_size(tmp_path: Path) -> None:
    source = data_set(tmp_path, (60, 40), (60, 40))
    source.path(0).write_text("not an image")
    assert crops.sizes_of([source]) == [(60, 40)]
    source.path(1).write_text("not an image")
    assert chosen(source, 30) == (None, [])  # the reader of the images reports them


def test_runs_of_earlier_versions_are_described_by_a_fraction(tmp_path: Path) -> None:
    source = data_set(tmp_path, (256, 300), (256, 300))
    assert crops.described([source], (16, 16), 178) == 178 / 256
    assert crops.described([source], (16, 16), 0.5) == 0.5
    assert crops.described([source], (16, 16), None) is None
