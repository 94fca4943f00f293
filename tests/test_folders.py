"""Folders of folders: domains, splits, and what looks like them."""

from pathlib import Path

import pytest
from datasets import error_line, write_image, write_mask, write_photo

from stargan.data.sources import SPLITS, find


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
    assert "only one domain, 'one' with 1 image" in error_line(tmp_path)
    write_image(tmp_path / "one" / "winter" / "1.png")
    write_image(tmp_path / "one" / "summer" / "1.png")
    assert f"did you mean {tmp_path / 'one'}?" in error_line(tmp_path)
    assert (
        f"1 image but no folders or list of labels; must be a folder with one folder of images for each "
        f"domain, at least two, or {tmp_path / 'one'}?" in error_line(tmp_path / "one" / "winter")
    )


def test_hidden_things_inside_domains(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "a/.cache/2.png", "a/__MACOSX/3.png", "a/x/.4.png"):
        write_image(tmp_path / name)
    assert find(tmp_path).files == ("a/1.png", "b/1.png")


def test_empty_domain_folder(tmp_path: Path) -> None:
    write_image(tmp_path / "winter" / "1.png")
    (tmp_path / "summer").mkdir()
    assert "only one domain, 'winter' with 1 image; no images in summer" in error_line(tmp_path)


def test_splits_are_not_domains(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_image(tmp_path / "flat" / split / "1.png")
        for domain in ("x", "y"):
            write_image(tmp_path / "mixed" / split / domain / "1.png")
    assert "images directly in test, train" in error_line(tmp_path / "flat")
    write_image(tmp_path / "mixed" / "extra" / "1.png")
    assert "train look like splits, but extra beside them does not" in error_line(tmp_path / "mixed")


def test_not_a_data_set(tmp_path: Path) -> None:
    assert "no such file or folder" in error_line(tmp_path / "none")
    assert "one image; must be" in error_line(write_image(tmp_path / "a.png"))
    (tmp_path / "a.pdf").write_bytes(b"")
    assert "not a data set; must be a folder with a list_attr*.txt" in error_line(tmp_path / "a.pdf")


def layout(root: Path) -> dict[str, tuple[str, str]]:
    """By file, its domain and split."""
    source = find(root)
    names = source.label_set.names
    return {
        file: (names[labels.argmax()], SPLITS[split])
        for file, labels, split in zip(source.files, source.labels, source.split, strict=True)
    }


@pytest.mark.parametrize(
    ("train", "other", "split"),
    [
        ("Training", "Testing", "test"),
        ("train_set", "val_set", "val"),
        ("TrainSet", "DevSet", "val"),
        ("seg_train", "seg_test", "test"),
        ("train2017", "val2017", "val"),
        ("training_images", "hold-out", "test"),
        ("train", "eval", "val"),
        ("trn", "tst", "test"),
        ("TRAIN", "holdout", "test"),
    ],
)
def test_names_of_splits(tmp_path: Path, train: str, other: str, split: str) -> None:
    files = {f"{folder}/{domain}/1.png" for folder in (train, other) for domain in ("x", "y")}
    for file in files:
        write_image(tmp_path / file)
    expected = {train: "train", other: split}
    assert layout(tmp_path) == {file: (file.split("/")[1], expected[file.split("/")[0]]) for file in files}


def test_eval_is_the_test_split_beside_val(tmp_path: Path) -> None:
    for split in ("train", "dev", "eval"):
        for domain in ("x", "y"):
            write_image(tmp_path / split / domain / "1.png")
    assert layout(tmp_path)["eval/x/1.png"] == ("x", "test")
    assert layout(tmp_path)["dev/x/1.png"] == ("x", "val")


@pytest.mark.parametrize("names", ["trainA trainB testA testB", "A_train B_train A_test B_test", "trainA trainB"])
def test_splits_in_the_names_of_domains(tmp_path: Path, names: str) -> None:
    for name in names.split():
        write_image(tmp_path / name / "1.png")
    found = layout(tmp_path)
    assert {file.split("/")[0] for file in found} == set(names.split())
    for file, (domain, split) in found.items():
        assert domain in file.split("/")[0]
        assert split in file


def test_domains_with_several_words_in_the_names_of_splits(tmp_path: Path) -> None:
    for name in ("train_black_cats", "train_dogs", "val_black_cats", "val_dogs"):
        write_image(tmp_path / name / "1.png")
    assert layout(tmp_path)["val_black_cats/1.png"] == ("black_cats", "val")


def test_splits_below_domains(tmp_path: Path) -> None:
    for domain in ("cats", "dogs"):
        for split in ("train", "test"):
            write_image(tmp_path / domain / split / "1.png")
    assert layout(tmp_path)["cats/test/1.png"] == ("cats", "test")
    write_image(tmp_path / "cats" / "more" / "1.png")
    assert "test, train look like splits, but cats/more/1.png lies in none of them" in error_line(tmp_path)


@pytest.mark.parametrize("names", ["train car bus", "steam_train model_train car", "test_tube flask", "latest contest"])
def test_words_of_splits_that_are_domains(tmp_path: Path, names: str) -> None:
    for name in names.split():
        write_image(tmp_path / name / "1.png")
    assert find(tmp_path).label_set.names == tuple(sorted(names.split()))
    assert len(find(tmp_path).notes) == ("car bus" in names)  # the note says that it is taken for a domain


@pytest.mark.parametrize("names", ["train plane", "trainA trainB testA testB extra", "train test cats dogs"])
def test_what_may_be_a_split_is_refused(tmp_path: Path, names: str) -> None:
    for name in names.split():
        write_image(tmp_path / name / "1.png")
    assert "look like splits, but" in error_line(tmp_path)
    assert "--attributes domain if each folder is a domain" in error_line(tmp_path)
    assert find(tmp_path, ["domain"]).label_set.names == tuple(sorted(names.split()))


def test_test_images_without_a_domain(tmp_path: Path) -> None:
    for file in ("train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png", "test/unknown/3.png", "4.png"):
        write_image(tmp_path / file)
    assert layout(tmp_path) == {"train/a/1.png": ("a", "train"), "train/b/1.png": ("b", "train")}
    assert find(tmp_path).notes == (
        "left out: 2 images directly in test, without a domain",
        "left out: 1 image beside the folders, in none of them",
        "left out: 1 image in test/unknown, without a domain",
    )


def test_one_domain_in_several_spellings(tmp_path: Path) -> None:
    for file in ("train/caf\u00e9/1.png", "train/b/1.png", "val/cafe\u0301/1.png", "val/B/1.png"):
        write_image(tmp_path / file)
    assert sorted(layout(tmp_path).values()) == [
        ("b", "train"),
        ("b", "val"),
        ("caf\u00e9", "train"),
        ("caf\u00e9", "val"),
    ]


# ---------------------------------------------------------------- masks


def test_masks_are_no_domain(tmp_path: Path) -> None:
    for index in range(6):
        write_photo(tmp_path / "photos" / f"{index}.png", index)
        write_mask(tmp_path / "Mask-anno" / f"{index:05}_skin.png")
    assert "only one domain, 'photos' with 6 images; left out: 6 images in Mask-anno, which are masks" in error_line(
        tmp_path
    )
    write_photo(tmp_path / "paintings" / "1.png")
    assert find(tmp_path).label_set.names == ("paintings", "photos")
    assert find(tmp_path).notes == ("left out: 6 images in Mask-anno, which are masks",)


def test_masks_beside_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for domain in ("cats", "dogs"):
            write_photo(tmp_path / split / domain / "1.png")
        write_mask(tmp_path / split / "masks" / "1.png")
    write_mask(tmp_path / "annotations" / "1.png")
    assert find(tmp_path).label_set.names == ("cats", "dogs")
    assert find(tmp_path).notes == ("left out: 1 image in annotations", "left out: 2 images in masks, which are masks")


def test_people_with_masks_are_a_domain(tmp_path: Path) -> None:
    for name in ("with_mask", "without_mask"):
        write_photo(tmp_path / name / "1.png")
    assert find(tmp_path).label_set.names == ("with_mask", "without_mask")


def test_what_looks_like_masks_is_refused(tmp_path: Path) -> None:
    for index in range(4):
        write_photo(tmp_path / "photos" / f"{index}.png", index)
        write_mask(tmp_path / "edges" / f"{index}.png")
    assert "the images in edges look like masks of those beside them" in error_line(tmp_path)
    assert find(tmp_path, ["domain"]).label_set.names == ("edges", "photos")
