"""Images with more than 8 bits, signed samples, floats and more bands: one range for a data set, or a refusal."""

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, in_process
from PIL import Image

import stargan
from stargan import images
from stargan.config import Config
from stargan.data import cache, ranges, sources
from stargan.errors import ConfigError, DataError, ImageError, ModelError
from stargan.images import samples
from stargan.model.info import ModelInfo

tifffile = pytest.importorskip("tifffile", reason="writes the TIFF files; comes with scikit-image")

RAMP = np.linspace(0, 1, 256).reshape(16, 16)


def tiff(array: np.ndarray, **how: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **how)
    return file.getvalue()


def png(array: np.ndarray) -> bytes:
    """A PNG with 16 bits for each sample, (H, W, 2 to 4), in which every kind of filter occurs."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width, bands = array.shape
    rows = array.astype(">u2").view(np.uint8).reshape(height, -1).astype(int)
    pixel, lines = 2 * bands, []
    for index, row in enumerate(rows):
        above = rows[index - 1] if index else np.zeros_like(row)
        left = np.concatenate([np.zeros(pixel, int), row[:-pixel]])
        corner = np.concatenate([np.zeros(pixel, int), above[:-pixel]])
        near = [abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)]
        paeth = np.where((near[0] <= near[1]) & (near[0] <= near[2]), left, np.where(near[1] <= near[2], above, corner))
        kind = index % 5
        guess = (0, left, above, (left + above) // 2, paeth)[kind]
        lines.append(bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes())
    head = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[bands], 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"".join(lines)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def decoded(source: bytes | Path, range: images.RangeChoice = "own") -> np.ndarray:
    return np.asarray(images.decode(source, range)).astype(int)


def gray(source: bytes | Path, range: images.RangeChoice = "own") -> np.ndarray:
    found = decoded(source, range)
    assert (found == found[..., :1]).all()
    return found[..., 0]


def refused(source: bytes, range: images.RangeChoice = "own") -> str:
    with pytest.raises(ImageError) as caught:
        images.decode(source, range)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- one image

EXPECTED = np.floor(RAMP * 255 + 0.5)


@pytest.mark.parametrize(
    ("array", "how"),
    [
        ((RAMP * 4095).round().astype(np.uint16), {}),
        ((RAMP * 65535).round().astype(np.uint16), {"byteorder": ">"}),
        ((RAMP * 1023).round().astype(np.uint16), {"compression": "zlib", "predictor": True}),
        ((RAMP * 4000 - 1000).round().astype(np.int16), {}),
        ((RAMP * 4000 - 1000).round().astype(np.int32), {}),
        ((RAMP * (2**32 - 1)).round().astype(np.uint32), {}),
        ((RAMP * 255 - 128).round().astype(np.int8), {}),
        ((RAMP * 1.2).astype(np.float32), {}),
        (RAMP.astype(np.float32), {"compression": "zlib"}),
        ((RAMP * 4095 - 1000).astype(np.float32), {"byteorder": ">"}),
    ],
)
def test_gray_of_any_kind_of_samples(array: np.ndarray, how: dict[str, Any]) -> None:
    assert np.abs(gray(tiff(array, **how)) - EXPECTED).max() <= 1


def test_gray_png() -> None:
    content = io.BytesIO()
    Image.fromarray((RAMP * 4095).round().astype(np.uint16)).save(content, "PNG")
    assert np.abs(gray(content.getvalue()) - EXPECTED).max() <= 1


@pytest.mark.parametrize("top", [4095, 65535])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_16_bits(top: int, compression: str | None, order: str) -> None:
    levels = np.random.default_rng(0).integers(0, top + 1, (16, 16, 3)).astype(np.uint16)
    levels[0, 0] = top
    content = tiff(levels, photometric="rgb", compression=compression, byteorder=order)
    assert np.abs(decoded(content) - levels / top * 255).max() <= 1
    assert np.abs(decoded(png(levels)) - levels / top * 255).max() <= 1
    assert np.abs(decoded(content, (0, 2000)) - np.clip(levels / 2000 * 255, 0, 255)).max() <= (8 if top > 4095 else 1)


def test_colours_and_gray_with_transparency() -> None:
    levels = np.random.default_rng(0).integers(0, 1024, (8, 8, 4)).astype(np.uint16)
    levels[..., 3] = np.where(np.arange(8) < 4, 0, 65535)
    levels[0, 7, :3] = 1023
    for array, expected in ((levels, levels[..., :3]), (levels[..., 2:], levels[..., 2:3].repeat(3, 2))):
        found = decoded(png(array))
        assert (found[:, :4] == 255).all()
        assert np.abs(found[:, 4:] - expected[:, 4:] / 1023 * 255).max() <= 1


def test_cmyk() -> None:
    ink = np.zeros((4, 4, 4), np.uint16)
    ink[..., 0] = 65535
    assert decoded(tiff(ink, photometric="separated"))[0, 0].tolist() == [0, 255, 255]


def test_white_may_be_zero() -> None:
    assert (
        np.abs(gray(tiff((RAMP * 4095).astype(np.uint16), photometric="miniswhite")) - EXPECTED[::-1, ::-1]).max() <= 1
    )


def test_a_given_range() -> None:
    content = tiff(np.array([[-2000, -1024, 1023, 3071, 9000]], np.int16))
    assert gray(content, (-1024, 3071)).tolist() == [[0, 0, 127, 255, 255]]
    floats = tiff(np.array([[np.nan, -np.inf, np.inf, 0.5]], np.float32))
    assert gray(floats, (0, 1)).tolist() == [[0, 0, 255, 128]]
    assert gray(tiff(np.zeros((2, 2), np.float32))).tolist() == [[0, 0], [0, 0]]
    assert gray(tiff(np.full((2, 2), np.nan, np.float32))).tolist() == [[0, 0], [0, 0]]


def test_eight_bits_have_a_fixed_range() -> None:
    content = tiff(np.array([[0, 7, 255]], np.uint8))
    for range in ("own", None, (0, 10)):
        assert gray(content, range).tolist() == [[0, 7, 255]]


def test_parts_have_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = np.random.default_rng(0).integers(0, 4096, (50, 40, 3)).astype(np.uint16)
    for content in (png(levels), tiff(levels[..., 0]), tiff(levels[..., 0].astype(np.float32))):
        whole = decoded(content)
        with monkeypatch.context() as patch:
            patch.setattr(samples, "PART", 100)
            patch.setattr("stargan.images.reading.PART", 100)
            assert (decoded(content) == whole).all()


# ---------------------------------------------------------------- refused by name


@pytest.mark.parametrize(
    ("array", "how", "says"),
    [
        (RAMP, {}, "1 band of floats of 64 bits"),
        (np.zeros((8, 8, 3), np.float32), {"photometric": "rgb"}, "3 bands of floats of 32 bits"),
        (np.zeros((8, 8, 3), np.int16), {"photometric": "rgb"}, "3 bands of signed integers of 16 bits"),
        (
            np.zeros((8, 8, 5), np.uint8),
            {"photometric": "minisblack", "planarconfig": "contig"},
            "5 bands of integers of 8 bits",
        ),
        (np.zeros((3, 8, 8), np.uint16), {"photometric": "rgb", "planarconfig": "separate"}, "in separate planes"),
        (np.zeros((8, 8), np.uint64), {}, "1 band of integers of 64 bits"),
        (np.zeros((8, 8), np.complex64), {}, "1 band of complex numbers of 64 bits"),
        (np.zeros((5, 8, 8), np.uint16), {}, "a stack of several images"),
    ],
)
def test_what_is_refused(array: np.ndarray, how: dict[str, Any], says: str) -> None:
    assert says in refused(tiff(array, **how))


def test_smaller_copies_are_no_stack() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.full((8, 8), 7, np.uint8))
        writer.write(np.full((4, 4), 7, np.uint8), subfiletype=1)
    assert gray(file.getvalue()).shape == (8, 8)


def test_bands_beyond_rgb_are_left_out() -> None:
    bands = np.zeros((2, 2, 5), np.uint8) + np.array([10, 20, 30, 40, 50], np.uint8)
    content = tiff(bands, photometric="rgb", planarconfig="contig", extrasamples=[0, 0])
    assert decoded(content)[0, 0].tolist() == [10, 20, 30]


def test_lab_is_refused() -> None:
    content = io.BytesIO()
    Image.new("LAB", (4, 4)).save(content, "TIFF")
    assert "its colours are in LAB" in refused(content.getvalue())


# ---------------------------------------------------------------- a data set


def scans(root: Path, scale: float = 4095, kind: Any = np.uint16, count: int = 20) -> Path:
    """Two folders of ramps; images differ in their lightest sample, from half of `scale` to all of it."""
    for index in range(count):
        path = root / ("ct", "mr")[index % 2] / f"{index:03}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiff((RAMP * scale * (0.5 + 0.5 * index / (count - 1))).astype(kind)))
    return root


def found_range(root: Path, given: images.Range | None = None) -> tuple[images.Range | None, str]:
    lines: list[str] = []
    return ranges.of_sources([sources.find(root)], given, lines.append), " ".join(lines)


def test_one_range_for_a_data_set(tmp_path: Path) -> None:
    root = scans(tmp_path / "floats", 1.2, np.float32)
    range, line = found_range(root)
    assert range == pytest.approx((0, 1.2))
    assert "floats from 0 to 1.2" in line
    loaded = cache.load(sources.find(root), (16, 16), range=range, folder=tmp_path / "cache")
    tops = loaded.pixels.max((1, 2, 3)).tolist()
    assert sorted(tops)[0] == pytest.approx(128, abs=1)  # not image by image
    assert max(tops) == 255


def test_integers_have_the_usual_bits(tmp_path: Path) -> None:
    assert found_range(scans(tmp_path / "a", 3000))[0] == (0, 4095)
    assert found_range(scans(tmp_path / "b", 300))[0] == (0, 1023)
    assert found_range(scans(tmp_path / "c", 60000))[0] == (0, 65535)


def test_few_light_samples_are_named(tmp_path: Path) -> None:
    root = scans(tmp_path / "set", 3000)
    first = (RAMP * 3000).astype(np.uint16)
    first[0, 0] = 65535  # a dead pixel
    (root / "ct" / "000.tif").write_bytes(tiff(first))
    range, line = found_range(root)
    assert range == (0, 65535)
    assert "but 98 % of the samples are in --range " in line
    assert found_range(root, (0.0, 3000.0))[0] == (0, 3000)


def test_a_range_that_hides_everything_is_named(tmp_path: Path) -> None:
    assert "but 98 %" in found_range(scans(tmp_path / "set", 1, np.float32), (0.0, 4095.0))[1]
    assert "but 98 %" in found_range(scans(tmp_path / "set2", 60000), (0.0, 255.0))[1]


def test_eight_bit_data_say_nothing(colours: Path) -> None:
    assert found_range(colours) == (None, "")
    assert "not used" in found_range(colours, (0.0, 10.0))[1]


def test_integers_and_floats_in_one_set(tmp_path: Path) -> None:
    root = scans(tmp_path / "set")
    (root / "ct" / "000.tif").write_bytes(tiff(RAMP.astype(np.float32)))
    with pytest.raises(DataError, match="some images have integers of more than 8 bits and some floats"):
        found_range(root)


def test_data_sets_with_different_ranges(tmp_path: Path) -> None:
    both = [sources.find(scans(tmp_path / "a", 4000)), sources.find(scans(tmp_path / "b", 60000))]
    with pytest.raises(DataError, match=r"a integers from 0 to 4095, b integers from 0 to 65535"):
        ranges.of_sources(both, None, print)
    assert ranges.of_sources(both, (0.0, 65535.0), print) == (0, 65535)


def test_a_deep_image_that_was_not_looked_at(tmp_path: Path, colours: Path) -> None:
    source = sources.find(scans(tmp_path / "set"))
    with pytest.raises(DataError, match=r"say --range LOW,HIGH"):
        cache.load(source, (16, 16), folder=tmp_path / "cache")


# ---------------------------------------------------------------- commands


@pytest.fixture(scope="module")
def deep_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Data of 12 bits in 16, and a run trained on them."""
    folder = tmp_path_factory.mktemp("deep")
    data = scans(folder / "set", 4095, count=40)
    done = in_process("train", "--data", data, "--run", folder / "run", *TINY, "--precision", "fp32", "--steps", "2")
    assert done.returncode == 0, done.stderr
    assert "0 becomes black and 4095 white" in done.stdout
    return data, folder / "run"


def test_the_range_is_in_config_and_model(deep_run: tuple[Path, Path]) -> None:
    _, run = deep_run
    assert json.loads((run / "config.json").read_text())["range"] == [0, 4095]
    for file in ("model.onnx", "model.safetensors"):
        assert stargan.load(run / file).info.range == (0, 4095)


def test_a_photo_is_read_with_the_models_range(deep_run: tuple[Path, Path], tmp_path: Path) -> None:
    model = stargan.load(deep_run[1])
    photo = tmp_path / "dark.tif"
    photo.write_bytes(tiff((RAMP * 1000).astype(np.uint16)))  # on its own, 10 bits
    assert model.prepare([photo]).max() == pytest.approx(1000 / 4095 * 2 - 1, abs=0.01)
    assert np.asarray(model.look(photo).photo.image).max() == round(1000 / 4095 * 255)


def test_translate_says_and_takes_a_range(deep_run: tuple[Path, Path], tmp_path: Path) -> None:
    data, run = deep_run
    done = in_process("translate", run, data / "ct", "--to", "mr", "--out", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    assert "0 becomes black and 4095 white" in done.stderr
    done = in_process("translate", run, data / "ct", "--to", "mr", "--out", tmp_path / "b", "--range=-100,2000")
    assert "-100 becomes black and 2000 white" in done.stderr
    done = in_process("translate", run, data / "ct", "--to", "mr", "--out", tmp_path / "c", "--range", "5,2")
    assert done.stderr == "stargan: --range 5.0,2.0: must be two numbers LOW,HIGH, the lower one first\n"
    for wrong in ("10", "1,2,3", "a,b", "nan,1"):
        line = in_process("data", data, "--range", wrong).stderr
        assert "must be two numbers LOW,HIGH, the lower one first" in line
        assert line.count("\n") == 1


def test_resume_keeps_the_range(deep_run: tuple[Path, Path]) -> None:
    _, run = deep_run
    done = in_process("train", "--resume", run, "--range", "0,100", "--steps", "3")
    assert done.returncode == 2
    assert "--range: a resumed run keeps" in done.stderr
    done = in_process("train", "--resume", run, "--steps", "3")
    assert done.returncode == 0, done.stderr
    assert stargan.load(run / "model.onnx").info.range == (0, 4095)


def test_data_shows_the_range(deep_run: tuple[Path, Path], tmp_path: Path) -> None:
    done = in_process("data", deep_run[0], "--sheet", tmp_path / "sheet.png")
    assert "integers from 0 to 4095): 0 becomes black and 4095 white" in done.stdout
    assert np.asarray(Image.open(tmp_path / "sheet.png").convert("L")).mean() > 64
    assert "-5 becomes black" in in_process("data", deep_run[0], "--range", "-5,7").stdout


# ---------------------------------------------------------------- settings


def test_range_in_settings_and_descriptions() -> None:
    assert Config.from_json({"range": [0, 4095]}).range == (0, 4095)
    for wrong in ([1, 1], [2, 1]):
        with pytest.raises(ConfigError, match="must be two numbers LOW,HIGH"):
            Config.from_json({"range": wrong})
    with pytest.raises(ConfigError, match="setting range"):
        Config.from_json({"range": [0, "a"]})


def test_a_model_with_a_wrong_range(deep_run: tuple[Path, Path]) -> None:
    plain = json.loads(stargan.load(deep_run[1]).info.dumps())
    for wrong in ([3, 1], [0], "all", [0, True]):
        with pytest.raises(ModelError, match="range"):
            ModelInfo.loads(json.dumps({**plain, "range": wrong}))
    del plain["range"]  # as in files of earlier versions
    assert ModelInfo.loads(json.dumps(plain)).range is None
