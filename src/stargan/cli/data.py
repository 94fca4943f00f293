"""`stargan data`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from stargan import images
from stargan.cli.options import (
    Bins,
    Command,
    Flag,
    Int,
    LabelGroups,
    Labels,
    OptionalFile,
    OptionalFolder,
    Range,
    Shared,
    check_output,
    option,
)
from stargan.config.architecture import Method
from stargan.config.checks import check_range
from stargan.config.training import Align, Direction
from stargan.data import cache, pairs, ranges, remote, shard_writer, sources, summary
from stargan.data.sources import Source
from stargan.errors import ConfigError, one_line
from stargan.faces import CELEBA
from stargan.progress import Progress
from stargan.storage import remove_leftovers, temporary_path


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Look at a data set before training on it: images per label and split, what is left out, unreadable files.

    Attributes:
        path: Folder in CelebA's format, folder with a folder for each label, table, shards, or an address of these; or
            with --method pix2pix, pairs.
        attributes: Labels to look at; by default all.
        exclusive: Attributes that exclude each other; repeat it for another group.
        bins: Column of numbers to cut into groups, as age=0,20,40,60; repeat it for another column.
        method: pix2pix to read pairs of images, in each form that training with this method takes.
        direction: Which domain of pairs, in order of their names, is translated to which.
        align: faces to look for faces in photos and cut out the largest one of each, as in training with this option.
        range: Values of samples that become black and white in images with more than 8 bits or floats. Default: from
            the images.
        sheet: File for a contact sheet, which shows some images of each label.
        overwrite: Replace an existing file that is not an earlier contact sheet.
        max_bad: How many unreadable images to leave out before the data are refused; -1 for any number.
        shards: Empty or new folder, or address such as s3://bucket/faces, to write the images to as WebDataset shards,
            with their labels and splits, in a random order.
        shard_size: Images in a shard.
        keep_order: Write them in the order of the data. Sorted data then make shards of one label, and training with
            --window needs shards that have images of all kinds.
    """

    path: Annotated[tyro.conf.Positional[Path], option("DATA")]
    attributes: Labels = ()
    exclusive: LabelGroups = ()
    bins: Bins = ()
    method: Annotated[Method, option()] = "stargan"
    direction: Annotated[Direction, option()] = "AtoB"
    align: Annotated[Align, option()] = "none"
    range: Range = None
    sheet: OptionalFile = None
    overwrite: Flag = False
    max_bad: Int = -1
    shards: OptionalFolder = None
    shard_size: Int = 1000
    keep_order: Flag = False


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    if options.sheet:  # before the images are read
        check_output("--sheet", options.sheet, folder=False)
        images.kind(options.sheet)
        if not options.overwrite and not images.may_replace(_NAME, options.sheet):
            raise ConfigError(
                f"--sheet {options.sheet}: exists, and is no contact sheet; say --overwrite to replace it"
            )
    if options.shard_size < 1:
        raise ConfigError(f"--shard-size {options.shard_size}: must be at least 1")
    if options.shards:
        shard_writer.check_empty(options.shards)
    check_range(options.range)
    source = _find(options)
    total, notes = len(source.files), list[str]()
    samples = ranges.of_sources([source], options.range, notes.append)
    cache.default_folder().mkdir(parents=True, exist_ok=True)
    remove_leftovers(cache.default_folder())
    with (
        Progress(f"read {source.name}", total, "images") as progress,
        temporary_path(cache.default_folder(), folder=True) as folder,
    ):
        loaded = cache.load(
            source,
            (summary.SIDE, summary.SIDE),
            align=CELEBA if options.align == "faces" else None,
            range=samples,
            max_bad=total if options.max_bad < 0 else options.max_bad,
            folder=folder,  # training decodes at a size of its own
            report=lambda done, total: progress.update(done),
        )
        print("\n".join([summary.table(source, loaded), *map(one_line, notes)]))
        if options.sheet:
            sheet = summary.contact_sheet(source, loaded)
            images.save_as_made_by(_NAME, sheet, options.sheet)
            print(f"contact sheet: {options.sheet}")
    if options.shards:
        written = shard_writer.write(
            source, options.shards, options.shard_size, loaded.bad.keys(), keep_order=options.keep_order
        )
        print(f"shards: {len(written)} in {remote.address(options.shards) or options.shards}")
    return 0


def _find(options: Options) -> Source:
    if options.method != "pix2pix":
        if options.direction != "AtoB":
            raise ConfigError(f"--direction {options.direction}: is for --method pix2pix")
        return sources.find(options.path, options.attributes, options.exclusive, options.bins)
    for name in ("attributes", "exclusive", "bins", "shards"):
        if getattr(options, name):
            raise ConfigError(f"--{name}: cannot be used with --method pix2pix, which keeps pairs of images together")
    return pairs.find([str(options.path)], options.direction)[0]


_NAME = "stargan data"  # in the EXIF data of contact sheets
COMMAND = Command(Options, run)
