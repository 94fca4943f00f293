"""Data sets as other programs keep them: Hugging Face, StyleGAN, zip."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from datasets import celeba, error_line, write_image
from PIL import Image

from stargan.data.sources import SPLITS, find


def content(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


def parquet(path: Path, rows: int, **columns: list[object]) -> Path:
    """A file as `datasets` writes it: images as bytes beside a path, and the names of labels in the metadata."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as library

    images = [{"bytes": content(("red", "blue")[row % 2]), "path": None} for row in range(rows)]
    table = pyarrow.table({"image": images, **columns})
    features = {name: {"names": ["cat", "dog"], "_type": "ClassLabel"} for name in columns if name == "label"}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    library.write_table(table, path)
    return path


def test_parquet_with_images(tmp_path: Path) -> None:
    source = find(parquet(tmp_path / "pets.parquet", 6, label=[row % 2 for row in range(6)]))
    assert (source.name, source.label_set.names) == ("pets", ("cat", "dog"))
    assert source.labels[:, 1].tolist() == [0, 1] * 3
    for row in range(6):
        image = Image.open(source.path(row))
        assert image.getpixel((0, 0)) == ((255, 0, 0), (0, 0, 255))[row % 2]
    assert find(tmp_path / "pets.parquet").files == source.files


def test_parquet_with_paths_alone(tmp_path: Path) -> None:
    """`to_parquet` keeps the paths of images, and not their content, of a data set that was made of paths."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as library

    for name in ("red", "blue"):
        write_image(tmp_path / f"{name}.png")
    paths = [str(tmp_path / "red.png"), "blue.png"]
    table = {"image": [{"bytes": None, "path": path} for path in paths], "label": ["a", "b"]}
    library.write_table(pyarrow.table(table), tmp_path / "pets.parquet")
    source = find(tmp_path / "pets.parquet")
    assert [source.path(row).read_bytes() for row in range(2)] == [Path(tmp_path, path).read_bytes() for path in paths]


def test_parquet_parts_with_splits(tmp_path: Path) -> None:
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001-abc"):
        parquet(tmp_path / "data" / f"{name}.parquet", 2, label=[0, 1])
    source = find(tmp_path)
    assert source.name == tmp_path.name
    assert [SPLITS[split] for split in source.split] == ["test"] * 2 + ["train"] * 4
    assert len(set(source.files)) == 6


def test_damaged_parquet_has_one_short_line(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", 4, other=["x"] * 4)
    assert len(error_line(path)) < 300
    path.write_bytes(path.read_bytes()[:-200])
    assert "a.parquet: not a parquet table" in error_line(path)


def test_parquet_page_that_claims_gigabytes(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as library

    path = tmp_path / "a.parquet"
    library.write_table(pyarrow.table({"path": ["a.png", "b.png"]}), path)
    content = path.read_bytes()
    assert content[4:7] == b"\x15\x04\x15"  # Thrift's compact form: a dictionary page, and then its size
    size_end = 7 + next(index for index, byte in enumerate(content[7:], 1) if byte < 0x80)
    path.write_bytes(content[:7] + b"\xfc\xff\xff\xff\x0f" + content[size_end:])  # 2 GiB
    line = error_line(path)
    assert "a.parquet: " in line
    assert "bytes of Parquet that would take over 1,0" in line


def test_parquet_without_rows(tmp_path: Path) -> None:
    assert error_line(parquet(tmp_path / "a.parquet", 0, label=[])).endswith("a.parquet: no rows in it")


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
@pytest.mark.parametrize("data", ["", "file"])
def test_metadata(tmp_path: Path, name: str, data: str) -> None:
    rows = [{"file_name": f"{i}.png", "label": "ab"[i % 2], "sure": True} for i in range(4)]
    for row in rows:
        write_image(tmp_path / str(row["file_name"]))
    lines = [json.dumps(row) for row in rows]
    if name.endswith("csv"):
        lines = ["file_name,label,sure", *(f"{row['file_name']},{row['label']},True" for row in rows)]
    (tmp_path / name).write_text("\n".join(lines))
    source = find(tmp_path / name if data else tmp_path)
    assert source.label_set.names == ("a", "b")
    assert source.labels.tolist() == [[1, 0], [0, 1]] * 2
    assert source.notes == ("left out: sure: 1 in all images",)


def test_metadata_of_each_split(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        for index in range(2):
            write_image(tmp_path / split / f"{index}.png")
        rows = [{"file_name": f"{i}.png", "tags": ["x"] if i else ["x", "y"]} for i in range(2)]
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = find(tmp_path)
    assert source.files == ("train/0.png", "train/1.png", "validation/0.png", "validation/1.png")
    assert source.split.tolist() == [0, 0, 1, 1]
    assert source.label_set.names == ("y",)
    assert source.labels[:, 0].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "line 2: not JSON"), ("[1]", "line 2: must be an object such as {'file_name': '1.jpg'}")],
)
def test_malformed_metadata(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "1.png", "label": "a"}\n' + line)
    assert message in error_line(tmp_path)


def test_stylegan(tmp_path: Path) -> None:
    names = [f"00000/img{index:08}.png" for index in range(4)]
    for name in names:
        write_image(tmp_path / name)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": [[name, i % 3] for i, name in enumerate(names)]}))
    assert find(tmp_path).label_set.groups[0].names == ("0", "1", "2")
    assert find(tmp_path / "dataset.json").files == tuple(names)
    (tmp_path / "dataset.json").write_text('{"labels": null}')
    assert "dataset.json: has no labels" in error_line(tmp_path)


def test_a_list_in_json(tmp_path: Path) -> None:
    rows = [{"image": f"{i}.png", "label": "ab"[i % 2]} for i in range(4)]
    for row in rows:
        write_image(tmp_path / row["image"])
    (tmp_path / "list.json").write_text(json.dumps(rows))
    assert find(tmp_path / "list.json").label_set.names == ("a", "b")


# ---------------------------------------------------------------- zip


def zipped(folder: Path, file: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, prefix + path.relative_to(folder).as_posix())
    return file


@pytest.mark.parametrize("prefix", ["", "inside/"])
def test_zip_of_folders(tmp_path: Path, prefix: str) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "__MACOSX/a/._1.png"):
        write_image(tmp_path / "set" / name)
    source = find(zipped(tmp_path / "set", tmp_path / "photos.zip", prefix))
    assert (source.name, source.kind, source.label_set.names) == ("photos", "folders", ("a", "b"))
    assert source.files == ("test/a/1.png", "train/a/1.png", "train/b/1.png")
    assert all(source.path(row).is_file() for row in range(3))


def test_zip_of_other_kinds(tmp_path: Path) -> None:
    celeba(tmp_path / "faces", "A B", {"1.png": "+-", "2.png": "-+"})
    assert find(zipped(tmp_path / "faces", tmp_path / "faces.zip")).label_set.names == ("A", "B")
    write_image(tmp_path / "gan" / "0" / "1.png")
    write_image(tmp_path / "gan" / "0" / "2.png")
    (tmp_path / "gan" / "dataset.json").write_text('{"labels": [["0/1.png", 0], ["0/2.png", 1]]}')
    assert find(zipped(tmp_path / "gan", tmp_path / "gan.zip")).label_set.names == ("label",)


def test_zip_that_writes_elsewhere(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../../evil.png", content("red"))
        archive.writestr("/a/1.png", content("red"))
        archive.writestr("b/1.png", content("blue"))
    source = find(tmp_path / "x.zip")
    assert source.files == ("a/1.png", "b/1.png")
    assert all(source.root in source.path(row).parents for row in range(2))


def test_damaged_zip(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    assert "a.zip: not a zip file that can be read" in error_line(tmp_path / "a.zip")


def test_zip_with_a_file_without_a_name(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a/1.png", "b/1.png", "QQQ"):
            archive.writestr(name, content("red"))
    path.write_bytes(path.read_bytes().replace(b"QQQ", b"\0QQ"))
    assert find(path).files == ("a/1.png", "b/1.png")


def test_zip_with_damaged_content(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", content("red"))
    head = 30 + len("1.png")
    path.write_bytes(path.read_bytes()[:head] + b"\xff" * 20 + path.read_bytes()[head + 20 :])
    assert "x.zip: not a zip file that can be read" in error_line(path)


def test_an_error_in_a_zip_names_the_zip(tmp_path: Path) -> None:
    write_image(tmp_path / "set" / "a" / "1.png")
    assert f"{tmp_path / 'x.zip'}: only one domain" in error_line(zipped(tmp_path / "set", tmp_path / "x.zip"))
