"""Lists in CelebA's format."""

from pathlib import Path

import numpy as np
import pytest
from datasets import celeba, error_line, faces, write_image

from stargan.data.sources import find
from stargan.domains import UNKNOWN


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
        ("two\nA B\n1.png 1 1\n", "line 2: two is 'B'; must be 1 or -1"),
        ("²\nA B\n1.png 1 1\n2.png -1 -1\n", "line 2: ² is 'B'; must be 1 or -1"),
        ("2\nA B\n1.png 1 1\n2.png -1\n", "line 4: 1 value for 2 names"),
        ("2\nA B\n1.png 1 1\n2.png -1 -1 1\n", "line 4: 3 values for 2 names"),
        ("2\nA B\n1.png 1 5\n2.png -1 -1\n", "line 3: B is '5'; must be 1 or -1"),
        ("2\nA B\n1.png 1 1\n1.png -1 -1\n", "line 4: 1.png is listed twice"),
        ("2\nA A\n1.png 1 1\n2.png -1 -1\n", "line 2 names A twice"),
        ("2\nA B\n1.png 1 1\n/etc/passwd -1 -1\n", "line 4: /etc/passwd lies outside"),
        ("2\nA B\n1.png 1 1\nx/../../2.png -1 -1\n", "line 4: x/../../2.png lies outside"),
        ("2\nA B\nno.png 1 1\nnone.png -1 -1\n", "none of the listed images (no.png, ...)"),
        ("2\nA B\n1.png 1 1\n2.png 1 1\n", "A: 1 in all images; B: 1 in all images"),
    ],
)
def test_malformed_list(tmp_path: Path, text: str, line: str) -> None:
    write_image(tmp_path / "1.png")
    (tmp_path / "list_attr.txt").write_text(text)
    message = error_line(tmp_path)
    assert str(tmp_path) in message
    assert line in message


def test_list_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "list_attr.txt").write_bytes(b"1\nA\n\x81\xfe.png 1\n")
    assert "UTF-8" in error_line(tmp_path)


def test_two_lists(tmp_path: Path) -> None:
    (faces(tmp_path) / "list_attr_mine.txt").write_text("0\n")
    assert "list_attr_celeba.txt and list_attr_mine.txt" in error_line(tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        "3|Male Young|my pic.png 1 -1|2.png -1 1|3.png 1 1",
        "3|Male,Young|my pic.png,1,-1|2.png,-1,1|3.png,1,1",
        "3|Male Young|my pic.png 1 0|2.png 0 1|3.png 1 1",
        "Male Young|my pic.png 1 -1|2.png -1 1|3.png 1 1",
        "3|image_id Male Young|my pic.png 1 -1|2.png -1 1|3.png 1 1",
        "image_id,Male,Young|my pic.png,1,-1|2.png,-1,1|3.png,1,1",
        "3|Male\tYoung|my pic.png\t1\t-1|2.png\t-1\t1|3.png\t1\t1",
        "3|Male Young|my pic.png  1 -1 ||2.png -1  1|3.png  1  1|",
        "202599|Male Young|my pic.png 1 -1|2.png -1 1|3.png 1 1",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_dialects(tmp_path: Path, lines: str, encoding: str) -> None:
    for name in ("my pic.png", "2.png", "3.png"):
        write_image(tmp_path / "photos" / name)
    (tmp_path / "list_attr_x.txt").write_text(lines.replace("|", "\n"), encoding)
    source = find(tmp_path)
    assert source.files == ("my pic.png", "2.png", "3.png")
    assert source.label_set.names == ("Male", "Young")
    assert source.labels.tolist() == [[1, 0], [0, 1], [1, 1]]
    wrong_count = ("list_attr_x.txt: line 1 gives 202599 images, but 3 are listed",)
    assert source.notes == (wrong_count if "202599" in lines else ())


def test_another_name_of_the_list(tmp_path: Path) -> None:
    """CelebAMask-HQ as it comes: masks and a list of poses are beside the list."""
    for index in range(4):
        write_image(tmp_path / "CelebA-HQ-img" / f"{index}.jpg")
        write_image(tmp_path / "CelebAMask-HQ-mask-anno" / "0" / f"{index:05}_skin.png")
    rows = "".join(f"{index}.jpg  {index % 2 * 2 - 1}  -1 \n" for index in range(4))
    (tmp_path / "CelebAMask-HQ-attribute-anno.txt").write_text("4\nMale Bald\n" + rows)
    (tmp_path / "CelebAMask-HQ-pose-anno.txt").write_text("4\nYaw Pitch\n0.jpg 0.5 1.5\n")
    source = find(tmp_path)
    assert (source.kind, source.label_set.names, source.root) == ("celeba", ("Male",), tmp_path / "CelebA-HQ-img")
    assert source.notes == ("left out: Bald: 0 in all images",)


@pytest.mark.parametrize("data", [".", "Anno", "Anno/list_attr_celeba.txt"])
def test_the_folders_of_celeba_itself(tmp_path: Path, data: str) -> None:
    celeba(tmp_path / "Anno", "A B", {"1.png": "+-", "2.png": "-+"}, images="../Img/img_align_celeba")
    (tmp_path / "Eval").mkdir()
    (tmp_path / "Eval" / "list_eval_partition.txt").write_text("1.png 0\n2.png 2\n")
    source = find(tmp_path / data)
    assert source.root.resolve() == tmp_path / "Img" / "img_align_celeba"
    assert source.split.tolist() == [0, 2]


def test_labels_that_are_not_known(tmp_path: Path) -> None:
    for index in range(1, 5):
        write_image(tmp_path / f"{index}.png")
    (tmp_path / "list_attr.txt").write_text("4\nA B\n1.png 1 -1\n2.png -1 0\n3.png 0 0\n4.png NaN 1\n")
    source = find(tmp_path)
    assert source.files == ("1.png", "2.png", "4.png")
    assert source.labels.tolist() == [[1, 0], [0, UNKNOWN], [UNKNOWN, 1]]
    assert source.notes == (
        "list_attr.txt: a label is not known in 3 images",
        "left out: 1 image of which no label is known",
    )
