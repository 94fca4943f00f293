"""`stargan import`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from stargan.cli.options import Command, Crop, Flag, Labels, OptionalFile, Shared, check_output, option
from stargan.config.architecture import parse_size
from stargan.config.checks import check_crop
from stargan.interop import foreign


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Convert a checkpoint of the official code, of taki0112's or of CycleGAN's and pix2pix's to a model file.

    Attributes:
        checkpoint: N-G.ckpt of the official code; prefix or folder of taki0112's; latest_net_G_A.pth of CycleGAN's,
            latest_net_G.pth of pix2pix's, or of one direction of CycleGAN.
        out: The model file to write, .safetensors or .onnx.
        discriminator: N-D.ckpt of the official code; found by itself beside N-G.ckpt.
        attributes: Names of the attributes, in order; by default CelebA's five, if there are five.
        one_of_n: Names of the classes of which each image has exactly one; after --attributes, those of the second
            data set. Of CycleGAN's two domains, A and B by default.
        image_size: Size of the images; by default the discriminator's, or 128; 256 for CycleGAN.
        crop: How much of an image was used in training, around its centre: a fraction, up to 1, of what fits, or the
            shorter side in pixels. Default: as much as fits, as of CelebA's images.
        face_crop: celeba for a model trained on CelebA or on faces cut like CelebA's, none for any other. Default:
            celeba for CelebA's five attributes or a crop of 178.
        overwrite: Replace an existing file.
    """

    checkpoint: Annotated[tyro.conf.Positional[Path], option("CHECKPOINT")]
    out: Annotated[tyro.conf.Positional[Path], option("FILE")]
    discriminator: OptionalFile = None
    attributes: Labels = ()
    one_of_n: Labels = ()
    image_size: Annotated[str | None, option("N|WxH")] = None
    crop: Crop = None
    face_crop: Annotated[foreign.FaceCropName | None, option()] = None
    overwrite: Flag = False


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    check_output("FILE", options.out, folder=False)
    check_crop(options)
    info = foreign.import_model(
        options.checkpoint,
        options.out,
        discriminator=options.discriminator,
        attributes=options.attributes,
        one_of_n=options.one_of_n,
        image_size=parse_size(options.image_size) if options.image_size else None,
        crop=options.crop,
        face_crop=options.face_crop,
        overwrite=options.overwrite,
    )
    print(f"{options.out}: {info.recipe}, {'x'.join(map(str, info.image_size))}, {', '.join(info.domains.names)}")
    return 0


COMMAND = Command(Options, run)
