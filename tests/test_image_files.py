"""Which files in a folder are images."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from datasets import write_image, write_photo
from PIL import Image

from stargan import images
from stargan.data import image_files
from stargan.data.sources import find
from stargan.errors import ImageError
from stargan.inference import jobs

FORMATS = {
    ".jfif": "JPEG",
    ".jpe": "JPEG",
    ".pgm": "PPM",
    ".ppm": "PPM",
    ".pnm": "PPM",
    ".tga": "TGA",
    ".jp2": "JPEG2000",
    ".dib": "DIB",
    ".ico": "ICO",
    "": "PNG",
    ".2020": "JPEG",
}


@pytest.mark.parametrize("ending", FORMATS)
def test_kinds_of_images(tmp_path: Path, ending: str) -> None:
    path = write_photo(tmp_path / "a" / "1.png")
    photo = images.decode(path)
    (tmp_path / "b").mkdir()
    (photo.convert("L") if ending == ".pgm" else photo).save(tmp_path / "b" / f"x{ending}", FORMATS[ending])
    assert find(tmp_path).files == ("a/1.png", f"b/x{ending}")
    assert images.decode(tmp_path / "b" / f"x{ending}").size == photo.size


def test_heic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    photo = images.decode(write_photo(tmp_path / "1.png"))
    pillow_heif.from_pillow(photo.resize((64, 64))).save(tmp_path / "IMG.HEIC", quality=90)
    (tmp_path / "IMG.HEIC").rename(tmp_path / "IMG")
    assert image_files.find(tmp_path).files == ("1.png", "IMG")
    assert images.decode(tmp_path / "IMG").size == (64, 64)
    pillow_heif.register_heif_opener()  # as imageio does too, whoever imports it
    with pytest.raises(ImageError, match=r"use \.png or \.jpg"):  # as before
        images.kind(tmp_path / "IMG.HEIC")
    with io.BytesIO() as stream:
        images.write(photo, stream, "HEIF")
        assert stream.getvalue().startswith(b"\x89PNG")
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)  # as if it were not installed
    with pytest.raises(ImageError, match=r"IMG: pillow_heif is needed .* pip install 'stargan\[heic\]'"):
        images.decode(tmp_path / "IMG")


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png"):
        write_image(tmp_path / name)
    for name in ("readme.txt", "a/1.txt", "b/film.mp4", "b/LICENSE"):
        (tmp_path / name).write_text("not an image")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    expected = "left out: 2 .txt files, 1 .mp4 file, 1 broken link, 1 other file"
    assert find(tmp_path).notes == (expected,)
    lines: list[str] = []
    assert len(jobs.find([tmp_path], say=lines.append)) == 2
    assert lines == [f"{tmp_path}: {expected}"]


@pytest.mark.parametrize(
    "name", [".x/1.png", "a/._1.png", "__MACOSX/1.png", "a/.ipynb_checkpoints/1.png", "a/@eaDir/1.png", "a/Thumbs.db"]
)
def test_hidden_files(tmp_path: Path, name: str) -> None:
    for file in ("a/1.png", "b/1.png"):
        write_image(tmp_path / file)
    if name.endswith(".db"):
        (tmp_path / name).write_text("")
    else:
        write_image(tmp_path / name)
    assert find(tmp_path).files == ("a/1.png", "b/1.png")
    assert find(tmp_path).notes == ()


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    write_image(tmp_path / "elsewhere" / "1.png")
    for name in ("a/1.png", "b/1.png"):
        write_image(tmp_path / "set" / name)
    (tmp_path / "set" / "a" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "b" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "a" / "loop").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "a" / "above").symlink_to(tmp_path)
    (tmp_path / "set" / "A").symlink_to(tmp_path / "set" / "b")
    source = find(tmp_path / "set")
    assert source.files == ("a/1.png", "a/more/1.png", "b/1.png")
    assert source.notes == ("left out: 4 repeated links",)


def test_a_folder_that_is_a_link(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png"):
        write_image(tmp_path / "set" / name)
    (tmp_path / "link").symlink_to(tmp_path / "set")
    assert find(tmp_path / "link").files == ("a/1.png", "b/1.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    write_image(tmp_path / "a" / "1.png")
    (tmp_path / "a").chmod(0)
    with pytest.raises(PermissionError):
        image_files.find(tmp_path)


def test_content_decides_for_a_name_without_ending(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(1000))
    Image.new("RGB", (8, 8)).save(tmp_path / "image", "WEBP")
    assert image_files.find(tmp_path).files == ("image",)


def test_empty_folders_are_counted(tmp_path: Path) -> None:
    write_image(tmp_path / "a" / "1.png")
    (tmp_path / "b" / ".hidden").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    assert image_files.find(tmp_path).notes() == ["left out: 2 empty folders"]
    assert image_files.find(tmp_path / "c").notes() == []
