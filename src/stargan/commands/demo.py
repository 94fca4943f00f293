"""`stargan demo`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from stargan import demo as demonstration
from stargan.options import parse


@dataclasses.dataclass(frozen=True)
class Options:
    """Draw faces, train a small model on them, translate faces it never saw. Takes some minutes.

    Attributes:
        out: Folder for all that it makes; the picture is translations.png in it.
        steps: Updates of D; fewer are faster and worse.
    """

    out: Path = Path("demo")
    steps: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse(Options, arguments, "demo")
    return demonstration.run(options.out, options.steps)
