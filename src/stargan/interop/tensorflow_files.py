"""Files for Keras, TensorFlow Serving and LiteRT: written, opened again, compared and timed."""

import importlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stargan import engine
from stargan.errors import ModelError, StarganError, require
from stargan.interop import comparison, onnx_arrays
from stargan.interop.comparison import Measured
from stargan.interop.form import LITERT, OF_TENSORFLOW, SAVED_MODEL, Form, kind_of
from stargan.interop.sample_requests import requests
from stargan.model.info import ModelInfo
from stargan.model.safetensors_file import Arrays
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
    with _one_line(path), library["quiet"].quiet(), _replacing(path, kind) as temporary:
        model = library["keras_file"].build(info, arrays)
        calibration, measured = requests(form.calibrate, info, _classifier(model))
        if kind == LITERT:
            library["litert"].convert(model, info, temporary, quantization, [_last(*each) for each in calibration])
        else:
            library[_OPENERS[kind]].write(model, info, temporary)
        run, generator = library[_OPENERS[kind]].opened(temporary, info), model.get_layer("generator")
        found = comparison.measure(
            temporary,
            run,
            lambda *inputs: generator(list(inputs)).numpy(),
            [_last(*each) for each in measured],
            " on one thread" if kind == LITERT else "",
        )
        if quantization is None and not found.difference <= TOLERANCE:
            raise ModelError(
                f"{path}: not written, because its images differ from those of Keras by {found.difference:.1e}, more "
                f"than {TOLERANCE:.0e}"
            )
    _report(path, found, form)
    return found


def _last(pixels: np.ndarray, condition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inputs with channels last."""
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), condition


def _classifier(model: Any) -> Any:
    """The attribute classifier for images with channels first, or None."""
    if "probabilities" not in model.output:
        return None
    classifier = model.get_layer("classifier")
    return lambda pixels: classifier(np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))).numpy()


def _library(kind: str) -> dict[str, Any]:
    """The engine's modules by name."""
    engine.framework(ENGINE, f"write {kind} files")
    if kind == LITERT:
        require("ai_edge_litert", ENGINE, f"write {kind} files")
    names = ("quiet", *(f"export.{name}" for name in _OPENERS.values()))
    return {name.rpartition(".")[2]: importlib.import_module(f"stargan.engine.{ENGINE}.{name}") for name in names}


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turns what TensorFlow raises, which has no common base class, into a ModelError."""
    try:
        yield
    except (StarganError, OSError, MemoryError):
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(f"{path}: TensorFlow cannot write it ({reason})") from error


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
