"""`stargan demo`."""

import dataclasses
from pathlib import Path

from stargan import demo
from stargan.cli.options import Command, Flag, Folder, OptionalInt, Shared, check_output
from stargan.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Translate drawn faces with a model that comes with stargan, or train such a model in a few minutes.

    Attributes:
        out: Folder for the results; the translations are in translations.png.
        train: Draw faces, train a small model on them, and translate faces that it has not seen.
        steps: Updates of D for --train; fewer take less time and give worse images.
    """

    out: Folder = Path("demo")
    train: Flag = False
    steps: OptionalInt = None


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    check_output("--out", options.out, folder=True)
    if options.train:
        return demo.train(options.out, options.steps)
    if options.steps is not None:
        raise ConfigError("--steps is for the training; say --train as well")
    demo.show(options.out)
    return 0


COMMAND = Command(Options, run)
