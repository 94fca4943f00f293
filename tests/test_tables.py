"""Tables: dialects, columns, and where their images are."""

from pathlib import Path

import pytest
from datasets import error_line, some_rows, table, write_image

from stargan.data.sources import find


def test_table(tmp_path: Path) -> None:
    source = find(table(tmp_path / "cats.csv", some_rows()))
    assert (source.name, source.kind, source.root) == ("cats", "table", tmp_path)
    assert source.label_set.names == ("smiling", "summer", "winter")
    smiling, season = source.label_set.groups
    assert (smiling.categorical, season.categorical, season.name) == (False, True, "season")
    assert source.labels[1].tolist() == [1, 0, 1]
    assert source.path(3).is_file()


def test_tsv_semicolons_and_byte_order_mark(tmp_path: Path) -> None:
    expected = find(table(tmp_path / "a.csv", some_rows())).labels
    assert (find(table(tmp_path / "a.tsv", some_rows(), "\t")).labels == expected).all()
    semicolons = table(tmp_path / "b.csv", some_rows(), ";")
    semicolons.write_bytes(b"\xef\xbb\xbf" + semicolons.read_bytes())
    assert (find(semicolons).labels == expected).all()


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = some_rows()
    expected = find(table(tmp_path / "a.csv", rows))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["smiling"] = [bool(value) for value in columns["smiling"]]
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    source = find(tmp_path / "a.parquet")
    assert source.label_set == expected.label_set
    assert (source.labels == expected.labels).all()
    columns["season"][2] = None
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    assert "row 3: season is empty" in error_line(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_text("text")
    assert "not a parquet table" in error_line(tmp_path / "a.parquet")


@pytest.mark.parametrize("words", [("0", "1"), ("-1", "1"), ("false", "TRUE"), ("No", "Yes"), ("0.0", "1.0")])
def test_binary_words(tmp_path: Path, words: tuple[str, str]) -> None:
    rows: list[dict[str, object]] = [{"path": f"{i}.png", "on": words[i % 2]} for i in range(4)]
    source = find(table(tmp_path / "t.csv", rows))
    assert source.label_set.groups[0].names == ("on",)
    assert source.labels[:, 0].tolist() == [0, 1, 0, 1]


def test_table_split_and_absolute_paths(tmp_path: Path) -> None:
    words = ("train", "val", "valid", "validation", "test", "Train")
    rows: list[dict[str, object]] = [
        {"path": str(tmp_path / f"{i}.png"), "on": i % 2, "Split": word} for i, word in enumerate(words)
    ]
    source = find(table(tmp_path / "t.csv", rows))
    assert source.split.tolist() == [0, 1, 1, 1, 2, 0]
    assert source.path(0) == tmp_path / "0.png"


def test_path_column(tmp_path: Path) -> None:
    text = "".join(f"{i}.png,{i}.jpg,{i % 2}\n" for i in range(4))
    for index in range(4):
        write_image(tmp_path / f"{index}.png")
    file = tmp_path / "t.csv"
    file.write_text("image,mask,on\n" + text)
    assert find(file).files[1] == "1.png"
    file.write_text("face,mask,on\n" + text)
    assert "face and mask could both be the image files" in error_line(file)
    file.write_text("a,b\n1,2\n")
    assert "no column of image files among a, b" in error_line(file)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "empty"),
        ("path,on\n", "no rows"),
        ("path,on\n1.png,1\n2.png,\n", "line 3: on is empty"),
        ("path,on\n1.png,1\n2.png\n", "line 3: 1 cells, line 1 has 2"),
        ("path,on\n1.png,1\n1.png,0\n", "1.png is listed twice"),
        ("path,on,on\n1.png,1,1\n", "two columns have the same name"),
        ("path,on\n7.png,1\n8.png,0\n", "7.png and the next are not found"),
        ("path,on,split\n1.png,1,train\n2.png,0,dev\n", "'dev' is none of train, val"),
    ],
)
def test_malformed_table(tmp_path: Path, text: str, line: str) -> None:
    write_image(tmp_path / "1.png")
    file = tmp_path / "t.csv"
    file.write_text(text)
    message = error_line(file)
    assert str(file) in message
    assert line in message


def test_columns_that_cannot_be_learned(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", some_rows())
    assert "age cannot be learned: it holds numbers" in error_line(file, ["age"])
    assert "winter is one value of season; name season" in error_line(file, ["winter"])
    assert "--exclusive groups binary attributes; season is not one" in error_line(file, [], ["smiling,season"])
    ids: list[dict[str, object]] = [{"path": f"{i}.png", "on": i % 2, "id": f"n{i}"} for i in range(70)]
    file = table(tmp_path / "ids.csv", ids)
    assert find(file).label_set.names == ("on",)
    assert "id cannot be learned: it holds 70 different texts" in error_line(file, ["id"])


def test_labels_of_three_values_and_ids(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"path": f"{i}.png", " on": i % 2, "three": i % 3 - 1, "id": f"n{i}"} for i in range(6)
    ]
    file = table(tmp_path / "t.csv", rows)
    assert find(file).label_set.names == ("on",)
    assert "three cannot be learned: it holds -1, 0" in error_line(file, ["three"])
    assert "id cannot be learned: it is different for every image" in error_line(file, ["id"])
