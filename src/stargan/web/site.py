"""A page without a server: the page of `stargan serve` and a model that runs in the visitor's browser, as a folder."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from stargan import faces, storage
from stargan.domains import requests
from stargan.errors import ModelError, require
from stargan.inference.load import load
from stargan.inference.translator import Translator
from stargan.model import onnx_file, onnx_graph
from stargan.model.face_crop import NAMES
from stargan.web import runtime

PAGE = Path(__file__).parent / "page"
FILES = (
    *("app.js", "dialogs.js", "edits.js", "header.js", "interface.js", "panel.js", "stage.js", "theme.js", "words.js"),
    *("style.css", "icon.svg", "local", "samples", "words"),
)
POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self' blob:",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
))  # fmt: skip
"""What browsers may do on the page; it reaches nothing but its own files."""


def check(folder: Path, overwrite: bool) -> None:
    """Checks that a page can be written into a folder, beside what else is there.

    Raises:
        ModelError: A page is there, and `overwrite` is not set; or something else has the name of its files.
    """
    page = folder / "page"
    if page.exists() and not (page / "model" / "about.json").is_file():
        raise ModelError(f"{page}: not written by stargan; choose another folder for the page")
    for path in (folder / "index.html", page):
        if path.exists() and not overwrite:
            raise ModelError(f"{path}: exists; say --overwrite to replace it")


def write(source: Path, name: str, folder: Path, *, overwrite: bool = False) -> None:
    """Writes the page.

    Args:
        source: An `.onnx` model file.
        name: What the page calls the model.
        folder: The folder to write.
        overwrite: Whether to replace a page.

    Raises:
        ModelError: The model is missing, damaged or not one of ours; or see `check`.
        MissingExtraError: npm or a library is missing.
        StarganError: ONNX Runtime for browsers cannot be fetched.
        OSError: The folder cannot be written.
    """
    check(folder, overwrite)
    require("pydantic", "serve", "write the page")
    model = load(source)
    _try(model)
    engine = runtime.files()
    folder.mkdir(parents=True, exist_ok=True)
    with storage.temporary_path(folder, folder=True) as temporary:
        page = temporary / "page"
        page.mkdir()
        for file in FILES:
            copy = shutil.copytree if (PAGE / file).is_dir() else shutil.copyfile
            copy(PAGE / file, page / file)
        shutil.copytree(engine, page / "runtime")
        about = {"runtime": runtime.builds(engine), "models": [_model(source, name, model, page / "model")]}
        (page / "model" / "about.json").write_text(json.dumps(about, ensure_ascii=False), "utf-8")
        (temporary / "index.html").write_text(_index(), "utf-8")
        if (folder / "page").exists():
            shutil.rmtree(folder / "page")
        for path in (page, temporary / "index.html"):
            path.replace(folder / path.name)


def _index() -> str:
    """The page's HTML, with the backend that needs no server, and the policy that a server would send."""
    html = (PAGE / "index.html").read_text("utf-8")
    policy = f'<meta charset="utf-8">\n    <meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    for old, new in (('"./backend.js"', '"./local/backend.js"'), ('<meta charset="utf-8">', policy)):
        assert html.count(old) == 1, old
        html = html.replace(old, new)
    return html


def _try(model: Translator) -> None:
    """Runs the networks once, so that a page is only written for a model that works."""
    width, height = model.image_size
    image = np.zeros((1, 3, height, width), np.float32)
    model.generate(image, np.zeros((1, model.domains.num_labels), np.float32), model.values(image))


def _model(source: Path, name: str, model: Translator, folder: Path) -> dict[str, Any]:
    """Writes the networks of a model, and describes it for the page."""
    from stargan.web.describe import describe  # loads pydantic

    folder.mkdir()
    file = onnx_file.read(source)
    graphs = {"generator": onnx_graph.without_metadata(file.generator)}
    if file.classifier:
        graphs["classifier"] = base64.b64decode(file.classifier)
    if model.info.face_crop:
        graphs["finder"] = faces.network.WEIGHTS.read_bytes()
        (folder / "finder-LICENSE.md").write_bytes(faces.network.LICENCE.read_bytes())
    for graph, content in graphs.items():
        (folder / f"{graph}.onnx").write_bytes(content)
    about = describe(name, model).model_dump()
    about["network"] = _network(model, about["groups"])
    about["network"]["files"] = {
        graph: {"path": f"{graph}.onnx", "bytes": len(content)} for graph, content in graphs.items()
    }
    return about


def _network(model: Translator, groups: list[dict[str, Any]]) -> dict[str, Any]:
    """What `page/local/` needs to know of a model."""
    info, domains = model.info, model.domains
    values = [value for group in groups for value in (*group["values"], group["none"]) if value]
    words = {word: next(iter(requests.parse(domains, [word]).items())) for value in values for word in value["request"]}
    return {
        "condition": info.architecture.condition_name,
        "crop": info.crop,
        "face": info.face_crop and [getattr(info.face_crop, point) for point in NAMES],
        "classifier": info.classifier,
        "temperatures": info.temperatures,
        "frequencies": info.label_frequencies or [0.0] * domains.num_classes,
        "layout": {
            "groups": [
                {
                    "columns": list(columns),
                    "categorical": group.categorical,
                    "owners": np.flatnonzero(domains.owners[:, index]).tolist(),
                }
                for index, (_, columns, group) in enumerate(domains.groups())
            ],
            "columns": [domains.columns(dataset).tolist() for dataset in range(len(domains.sets))],
            "labels": domains.num_labels,
            "words": words,
        },
    }
