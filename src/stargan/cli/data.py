"""`stargan data`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from stargan import images
from stargan.cli.options import Command, Int, LabelGroups, Labels, check_output, option
from stargan.config.training import Align
from stargan.data import cache, sources, summary
from stargan.faces import CELEBA
from stargan.progress import Progress


@dataclasses.dataclass(frozen=True)
class Options:
    """Look at a data set before training on it: images per label and split, unreadable files, a contact sheet.

    Attributes:
        path: Folder in CelebA's format, folder with a folder for each label, or table.
        attributes: Labels to look at; by default all.
        exclusive: Attributes that exclude each other; repeat it for another group.
        align: faces to look for faces in photos and cut out the largest one of each, as in training with this option.
        sheet: File for the contact sheet.
        max_bad: How many unreadable images to leave out before the data are refused; -1 for any number.
    """

    path: Annotated[tyro.conf.Positional[Path], option("DATA")]
    attributes: Labels = ()
    exclusive: LabelGroups = ()
    align: Annotated[Align, option()] = "none"
    sheet: Annotated[Path, option("FILE")] = Path("contact-sheet.png")
    max_bad: Int = -1


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    check_output("--sheet", options.sheet, folder=False)
    images.kind(options.sheet)  # before the images are read
    source = sources.find(options.path, options.attributes, options.exclusive)
    total = len(source.files)
    with Progress(f"read {source.name}", total, "images") as progress:
        loaded = cache.load(
            source,
            (128, 128),
            align=CELEBA if options.align == "faces" else None,
            max_bad=total if options.max_bad < 0 else options.max_bad,
            report=lambda done, total: progress.update(done),
        )
    print(summary.table(source, loaded))
    images.save(summary.contact_sheet(source, loaded), options.sheet)
    print(f"contact sheet: {options.sheet}")
    return 0


COMMAND = Command(Options, run)
