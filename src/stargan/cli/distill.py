"""`stargan distill`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from stargan import runs
from stargan.cli.options import Command, Model, Shared, check_output, option
from stargan.cli.train import tell
from stargan.config.recipes import recipe

STUDENT = recipe("student")


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Train a small model that does what another one does, many times faster.

    For example: stargan distill celeba --data faces --run runs/small --minutes 60

    It learns from the translations of the other model. `stargan train --resume` continues it; `stargan train --recipe
    student --teacher MODEL` has all options.

    Attributes:
        model: The model to learn from.
        data: Labelled images with the labels of that model.
        run: Folder for the new run.
        minutes: Train for this time instead, if the steps would take longer.
        steps: Number of updates.
        width: Channels of the first layer, a multiple of 16.
        blocks: Residual blocks.
        details: Channels that add details at the full size of the image, a multiple of 8; 0 is fastest.
        seed: Seed of all random numbers.
    """

    model: Model
    data: Annotated[tuple[str, ...], option("DATA")]
    run: Annotated[Path, option("FOLDER")]
    minutes: Annotated[float | None, option("MINUTES")] = None
    steps: Annotated[int, tyro.conf.arg(metavar="INT")] = STUDENT.steps
    width: Annotated[int, tyro.conf.arg(metavar="INT")] = STUDENT.width
    blocks: Annotated[int, tyro.conf.arg(metavar="INT")] = STUDENT.blocks
    details: Annotated[int, tyro.conf.arg(metavar="INT")] = STUDENT.details
    seed: Annotated[int, tyro.conf.arg(metavar="INT")] = STUDENT.seed


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    check_output("--run", options.run, folder=True)
    names = ("minutes", "steps", "width", "blocks", "details", "seed")
    settings = {name: getattr(options, name) for name in names}
    return tell(runs.distill(options.model, options.data, options.run, **settings))


COMMAND = Command(Options, run)
