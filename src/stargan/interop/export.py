"""Conversion of a model to another kind of file (`stargan export`)."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stargan import engine
from stargan.errors import ModelError
from stargan.interop import onnx_arrays, onnx_int8, sample_requests, tensorflow_files
from stargan.interop.form import OF_TENSORFLOW, ONNX, SAVED_MODEL, Form, Quantization, kind_of
from stargan.model import locations, onnx_file, run_folder, safetensors_file
from stargan.model.card import REPORT, Card
from stargan.model.info import ModelInfo
from stargan.storage import read_text

TOLERANCE = 1e-4  # largest difference allowed between an exported graph's results and the framework's


def export(
    source: Path,
    out: Path,
    *,
    overwrite: bool = False,
    half: bool = False,
    plain: bool = False,
    quantize: Quantization | None = None,
    calibrate: Sequence[Path] = (),
    report: Path | None = None,
    licence: str | None = None,
    limits: str = "",
) -> ModelInfo:
    """Writes a model to another file.

    Args:
        source: A run folder (its newest checkpoint, else its model) or a `.safetensors` file; or an `.onnx` file, of
            which only files for TensorFlow, `.onnx` files in int8 and copies with another description can be made.
        out: The file to write; its ending determines the kind, see `form.KINDS`. A SavedModel is a folder.
        overwrite: Whether to replace an existing file.
        half: Store the weights of an `.onnx` or `.tflite` file as float16, which halves its size; it still computes in
            float32.
        plain: Write the `.onnx` file without the changes that make large models faster on CPUs but slower elsewhere.
        quantize: How a `.tflite` file stores numbers, see `form.Form`; of an `.onnx` file only `int8`.
        calibrate: Images, or folders of them, for `quantize="int8"`.
        report: What `stargan evaluate` wrote for this model, report.json or its folder, from which to make its card.
        licence: Licence of the training data as text; None keeps that of the source.
        limits: What the model should not be used for, as text for its card.

    Returns:
        The description of the model.

    Raises:
        ModelError: The source or the report cannot be read, the kind is unknown or cannot store the model in this way,
            or `out` exists.
        ConfigError: The settings contradict each other.
        DataError: The images for the calibration cannot be used.
        MissingExtraError: What writes this kind is not installed.
    """
    check_output(out, overwrite)
    form = Form(half, plain, quantize, tuple(map(Path, calibrate)))
    form.check(out)
    if limits and not report:
        raise ModelError("--limits: limits are part of the model card, which needs --report")

    def describe(info: ModelInfo) -> ModelInfo:
        if report:
            info = replace(info, card=_card(report, limits, info))
        return info if licence is None else replace(info, licence=licence)

    path = locate(source)
    if path.suffix == ONNX == kind_of(out) and form == Form():
        return onnx_file.describe(path, out, describe)
    if path.suffix == ONNX and (quantize or kind_of(out) in OF_TENSORFLOW):
        info, arrays = onnx_arrays.read(path, tensorflow_files.ENGINE if kind_of(out) in OF_TENSORFLOW else None)
    else:
        info, arrays = read_model(source)
    info = describe(info)
    write(out, info, arrays, form)
    return info


def check_output(out: Path, overwrite: bool) -> None:
    """Checks that a model file can be written.

    Raises:
        ModelError: The kind of file is unknown, or the file exists and `overwrite` is not set; or the folder of a
            SavedModel contains something else.
    """
    if kind_of(out) != SAVED_MODEL or not out.is_dir():
        check_new(out, overwrite)
    elif any(out.iterdir()):
        check_new(out, overwrite)
        if not (out / "saved_model.pb").is_file():
            raise ModelError(f"{out}: contains something else than a SavedModel; choose another folder")


def check_new(path: Path, overwrite: bool) -> None:
    """Checks that a file does not exist or may be replaced.

    Raises:
        ModelError: It exists and `overwrite` is not set.
    """
    if path.exists() and not overwrite:
        raise ModelError(f"{path}: exists; say --overwrite to replace it")


def locate(source: Path) -> Path:
    """Returns the file to export.

    Raises:
        ModelError: There is none.
    """
    # The newest checkpoint takes precedence: after a run is extended, its model files are still those from before.
    checkpoints = run_folder.checkpoints(source)
    return checkpoints[-1] if checkpoints else locations.locate(source)


def _card(report: Path, limits: str, info: ModelInfo) -> Card:
    """Makes the model card from a report."""
    if report.is_dir():
        report /= REPORT
    try:
        return Card.from_report(json.loads(read_text(report)), limits, info.domains)
    except FileNotFoundError as error:
        raise ModelError(f"{report}: no such file") from error
    except OSError as error:
        raise ModelError(f"{report}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{report}: cannot be read as JSON ({error})") from error
    except ModelError as error:
        raise ModelError(f"{report}: {error}") from error


def read_model(source: Path) -> tuple[ModelInfo, safetensors_file.Arrays]:
    """Reads the model to export; the argument and the errors are those of `export`."""
    path = locate(source)
    if path.suffix == ".onnx":
        raise ModelError(f"{path}: an .onnx file is an end product; export the run or its .safetensors file instead")
    info, arrays, _ = safetensors_file.read(path)
    return info, arrays


def write(path: Path, info: ModelInfo, arrays: safetensors_file.Arrays, form: Form) -> None:
    """Writes a model file of the kind that its name has.

    Raises:
        ModelError: An array is missing, unexpected or of the wrong shape, or the file gives other images.
        MissingExtraError: What writes this kind is not installed.
    """
    kind = kind_of(path)
    if kind in OF_TENSORFLOW:
        tensorflow_files.write(path, info, arrays, form)
    elif kind == ONNX:
        _onnx(path, info, arrays, form)
    else:
        safetensors_file.write(path, info, arrays, {})


def _onnx(path: Path, info: ModelInfo, arrays: safetensors_file.Arrays, form: Form) -> None:
    framework = engine.framework(info.engine, "write .onnx files")
    samples = sample_requests.samples(form.calibrate, info) if form.quantize else None
    plain = form.plain or form.quantize is not None  # int8 is for layers as they are
    graphs = framework.export_onnx(info.architecture, info.domains, arrays, half=form.half, plain=plain)
    if graphs.difference > TOLERANCE:
        raise ModelError(
            f"{path}: not written, because its results differ from those of {info.engine} by "
            f"{graphs.difference:.1e}, more than {TOLERANCE:.0e}"
        )
    if samples:
        onnx_int8.write(path, info, graphs, form, samples)
    else:
        onnx_file.write(path, info, graphs.generator, graphs.classifier)
