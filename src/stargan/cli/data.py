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
    """Show what is in a data set: labels per domain and split, unreadable files, a contact sheet.

    Attributes:
        path: Folder in CelebA format, folder of folders, or table.
        attributes: Which labels to look at; all of them if none are named.
        exclusive: Attributes that exclude each other, as A,B,C; say it again for another group.
        sheet: Where to write a contact sheet.
        max_bad: How many unreadable pictures are tolerated; --max-bad -1 tolerates all.
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
    images.kind(options.sheet)  # before the pictures are read
    source = sources.find(options.path, options.attributes, options.exclusive)
    total = len(source.files)
    with Progress(f"read {source.name}", total, "pictures") as progress:
        pictures = cache.load(
            source,
            (128, 128),
            max_bad=total if options.max_bad < 0 else options.max_bad,
            report=lambda done, total: progress.update(done),
        )
    print(summary.table(source, pictures))
    images.save(summary.contact_sheet(source, pictures), options.sheet)
    print(f"contact sheet: {options.sheet}")
    return 0
