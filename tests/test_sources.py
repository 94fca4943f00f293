"""The data set at a `--data` path, and the error line where there is none."""

from pathlib import Path

import numpy as np
import pytest
from datasets import HAIR, celeba, error_line, faces, some_rows, table, write_image

from stargan.data import sources, summary
from stargan.data.cache import CachedImages
from stargan.data.sources import Source, find, find_all
from stargan.errors import DataError

# ---------------------------------------------------------------- exclusive groups


def test_exclusive_group_stands_at_its_first_member(tmp_path: Path) -> None:
    source = find(faces(tmp_path), ["Male", "Brown", "Black", "Blond"], [HAIR])
    assert source.label_set.names == ("Male", "Black", "Blond", "Brown")
    hair = source.label_set.groups[1]
    assert (hair.names, hair.categorical) == (("Black", "Blond", "Brown"), False)  # two images show none
    assert source.labels[6].tolist() == [1, 0, 0, 1]


def test_exclusive_group_of_which_one_is_always_on(tmp_path: Path) -> None:
    rows = {f"{i}.png": "+-" if i % 2 else "-+" for i in range(6)}
    (group,) = find(celeba(tmp_path, "A B", rows), [], ["A,B"]).label_set.groups
    assert (group.categorical, group.name) == (True, "")


@pytest.mark.parametrize(("count", "refused"), [(10, True), (40, False)])
def test_images_with_two(tmp_path: Path, count: int, refused: bool) -> None:
    rows = {f"{i:02}.png": "+-" if i % 2 else "-+" for i in range(count)} | {"both.png": "++"}
    root = celeba(tmp_path, "A B", rows)
    if refused:
        assert "--exclusive A,B: both.png has A and B" in error_line(root, [], ["A,B"])
    else:
        source = find(root, [], ["A,B"])
        assert not source.label_set.groups[0].categorical
        assert source.labels[-1].tolist() == [1, 1]


def test_label_in_two_groups(tmp_path: Path) -> None:
    assert "Blond is named twice" in error_line(faces(tmp_path), [], ["Black,Blond", "Blond,Brown"])
    assert "Black is named twice" in error_line(tmp_path, [], ["Black,Black"])


# ---------------------------------------------------------------- several sets


def test_joint(tmp_path: Path) -> None:
    for name in ("happy/1.png", "sad/1.png"):
        write_image(tmp_path / "moods" / name)
    found, domains = find_all([faces(tmp_path / "faces"), tmp_path / "moods"], ["Male", "Black"], [])
    assert [source.name for source in found] == ["faces", "moods"]
    assert domains.names == ("Male", "Black", "happy", "sad")
    assert domains.num_labels == 6  # with the domain mask


def test_joint_errors(tmp_path: Path) -> None:
    paths = [faces(tmp_path / "faces"), table(tmp_path / "t.csv", some_rows())]
    with pytest.raises(DataError, match="did you mean smiling"):
        find_all(paths, ["smilin"])
    with pytest.raises(DataError, match="Male,smiling: no single data set has all of these"):
        find_all(paths, [], ["Male,smiling"])
    with pytest.raises(DataError, match="no data set named"):
        find_all([])


def test_sets_of_the_same_name(tmp_path: Path) -> None:
    one, two = faces(tmp_path / "one" / "faces"), faces(tmp_path / "two" / "faces")
    found, domains = find_all([one, two, two])
    assert [source.name for source in found] == ["one-faces", "two-faces", "two-faces-2"]
    assert [label_set.name for label_set in domains.sets] == ["one-faces", "two-faces", "two-faces-2"]


# ---------------------------------------------------------------- split, summary


def test_hashed_split_never_changes() -> None:
    names = [f"{i:06}.jpg" for i in range(1, 2001)]
    split = sources.hashed_split(names)
    other = sources.hashed_split([f"elsewhere/{name}" for name in names])
    assert 0.1 < (split != other).mean() < 0.3  # the folder counts
    assert np.bincount(split).tolist() == PINNED
    assert split.dtype == np.uint8
    assert sources.hashed_split(["caf\udce9.jpg"]).shape == (1,)  # a name that is no UTF-8


PINNED = [1812, 91, 97]  # of these 2,000 names; other numbers would move images between train and test


def test_summary(tmp_path: Path) -> None:
    source = find(faces(tmp_path / "faces"), [], [HAIR])
    pixels = np.zeros((10, 200, 100, 3), np.uint8)
    text = summary.table(source, CachedImages(pixels, {3: "no such file"}))
    assert "faces (celeba): 10 images, 4 labels" in text
    assert "at most one of Black, Blond, Brown" in text
    assert "unreadable: 003.png: no such file\nleft out: 1 unreadable image, which the counts include" in text
    blond = next(line for line in text.splitlines() if line.startswith("Blond"))
    assert blond.split()[-1] == "3"
    assert "unreadable" not in summary.table(source)
    assert summary.contact_sheet(source, CachedImages(pixels, {3: "no such file"})).width < 6 * 60
    everything_bad = dict.fromkeys(range(10), "damaged")
    assert summary.contact_sheet(source, CachedImages(pixels, everything_bad)).height > 0


def test_summary_of_the_smallest_set(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png"):
        write_image(tmp_path / name)
    source: Source = find(tmp_path)
    assert "domain: exactly one of a, b" in summary.table(source)
    summary.contact_sheet(source, CachedImages(np.zeros((2, 1, 1, 3), np.uint8), {}))
