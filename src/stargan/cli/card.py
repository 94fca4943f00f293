"""`stargan card`."""

import dataclasses
from pathlib import Path

import tyro

from stargan.cli.options import parse
from stargan.errors import ModelError
from stargan.inference.translator import load
from stargan.model.card_markdown import markdown


@dataclasses.dataclass(frozen=True)
class Options:
    """Print a model's card: its domains, its performance on each of them, and its limits.

    Attributes:
        model: Name of a shipped model, an .onnx or .safetensors file, or a run folder.
    """

    model: tyro.conf.Positional[Path]


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse(Options, arguments, "card")
    info = load(options.model).info
    if info.card is None:
        raise ModelError(f"{options.model}: has no card; add one with `stargan export --report`")
    print(markdown(options.model.stem, info, info.card), end="")
    return 0
