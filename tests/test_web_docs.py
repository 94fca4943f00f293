"""The commands of docs/serve.md, run as they are written, against a server of the docs' address."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from serving import serving

import stargan

ROOT = Path(__file__).parent.parent
DOCS = (ROOT / "docs" / "serve.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def model() -> stargan.Translator:
    return stargan.load("celeba")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    with Image.open(ROOT / "docs" / "photos" / "astronaut.jpg") as image:
        image.crop((80, 0, 400, 320)).resize((192, 192)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def snippet(language: str, address: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    assert ADDRESS in found
    return found.replace(ADDRESS, address.rstrip("/"))


def check(model: stargan.Translator, photo: Path, strength: float) -> None:
    expected = model.translate(photo, ["Black_Hair"], strength=strength)
    with Image.open(photo.parent / "black.jpg") as made:
        assert (made.format, made.size) == ("JPEG", expected.size)
        assert np.abs(np.asarray(made, int) - np.asarray(expected, int)).mean() < 2


def test_the_snippets_of_the_docs(model: stargan.Translator, photo: Path) -> None:
    with serving({"celeba": model}) as client:
        address = str(client.base_url)
        done = subprocess.run(
            [sys.executable, "-c", snippet("python", address)], cwd=photo.parent, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("1 [")
        check(model, photo, 0.8)
        if not shutil.which("curl"):
            pytest.skip("no curl")
        (photo.parent / "black.jpg").unlink()
        subprocess.run(["sh", "-c", snippet("sh", address)], cwd=photo.parent, check=True)
        check(model, photo, 1.0)
