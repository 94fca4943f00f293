"""`stargan cartoons`."""

import dataclasses
from pathlib import Path

import tyro

from stargan.cli.options import check_output, parse
from stargan.config.architecture import MAX_SIDE
from stargan.data import cartoons
from stargan.errors import ConfigError
from stargan.progress import Progress


@dataclasses.dataclass(frozen=True)
class Options:
    """Draw a data set of cartoon faces, in CelebA's format.

    Attributes:
        out: Folder to write.
        count: Number of faces.
        size: Width and height in pixels.
        seed: Each seed draws different faces.
    """

    out: tyro.conf.Positional[Path]
    count: int = 2000
    size: int = 128
    seed: int = 0


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse(Options, arguments, "cartoons")
    for name, low in (("count", 1), ("size", 8), ("seed", 0)):
        if getattr(options, name) < low:
            raise ConfigError(f"--{name} {getattr(options, name)}: must be at least {low}")
    if options.size > MAX_SIDE:
        raise ConfigError(f"--size {options.size}: must be at most {MAX_SIDE}")
    check_output("OUT", options.out, folder=True)
    with Progress("draw", options.count, "faces") as progress:
        cartoons.write(options.out, options.count, seed=options.seed, size=options.size, progress=progress.update)
    print(f"{options.count} faces in {options.out}")
    return 0
