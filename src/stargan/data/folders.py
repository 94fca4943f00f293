"""A folder of folders: each folder with images in it is a domain."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stargan.data import image_files, masks
from stargan.data.columns import Columns
from stargan.data.splits import indices, split_and_rest, split_of
from stargan.domains.names import clean, key
from stargan.errors import DataError
from stargan.progress import counted

GROUP = "domain"
"""The group that the folders make. Whoever names it with `--attributes` insists that all folders are domains."""

_NO_DOMAIN = frozenset({"unknown", "unlabeled", "unlabelled", "all", "images", "unsorted"})
"""Names of folders in a test split whose images have no label."""


@dataclass
class _Layout:
    """Which domain and split each file belongs to.

    Attributes:
        domains: By file, the name of its folder.
        splits: By file, its split; empty if the data set has none.
        notes: What the user has to know.
    """

    domains: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def by_domain(self) -> dict[str, list[str]]:
        """The files of each domain."""
        found: dict[str, list[str]] = {}
        for file, domain in self.domains.items():
            found.setdefault(domain, []).append(file)
        return found

    def leave_out(self, files: Sequence[str], why: str) -> None:
        """Removes files, and notes it."""
        for file in files:
            del self.domains[file]
            self.splits.pop(file, None)
        if files:
            self.notes.append(f"left out: {counted(len(files), 'image')} {why}")


def read(path: Path, attributes: Sequence[str] = ()) -> Columns:
    """Reads a folder with a folder for each domain, with or without splits.

    The splits may be above the domains (`train/cat`), below them (`cat/train`) or in their names (`trainA`, CycleGAN's
    layout).

    Args:
        path: The folder.
        attributes: What the user wants to learn; see `GROUP`.

    Raises:
        DataError: Fewer than two domains, or folders that may be something else; the line suggests what to do.
    """
    found = image_files.find(path)
    insists = any(name.strip().casefold() == GROUP for name in attributes)
    layout = _layout(path, found.files, insists)
    _join_spellings(layout)
    if layout.splits:
        _leave_out_unlabelled(layout)
    _leave_out_masks(path, layout, insists)
    names = sorted(layout.by_domain())
    if len(names) < 2:
        raise DataError(_too_few(path, names, layout, found))
    index = {name: place for place, name in enumerate(names)}
    split = indices(layout.splits.values())
    return Columns(
        path=path,
        kind="folders",
        root=path,
        files=tuple(layout.domains),
        groups={GROUP: (tuple(names), np.array([index[domain] for domain in layout.domains.values()]))},
        split=np.array([split[layout.splits[file]] for file in layout.domains], np.uint8) if split else None,
        notes=[*found.notes(), *layout.notes],
    )


# ---------------------------------------------------------------- domains and splits


def _layout(path: Path, files: Sequence[str], insists: bool) -> _Layout:
    inside = [file for file in files if "/" in file]
    tops = list(dict.fromkeys(file.split("/")[0] for file in inside))
    layout = _layout_of(path, inside, tops, insists)
    loose = len(files) - len(inside)
    if loose and inside:
        layout.notes.append(f"left out: {counted(loose, 'image')} beside the folders, in none of them")
    return layout


def _layout_of(path: Path, files: Sequence[str], tops: Sequence[str], insists: bool) -> _Layout:
    split_names = {top: split for top in tops if (split := split_of(top))}
    others = [top for top in tops if top not in split_names]
    if split_names:
        return _splits_above(path, files, split_names, others, insists)
    crossed = {top: found for top in tops if (found := split_and_rest(top))}
    if len(crossed) > 1 and _are_splits(crossed) and not insists:
        others = [top for top in tops if top not in crossed and not masks.named(top)]
        if others:
            raise DataError(_unsure(path, crossed, f"but {others[0]} does not"))
        kept = [file for file in files if file.split("/")[0] in crossed]
        parts = {file: crossed[file.split("/")[0]] for file in kept}
        layout = _Layout(
            {file: domain for file, (_, domain) in parts.items()}, {file: split for file, (split, _) in parts.items()}
        )
        if len(kept) < len(files):
            layout.notes.append(f"left out: {counted(len(files) - len(kept), 'image')} in folders called as masks")
        return layout
    below = _splits_below(path, files, insists)
    return below or _Layout({file: file.split("/")[0] for file in files})


def _are_splits(crossed: Mapping[str, tuple[str, str]]) -> bool:
    """Whether names such as `trainA` and `testA` are splits; `steam_train` and `model_train` are not."""
    single = all(len(rest) == 1 for _, rest in crossed.values())
    return single or len({split for split, _ in crossed.values()}) > 1


def _splits_above(
    path: Path, files: Sequence[str], split_names: Mapping[str, str], others: Sequence[str], insists: bool
) -> _Layout:
    """`train/cat/1.jpg`; images directly in a split have no domain."""
    layout = _Layout()
    aside: Counter[str] = Counter()
    for file in files:
        top, *below = file.split("/")
        if top in split_names and len(below) > 1:
            layout.domains[file], layout.splits[file] = below[0], split_names[top]
        else:
            aside[top] += 1
    others = [top for top in others if not masks.named(top)]
    if not layout.domains:
        return _flat(path, files, split_names, others, insists)
    if others:
        if insists:
            return _Layout({file: file.split("/")[0] for file in files})
        raise DataError(_unsure(path, split_names, f"but {', '.join(others)} beside them does not"))
    for top, number in aside.items():
        where = f"directly in {top}, without a domain" if top in split_names else f"in {top}"
        layout.notes.append(f"left out: {counted(number, 'image')} {where}")
    return layout


def _flat(
    path: Path, files: Sequence[str], split_names: Mapping[str, str], others: Sequence[str], insists: bool
) -> _Layout:
    """No split has folders in it: `train` beside `car` and `bus` is a domain, `train` beside `test` is not."""
    if insists or (len(split_names) == 1 and len(others) > 1):
        notes = [] if insists else [f"{', '.join(split_names)}: taken for a domain, since {others[0]} is one beside it"]
        return _Layout({file: file.split("/")[0] for file in files}, notes=notes)
    if others:
        raise DataError(_unsure(path, split_names, f"but {', '.join(others)} beside them does not"))
    raise DataError(
        f"{path}: images directly in {', '.join(sorted(split_names))}; each must contain one folder for each domain"
    )


def _splits_below(path: Path, files: Sequence[str], insists: bool) -> _Layout | None:
    """`cat/train/1.jpg`; None if the folders in the domains are no splits."""
    found = {file: split_of(file.split("/")[1]) if file.count("/") > 1 else None for file in files}
    named = {split for split in found.values() if split}
    if insists or len(named) < 2:
        return None
    without = next((file for file, split in found.items() if split is None), None)
    if without:
        inner = {file.split("/")[1]: split for file, split in found.items() if split}
        raise DataError(_unsure(path, inner, f"but {without} lies in none of them"))
    return _Layout({file: file.split("/")[0] for file in files}, {file: str(split) for file, split in found.items()})


def _unsure(path: Path, looks: Mapping[str, object], but: str) -> str:
    names = ", ".join(sorted(looks))
    return (
        f"{path}: {names} look like splits, {but}; move one or the other, "
        f"or say --attributes {GROUP} if each folder is a domain"
    )


# ---------------------------------------------------------------- what is left out


def _join_spellings(layout: _Layout) -> None:
    """Gives the folders of a domain that is spelled in several ways (`Cat` in one split, `cat` in another) one name."""
    spelled: dict[str, str] = {}
    for domain in layout.by_domain():
        first = spelled.setdefault(key(domain), clean(domain))
        if first != clean(domain):
            layout.notes.append(f"{clean(domain)} and {first} are taken for one domain")
    layout.domains = {file: spelled[key(domain)] for file, domain in layout.domains.items()}


def _leave_out_unlabelled(layout: _Layout) -> None:
    """Leaves out folders such as `test/unknown`, unless there are training images of that name."""
    trained = {domain for file, domain in layout.domains.items() if layout.splits[file] == "train"}
    for domain, files in layout.by_domain().items():
        if trained and domain not in trained and (domain.lower() in _NO_DOMAIN or split_of(domain)):
            layout.leave_out(files, f"in {files[0].rpartition('/')[0]}, without a domain")


def _leave_out_masks(path: Path, layout: _Layout, insists: bool) -> None:
    """Leaves out folders that are called as those of masks and look so; refuses those that only look so."""
    domains = layout.by_domain()
    for domain, files in domains.items():
        others = [file for other, files in domains.items() if other != domain for file in files]
        if masks.named(domain) and masks.drawn(path, files):
            layout.leave_out(files, f"in {domain}, which are masks")
        elif not insists and _look_like_masks(path, files, others):
            raise DataError(
                f"{path}: the images in {domain} look like masks of those beside them; move them elsewhere, "
                f"or say --attributes {GROUP} if they are a domain"
            )


def _look_like_masks(path: Path, files: Sequence[str], others: Sequence[str]) -> bool:
    if not others or not masks.beside(files, others):
        return False
    return masks.drawn(path, files, gray=True) and not masks.drawn(path, others, gray=True)


def _too_few(path: Path, names: Sequence[str], layout: _Layout, found: image_files.ImageFiles) -> str:
    rule = "must be a folder with one folder of images for each domain, at least two"
    if not names:
        if found.files:
            beside = counted(len(found.files), "image")
            return f"{path}: {beside} but no folders or list of labels; {rule}, or {path.resolve().parent}?"
        return "; ".join([f"{path}: no images and no list of labels", *found.notes(), rule])
    (name,) = names
    one = f"{path}: only one domain, {name!r} with {counted(len(layout.domains), 'image')}"
    more = [note for note in layout.notes if note.startswith("left out")]
    empty = sorted(folder.name for folder in path.iterdir() if folder.is_dir() and not image_files.hidden(folder.name))
    empty = [folder for folder in empty if not any(file.startswith(f"{folder}/") for file in found.files)]
    inner = {file.split("/")[1] for file in layout.domains if file.count("/") > 1 and not layout.splits}
    if empty and not more:
        return f"{one}; no images in {', '.join(empty)}"
    if len(inner) > 1:
        return f"{one}; did you mean {path / name}?"
    return "; ".join([one, *more, rule])
