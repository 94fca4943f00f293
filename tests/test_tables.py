"""Tables: dialects, columns, and where their images are."""

from pathlib import Path

import pytest
from datasets import error_line, some_rows, table, write_image

from stargan.data.listed_files import locate
from stargan.data.sources import find
from stargan.domains import UNKNOWN


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
    assert find(tmp_path / "a.parquet").labels[2].tolist() == [0, UNKNOWN, UNKNOWN]
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
    assert find(file).files[1] == "1.png"  # there are no masks
    for index in range(4):
        write_image(tmp_path / f"{index}.jpg")
    assert "face and mask could both be the image files" in error_line(file)
    file.write_text("a,b\n1,2\n")
    assert "no column of image files among a, b" in error_line(file)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "empty"),
        ("path,on\n", "no rows"),
        ("path,on\n1.png,1\n2.png\n", "line 3: 1 cell, but 2 columns"),
        ("path,on\n1.png,1\n2.png,1,0\n", "line 3: 3 cells, but 2 columns"),
        ("path,on\n1.png,1\n,0\n", "row 2 below the names: path is empty"),
        ("path,on\n1.png,1\n1.png,0\n", "1.png is listed twice, with different labels"),
        ("path,on,on\n1.png,1,1\n", "two columns have the same name"),
        ("path,on\n7.png,1\n8.png,0\n", "column path: 7.png and the next are not found"),
        ("path,on,split\n1.png,1,train\n2.png,0,later\n", "'later' is none of train, val"),
        ("path,on,train\n1.png,1,1\n2.png,0,0\n", "column train may be a split; call it is_train"),
        ("path,on,a,b\n1.png,1,train,test\n2.png,0,test,train\n", "a and b could both be the split"),
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
    assert "age cannot be learned: it holds numbers other than 0 and 1, from 0 to 10.5; --bins" in error_line(
        file, ["age"]
    )
    assert "winter is one value of season; name season" in error_line(file, ["winter"])
    assert "--exclusive groups binary attributes; season is not one" in error_line(file, [], ["smiling,season"])
    ids: list[dict[str, object]] = [{"path": f"{i}.png", "on": i % 2, "id": f"n{i}"} for i in range(70)]
    file = table(tmp_path / "ids.csv", ids)
    assert find(file).label_set.names == ("on",)
    assert "id cannot be learned: it holds 70 different texts" in error_line(file, ["id"])


# ---------------------------------------------------------------- dialects

LABELS = ["happy", "happy", "sad"]


@pytest.mark.parametrize(
    "text",
    [
        "path,label|i/1.png,happy|i/2.png,happy|i/3.png,sad|",
        "path, label|i/1.png, happy|i/2.png , happy |i/3.png, sad|",
        "path\tlabel|i/1.png\thappy|i/2.png\thappy|i/3.png\tsad",
        "path;label;score, mean|i/1.png;happy;1,5|i/2.png;happy;1,5|i/3.png;sad;2,5",
        "sep=;|path;label|i/1.png;happy|i/2.png;happy|i/3.png;sad",
        "path,label,|i/1.png,happy,|i/2.png,happy,|i/3.png,sad,",
        "path,label|i/1.png,happy,|i/2.png,happy|i/3.png,sad,",
        "path,label|i/1.png,happy||i/2.png,happy|i/3.png,sad|,|,||",
        "i/1.png,happy|i/2.png,happy|i/3.png,sad",
        "happy,i/1.png|happy,i/2.png|sad,i/3.png",
        "label,path|happy,i\\1.png|happy,.\\i\\2.png|sad,./i/3.png",
        ",path,label|0,i/1.png,happy|1,i/2.png,happy|2,i/3.png,sad",
        "# made by hand|path,label|i/1.png,happy|i/2.png,happy|i/3.png,sad",
        "#path,label|i/1.png,happy|i/2.png,happy|i/3.png,sad",
        '"path","label"|"i/1.png","happy"|"i/2.png","happy"|"i/3.png","sad"',
        "label,image_id|happy,1|happy,2|sad,3",
        "1,happy|2,happy|3,sad",
        "Image Name,Label|1.PNG,happy|2.png,happy|3.png,Sad",
        "path,label|C:\\data\\i\\1.png,happy|C:\\data\\i\\2.png,happy|C:\\data\\i\\3.png,sad",
        "path,label|/home/me/i/1.png,happy|/home/me/i/2.png,happy|/home/me/i/3.png,sad",
        "path,label|i/1.png,happy|i/1.png,happy|i/2.png,happy|i/3.png,sad",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_dialects(tmp_path: Path, text: str, encoding: str, newline: str) -> None:
    for index in range(1, 4):
        write_image(tmp_path / "i" / f"{index}.png")
    (tmp_path / "t.csv").write_bytes(text.replace("|", newline).encode(encoding))
    source = find(tmp_path / "t.csv")
    assert (
        source.label_set.names == (("happy", "Sad") if "Sad" in text else ("happy", "sad"))[:: 1 - 2 * ("Sad" in text)]
    )
    assert [source.path(row) for row in range(3)] == [tmp_path / "i" / f"{index}.png" for index in (1, 2, 3)]
    happy = source.label_set.names.index("happy")
    assert source.labels[:, happy].tolist() == [1, 1, 0]


@pytest.mark.parametrize(("ending", "separator"), [(".txt", " "), (".txt", "  "), (".csv", "|"), (".tsv", "\t")])
def test_other_separators(tmp_path: Path, ending: str, separator: str) -> None:
    lines = [separator.join((f"{index}.png", "ab"[index % 2])) for index in range(4)]
    for index in range(4):
        write_image(tmp_path / f"{index}.png")
    (tmp_path / f"t{ending}").write_text("\n".join(lines))
    source = find(tmp_path / f"t{ending}")
    assert source.label_set.names == ("a", "b")
    assert source.notes == (f"t{ending}: no line with names; the columns are called path, label",)


def test_western_windows_and_other_encodings(tmp_path: Path) -> None:
    for index in range(3):
        write_image(tmp_path / f"{index}.png")
    text = "path,label\n0.png,g\u00e9n\u00e9\n1.png,sad\n2.png,sad\n"
    (tmp_path / "t.csv").write_bytes(text.encode("cp1252"))
    assert find(tmp_path / "t.csv").label_set.names == ("g\u00e9n\u00e9", "sad")
    assert find(tmp_path / "t.csv").notes == ("t.csv: not UTF-8; read as Windows-1252",)
    (tmp_path / "t.csv").write_bytes(text.replace("g\u00e9n\u00e9", "\u5feb\u4e50").encode("gb18030"))
    assert "save it as UTF-8" in error_line(tmp_path / "t.csv")


# ---------------------------------------------------------------- where the images are


@pytest.mark.parametrize("place", ["images", "a/b", "../Img/all"])
@pytest.mark.parametrize("names", [["1.png", "2.png"], ["1", "2"], ["photos/1.png", "photos/2.png"]])
def test_images_elsewhere(tmp_path: Path, place: str, names: list[str]) -> None:
    (tmp_path / "lists").mkdir()
    folder = tmp_path / "lists" / place / ("photos" if "/" in names[0] else "")
    for index in (1, 2):
        write_image(folder / f"{index}.png")
    (tmp_path / "lists" / "labels.csv").write_text(f"file,label\n{names[0]},a\n{names[1]},b\n")
    source = find(tmp_path / "lists" / "labels.csv")
    assert [source.path(row).resolve() for row in range(2)] == [folder.resolve() / f"{index}.png" for index in (1, 2)]


def test_images_in_two_folders(tmp_path: Path) -> None:
    """HAM10000 as it comes."""
    write_image(tmp_path / "part_1" / "a.jpg")
    write_image(tmp_path / "part_2" / "b.jpg")
    (tmp_path / "t.csv").write_text("image_id,dx\na,nv\nb,mel\n")
    assert find(tmp_path / "t.csv").files == ("part_1/a.jpg", "part_2/b.jpg")
    assert find(tmp_path).kind == "folders"  # two folders of images are two domains, unless the list is usual
    (tmp_path / "t.csv").rename(tmp_path / "metadata.csv")
    assert find(tmp_path).label_set.names == ("mel", "nv")


def test_an_image_of_another_folder_is_not_taken(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "1.png")
    write_image(tmp_path / "test" / "2.png")
    (tmp_path / "t.csv").write_text("file,label\ntrain/1.png,a\ntrain/2.png,b\n")
    assert find(tmp_path / "t.csv").files == ("train/1.png", "train/2.png")  # the second is missing, and said to be


def test_accents_of_another_system(tmp_path: Path) -> None:
    for name in ("cafe\u0301.png", "b.png"):
        write_image(tmp_path / name)
    (tmp_path / "t.csv").write_text("file,label\ncaf\u00e9.png,a\nb.png,b\n", "utf-8")
    assert find(tmp_path / "t.csv").path(0).is_file()


def test_celeba_as_kaggle_has_it(tmp_path: Path) -> None:
    for index in range(1, 5):
        write_image(tmp_path / "img_align_celeba" / "img_align_celeba" / f"{index}.jpg")
    rows = "".join(f"{index}.jpg,{index % 2 * 2 - 1},-1\n" for index in range(1, 5))
    (tmp_path / "list_attr_celeba.csv").write_text("image_id,Male,Bald\n" + rows)
    (tmp_path / "list_bbox_celeba.csv").write_text("image_id,x_1\n" + "".join(f"{i}.jpg,95\n" for i in range(1, 5)))
    (tmp_path / "list_eval_partition.csv").write_text("image_id,partition\n1.jpg,0\n2.jpg,0\n3.jpg,1\n4.jpg,2\n")
    for path in (tmp_path, tmp_path / "list_attr_celeba.csv"):
        source = find(path)
        assert source.label_set.names == ("Male",)
        assert source.split.tolist() == [0, 0, 1, 2]
        assert source.notes == ("left out: Bald: 0 in all images",)


# ---------------------------------------------------------------- the split


@pytest.mark.parametrize("name", ["set", "split", "Usage", "anything"])
def test_a_column_that_says_train_or_test(tmp_path: Path, name: str) -> None:
    rows: list[dict[str, object]] = [
        {"path": f"{i}.png", "label": "ab"[i % 2], name: "PublicTest" if i > 3 else "Training"} for i in range(6)
    ]
    source = find(table(tmp_path / "t.csv", rows))
    assert source.label_set.names == ("a", "b")
    assert source.split.tolist() == [0, 0, 0, 0, 2, 2]
    assert find(tmp_path / "t.csv", [name]).label_set.names == ("PublicTest", "Training")


@pytest.mark.parametrize(("name", "first", "second"), [("is_train", 0, 2), ("is_valid", 1, 0), ("partition", 1, 0)])
def test_numbers_for_splits(tmp_path: Path, name: str, first: int, second: int) -> None:
    rows: list[dict[str, object]] = [{"path": f"{i}.png", "label": "ab"[i % 2], name: int(i < 3)} for i in range(6)]
    source = find(table(tmp_path / "t.csv", rows))
    assert source.label_set.names == ("a", "b")
    assert source.split.tolist() == [first] * 3 + [second] * 3


def test_words_of_splits_in_a_label(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"path": f"{i}.png", "vehicle": ("train", "car")[i % 2]} for i in range(6)]
    assert find(table(tmp_path / "t.csv", rows)).label_set.names == ("car", "train")


@pytest.mark.parametrize(("folder", "first"), [("home/img", "../img/0.png"), ("home/list/img", "img/0.png")])
def test_absolute_paths_near_a_table_are_the_same_images_after_a_move(tmp_path: Path, folder: str, first: str) -> None:
    (tmp_path / "home" / "list").mkdir(parents=True)
    names = [str(write_image(tmp_path / folder / f"{number}.png")) for number in range(3)]
    before = locate(tmp_path / "home" / "list", names)
    assert before.files[0] == first
    (tmp_path / "home").rename(tmp_path / "moved")
    after = locate(tmp_path / "moved" / "list", names)
    assert after.found == before.found == 3
    assert after.files == before.files
