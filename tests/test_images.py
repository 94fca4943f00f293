"""Images of every kind, damaged ones too; the cut, the scale, grids and files."""

import gc
import io
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stargan import images
from stargan.errors import ImageError
from stargan.images import opening, reading


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(source: str | Path | bytes | Image.Image) -> list[list[tuple[int, ...]]]:
    """The decoded image, row by row."""
    image = images.decode(source)
    assert image.mode == "RGB"
    return [[tuple(map(int, pixel)) for pixel in row] for row in np.asarray(image)]


def refused(source: str | Path | bytes) -> str:
    """The one line that says why an image cannot be read; every opened file is closed."""
    with pytest.raises(ImageError) as caught:
        images.decode(source)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("image: " if isinstance(source, bytes) else f"{source}: ")
    del caught
    gc.collect()  # a file left open warns here, and warnings are errors
    return line


def gray(*levels: int) -> list[list[tuple[int, ...]]]:
    return [[(level,) * 3 for level in levels]]


# ---------------------------------------------------------------- what cannot be read

DAMAGED = {
    "half.jpg": encoded(noise(64, 64), "JPEG")[:2000],
    "half.png": encoded(noise(64, 64), "PNG")[:2000],
    "half.bmp": encoded(noise(64, 64), "BMP")[:2000],
    "half.webp": encoded(noise(64, 64), "WEBP")[:2000],
    "half.tif": encoded(noise(64, 64), "TIFF")[:2000],
    "noise.jpg": encoded(noise(64, 64), "JPEG")[:700] + bytes(200),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(DAMAGED[name])
    assert "damaged or truncated image (" in refused(path)
    assert "damaged or truncated image (" in refused(str(path))
    assert "damaged or truncated image (" in refused(DAMAGED[name])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF"])
def test_any_cut_is_read_or_refused(kind: str) -> None:
    content = encoded(noise(16, 16).quantize() if kind == "GIF" else noise(16, 16), kind)
    for length in range(0, len(content), max(1, len(content) // 40)):
        try:
            images.decode(content[:length])
        except ImageError as error:
            assert str(error).startswith("image: ")  # noqa: PT017  (some cuts only lose what is not needed)


@pytest.mark.parametrize(
    "content", [b"", b"hello, I am a text\n", b"\0" * 64, b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + bytes(40)]
)
def test_content_of_no_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.jpg"
    path.write_bytes(content)
    assert "not an image that can be read" in refused(path)
    assert "not an image that can be read" in refused(content)


def test_paths_without_an_image(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path}: a folder, not an image"
    assert refused(tmp_path / "none.png") == f"{tmp_path / 'none.png'}: no such file"
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be read (Not a directory)" in refused(tmp_path / "file" / "below.png")
    assert "cannot be read (File name too long)" in refused(tmp_path / ("a" * 400))


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.png").write_bytes(encoded(noise(2, 2), "PNG"))
    monkeypatch.setattr(os, "open", refuse)
    assert refused(tmp_path / "a.png") == f"{tmp_path / 'a.png'}: cannot be read (Permission denied)"


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\n{ } loop\n%%EOF\n"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.eps"])
def test_no_other_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Pillow tells formats by content, and hands PostScript to `gs`, here an endless loop."""
    log = tmp_path / "started"
    for program in ("gs", "gswin64c", "gswin32c"):
        (tmp_path / program).write_text(f"#!/bin/sh\necho > {log}\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / name).write_bytes(POSTSCRIPT)
    assert "not an image that can be read; must be JPEG, PNG, " in refused(tmp_path / name)
    assert "not an image that can be read; must be JPEG, PNG, " in refused(POSTSCRIPT)
    assert not log.exists()


@pytest.mark.parametrize("kind", ["SGI", "SPIDER", "PCX", "PDF", "EPS"])
def test_formats_that_are_not_named(kind: str) -> None:
    assert "not an image that can be read" in refused(encoded(noise(16, 16), kind))


def test_what_is_not_a_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.png"))
        for path in (tmp_path / "pipe.png", tmp_path / "socket.png", Path("/dev/zero"), Path("/dev/tty")):
            assert refused(path) == f"{path}: cannot be read (a pipe, socket or device, not a file)"


def test_files_of_any_length_are_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.webp").open("wb") as file:
        file.write(encoded(noise(4, 4), "WEBP"))
        file.truncate(images.MAX_FILE + 1)
    assert f"{images.MAX_FILE + 1} bytes; at most {images.MAX_FILE} are read" in refused(tmp_path / "a.webp")


DEEP = {
    "I;16": np.random.default_rng(0).integers(0, 65536, (70, 40), np.uint16),
    "F": np.random.default_rng(0).normal(0.3, 0.6, (70, 40)).astype(np.float32),
    "RGBA": np.random.default_rng(0).integers(0, 256, (70, 40, 4), np.uint8),
    "LA": np.random.default_rng(0).integers(0, 256, (70, 40, 2), np.uint8),
    "RGB": np.random.default_rng(0).integers(0, 256, (70, 40, 3), np.uint8),
}


@pytest.mark.parametrize("mode", DEEP)
def test_large_images_are_converted_in_bands_with_the_same_result(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(DEEP[mode])
    assert image.mode == mode
    whole = np.asarray(images.decode(image))
    monkeypatch.setattr(reading, "_BAND", 300)
    assert (np.asarray(images.decode(image)) == whole).all()


def test_memory_of_a_decode(tmp_path: Path) -> None:
    """A gray PNG with 16 bits, which Pillow stores in 2 bytes for each pixel and 64-bit floats would take 8 for."""
    side = 6000
    Image.new("I;16", (side, side), 700).save(tmp_path / "a.png")
    code = "import sys, resource; from stargan import images; images.decode(sys.argv[1]); "
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    peaks = []
    for path in (tmp_path / "a.png", tmp_path / "small.png"):
        Image.new("I;16", (8, 8)).save(tmp_path / "small.png")
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) * (1 if sys.platform == "darwin" else 1024))
    # A process starts with the peak of the one that started it, which may be large.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert peaks[0] - peaks[1] < 17 * side * side or peaks[0] <= own


def test_threads_share_the_memory_for_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, most = [0], [0]
    lock = threading.Lock()
    plain = reading._rgb

    def counted(image: Image.Image) -> Image.Image:
        with lock:
            sizes.append(image.width * image.height)
            most[0] = max(most[0], sum(sizes))
        try:
            return plain(image)
        finally:
            with lock:
                sizes.remove(image.width * image.height)

    monkeypatch.setattr(reading, "_rgb", counted)
    monkeypatch.setattr(opening, "_memory", opening._Memory(17 * 100 * 100))  # one image of 100 x 100
    content = encoded(noise(100, 60), "PNG")
    with ThreadPoolExecutor(8) as pool:
        assert {image.size for image in pool.map(images.decode, [content] * 40)} == {(100, 60)}
    assert most[0] == 6000


def test_a_failed_decode_gives_its_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_memory", opening._Memory(17 * 64 * 64))
    for _ in range(3):
        refused(DAMAGED["half.png"])
        assert images.read(encoded(noise(64, 64), "PNG"), (8, 8)).size == (8, 8)


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG that claims a size, whatever its body contains."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def test_bombs(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(60000, 60000))
    assert path.stat().st_size < 100
    assert refused(path) == f"{path}: far too large; at most {images.MAX_PIXELS} pixels are read"
    assert "12000x9000 pixels; at most 100000000 are read" in refused(png(12000, 9000))  # below Pillow's own limit
    assert "damaged" in refused(png(10000, 10000))  # not too large, but empty
    assert pixels(png(1, 1, b"\0\1\2\3")) == [[(1, 2, 3)]]  # the header is not what is wrong


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_that_the_caller_opened() -> None:
    with Image.open(io.BytesIO(png(11000, 10000))) as bomb, pytest.raises(ImageError, match="at most"):
        images.decode(bomb)


# ---------------------------------------------------------------- odd but good


def test_paths_bytes_and_images_are_the_same(tmp_path: Path) -> None:
    image = noise(7, 5)
    image.save(tmp_path / "a.png")
    sources: list[Any] = [tmp_path / "a.png", str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes(), image]
    for source in sources:
        assert (np.asarray(images.decode(source)) == np.asarray(image)).all()
    with Image.open(tmp_path / "a.png") as opened:
        assert pixels(opened) == pixels(image)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(noise(3, 2), "PNG"))
    assert pixels(tmp_path / "a.jpg") == pixels(noise(3, 2))


def test_the_callers_image_stays_as_it_was() -> None:
    image = Image.new("RGBA", (2, 2), (1, 2, 3, 4))
    images.decode(image).putpixel((0, 0), (9, 9, 9))
    assert image.getpixel((0, 0)) == (1, 2, 3, 4)
    plain = Image.new("RGB", (2, 2))
    images.decode(plain).putpixel((0, 0), (9, 9, 9))
    assert plain.getpixel((0, 0)) == (0, 0, 0)


def test_cmyk_jpeg() -> None:
    content = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    red, green, blue = pixels(content)[4][4]
    assert red > 250
    assert green < 5
    assert blue < 5


def test_gray_and_one_bit() -> None:
    levels = Image.fromarray(np.array([[0, 100, 255]], np.uint8))
    assert pixels(encoded(levels, "PNG")) == gray(0, 100, 255)
    assert pixels(encoded(levels.convert("1", dither=Image.Dither.NONE), "PNG")) == gray(0, 0, 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits(kind: str) -> None:
    levels = Image.fromarray(np.array([[0, 257, 128 * 257, 65534, 65535]], np.uint16))
    assert pixels(encoded(levels, kind)) == gray(0, 1, 128, 255, 255)
    assert pixels(levels) == gray(0, 1, 128, 255, 255)
    dark = Image.fromarray(np.array([[0, 100, 200]], np.uint16))
    assert pixels(encoded(dark, kind)) == gray(0, 100, 200)


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_sixteen_bits_in_either_order(mode: str) -> None:
    order = ">u2" if mode == "I;16B" else "<u2"
    image = Image.frombytes(mode, (3, 1), np.array([0, 51 * 257, 65535], order).tobytes())
    assert pixels(image) == gray(0, 51, 255)


def test_sixteen_bit_pgm() -> None:
    assert pixels(b"P5 2 1 65535\n" + struct.pack(">HH", 257 * 7, 65535)) == gray(7, 255)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0.0, 0.5, 1.0], (0, 128, 255)),
        ([0.0, 51.4, 255.0], (0, 51, 255)),
        ([0.0, 257.0, 65535.0], (0, 1, 255)),
        ([-3.0, 0.0, 1.0], (0, 191, 255)),
        ([np.nan, np.inf, 0.0, 65535.0], (0, 255, 0, 255)),
        ([0.0, 0.0, 0.0], (0, 0, 0)),
    ],
)
def test_float_tiff(levels: list[float], expected: tuple[int, ...]) -> None:
    image = Image.fromarray(np.array([levels], np.float32))
    assert pixels(encoded(image, "TIFF")) == gray(*expected)


def test_transparency_lies_over_white() -> None:
    rgba = Image.fromarray(np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8))
    expected = [[(10, 20, 30), (255, 255, 255), (204, 204, 204)]]
    assert pixels(encoded(rgba, "PNG")) == expected
    la = Image.merge("LA", [Image.fromarray(np.array([row], np.uint8)) for row in ([7, 7, 0], [255, 0, 51])])
    assert pixels(encoded(la, "PNG")) == gray(7, 255, 204)


def test_palette_with_transparency() -> None:
    palette = Image.new("P", (3, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.putdata([0, 1, 2])
    assert pixels(encoded(palette, "PNG")) == [[(255, 0, 0), (0, 255, 0), (0, 0, 255)]]
    assert pixels(encoded(palette, "PNG", transparency=1)) == [[(255, 0, 0), (255, 255, 255), (0, 0, 255)]]
    shares = bytes([255, 0, 51])
    assert pixels(encoded(palette, "PNG", transparency=shares)) == [[(255, 0, 0), (255, 255, 255), (204, 204, 255)]]


def test_gray_and_rgb_with_a_transparent_colour() -> None:
    levels = Image.fromarray(np.array([[0, 100]], np.uint8))
    assert pixels(encoded(levels, "PNG", transparency=100)) == gray(0, 255)
    colours = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert pixels(encoded(colours, "PNG", transparency=(1, 2, 3))) == [[(255, 255, 255), (4, 5, 6)]]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animation_is_its_first_frame(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    path = tmp_path / "frames"
    path.write_bytes(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert pixels(path) == [[(255, 0, 0)] * 4] * 4
    gc.collect()


# 1 2 3      What each of the eight orientations must show, by hand from the EXIF standard: which of the stored rows
# 4 5 6      and columns the upright image begins with.
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation(kind: str, orientation: int) -> None:
    stored = np.array([[1, 2, 3], [4, 5, 6]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(Image.fromarray((stored * 40).astype(np.uint8)).convert("RGB"), kind, exif=exif, **options)
    assert (np.asarray(images.decode(content))[..., 0] == np.array(UPRIGHT[orientation]) * 40).all()
    if kind != "WEBP":  # 16 bits turn as well
        content = encoded(Image.fromarray((stored * 40 * 257).astype(np.uint16)), kind, exif=exif)
        assert (np.asarray(images.decode(content))[..., 0] == np.array(UPRIGHT[orientation]) * 40).all()


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_of_a_photograph(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    blocks = np.kron(np.array([[1, 2, 3], [4, 5, 6]]) * 40, np.ones((16, 16))).astype(np.uint8)
    upright = np.asarray(images.decode(encoded(Image.fromarray(blocks), "JPEG", exif=exif)))[8::16, 8::16, 0]
    assert (np.rint(upright / 40) == UPRIGHT[orientation]).all()


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01", b""])
def test_damaged_exif_does_not_spoil_an_image(exif: bytes) -> None:
    assert images.decode(encoded(noise(8, 8), "JPEG", exif=exif)).size == (8, 8)


def test_orientation_of_no_meaning() -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    assert pixels(encoded(noise(3, 2), "PNG", exif=exif)) == pixels(noise(3, 2))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 1000)])
def test_tiny_and_thin_images(size: tuple[int, int]) -> None:
    image = images.decode(encoded(noise(*size), "PNG"))
    assert image.size == size
    for crop in (None, 1, 178):
        assert images.fit(image, (16, 12), crop).size == (16, 12)


def test_warnings_stay_as_the_caller_had_them() -> None:
    odd = encoded(noise(8, 8), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01")
    before = list(warnings.filters)
    assert images.decode(odd).size == (8, 8)
    assert list(warnings.filters) == before


def test_warnings_stay_when_threads_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thread leaves while the second is inside, which makes `warnings` alone restore the wrong filters."""
    turns = {name: threading.Event() for name in ("first is in", "second is in", "first is out")}
    plain = reading._photo

    def slow(image: Image.Image, *how: Any, whole: bool) -> images.Photo:
        first = image.width == 1
        turns["first is in" if first else "second is in"].set()
        assert turns["second is in" if first else "first is out"].wait(10)
        return plain(image, *how, whole=whole)

    monkeypatch.setattr(reading, "_photo", slow)
    before = list(warnings.filters)
    first = threading.Thread(target=images.decode, args=[noise(1, 1)])
    second = threading.Thread(target=images.decode, args=[noise(2, 2)])
    first.start()
    assert turns["first is in"].wait(10)
    second.start()
    first.join(10)
    turns["first is out"].set()
    second.join(10)
    assert list(warnings.filters) == before


# ---------------------------------------------------------------- fit


def ramp(width: int, height: int) -> Image.Image:
    """Red counts columns, green counts rows."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([columns, rows, 0 * rows], axis=2).astype(np.uint8))


def corners(image: Image.Image) -> list[int]:
    """First and last column and row of the source that a ramp's cut shows."""
    array = np.asarray(image)
    return [int(v) for v in (array[0, 0, 0], array[-1, -1, 0], array[0, 0, 1], array[-1, -1, 1])]


@pytest.mark.parametrize(
    ("source", "size", "crop", "expected"),
    [
        ((40, 20), (20, 20), None, [10, 29, 0, 19]),  # wide
        ((20, 40), (20, 20), None, [0, 19, 10, 29]),  # tall
        ((20, 20), (20, 20), None, [0, 19, 0, 19]),  # as it is
        ((40, 40), (20, 20), 20, [10, 29, 10, 29]),
        ((40, 20), (20, 20), 99, [10, 29, 0, 19]),  # a crop larger than the image takes all of it
        ((40, 40), (32, 16), 16, [4, 35, 12, 27]),  # of a shape that is not square, `crop` is the shorter side
        ((40, 40), (16, 32), 16, [12, 27, 4, 35]),
        ((48, 40), (32, 16), None, [0, 47, 8, 31]),
        ((21, 20), (20, 20), None, [0, 19, 0, 19]),  # halves go to the even side, as the official code rounds
        ((23, 20), (20, 20), None, [2, 21, 0, 19]),
        ((20, 21), (20, 20), None, [0, 19, 0, 19]),
        ((20, 23), (20, 20), None, [0, 19, 2, 21]),
    ],
)
def test_fit_cuts_the_centre(
    source: tuple[int, int], size: tuple[int, int], crop: int | None, expected: list[int]
) -> None:
    fitted = images.fit(ramp(*source), size, crop)
    assert fitted.size == size
    left, right, top, bottom = expected
    if (right - left + 1, bottom - top + 1) == size:  # nothing is resized: exact
        assert corners(fitted) == expected
    cut = ramp(*source).crop((left, top, right + 1, bottom + 1)).resize(size, Image.Resampling.BILINEAR)
    assert (np.asarray(fitted) == np.asarray(cut)).all()


def test_fit_enlarges_a_smaller_image() -> None:
    fitted = images.fit(Image.new("RGB", (6, 4), "red"), (128, 64))
    assert (np.asarray(fitted) == (255, 0, 0)).all()
    assert fitted.size == (128, 64)


def test_fit_of_celeba_is_that_of_the_official_code() -> None:
    """178x218 -> CenterCrop(178) -> Resize(128)."""
    photo = noise(178, 218)
    official = photo.crop((0, 20, 178, 198)).resize((128, 128), Image.Resampling.BILINEAR)
    for crop in (178, None):
        assert (np.asarray(images.fit(photo, (128, 128), crop)) == np.asarray(official)).all()


def test_read_decodes_and_fits() -> None:
    content = encoded(noise(30, 20), "PNG")
    for crop in (None, 10):
        expected = images.fit(images.decode(content), (8, 6), crop)
        assert (np.asarray(images.read(content, (8, 6), crop)) == np.asarray(expected)).all()


# ---------------------------------------------------------------- arrays


def test_scale_and_back_is_exact_for_all_values() -> None:
    every = np.arange(256, dtype=np.uint8)
    image = Image.fromarray(np.stack([every, every[::-1], np.roll(every, 7)], axis=1).reshape(16, 16, 3))
    array = images.to_array([image])
    assert (images.to_array(np.asarray(image)[None]) == array).all()
    assert array.shape == (1, 3, 16, 16)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert (array.min(), array.max()) == (-1, 1)
    assert (array == images.scale(np.asarray(image, np.float32)).transpose(2, 0, 1)).all()
    back = images.to_pixels(array)
    assert back.shape == (1, 16, 16, 3)
    assert back.dtype == np.uint8
    assert (back[0] == np.asarray(image)).all()
    assert (np.asarray(images.to_images(array)[0]) == np.asarray(image)).all()


def test_to_array_keeps_height_and_width_apart() -> None:
    array = images.to_array([ramp(5, 3), ramp(5, 3)])
    assert array.shape == (2, 3, 3, 5)
    assert array[0, 0, 0] == pytest.approx(np.arange(5) / 127.5 - 1)  # red counts columns
    assert array[1, 1, :, 0] == pytest.approx(np.arange(3) / 127.5 - 1)  # green counts rows


def test_to_pixels_clips_and_rounds() -> None:
    values = np.array([-2, -1, 0.4 / 127.5 - 1, 0.6 / 127.5 - 1, 1, 7]).reshape(1, 1, 1, 6).repeat(3, axis=1)
    assert images.to_pixels(values)[0, 0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]


# ---------------------------------------------------------------- grids


@pytest.mark.parametrize(("count", "columns", "rows"), [(6, 3, 2), (7, 3, 3), (1, 1, 1), (2, 4, 1), (0, 3, 0)])
def test_grid_size_and_places(count: int, columns: int, rows: int) -> None:
    width, height, gap = 20, 10, 2
    tiles = (
        np.full((count, height, width, 3), 10, np.uint8) * np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None]
    )
    sheet = images.grid(tiles, columns)
    assert sheet.size == (columns * (width + gap) + gap, rows * (height + gap) + gap)
    array = np.asarray(sheet)
    for index in range(count):
        top, left = gap + index // columns * (height + gap), gap + index % columns * (width + gap)
        assert (array[top : top + height, left : left + width] == 10 * (index + 1)).all()
        assert (array[top - gap : top] == 255).all()


def test_grid_with_titles_and_captions() -> None:
    tiles = np.full((4, 32, 32, 3), 200, np.uint8)
    plain = images.grid(tiles, 2)
    titled = images.grid(tiles, 2, titles=["one", "two"])
    captioned = images.grid(tiles, 2, captions=["a", "b", "c", "d"])
    line = titled.height - plain.height
    assert line > 8
    assert captioned.height - plain.height == 2 * line
    assert titled.width == captioned.width == plain.width
    head = np.asarray(titled)[:line]
    assert (head[:, :34] < 128).any()  # there is text over each column
    assert (head[:, 34:] < 128).any()
    foot = np.asarray(captioned)[2 + 32 : 2 + 32 + line]
    assert (foot[:, :34] < 128).any()


def test_long_titles_are_cut() -> None:
    class Fixed:
        def getlength(self, text: str) -> int:
            return 5 * len(text)

    assert images.shorten("short", Fixed(), 25) == "short"
    assert images.shorten("a long one", Fixed(), 25) == "a lo…"
    assert images.shorten("anything", Fixed(), 3) == "…"


# ---------------------------------------------------------------- save


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "deep/er/a.jpg", "a.webp", "a.bmp", "a.tiff"])
def test_save(tmp_path: Path, name: str) -> None:
    images.save(Image.new("RGB", (8, 8), (200, 100, 50)), tmp_path / name)
    array = np.asarray(images.decode(tmp_path / name)).astype(int)
    assert abs(array - (200, 100, 50)).max() < 4
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [Path(name).name]


@pytest.mark.parametrize("name", ["a", "a.txt", "a.pngg", ".png", "a.psd"])
def test_save_as_no_kind(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match=r"cannot write an image of this kind; use \.png or \.jpg"):
        images.save(noise(2, 2), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there_before", [True, False])
@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "bmp"])
@pytest.mark.parametrize("missing", [1, 3000])
def test_save_whole_or_not_at_all(tmp_path: Path, there_before: bool, ending: str, missing: int) -> None:
    """Where there is no room for the last bytes: Pillow writes a part of a JPEG and says nothing."""
    resource = pytest.importorskip("resource")
    image, path = noise(200, 200), tmp_path / f"a.{ending}"
    images.save(image, path)
    size, before = path.stat().st_size, path.read_bytes()
    path.unlink()
    if there_before:
        path.write_bytes(before)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - missing, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            images.save(image, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == ([path] if there_before else [])
    assert not there_before or path.read_bytes() == before
