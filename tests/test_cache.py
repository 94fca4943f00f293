"""Images of any kind are decoded once, and a cache is complete or missing."""

import io
import json
import multiprocessing
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import write_folders
from PIL import Image

from stargan import faces, images
from stargan.data import cache
from stargan.data.sources import Source, find
from stargan.errors import DataError
from stargan.faces import CELEBA

SIZE = (8, 4)  # width x height


def folders(root: Path, count: int = 3) -> Source:
    for domain, colour in (("a", "red"), ("b", "blue")):
        (root / domain).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (16, 8), colour).save(root / domain / f"{index}.png")
    return find(root)


def array_file(folder: Path) -> Path:
    (file,) = folder.glob("*.npy")
    return file


def left_over(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.suffix not in {".npy", ".json", ".lock"})


def state(file: Path) -> tuple[int, int]:
    return file.stat().st_ino, file.stat().st_mtime_ns


def fail_read(error: BaseException) -> Callable[..., Image.Image]:
    def read(*_: object) -> Image.Image:
        raise error

    return read


def test_rows_are_the_files(tmp_path: Path) -> None:
    source = folders(tmp_path / "set")
    reported: list[tuple[int, int]] = []
    cached = cache.load(source, SIZE, folder=tmp_path / "c", report=lambda *numbers: reported.append(numbers))
    assert cached.pixels.shape == (6, 4, 8, 3)
    assert cached.pixels.dtype == np.uint8
    assert cached.bad == {}
    for row in range(6):
        assert (cached.pixels[row] == ((255, 0, 0) if row < 3 else (0, 0, 255))).all()
    assert reported[-1] == (6, 6)
    assert left_over(tmp_path / "c") == []
    with pytest.raises(ValueError, match="read-only"):
        cached.pixels[0] = 0


def test_hit_is_not_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, folder = folders(tmp_path / "set"), tmp_path / "c"
    cache.load(source, SIZE, folder=folder)
    before = state(array_file(folder))
    monkeypatch.setattr(images, "read", fail_read(AssertionError("decoded again")))
    cache.load(find(tmp_path / "set"), SIZE, folder=folder)
    assert state(array_file(folder)) == before


def test_size_crop_and_changed_images_have_their_own(tmp_path: Path) -> None:
    source, folder = folders(tmp_path / "set"), tmp_path / "c"
    for size, crop in ((SIZE, None), ((4, 4), None), (SIZE, 3)):
        cache.load(source, size, crop, folder=folder)
    assert len(list(folder.glob("*.npy"))) == 3
    Image.new("RGB", (16, 8), "lime").save(source.path(2))
    os.utime(source.path(2), ns=(1, 1))
    assert (cache.load(source, SIZE, folder=folder).pixels[2] == (0, 255, 0)).all()


@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "other shape", "text", "no list", "bad list", "header", "row"]
)
def test_damaged_cache_is_rebuilt(tmp_path: Path, damage: str) -> None:
    source, folder = folders(tmp_path / "set"), tmp_path / "c"
    expected = np.array(cache.load(source, SIZE, folder=folder).pixels)
    file = array_file(folder)
    if damage == "other shape":
        with file.open("wb") as stream:
            np.save(stream, np.zeros((6, 8, 4, 3), np.uint8))
    elif damage.endswith("list"):
        file.with_suffix(".json").write_text("[1]" if damage == "bad list" else "")
    elif damage == "row":
        file.with_suffix(".json").write_text('{"999": "no such image"}')
    else:
        whole = file.read_bytes()
        header = whole.replace(b"False", b"[[[[[")
        content = {"empty": b"", "truncated": whole[:-9], "text": b"hello", "header": header}[damage]
        file.unlink()
        file.write_bytes(content)
    assert (cache.load(source, SIZE, folder=folder).pixels == expected).all()


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARGAN_CACHE", str(tmp_path / "own"))
    assert cache.default_folder() == tmp_path / "own"
    monkeypatch.delenv("STARGAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_folder() == tmp_path / "stargan"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.default_folder() == Path.home() / ".cache" / "stargan"


# ---------------------------------------------------------------- unreadable and odd images


def damaged(root: Path) -> Source:
    """Eight images, four of which cannot be read."""
    source = folders(root, 4)
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(stream, "JPEG")
    (root / "a" / "0.png").write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    (root / "a" / "1.png").write_text("not an image")
    (root / "a" / "2.png").write_bytes(b"")
    (root / "b" / "0.png").unlink()
    return source


def test_unreadable_images_are_reported_and_zero(tmp_path: Path) -> None:
    source, folder = damaged(tmp_path / "set"), tmp_path / "c"
    for _ in ("built", "found"):
        cached = cache.load(source, SIZE, folder=folder)
        assert sorted(cached.bad) == [0, 1, 2, 4]
        assert "truncated" in cached.bad[0]
        assert "not an image" in cached.bad[1]
        assert cached.bad[4] == "no such file"
        assert not cached.pixels[[0, 1, 2, 4]].any()
        assert cached.pixels[[3, 5, 6, 7]].any(axis=(1, 2, 3)).all()


def test_a_folder_named_like_an_image(tmp_path: Path) -> None:
    source = folders(tmp_path / "set")
    source.path(0).unlink()
    source.path(0).mkdir()
    assert cache.load(source, SIZE, folder=tmp_path / "c").bad == {0: "a folder, not an image"}


def test_warning_filters_stay_as_they_are(tmp_path: Path) -> None:
    source, before = folders(tmp_path / "set", 100), list(warnings.filters)
    cache.load(source, SIZE, folder=tmp_path / "c")
    assert warnings.filters == before


def test_too_many_unreadable_images(tmp_path: Path) -> None:
    source = damaged(tmp_path / "set")
    with pytest.raises(DataError, match=r"4 of 8 images .*--max-bad 3.*a/0.png: .*a/1.png: ") as caught:
        cache.load(source, SIZE, folder=tmp_path / "c", max_bad=3)
    assert "\n" not in str(caught.value)
    assert len(cache.load(source, SIZE, folder=tmp_path / "c", max_bad=4).bad) == 4


def test_all_bad_is_always_an_error(tmp_path: Path) -> None:
    source = folders(tmp_path / "set")
    shutil.rmtree(tmp_path / "set")
    with pytest.raises(DataError, match=r"6 of 6 images cannot be read: a/0\.png: no such file"):
        cache.load(source, SIZE, folder=tmp_path / "c", max_bad=100)


def odd(name: str) -> tuple[str, bytes]:
    """A readable image of an odd kind, red in its middle: file name and content."""
    red = Image.new("RGB", (16, 8), (255, 0, 0))
    stream = io.BytesIO()
    if name == "cmyk":
        red.convert("CMYK").save(stream, "JPEG")
        return "x.jpg", stream.getvalue()
    if name == "16 bit":
        Image.fromarray(np.full((8, 16), 65535, np.uint16)).save(stream, "PNG")
    elif name == "palette with transparency":
        palette = Image.new("P", (16, 8), 0)
        palette.putpalette([255, 0, 0, 0, 255, 0])
        palette.putpixel((0, 0), 1)
        palette.save(stream, "PNG", transparency=1)
    elif name == "animated":
        red.save(stream, "GIF", save_all=True, append_images=[Image.new("RGB", (16, 8), "blue")])
        return "x.gif", stream.getvalue()
    elif name == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        sideways = Image.new("RGB", (8, 16), (255, 0, 0))
        sideways.save(stream, "JPEG", exif=exif)
        return "x.jpg", stream.getvalue()
    elif name == "one pixel":
        red.crop((0, 0, 1, 1)).save(stream, "PNG")
    else:
        red.save(stream, "PNG")
        return "x.jpg", stream.getvalue()
    return "x.png", stream.getvalue()


@pytest.mark.parametrize(
    "name", ["cmyk", "16 bit", "palette with transparency", "animated", "rotated", "one pixel", "png named .jpg"]
)
def test_odd_images_are_read(tmp_path: Path, name: str) -> None:
    folders(tmp_path / "set")
    file, content = odd(name)
    (tmp_path / "set" / "a" / file).write_bytes(content)
    source = find(tmp_path / "set")
    cached = cache.load(source, SIZE, range=(0, 65535), folder=tmp_path / "c")
    assert cached.bad == {}
    centre = cached.pixels[source.files.index(f"a/{file}"), 2, 4].astype(int)
    expected = (255, 255, 255) if name == "16 bit" else (255, 0, 0)
    assert np.abs(centre - expected).max() < 8


# ---------------------------------------------------------------- faces


def test_the_largest_face_of_each_image_is_aligned(tmp_path: Path, photos_of_faces: list[Image.Image]) -> None:
    two = Image.new("RGB", (560, 260), "gray")
    two.paste(photos_of_faces[0].resize((180, 130)), (370, 0))
    two.paste(photos_of_faces[1], (0, 0))
    source = find(write_folders(tmp_path / "set", [*photos_of_faces[:3], two]))
    size = (48, 48)
    cached = cache.load(source, size, align=CELEBA, folder=tmp_path / "c")
    assert cached.bad == {}
    for row in range(4):
        largest = max(faces.find(images.decode(source.path(row))), key=lambda face: face.size)
        expected = faces.align(images.decode(source.path(row)), largest, CELEBA, size).image
        assert np.array_equal(cached.pixels[row], np.asarray(expected))
    # Of one face, the aligned images are nearly the same, wherever it is in the photos.
    assert np.abs(cached.pixels[0].astype(int) - cached.pixels[1])[12:36, 12:36].mean() < 20
    plain = cache.load(source, size, folder=tmp_path / "c")
    assert not np.array_equal(plain.pixels, cached.pixels)
    other = cache.load(source, size, align=CELEBA.within(0.8), folder=tmp_path / "c")
    assert not np.array_equal(other.pixels, cached.pixels)


def test_images_without_a_face_are_left_out(tmp_path: Path, photos_of_faces: list[Image.Image]) -> None:
    """They count neither as unreadable nor against `max_bad`."""
    blank = [Image.new("RGB", (64, 48), "gray")] * 7
    source = find(write_folders(tmp_path / "set", [*photos_of_faces[:2], *blank]))
    source.path(0).write_text("not an image")
    reported: list[tuple[int, int]] = []
    for _ in ("built", "found"):
        cached = cache.load(
            source,
            SIZE,
            align=CELEBA,
            folder=tmp_path / "c",
            max_bad=1,
            report=lambda *numbers: reported.append(numbers),
        )
        assert (sorted(cached.unreadable), len(cached.faceless), len(cached.bad)) == ([0], 7, 8)
        assert not cached.pixels[cached.faceless].any()
        first, second = cached.left_out(source)
        assert first.startswith("left out: a/000.png: not an image")
        assert second == (
            "left out: no face in 7 of 9 images: a/002.png, a/004.png, a/006.png, a/008.png, b/003.png, ..."
        )
    assert reported[-1] == (9, 9)
    with pytest.raises(DataError, match=r"1 of 9 images cannot be read \(at most --max-bad 0"):
        cache.load(source, SIZE, align=CELEBA, folder=tmp_path / "c", max_bad=0)


def test_no_face_at_all_is_an_error(tmp_path: Path) -> None:
    source = folders(tmp_path / "set", 2)
    with pytest.raises(DataError, match=r"none of its 4 images shows a face; leave out --align faces"):
        cache.load(source, SIZE, align=CELEBA, folder=tmp_path / "c", max_bad=100)


# ---------------------------------------------------------------- building


def _load(root: str, folder: str, start: object) -> None:
    """What one of two processes does: wait for the other, then load the same cache."""
    start.wait(30)  # type: ignore[attr-defined]
    cache.load(find(root), SIZE, folder=Path(folder))


def test_two_processes_at_once(tmp_path: Path) -> None:
    source, folder = folders(tmp_path / "set", 20), tmp_path / "c"
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(2)
    both = [spawn.Process(target=_load, args=(str(tmp_path / "set"), str(folder), start)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert left_over(folder) == []
    before = state(array_file(folder))
    cached = cache.load(source, SIZE, folder=folder)
    assert state(array_file(folder)) == before
    assert (cached.pixels == cache.load(source, SIZE, folder=tmp_path / "alone").pixels).all()


@pytest.mark.parametrize("moment", ["decode", "flush"])
def test_interrupted_building_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    source, folder = folders(tmp_path / "set"), tmp_path / "c"
    with monkeypatch.context() as patched:
        if moment == "decode":
            patched.setattr(images, "read", fail_read(KeyboardInterrupt()))
        else:
            patched.setattr(json, "dumps", fail_dumps)
        with pytest.raises(KeyboardInterrupt):
            cache.load(source, SIZE, folder=folder)
    assert [file.suffix for file in folder.iterdir()] in ([], [".lock"])
    assert cache.load(source, SIZE, folder=folder).pixels.any()


_dumps = json.dumps


def fail_dumps(value: object) -> str:
    """Interrupts where the list of unreadable images is written, which is after the pixels."""
    if isinstance(value, dict):
        raise KeyboardInterrupt
    return _dumps(value)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folders(tmp_path / "set")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(DataError, match=r"GB are needed for 6 decoded images, 0\.0 GB are free; set STARGAN_CACHE"):
        cache.load(source, SIZE, folder=tmp_path / "c")


def test_a_disk_that_fills_up_while_images_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All space is taken before the first image: a write to a memory-mapped file on a full disk kills the process."""
    source = folders(tmp_path / "set")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(images, "read", fail_read(AssertionError("decoded before the space was there")))
    with pytest.raises(DataError, match=r"704 bytes are needed, \d+ are free.*set STARGAN_CACHE"):
        cache.load(source, SIZE, folder=tmp_path / "c")
    assert left_over(tmp_path / "c") == []
    assert not list((tmp_path / "c").glob("*.npy"))


def test_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="set STARGAN_CACHE"):
        cache.load(folders(tmp_path / "set"), SIZE, folder=tmp_path / "file" / "c")
