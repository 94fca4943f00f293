"""`stargan import`."""

import dataclasses
from pathlib import Path

import tyro

from stargan.cli.options import check_output, parse
from stargan.config.architecture import parse_size
from stargan.errors import ConfigError
from stargan.interop import foreign


@dataclasses.dataclass(frozen=True)
class Options:
    """Make a model file from a checkpoint of the official code or of taki0112's.

    Attributes:
        checkpoint: N-G.ckpt of the official code, or prefix or folder of taki0112's.
        out: The model file to write, .safetensors or .onnx.
        discriminator: N-D.ckpt; taken by itself where it lies beside N-G.ckpt.
        attributes: Names of the labels that are on or off, in order; CelebA's five where there are five.
        one_of_n: Names of the labels of which exactly one is on; with --attributes too, those of the second set.
        image_size: Size of the pictures, N or WIDTHxHEIGHT; by default the discriminator's, else 128.
        crop: Pixels of a picture's shorter side that are kept, centred; default: all that fits.
        overwrite: Replace a file that exists.
    """

    checkpoint: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    discriminator: Path | None = None
    attributes: tuple[str, ...] = ()
    one_of_n: tuple[str, ...] = ()
    image_size: str | None = None
    crop: int | None = None
    overwrite: bool = False


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse(Options, arguments, "import")
    check_output("OUT", options.out, folder=False)
    if options.crop is not None and options.crop < 1:
        raise ConfigError(f"--crop {options.crop}: must be at least 1")
    info = foreign.import_model(
        options.checkpoint,
        options.out,
        discriminator=options.discriminator,
        attributes=options.attributes,
        one_of_n=options.one_of_n,
        image_size=parse_size(options.image_size) if options.image_size else None,
        crop=options.crop,
        overwrite=options.overwrite,
    )
    print(f"{options.out}: {info.recipe}, {'x'.join(map(str, info.image_size))}, {', '.join(info.domains.names)}")
    return 0
