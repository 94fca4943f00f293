"""`stargan cartoons`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from stargan.cli.options import Command, Int, Shared, check_output, option
from stargan.config.architecture import MAX_SIDE
from stargan.data import cartoons
from stargan.errors import ConfigError
from stargan.progress import Progress, counted


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Draw a data set of cartoon faces, in CelebA's format.

    Attributes:
        out: The folder to write.
        count: Number of faces.
        size: Width and height in pixels.
        seed: Seed of the random numbers; another one draws other faces.
    """

    out: Annotated[tyro.conf.Positional[Path], option("FOLDER")]
    count: Int = 2000
    size: Int = 128
    seed: Int = 0


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    for name, low in (("count", 1), ("size", 8), ("seed", 0)):
        if getattr(options, name) < low:
            raise ConfigError(f"--{name} {getattr(options, name)}: must be at least {low}")
    if options.size > MAX_SIDE:
        raise ConfigError(f"--size {options.size}: must be at most {MAX_SIDE}")
    check_output("FOLDER", options.out, folder=True)
    with Progress("draw", options.count, "faces") as progress:
        cartoons.write(options.out, options.count, seed=options.seed, size=options.size, progress=progress.update)
    print(f"{counted(options.count, 'face')} in {options.out}")
    return 0


COMMAND = Command(Options, run)
