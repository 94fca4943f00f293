"""What the columns of a table say: attributes, groups, several labels, missing ones."""

from pathlib import Path

import pytest
from datasets import error_line, table

from stargan.data.sources import Source, find
from stargan.domains import UNKNOWN
from stargan.errors import DataError


def of(folder: Path, **columns: list[object]) -> Source:
    """The data set of a table with these columns; one label of its own makes every image usable."""
    count = len(next(iter(columns.values())))
    rows = [{"path": f"{i}.png", "own": i % 2, **{n: v[i] for n, v in columns.items()}} for i in range(count)]
    return find(table(folder / "t.csv", rows))


def labels(source: Source, *names: str) -> list[list[int | None]]:
    """The labels of some names; None where they are not known."""
    columns = [source.label_set.names.index(name) for name in names]
    return [[None if value == UNKNOWN else value for value in row] for row in source.labels[:, columns].tolist()]


# ---------------------------------------------------------------- missing labels


@pytest.mark.parametrize(
    "mark", ["", "nan", "NaN", "NA", "N/A", "null", "NULL", "None", "?", "unknown", "Unknown", "-", "#N/A", "missing"]
)
def test_missing_marks(tmp_path: Path, mark: str) -> None:
    hair: list[object] = ["black", "black", "blond", "blond", mark, mark]
    source = of(tmp_path, hair=hair, male=[1, 0, 1, 0, mark, 1])
    assert source.label_set.names == ("own", "male", "black", "blond")
    assert labels(source, "black", "blond") == [[1, 0], [1, 0], [0, 1], [0, 1], [None, None], [None, None]]
    assert labels(source, "male") == [[1], [0], [1], [0], [None], [1]]
    said = repr(mark) if mark else "empty"
    assert f"hair: not known in 2 images ({said})" in source.notes
    assert f"male: not known in 1 image ({said})" in source.notes


def test_images_without_any_label_are_left_out(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"path": f"{i}.png", "hair": ("a", "b", "nan")[i % 3]} for i in range(6)]
    source = find(table(tmp_path / "t.csv", rows))
    assert source.files == ("0.png", "1.png", "3.png", "4.png")
    assert source.labels.tolist() == [[1, 0], [0, 1]] * 2
    assert len(source.split) == 4
    assert "left out: 2 images of which no label is known" in source.notes


@pytest.mark.parametrize("code", [99, -99, 999, 9, -9, -1, 88])
def test_numbers_that_stand_for_a_missing_label(tmp_path: Path, code: int) -> None:
    source = of(tmp_path, male=[0, 1, 0, 1, 1, code], mood=[0, 1, 2, 3, 3, code])
    assert labels(source, "male") == [[0], [1], [0], [1], [1], [None]]
    assert source.label_set.groups[2].names == ("0", "1", "2", "3")
    assert labels(source, "3")[-1] == [None]
    assert f"male: {code} in 1 image taken for not known" in source.notes


def test_nine_is_a_digit_among_digits(tmp_path: Path) -> None:
    source = of(tmp_path, digit=[*range(10), *range(10)])
    assert source.label_set.groups[1].names == tuple(map(str, range(10)))


def test_zero_is_missing_where_minus_one_means_off(tmp_path: Path) -> None:
    source = of(tmp_path, male=[1, -1, 0, 1], bald=[1, -1, -1, 1])
    assert labels(source, "male") == [[1], [0], [None], [1]]


def test_a_column_of_numbers_with_gaps(tmp_path: Path) -> None:
    """Pandas writes whole numbers with .0 in a column with gaps."""
    source = of(tmp_path, male=["1.0", "0.0", "", "1.0"], kind=["1.0", "2.0", "", "2.0"])
    assert labels(source, "male") == [[1], [0], [None], [1]]
    assert labels(source, "1", "2") == [[1, 0], [0, 1], [None, None], [0, 1]]


# ---------------------------------------------------------------- groups


@pytest.mark.parametrize("numbers", [[0, 1, 2], [1, 2], [1, 2, 3, 4, 5]])
def test_whole_numbers_are_a_group(tmp_path: Path, numbers: list[object]) -> None:
    source = of(tmp_path, kind=numbers * 2)
    assert source.label_set.groups[1].names == tuple(map(str, numbers))
    assert source.label_set.groups[1].categorical


def test_more_than_ten_numbers_are_in_order(tmp_path: Path) -> None:
    assert of(tmp_path, kind=[*range(12)] * 2).label_set.groups[1].names == tuple(map(str, range(12)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "cat\ndog\nfox\n"),
        ("id2label.json", '{"0": "cat", "1": "dog", "2": "fox"}'),
        ("legend.json", '{"label": ["cat", "dog", "fox"]}'),
        ("labels.json", '{"cat": 0, "dog": 1, "fox": 2}'),
    ],
)
def test_a_legend_names_the_numbers(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    source = of(tmp_path, label=[0, 1, 2, 0])
    assert source.label_set.groups[1].names == ("cat", "dog", "fox")
    assert labels(source, "dog") == [[0], [1], [0], [0]]


def test_a_legend_with_minus_one(tmp_path: Path) -> None:
    (tmp_path / "legend.json").write_text('{"mood": {"-1": "sad", "0": "neutral", "1": "happy"}}')
    assert of(tmp_path, mood=[-1, 0, 1, 1]).label_set.groups[1].names == ("happy", "neutral", "sad")


def test_a_damaged_legend(tmp_path: Path) -> None:
    (tmp_path / "legend.json").write_text("[")
    with pytest.raises(DataError, match=r"legend.json: must be JSON such as"):
        of(tmp_path, label=[0, 1, 2, 0])


def test_numbers_of_a_group_are_left_out(tmp_path: Path) -> None:
    source = of(tmp_path, kind_id=[0, 1, 2, 0], kind=["cat", "dog", "fox", "cat"])
    assert source.label_set.names == ("own", "cat", "dog", "fox")
    assert source.notes == ("left out: kind_id: it only numbers the values of kind",)


def test_spellings_of_a_value(tmp_path: Path) -> None:
    source = of(tmp_path, mood=["happy", "Happy", "sad", "HAPPY "])
    assert source.label_set.names == ("own", "happy", "sad")


def test_values_of_the_same_name(tmp_path: Path) -> None:
    source = of(tmp_path, hair=["black", "blond", "black", "blond"], eyes=["black", "blue", "blue", "black"])
    assert source.label_set.names == ("own", "hair_black", "blond", "eyes_black", "blue")


def test_every_column_that_is_left_out_is_named(tmp_path: Path) -> None:
    source = of(
        tmp_path,
        age=[18.5, 30, 30, 62],
        code=["a1", "b2", "c3", "d4"],
        city=["Rome"] * 4,
        note=["", "", "", ""],
        sign=["a=b", "c", "a=b", "c"],
        fold=[0, 1, 0, 1],
    )
    assert source.label_set.names == ("own",)
    reasons = dict(note.removeprefix("left out: ").split(": ", 1) for note in source.notes)
    assert reasons.keys() == {"age", "code", "city", "note", "sign", "fold"}
    assert reasons["age"] == (
        "it holds numbers other than 0 and 1, from 18.5 to 62; --bins age=18.5,40.25,62 would make groups of them"
    )
    assert reasons["city"] == "Rome in all images"


# ---------------------------------------------------------------- several labels in a cell


@pytest.mark.parametrize(
    "cells",
    [
        ["young;smiling", "young", "smiling", "smiling;hat"],
        ["young, smiling", "young", "smiling", "smiling, hat"],
        ["young|smiling", "young", "smiling", "smiling|hat"],
        ["['young', 'smiling']", "['young']", "['smiling']", "['smiling', 'hat']"],
        ['["young","smiling"]', '["young"]', '["smiling"]', '["smiling","hat"]'],
        ["['young' 'smiling']", "['young']", "['smiling']", "['smiling' 'hat']"],
    ],
)
def test_several_labels_in_a_cell(tmp_path: Path, cells: list[object]) -> None:
    source = of(tmp_path, tags=[*cells, ""])
    assert source.label_set.names == ("own", "hat", "smiling", "young")
    assert all(len(group.names) == 1 for group in source.label_set.groups)
    expected = [[0, 1, 1], [0, 0, 1], [0, 1, 0], [1, 1, 0], [None, None, None]]
    assert labels(source, "hat", "smiling", "young") == expected
    assert find(tmp_path / "t.csv", ["tags"]).label_set.names == ("hat", "smiling", "young")
    assert find(tmp_path / "t.csv", ["hat"]).label_set.names == ("hat",)


def test_a_list_may_be_empty(tmp_path: Path) -> None:
    source = of(tmp_path, tags=["[]", "['a']", "['a','b']", "['b']"])
    assert labels(source, "a", "b")[0] == [0, 0]


def test_free_text_is_left_out(tmp_path: Path) -> None:
    source = of(tmp_path, caption=["one man, tall", "two women, old", "three cats, gray"])
    assert source.label_set.names == ("own",)
    assert "left out: caption: it holds 6 different texts" in source.notes[0]


# ---------------------------------------------------------------- bins


def test_bins(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"path": f"{i}.png", "Age": age} for i, age in enumerate([5, 19.9, 20, 45, 60, 70, "", "39,5"])
    ]
    source = find(table(tmp_path / "t.csv", rows), bins=["age=0,20,40,60"])
    (group,) = source.label_set.groups
    assert (group.name, group.names, group.categorical) == ("Age", ("0-20", "20-40", "40-60", "60+"), True)
    assert [group.names[row.argmax()] for row in source.labels] == ["0-20"] * 2 + ["20-40", "40-60"] + ["60+"] * 2 + [
        "20-40"
    ]
    assert find(tmp_path / "t.csv", bins=["age=30,50"]).label_set.names == ("under 30", "30-50", "50+")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("age", "must be a column and rising numbers"),
        ("age=20,10", "must be a column and rising numbers"),
        ("age=a,b", "must be a column and rising numbers"),
        ("size=1,2", "--bins size: no such column; must be one of age, name"),
        ("name=1,2", "--bins name: 'x' is not a number"),
    ],
)
def test_wrong_bins(tmp_path: Path, text: str, line: str) -> None:
    rows: list[dict[str, object]] = [{"path": f"{i}.png", "age": i, "name": "x"} for i in range(4)]
    with pytest.raises(DataError, match=line):
        find(table(tmp_path / "t.csv", rows), bins=[text])


def test_bins_of_a_folder(tmp_path: Path) -> None:
    from datasets import write_image

    for name in ("a/1.png", "b/1.png"):
        write_image(tmp_path / name)
    with pytest.raises(DataError, match="--bins cuts a column of a table"):
        find(tmp_path, bins=["age=1,2"])
    assert "Bald" in error_line(tmp_path, ["Bald"])
