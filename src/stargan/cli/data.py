"""`stargan data`."""

import dataclasses
from pathlib import Path

import tyro

from stargan import images
from stargan.cli.options import check_output, parse
from stargan.data import cache, sources, summary
from stargan.progress import Progress


@dataclasses.dataclass(frozen=True)
class Options:
    """Summarize a data set: images by domain and split, unreadable files, a contact sheet.

    Attributes:
        path: Folder in CelebA's format, folder of folders, or table.
        attributes: Labels to include; all by default.
        exclusive: Attributes that exclude each other, as A,B,C; repeat the option for another group.
        sheet: File of the contact sheet.
        max_bad: How many unreadable images are allowed; --max-bad -1 allows any number.
    """

    path: tyro.conf.Positional[Path]
    attributes: tuple[str, ...] = ()
    exclusive: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    sheet: Path = Path("contact-sheet.png")
    max_bad: int = -1


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse(Options, arguments, "data")
    check_output("--sheet", options.sheet, folder=False)
    images.kind(options.sheet)  # before the images are read
    source = sources.find(options.path, options.attributes, options.exclusive)
    total = len(source.files)
    with Progress(f"read {source.name}", total, "images") as progress:
        cached = cache.load(
            source,
            (128, 128),
            max_bad=total if options.max_bad < 0 else options.max_bad,
            report=lambda done, total: progress.update(done),
        )
    print(summary.table(source, cached))
    images.save(summary.contact_sheet(source, cached), options.sheet)
    print(f"contact sheet: {options.sheet}")
    return 0
