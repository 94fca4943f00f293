"""`stargan export`."""

import dataclasses
from pathlib import Path

import tyro

from stargan.errors import ConfigError
from stargan.interop import export as exporting
from stargan.interop import foreign
from stargan.options import parse


@dataclasses.dataclass(frozen=True)
class Options:
    """Write a model as another kind of file.

    Attributes:
        model: A run folder or a .safetensors file.
        out: The file to write, .onnx or .safetensors.
        official: Folder for a pair of checkpoints that the official code loads, instead of a file.
        overwrite: Replace files that exist.
    """

    model: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path | None] = None
    official: Path | None = None
    overwrite: bool = False


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse(Options, arguments, "export")
    if (options.out is None) == (options.official is None):
        raise ConfigError("say either which file to write or --official FOLDER")
    if options.official:
        for path in foreign.export_official(options.model, options.official, overwrite=options.overwrite):
            print(path)
        return 0
    exporting.export(options.model, options.out, overwrite=options.overwrite)
    print(options.out)
    return 0
