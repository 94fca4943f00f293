"""`stargan export`."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Annotated, Any

import tyro

from stargan.cli.options import Command, Flag, Model, OptionalFolder, Shared, Text, check_output, option
from stargan.errors import ConfigError
from stargan.interop import export, foreign
from stargan.interop.form import SAVED_MODEL, Quantization
from stargan.model.locations import name_of
from stargan.web import site

CHOICES = ("half", "plain", "quantize", "calibrate", "report", "licence", "limits")
"""Options that say how a file stores the model, and what its description says."""


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Convert a model to another kind of file, or to a page that runs it in the browser.

    For example: stargan export celeba faces.tflite

    Attributes:
        model: A run folder or a .safetensors file; or an .onnx file, but not for a .safetensors file.
        out: The file to write: .onnx, .safetensors to train on, .keras, or .tflite for phones. Or a folder with a
            slash: NAME_savedmodel/ for TensorFlow Serving, any other name, such as site/, for a page.
        official: Write a pair of checkpoints for the official code into this folder, instead of a file.
        half: Keep the weights of an .onnx or .tflite file in float16: half the size, almost the same images.
        plain: Write an .onnx file for GPUs and phones; the default is faster on CPUs.
        quantize: Store a .tflite file in fewer bits: weights as float16, weights as int8 (dynamic), or all numbers as
            int8. Or compute the convolutions of an .onnx file in int8.
        calibrate: Images, or folders of them, like those to translate, for --quantize int8; 100 or more are best.
        report: What stargan evaluate wrote about this model, report.json or its folder, for its card.
        licence: Licence of the training data.
        limits: What the model should not be used for; it is printed on the card.
        overwrite: Replace existing files.
    """

    model: Model
    out: Annotated[tyro.conf.Positional[str | None], option("FILE|FOLDER/")] = None
    official: OptionalFolder = None
    half: Flag = False
    plain: Flag = False
    quantize: Annotated[Quantization | None, option()] = None
    calibrate: Annotated[tuple[Path, ...], option("IMAGES...")] = ()
    report: Annotated[Path | None, option("FILE|FOLDER")] = None
    licence: Annotated[str | None, option("TEXT")] = None
    limits: Text = ""
    overwrite: Flag = False


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    if (options.out is None) == (options.official is None):
        raise ConfigError("say either which file to write or --official FOLDER")
    chosen = {name: getattr(options, name) for name in CHOICES}
    if options.official:
        if any(chosen.values()):
            name = next(name for name, value in chosen.items() if value)
            raise ConfigError(f"--{name}: a checkpoint of the official code has no place for it; leave it out")
        check_output("--official", options.official, folder=True)
        for path in foreign.export_official(options.model, options.official, overwrite=options.overwrite):
            print(path)
        return 0
    assert options.out is not None
    out = Path(options.out)
    if options.out.endswith(("/", "\\")) and not out.name.endswith(SAVED_MODEL):
        _page(options, out, chosen)
        return 0
    folder = out.name.endswith(SAVED_MODEL)
    if out.is_dir() and not folder:
        raise ConfigError(f"FILE {out}: is a folder; must be a file, or {out}/ for a page")
    check_output("FILE", out, folder=folder)
    export.export(options.model, out, overwrite=options.overwrite, **chosen)
    print(out)
    return 0


def _page(options: Options, folder: Path, chosen: dict[str, Any]) -> None:
    """Writes a page. Models to train on become an .onnx file first, in the form that suits browsers."""
    check_output("FOLDER", folder, folder=True)
    if any([chosen.pop("quantize"), chosen.pop("calibrate")]):
        raise ConfigError("--quantize: is only for .onnx and .tflite files; export such an .onnx file to a page")
    site.check(folder, options.overwrite)
    path = export.locate(options.model)
    with tempfile.TemporaryDirectory() as temporary:
        if path.suffix != ".onnx" or any(chosen.values()):
            path = Path(temporary) / "model.onnx"
            small = {} if export.locate(options.model).suffix == ".onnx" else {"half": True, "plain": True}
            export.export(options.model, path, **(chosen | small))
        site.write(path, name_of(options.model), folder, overwrite=options.overwrite)
    print(folder / "index.html")


COMMAND = Command(Options, run)
