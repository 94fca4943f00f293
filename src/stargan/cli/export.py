"""`stargan export`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from stargan.cli.options import Command, Flag, Model, OptionalFile, OptionalFolder, Shared, Text, check_output, option
from stargan.errors import ConfigError
from stargan.interop import export, foreign


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Convert a model to another kind of file.

    Attributes:
        model: A run folder or a .safetensors file; an .onnx file only to change its card or licence.
        out: The file to write, .onnx or .safetensors.
        official: Write a pair of checkpoints for the official code into this folder, instead of a file.
        half: Keep the weights of an .onnx file in float16: half the size, almost the same images.
        plain: Write an .onnx file for GPUs and phones; the default is faster on CPUs.
        report: The report.json of stargan evaluate about this model, for its card.
        licence: Licence of the training data.
        limits: What the model should not be used for; it is printed on the card.
        overwrite: Replace existing files.
    """

    model: Model
    out: Annotated[tyro.conf.Positional[Path | None], option("FILE")] = None
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
    check_output("FILE", options.out, folder=False)
    export.export(options.model, options.out, overwrite=options.overwrite, **chosen)
    print(options.out)
    return 0


COMMAND = Command(Options, run)
