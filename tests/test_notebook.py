"""What models and results look like in Jupyter, and docs/notebook.ipynb, run as it is."""

import base64
import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import stargan
from stargan.domains import Domains, Group, LabelSet
from stargan.inference.notebook import Translations, html
from stargan.model import run_folder
from stargan.runs import Run

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
EVIL = "<script>alert(1)<b>"


@pytest.fixture(scope="module")
def model() -> stargan.Translator:
    return stargan.load("celeba")


def test_a_model_escapes_what_its_file_says(model: stargan.Translator) -> None:
    assert model.info.card
    domains = Domains((LabelSet("set", (Group((EVIL,)),)),))
    info = replace(model.info, domains=domains, licence=EVIL, card=replace(model.info.card, limits=EVIL))
    shown = html(info)
    assert shown.count("&lt;script&gt;") == 3
    assert "<script" not in shown


def test_a_face_shows_itself(model: stargan.Translator) -> None:
    (face,) = model.faces(ROOT / "docs" / "photos" / "astronaut.jpg")
    shown = replace(face, labels={EVIL: 0.5}, warnings=(EVIL,))._repr_html_()
    assert "<script" not in shown
    assert "50%" in shown
    content = shown.partition("base64,")[2].partition('"')[0]
    assert np.array_equal(_image(content), np.asarray(face.image))


def test_all_translations_show_themselves_as_a_sheet() -> None:
    found = Translations((word, Image.new("RGB", (100, 50), word)) for word in ("red", "green", "blue", "teal", "gold"))
    content = found._repr_png_()
    assert content
    sheet = Image.open(io.BytesIO(content)).convert("RGB")
    assert sheet.width > sheet.height  # two rows of four
    assert {(255, 0, 0), (0, 128, 0), (0, 0, 255), (0, 128, 128), (255, 215, 0)} <= {c for _, c in _colours(sheet)}
    assert Translations()._repr_png_() is None
    assert dict(found).keys() == {"red", "green", "blue", "teal", "gold"}


def test_a_run_shows_itself(run: Path) -> None:
    shown = Run(run, 12, True, 65.0, {EVIL: 0.25})._repr_html_()
    assert "finished after 12 steps and 65 seconds" in shown
    assert "<script" not in shown
    content = shown.partition("base64,")[2].partition('"')[0]
    with Image.open(run_folder.sample_path(run, 12)) as newest:
        assert np.array_equal(_image(content), np.asarray(newest))


def test_the_notebook_of_the_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is kept without outputs, runs without an error, and shows what it says it shows."""
    with warnings.catch_warnings():  # of Jupyter's own libraries
        warnings.simplefilter("ignore")
        nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
        nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
        pytest.importorskip("ipykernel", reason="ipykernel is not installed")
        book = nbformat.read(NOTEBOOK, 4)
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in book.cells)
        nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    kinds = [{*output.data} for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [next(kind for kind in ("image/png", "text/html", "text/plain") if kind in found) for found in kinds]
    assert shown == ["text/html", "text/html", "image/png", "image/png", "image/png", "text/plain"]
    photo = _image([cell for cell in book.cells if cell.cell_type == "code"][2].outputs[0].data["image/png"])
    with Image.open(ROOT / "docs" / "photos" / "astronaut.jpg") as source:
        assert photo.shape == (source.height, source.width, 3)


def _image(content: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


def _colours(image: Image.Image) -> Any:
    return image.getcolors(image.width * image.height)
