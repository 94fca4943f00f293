"""`stargan demo`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from stargan import demo as demonstration
from stargan.cli.options import check_output, parse
from stargan.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Options:
    """Translate drawn faces with a model that comes with stargan; or train such a model, in some minutes.

    Attributes:
        out: Folder for all that it makes; the picture is translations.png in it.
        train: Draw faces, train a small model on them, and translate faces it never saw.
        steps: Updates of D for --train; fewer are faster and worse.
    """

    out: Path = Path("demo")
    train: bool = False
    steps: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse(Options, arguments, "demo")
    check_output("--out", options.out, folder=True)
    if options.train:
        return demonstration.train(options.out, options.steps)
    if options.steps is not None:
        raise ConfigError("--steps is of the training; say --train as well")
    demonstration.show(options.out)
    return 0
