"""Conversion of a model to another kind of file (`stargan export`)."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from stargan import engine
from stargan.errors import ModelError
from stargan.model import locations, onnx_file, run_folder, safetensors_file
from stargan.model.card import Card
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
    report: Path | None = None,
    licence: str | None = None,
    limits: str = "",
) -> ModelInfo:
    """Writes the model of a run folder or of a `.safetensors` file to another file.

    Args:
        source: A run folder (its newest checkpoint, else its model) or a `.safetensors` file. An `.onnx` file is an
            end product: it can only be copied with another description.
        out: The file to write; its ending determines the kind.
        overwrite: Whether to replace an existing file.
        half: Store the weights of an `.onnx` file as float16, which halves its size; it still computes in float32.
        plain: Write the `.onnx` file without the changes that make large models faster on CPUs but slower elsewhere.
        report: The report.json that `stargan evaluate` wrote for this model, from which to make its card.
        licence: Licence of the training data as text; None keeps that of the source.
        limits: What the model should not be used for, as text for its card.

    Returns:
        The description of the model.

    Raises:
        ModelError: The source or the report cannot be read, the kind is unknown, or `out` exists.
    """
    check_output(out, overwrite)
    if limits and not report:
        raise ModelError("--limits: limits are part of the model card, which needs --report")

    def describe(info: ModelInfo) -> ModelInfo:
        if report:
            info = replace(info, card=_card(report, limits, info))
        return info if licence is None else replace(info, licence=licence)

    path = locate(source)
    if path.suffix == out.suffix == ".onnx" and not half and not plain:
        return onnx_file.describe(path, out, describe)
    info, arrays = read_model(source)
    info = describe(info)
    WRITERS[out.suffix](out, info, arrays, half, plain)
    return info


def check_output(out: Path, overwrite: bool) -> None:
    """Checks that a model file can be written.

    Raises:
        ModelError: The kind of file is unknown, or the file exists and `overwrite` is not set.
    """
    if out.suffix not in WRITERS:
        raise ModelError(
            f"{out}: cannot write this kind of model file; it must end in {' or '.join(WRITERS)}, or "
            "in a slash for a page"
        )
    check_new(out, overwrite)


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


def _safetensors(path: Path, info: ModelInfo, arrays: safetensors_file.Arrays, half: bool, plain: bool) -> None:
    if half:
        raise ModelError(f"{path}: --half is only for .onnx files")
    if plain:
        raise ModelError(f"{path}: --plain is only for .onnx files")
    safetensors_file.write(path, info, arrays, {})


def _onnx(path: Path, info: ModelInfo, arrays: safetensors_file.Arrays, half: bool, plain: bool) -> None:
    framework = engine.framework(info.engine, "write .onnx files")
    graphs = framework.export_onnx(info.architecture, info.domains, arrays, half=half, plain=plain)
    if graphs.difference > TOLERANCE:
        raise ModelError(
            f"{path}: not written, because its results differ from those of {info.engine} by "
            f"{graphs.difference:.1e}, more than {TOLERANCE:.0e}"
        )
    onnx_file.write(path, info, graphs.generator, graphs.classifier)


WRITERS: dict[str, Callable[[Path, ModelInfo, safetensors_file.Arrays, bool, bool], None]] = {
    ".onnx": _onnx,
    ".safetensors": _safetensors,
}
