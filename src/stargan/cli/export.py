"""`stargan export`."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Annotated, Any

import tyro

from stargan.cli.options import Command, Flag, Model, OptionalFile, OptionalFolder, Shared, Text, check_output, option
from stargan.errors import ConfigError
from stargan.interop import export, foreign
from stargan.model.locations import name_of
from stargan.web import site


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Convert a model to another kind of file, or to a page that runs it in the browser.

    Attributes:
        model: A run folder or a .safetensors file; an .onnx file only for a page, or to change its card or licence.
        out: The file to write, .onnx or .safetensors; or a folder with a slash, such as site/, for a page.
        official: Write a pair of checkpoints for the official code into this folder, instead of a file.
        half: Keep the weights of an .onnx file in float16: half the size, almost the same images.
        plain: Write an .onnx file for GPUs and phones; the default is faster on CPUs.
        report: The report.json of stargan evaluate about this model, for its card.
        licence: Licence of the training data.
        limits: What the model should not be used for; it is printed on the card.
        overwrite: Replace existing files.
    """

    model: Model
    out: Annotated[tyro.conf.Positional[str | None], option("FILE|FOLDER/")] = None
    official: OptionalFolder = None
    half: Flag = False
    plain: Flag = False
    report: OptionalFile = None
    licence: Annotated[str | None, option("TEXT")] = None
    limits: Text = ""
    overwrite: Flag = False


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    if (options.out is None) == (options.official is None):
        raise ConfigError("say either which file to write or --official FOLDER")
    chosen = {name: getattr(options, name) for name in ("half", "plain", "report", "licence", "limits")}
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
    if options.out.endswith(("/", "\\")):
        _page(options, out, chosen)
        return 0
    if out.is_dir():
        raise ConfigError(f"FILE {out}: is a folder; must be a file, or {out}/ for a page")
    check_output("FILE", out, folder=False)
    export.export(options.model, out, overwrite=options.overwrite, **chosen)
    print(out)
    return 0


def _page(options: Options, folder: Path, chosen: dict[str, Any]) -> None:
    """Writes a page. Models to train on become an .onnx file first, in the form that suits browsers."""
    check_output("FOLDER", folder, folder=True)
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
