"""`stargan export`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from stargan.cli.options import check_output, parse
from stargan.errors import ConfigError
from stargan.interop import export as exporting
from stargan.interop import foreign


@dataclasses.dataclass(frozen=True)
class Options:
    """Write a model as another kind of file.

    Attributes:
        model: A run folder or a .safetensors file; an .onnx file only for another card or licence.
        out: The file to write, .onnx or .safetensors.
        official: Folder for a pair of checkpoints that the official code loads, instead of a file.
        half: Keep the weights of an .onnx file in float16: half the size, the same speed, hardly another picture.
        plain: Write the .onnx file for GPUs and phones. Else G is written as CPUs compute it faster: the same pictures
            but for rounding.
        report: The report.json of stargan evaluate about this model, from which it gets a card.
        licence: Licence of the training data, in words.
        limits: What the model should not be used for, in words; stands on the card.
        overwrite: Replace files that exist.
    """

    model: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path | None] = None
    official: Path | None = None
    half: bool = False
    plain: bool = False
    report: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    licence: Annotated[str | None, tyro.conf.arg(metavar="TEXT")] = None
    limits: Annotated[str, tyro.conf.arg(metavar="TEXT")] = ""
    overwrite: bool = False


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse(Options, arguments, "export")
    if (options.out is None) == (options.official is None):
        raise ConfigError("say either which file to write or --official FOLDER")
    chosen = {name: getattr(options, name) for name in ("half", "plain", "report", "licence", "limits")}
    if options.official:
        if any(chosen.values()):
            word = next(name for name, value in chosen.items() if value)
            raise ConfigError(f"--{word}: a checkpoint of the official code has no place for it; leave it out")
        check_output("--official", options.official, folder=True)
        for path in foreign.export_official(options.model, options.official, overwrite=options.overwrite):
            print(path)
        return 0
    check_output("OUT", options.out, folder=False)
    exporting.export(options.model, options.out, overwrite=options.overwrite, **chosen)
    print(options.out)
    return 0
