"""The data set at a `--data` path, and the error line where there is none."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stargan.data import sources, summary
from stargan.data.cache import CachedImages
from stargan.data.sources import SPLITS, Source, find, find_all
from stargan.errors import DataError, StarganError

HAIR = "Black,Blond,Brown"


def write_image(path: Path, colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path)
    return path


def celeba(root: Path, names: str, rows: dict[str, str], *, images: str = "img_align_celeba") -> Path:
    """A folder in CelebA format; each row is an image and its values, each + or -."""
    values = {name: " ".join(" 1" if sign == "+" else "-1" for sign in signs) for name, signs in rows.items()}
    lines = [str(len(rows)), names, *(f"{name}  {signs}" for name, signs in values.items())]
    for name in rows:
        write_image(root / images / name)
    (root / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return root


def faces(root: Path) -> Path:
    """Ten images: hair colours (two images show none), Male, and Bald, which nobody is."""
    signs = ["+----", "-+-+-", "--+--", "+--+-", "-----", "-+---", "--++-", "+----", "-+-+-", "-----"]
    return celeba(root, "Black Blond Brown Male Bald", {f"{i:03}.png": s for i, s in enumerate(signs)})


def table(path: Path, rows: list[dict[str, object]], delimiter: str = ",") -> Path:
    for row in rows:
        write_image(path.parent / str(row["path"]))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def some_rows() -> list[dict[str, object]]:
    return [
        {"path": f"images/{i}.png", "smiling": i % 2, "season": ("winter", "summer")[i // 2 % 2], "age": i * 1.5}
        for i in range(8)
    ]


def error_line(path: Path, *args: list[str]) -> str:
    """The error's text, which is one line."""
    with pytest.raises(StarganError) as caught:
        find(path, *args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- CelebA format


def test_celeba(tmp_path: Path) -> None:
    source = find(faces(tmp_path / "faces"))
    assert (source.name, source.kind) == ("faces", "celeba")
    assert source.label_set.names == ("Black", "Blond", "Brown", "Male")  # nobody is bald: not learned
    assert source.labels.dtype == source.split.dtype == np.uint8
    assert source.labels[1].tolist() == [0, 1, 0, 1]
    assert source.files[1] == "001.png"
    assert source.path(1).is_file()


@pytest.mark.parametrize("images", [".", "photos", "img_align_celeba", "img_align_celeba/img_align_celeba"])
def test_celeba_finds_its_images(tmp_path: Path, images: str) -> None:
    (tmp_path / "another" / "folder").mkdir(parents=True)
    source = find(celeba(tmp_path, "A B", {"1.png": "+-", "2.png": "-+"}, images=images))
    assert source.root == tmp_path / images


def test_celeba_list_file_itself(tmp_path: Path) -> None:
    by_file, by_folder = find(faces(tmp_path / "faces") / "list_attr_celeba.txt"), find(tmp_path / "faces")
    assert (by_file.name, by_file.files) == (by_folder.name, by_folder.files)


def test_celeba_partition(tmp_path: Path) -> None:
    root = faces(tmp_path)
    lines = [f"{i:03}.png {i % 3}" for i in range(10)]
    (root / "list_eval_partition.txt").write_text("\n".join(lines))
    assert find(root).split.tolist() == [i % 3 for i in range(10)]


def test_partition_errors(tmp_path: Path) -> None:
    root = faces(tmp_path)
    (root / "list_eval_partition.txt").write_text("000.png 0\n001.png 3\n")
    assert "list_eval_partition.txt: line 2" in error_line(root)


def test_partition_of_another_list(tmp_path: Path) -> None:
    expected = find(faces(tmp_path)).split
    partition = tmp_path / "list_eval_partition.txt"
    partition.write_text("a.png 2\nb.png 2\n")
    assert (find(tmp_path).split == expected).all()
    partition.write_text("000.png 2\n001.png 2\n")
    assert "has no line for 002.png" in error_line(tmp_path)


def test_attributes_in_the_users_order_and_any_case(tmp_path: Path) -> None:
    source = find(faces(tmp_path), ["male", "BLOND"])
    assert source.label_set.names == ("Male", "Blond")
    assert source.labels[1].tolist() == [1, 1]
    assert source.labels[5].tolist() == [0, 1]


def test_attribute_errors(tmp_path: Path) -> None:
    root = faces(tmp_path)
    assert "did you mean Blond?" in error_line(root, ["Blonde"])
    assert "did you mean Brown?" in error_line(root, [], ["Black,Browm"])
    assert "Bald is 0 in all 10 images: nothing to translate to" in error_line(root, ["Bald"])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "line 1"),
        ("two\nA B\n1.png 1 1\n", "line 1 must be the number"),
        ("²\nA B\n1.png 1 1\n2.png -1 -1\n", "line 1 must be the number"),
        ("3\nA B\n1.png 1 1\n2.png -1 -1\n", "line 1 gives 3 images, but 2 are listed"),
        ("2\nA B\n1.png 1 1\n2.png -1\n", "line 4: 1 values for 2 names"),
        ("2\nA B\n1.png 1 1\n2.png -1 -1 1\n", "line 4: 3 values for 2 names"),
        ("2\nA B\n1.png 1 0\n2.png -1 -1\n", "line 3: B is '0'; must be 1 or -1"),
        ("2\nA B\n1.png 1 1\n1.png -1 -1\n", "line 4: 1.png is listed twice"),
        ("2\nA A\n1.png 1 1\n2.png -1 -1\n", "line 2 names A twice"),
        ("2\nA B\n1.png 1 1\n/etc/passwd -1 -1\n", "line 4: /etc/passwd lies outside"),
        ("2\nA B\n1.png 1 1\nx/../../2.png -1 -1\n", "line 4: x/../../2.png lies outside"),
        ("2\nA B\nno.png 1 1\nnone.png -1 -1\n", "none of the listed images (no.png, ...)"),
        ("2\nA B\n1.png 1 1\n2.png 1 1\n", "A is 1 in all images; B is 1 in all images"),
    ],
)
def test_malformed_list(tmp_path: Path, text: str, line: str) -> None:
    write_image(tmp_path / "1.png")
    (tmp_path / "list_attr.txt").write_text(text)
    message = error_line(tmp_path)
    assert str(tmp_path) in message
    assert line in message


def test_list_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "list_attr.txt").write_bytes(b"1\nA\n\xff\xfe.png 1\n")
    assert "UTF-8" in error_line(tmp_path)


def test_two_lists(tmp_path: Path) -> None:
    (faces(tmp_path) / "list_attr_mine.txt").write_text("0\n")
    assert "list_attr_celeba.txt and list_attr_mine.txt" in error_line(tmp_path)


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


# ---------------------------------------------------------------- folders


def test_folders(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/deep/er/1.PNG", "a/1.png", "a/.hidden.png", ".git/x.png", "__MACOSX/a/1.png"):
        write_image(tmp_path / "set" / name)
    (tmp_path / "set" / "a" / "readme.txt").write_text("not an image")
    source = find(tmp_path / "set")
    assert (source.name, source.kind) == ("set", "folders")
    assert source.files == ("a/1.png", "b/2.png", "b/deep/er/1.PNG")
    (group,) = source.label_set.groups
    assert (group.names, group.categorical, group.name) == (("a", "b"), True, "domain")
    assert source.labels.tolist() == [[1, 0], [0, 1], [0, 1]]


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_folders_with_splits(tmp_path: Path, val: str) -> None:
    for split in ("train", val, "test"):
        for domain in ("x", "y"):
            write_image(tmp_path / split / domain / "1.png")
    source = find(tmp_path)
    assert source.label_set.names == ("x", "y")
    for split in SPLITS:
        (folder,) = {source.files[row].split("/")[0] for row in source.rows(split)}
        assert folder == (val if split == "val" else split)


def test_too_few_folders(tmp_path: Path) -> None:
    assert "no images" in error_line(tmp_path)
    write_image(tmp_path / "one" / "1.png")
    assert "only one domain, 'one' with 1 images" in error_line(tmp_path)
    write_image(tmp_path / "one" / "winter" / "1.png")
    write_image(tmp_path / "one" / "summer" / "1.png")
    assert f"did you mean {tmp_path / 'one'}?" in error_line(tmp_path)
    assert (
        f"1 images but no folders or list of labels; must be a folder with one folder of images for each "
        f"domain, at least two, or {tmp_path / 'one'}?" in error_line(tmp_path / "one" / "winter")
    )


def test_hidden_things_inside_domains(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "a/.cache/2.png", "a/__MACOSX/3.png", "a/x/.4.png"):
        write_image(tmp_path / name)
    assert find(tmp_path).files == ("a/1.png", "b/1.png")


def test_empty_domain_folder(tmp_path: Path) -> None:
    write_image(tmp_path / "winter" / "1.png")
    (tmp_path / "summer").mkdir()
    assert "only one domain, 'winter' with 1 images; no images in summer" in error_line(tmp_path)


def test_splits_are_not_domains(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_image(tmp_path / "flat" / split / "1.png")
        for domain in ("x", "y"):
            write_image(tmp_path / "mixed" / split / domain / "1.png")
    assert "images directly in test, train" in error_line(tmp_path / "flat")
    write_image(tmp_path / "mixed" / "extra" / "1.png")
    assert "train are splits, but extra beside them is not" in error_line(tmp_path / "mixed")


def test_not_a_data_set(tmp_path: Path) -> None:
    assert "no such file or folder" in error_line(tmp_path / "none")
    assert "one image; must be" in error_line(write_image(tmp_path / "a.png"))
    (tmp_path / "a.zip").write_bytes(b"")
    assert "not a data set; must be a folder with a list_attr*.txt" in error_line(tmp_path / "a.zip")


# ---------------------------------------------------------------- tables


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
    assert (split == sources.hashed_split([f"elsewhere/{name}" for name in names])).all()
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
    assert "unreadable: 003.png: no such file" in text
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
