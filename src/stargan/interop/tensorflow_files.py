"""Files for Keras, TensorFlow Serving and LiteRT: written, opened again, compared and timed."""

import importlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stargan import engine
from stargan.errors import ModelError, require
from stargan.interop import comparison, onnx_arrays
from stargan.interop.comparison import Measured
from stargan.interop.form import LITERT, OF_TENSORFLOW, SAVED_MODEL, Form, kind_of
from stargan.interop.sample_requests import Batch, requests, samples
from stargan.model.info import ModelInfo
from stargan.model.safetensors_file import Arrays
from stargan.progress import counted
from stargan.storage import atomic_write

_log = logging.getLogger(__name__)

ENGINE = "tensorflow"
TOLERANCE = 1e-4  # largest difference of a float32 file's images from Keras'

_OPENERS = dict(zip(OF_TENSORFLOW, ("keras_file", "litert", "saved_model"), strict=True))


def write(path: Path, info: ModelInfo, arrays: Arrays, form: Form) -> Measured:
    """Writes a file, and says its size, its speed and how far its images are from those of Keras in float32.

    Args:
        path: The file, or for a SavedModel the folder.
        info: The description of the model.
        arrays: Its arrays by name.
        form: How the file stores it.

    Returns:
        What was measured.

    Raises:
        ModelError: An array is missing, unexpected or of the wrong shape, or the file gives other images.
        DataError: The images for the calibration cannot be used.
        MissingExtraError: TensorFlow or LiteRT is not installed.
    """
    onnx_arrays.check_method(path, info)
    onnx_arrays.check_size(info, arrays)
    kind, quantization = kind_of(path), form.quantization
    library = _library(kind)
    calibration, measured = samples(form.calibrate, info)
    if quantization == "int8":
        _log.info("%s: calibrating on %s", path.name, counted(len(calibration), "image"))
    with comparison.in_one_line(path, "TensorFlow"), library["quiet"].quiet(), _replacing(path, kind) as temporary:
        model = library["keras_file"].build(info, arrays)
        if kind == LITERT:
            library["litert"].convert(model, info, temporary, quantization, _inputs(model, info, calibration))
        else:
            library[_OPENERS[kind]].write(model, info, temporary)
        run, generator = library[_OPENERS[kind]].opened(temporary, info), model.get_layer("generator")
        found = comparison.measure(
            temporary,
            run,
            lambda *inputs: generator(list(inputs)).numpy(),
            _inputs(model, info, measured),
            " on one thread" if kind == LITERT else "",
        )
        if quantization is None and not found.difference <= TOLERANCE:
            raise ModelError(
                f"{path}: not written, because its images differ from those of Keras by {found.difference:.1e}, more "
                f"than {TOLERANCE:.0e}"
            )
    _report(path, found, form)
    return found


def _inputs(model: Any, info: ModelInfo, chosen: list[Image.Image]) -> list[Batch]:
    """Random requests for the images, with channels last."""
    classifier = model.get_layer("classifier") if "probabilities" in model.output else None
    classify = (lambda pixels: classifier(_last(pixels)).numpy()) if classifier else None
    return [(_last(pixels), condition) for pixels, condition in requests(chosen, info, classify)]


def _last(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def _library(kind: str) -> dict[str, Any]:
    """The engine's modules by name."""
    engine.framework(ENGINE, f"write {kind} files")
    if kind == LITERT:
        require("ai_edge_litert", ENGINE, f"write {kind} files")
    names = ("quiet", *(f"export.{name}" for name in _OPENERS.values()))
    return {name.rpartition(".")[2]: importlib.import_module(f"stargan.engine.{ENGINE}.{name}") for name in names}


@contextmanager
def _replacing(path: Path, kind: str) -> Iterator[Path]:
    """Yields where to write a file or folder, which takes its place at the end."""
    if kind != SAVED_MODEL:
        with atomic_write(path, ending=kind) as temporary:
            yield temporary
        return
    with atomic_write(path, sync=False, folder=True) as temporary:
        yield temporary
        if path.exists():
            shutil.rmtree(path)


def _report(path: Path, found: Measured, form: Form) -> None:
    if form.quantization is not None:
        comparison.report(path, found, form, "--quantize dynamic or float16 change")
        return
    same = (
        f"images differ from Keras' by {found.difference:.0e} at most" if found.difference else "same images as Keras"
    )
    _log.info("%s: float32, %s, %s", path.name, found, same)
