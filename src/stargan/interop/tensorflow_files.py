"""Files for Keras, TensorFlow Serving and LiteRT: written, opened again, compared and timed."""

import importlib
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stargan import engine, faces, images
from stargan.data import cartoons, image_files
from stargan.errors import DataError, ModelError, StarganError, require
from stargan.interop import onnx_arrays
from stargan.interop.form import LITERT, OF_TENSORFLOW, SAVED_MODEL, Form, kind_of
from stargan.model.info import ModelInfo
from stargan.model.safetensors_file import Arrays
from stargan.storage import atomic_write

_log = logging.getLogger(__name__)

ENGINE = "tensorflow"
TOLERANCE = 1e-4  # largest difference of a float32 file's images from Keras'
CALIBRATION, MEASURED, TIMED = 200, 8, 5  # images for calibration, at most; for the comparison; for the time
VISIBLE = 30.0  # dB; below it, quantization changes images visibly

_OPENERS = dict(zip(OF_TENSORFLOW, ("keras_file", "litert", "saved_model"), strict=True))


@dataclass(frozen=True)
class Measured:
    """What a file is like.

    Attributes:
        size: Bytes on the disk.
        milliseconds: For one image.
        where: On what, in words.
        difference: The largest one between its images and those of Keras in float32.
        psnr: Of its images, against those, in dB.
    """

    size: int
    milliseconds: float
    where: str
    difference: float
    psnr: float

    def __str__(self) -> str:
        return f"{self.size / 1e6:.1f} MB, {self.milliseconds:.0f} ms an image{self.where}"


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
    samples = [_cut(file, info) for file in _spread(_files(form.calibrate), CALIBRATION)] or _drawn(info, MEASURED)
    if quantization == "int8":
        _log.info("%s: calibrating on %d images", path.name, len(samples))
    with _one_line(path), library["quiet"].quiet(), _replacing(path, kind) as temporary:
        model = library["keras_file"].build(info, arrays)
        batches = _batches(model, info, samples)
        measured = _spread(batches, MEASURED)
        others = [batch for batch in batches if not any(batch is each for each in measured)]
        if kind == LITERT:
            library["litert"].convert(model, info, temporary, quantization, others or batches)
        else:
            library[_OPENERS[kind]].write(model, info, temporary)
        found = _measure(library[_OPENERS[kind]].opened(temporary, info), model, measured, temporary)
        if quantization is None and not found.difference <= TOLERANCE:
            raise ModelError(
                f"{path}: not written, because its images differ from those of Keras by {found.difference:.1e}, more "
                f"than {TOLERANCE:.0e}"
            )
    _report(path, found, form, len(measured))
    return found


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


def _report(path: Path, found: Measured, form: Form, count: int) -> None:
    if form.quantization is None:
        same = (
            f"images differ from Keras' by {found.difference:.0e} at most"
            if found.difference
            else "same images as Keras"
        )
        _log.info("%s: float32, %s, %s", path.name, found, same)
        return
    of = "of the images" if form.calibrate else "drawn faces"
    _log.info(
        "%s: %s, %s, PSNR %.1f dB against float32 (%d %s)", path.name, form.quantization, found, found.psnr, count, of
    )
    if found.psnr < VISIBLE:
        _log.warning(
            "%s: %s changes its images visibly, by more than %.0f dB allow; --quantize dynamic or float16 change less",
            path.name, form.quantization, VISIBLE,
        )  # fmt: skip


# ---------------------------------------------------------------- images


def _files(given: tuple[Path, ...]) -> list[Path]:
    """The image files that are given or in given folders."""
    files: list[Path] = []
    for path in given:
        found = [path / name for name in image_files.find(path).files] if path.is_dir() else [path]
        if not found:
            raise DataError(f"--calibrate {path}: no images in this folder")
        files += found
    return files


def _cut(path: Path, info: ModelInfo) -> Image.Image:
    """An image as the model gets it: its largest face if the model is about faces, else its centre."""
    photo = images.decode(path, info.range or "own")
    if info.face_crop:
        largest = max(faces.find(photo), key=lambda face: face.size, default=None)
        if largest:
            return faces.align(photo, largest, info.face_crop, info.image_size).image
    return images.fit(photo, info.image_size, info.crop)


def _drawn(info: ModelInfo, count: int) -> list[Image.Image]:
    side = min(max(info.image_size), 512)
    return [images.fit(cartoons.draw(*cartoons.sample(0, index), side), info.image_size) for index in range(count)]


def _spread(items: list[Any], count: int) -> list[Any]:
    """At most so many of the items, from all parts of the list."""
    return [items[index * len(items) // count] for index in range(count)] if len(items) > count else items


def _batches(model: Any, info: ModelInfo, samples: list[Image.Image]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each image, (1, H, W, 3), with a random request, (1, L)."""
    random, domains, batches = np.random.default_rng(0), info.domains, []
    classifier = model.get_layer("classifier") if "probabilities" in model.output else None
    for index, sample in enumerate(samples):
        pixels = np.ascontiguousarray(images.to_array([sample]).transpose(0, 2, 3, 1))
        values = domains.decide(classifier(pixels).numpy()) if classifier else domains.random_values(random, 1)
        dataset = index % len(domains.sets)
        labels = domains.labels(domains.random_changes(random, values, dataset), dataset)
        batches.append((pixels, info.architecture.condition(domains, labels, values)))
    return batches


# ---------------------------------------------------------------- figures


def _measure(run: Any, model: Any, batches: list[tuple[np.ndarray, np.ndarray]], path: Path) -> Measured:
    generator = model.get_layer("generator")
    expected = np.concatenate([generator(list(batch)).numpy() for batch in batches])
    results = np.concatenate([run(*batch) for batch in batches])
    error = np.square(results.astype(np.float64) - expected).mean()
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Measured(
        sum(file.stat().st_size for file in files),
        1000 * float(np.median([_seconds(run, batches[index % len(batches)]) for index in range(TIMED)])),
        " on one thread" if path.suffix == LITERT else "",
        float(np.abs(results - expected).max()),
        10 * float(np.log10(4 / max(error, 1e-20))),
    )


def _seconds(run: Any, batch: tuple[np.ndarray, np.ndarray]) -> float:
    started = time.perf_counter()
    run(*batch)
    return time.perf_counter() - started
