"""`stargan export`: one kind of model file into another."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from stargan import engine
from stargan.errors import ModelError
from stargan.model import locations, onnx_file, run_folder, safetensors_file
from stargan.model.card import Card
from stargan.model.info import ModelInfo

TOLERANCE = 1e-4  # largest difference from the framework's own results


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
    """Writes the model of a run folder or of a `.safetensors` file as another file.

    Args:
        source: A run folder (its newest checkpoint, else its model) or a `.safetensors` file. An `.onnx` file is an
            end product: from it comes only another one that says something else about itself.
        out: The file to write; its ending says the kind.
        overwrite: Whether `out` may exist.
        half: Whether an `.onnx` file keeps its weights in float16, which halves it; it still computes in float32.
        plain: Whether an `.onnx` file is written without what makes large models faster on CPUs, and slower elsewhere.
        report: The report.json of `stargan evaluate` about this model, for its card.
        licence: Licence of the training data, in words; None leaves what the source says.
        limits: What the model should not be used for, in words, for its card.

    Returns:
        What the model says about itself.

    Raises:
        ModelError: The source or the report cannot be read, the kind is unknown, or `out` exists.
    """
    if out.suffix not in WRITERS:
        raise ModelError(f"{out}: cannot write this kind of model; known: {', '.join(WRITERS)}")
    if out.exists() and not overwrite:
        raise ModelError(f"{out}: exists; say --overwrite to replace it")
    if limits and not report:
        raise ModelError("limits stand on a model's card, which needs a report")

    def described(info: ModelInfo) -> ModelInfo:
        if report:
            info = replace(info, card=_card(report, limits, info))
        return info if licence is None else replace(info, licence=licence)

    path = _located(source)
    if path.suffix == out.suffix == ".onnx" and not half and not plain:
        return onnx_file.describe(path, out, described)
    info, arrays = read_model(source)
    info = described(info)
    WRITERS[out.suffix](out, info, arrays, half, plain)
    return info


def _located(source: Path) -> Path:
    """The file to export."""
    # The newest checkpoint goes first: the model files of a run that was prolonged are those of before.
    kept = run_folder.checkpoints(source)
    return kept[-1] if kept else locations.locate(source)


def _card(report: Path, limits: str, info: ModelInfo) -> Card:
    try:
        return Card.from_report(json.loads(report.read_text(encoding="utf-8")), limits, info.domains.to_json())
    except FileNotFoundError as error:
        raise ModelError(f"{report}: no such file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{report}: cannot be read as JSON ({error})") from error
    except ModelError as error:
        raise ModelError(f"{report}: {error}") from error


def read_model(source: Path) -> tuple[ModelInfo, safetensors_file.Arrays]:
    """Reads what is to be exported; the argument and the errors are those of `export`."""
    path = _located(source)
    if path.suffix == ".onnx":
        raise ModelError(f"{path}: an .onnx file is an end product; export from the .safetensors file or the run")
    info, arrays, _ = safetensors_file.read(path)
    return info, arrays


def _safetensors(path: Path, info: ModelInfo, arrays: safetensors_file.Arrays, half: bool, plain: bool) -> None:
    if half:
        raise ModelError(f"{path}: only an .onnx file is written with weights in float16")
    if plain:
        raise ModelError(f"{path}: only an .onnx file can be plain or not; this kind holds weights alone")
    safetensors_file.write(path, info, arrays, {})


def _onnx(path: Path, info: ModelInfo, arrays: safetensors_file.Arrays, half: bool, plain: bool) -> None:
    framework = engine.framework(info.engine, "write .onnx files")
    graphs = framework.export_onnx(info.architecture, info.domains, arrays, half=half, plain=plain)
    if graphs.difference > TOLERANCE:
        found = f"its results differ from those of {info.engine} by {graphs.difference:.1e}"
        raise ModelError(f"{path}: {found}; nothing was written")
    onnx_file.write(path, info, graphs.generator, graphs.classifier)


WRITERS: dict[str, Callable[[Path, ModelInfo, safetensors_file.Arrays, bool, bool], None]] = {
    ".onnx": _onnx,
    ".safetensors": _safetensors,
}
