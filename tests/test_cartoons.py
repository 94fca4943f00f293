"""Cartoon faces: the same numbers give the same face, and a changed label changes what it names and nothing else."""

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stargan.data import cartoons, celeba
from stargan.data.cartoons import data_set
from stargan.errors import DataError, DomainError

SIZE = 64
NAMES = cartoons.ATTRIBUTES
BINARY = NAMES[4:]
FACES = range(14)


def pixels(face: cartoons.Face, labels: np.ndarray, size: int = SIZE) -> np.ndarray:
    return np.asarray(cartoons.draw(face, labels, size)).astype(int)


def changed(labels: np.ndarray, name: str) -> np.ndarray:
    """The labels with one binary attribute flipped, or with the next hair colour."""
    labels = labels.copy()
    if name in BINARY:
        labels[NAMES.index(name)] ^= 1
    else:
        labels[:4] = np.roll(labels[:4], 1)
    return labels


@cache
def difference(index: int, name: str) -> np.ndarray:
    """How much each pixel changes with one label: (SIZE, SIZE), the largest difference of the three colours."""
    face, labels = cartoons.sample(3, index)
    return np.abs(pixels(face, changed(labels, name)) - pixels(face, labels)).max(axis=-1)


def test_names_and_order() -> None:
    assert cartoons.EXCLUSIVE == ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
    assert (*cartoons.EXCLUSIVE, "Long_Hair", "Eyeglasses", "Smiling", "Beard", "Wearing_Hat") == NAMES


def test_sample_is_a_pure_function_of_seed_and_index() -> None:
    face, labels = cartoons.sample(1, 5)
    again, same = cartoons.sample(1, 5)
    assert face == again
    assert np.array_equal(labels, same)
    assert face != cartoons.sample(1, 6)[0]
    assert face != cartoons.sample(2, 5)[0]


@pytest.mark.parametrize("size", [16, 64, 128, 256, 50])
def test_draw_gives_the_same_rgb_image_of_the_size(size: int) -> None:
    face, labels = cartoons.sample(0, 0)
    image = cartoons.draw(face, labels, size)
    assert (image.mode, image.size) == ("RGB", (size, size))
    assert image.tobytes() == cartoons.draw(face, labels, size).tobytes()


def test_labels_may_be_a_list_or_named() -> None:
    face, labels = cartoons.sample(0, 1)
    image = cartoons.draw(face, labels, SIZE).tobytes()
    named = {name: int(value) for name, value in zip(NAMES, labels, strict=True)}
    assert cartoons.draw(face, labels.tolist(), SIZE).tobytes() == image
    assert cartoons.draw(face, named, SIZE).tobytes() == image
    assert cartoons.draw(face, {name: 1 for name, value in named.items() if value}, SIZE).tobytes() == image


def test_labels_are_valid_balanced_and_independent() -> None:
    labels = np.stack([cartoons.sample(0, index)[1] for index in range(2000)])
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) == {0, 1}
    assert (labels[:, :4].sum(axis=1) == 1).all()
    share = labels.mean(axis=0)
    assert np.abs(share[:4] - 0.25).max() < 0.04
    assert share[4:].min() > 0.26
    assert share[4:].max() < 0.54
    correlation = np.corrcoef(labels.T)
    correlation[:4, :4] = 0  # exclusive, so not independent of each other
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < 0.1


def test_faces_vary() -> None:
    faces = [cartoons.sample(0, index)[0] for index in range(200)]
    assert len({face.skin for face in faces}) > 150
    assert {face.fringe for face in faces} == set(range(5))
    assert {face.hat_style for face in faces} == {0, 1, 2}
    for face in faces:
        assert np.linalg.norm(np.subtract(face.hat, face.background)) > 60


@pytest.mark.parametrize("name", ["Black_Hair", *BINARY])
def test_each_change_shows_and_leaves_the_corners(name: str) -> None:
    for index in FACES:
        differs = difference(index, name)
        assert (differs > 25).mean() > 0.006, f"face {index}"
        corner = SIZE // 8
        assert not differs[:corner, :corner].any()
        assert not differs[:corner, -corner:].any()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Eyeglasses", slice(SIZE * 3 // 4, None)),
        ("Eyeglasses", slice(0, SIZE // 4)),
        ("Smiling", slice(0, SIZE // 2)),
        ("Beard", slice(0, SIZE // 3)),
        ("Wearing_Hat", slice(SIZE // 2, None)),
        ("Long_Hair", slice(0, SIZE // 6)),
    ],
)
def test_each_change_stays_where_it_belongs(name: str, kept: slice) -> None:
    for index in FACES:
        assert not difference(index, name)[kept].any(), f"face {index}"


def test_every_two_hair_colours_differ_even_under_a_hat() -> None:
    face, labels = cartoons.sample(0, 0)
    labels[:] = 0
    labels[NAMES.index("Wearing_Hat")] = 1
    drawn = []
    for colour in range(4):
        labels[:4] = np.arange(4) == colour
        drawn.append(pixels(face, labels))
    for first in range(4):
        for second in range(first):
            assert (np.abs(drawn[first] - drawn[second]).max(axis=-1) > 40).mean() > 0.01


def test_pairs_hold_the_true_translation_of_one_change() -> None:
    made = list(cartoons.pairs(36, 7, SIZE))
    requested: Counter[str] = Counter()
    for pair in made:
        differing = [NAMES[i] for i in np.flatnonzero(pair.source != pair.target)]
        assert pair.source[:4].sum() == pair.target[:4].sum() == 1
        assert pair.image.tobytes() != pair.truth.tobytes()
        if len(differing) == 2:
            assert set(differing) <= set(cartoons.EXCLUSIVE)
            requested[NAMES[int(pair.target[:4].argmax())]] += 1
        else:
            assert differing[0] in BINARY
            requested[f"{differing[0]} {pair.target[NAMES.index(differing[0])]}"] += 1
    expected = dict.fromkeys(cartoons.EXCLUSIVE, 4) | {f"{name} {value}": 2 for name in BINARY for value in (0, 1)}
    assert requested == expected


def test_pairs_are_the_drawn_faces_and_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    first = list(cartoons.pairs(9, 7, SIZE))
    drawn: list[tuple[cartoons.Face, bytes]] = []
    real = cartoons.draw

    def spy(face: cartoons.Face, labels: cartoons.Labels, size: int = 128) -> Image.Image:
        image = real(face, labels, size)
        drawn.append((face, image.tobytes()))
        return image

    monkeypatch.setattr(data_set, "draw", spy)
    second = list(cartoons.pairs(9, 7, SIZE))
    for number, (one, two) in enumerate(zip(first, second, strict=True)):
        (face, _), (same, _) = drawn[2 * number : 2 * number + 2]
        assert face == same != cartoons.sample(7, number)[0]
        assert real(face, one.source, SIZE).tobytes() == one.image.tobytes() == two.image.tobytes()
        assert real(face, one.target, SIZE).tobytes() == one.truth.tobytes() == two.truth.tobytes()


def test_write_is_read_back_as_celeba(tmp_path: Path) -> None:
    out = tmp_path / "made" / "faces"
    reported: list[int] = []
    cartoons.write(out, 12, seed=4, size=SIZE, progress=reported.append)
    assert reported == list(range(1, 13))
    assert [path.name for path in out.parent.iterdir()] == ["faces"]
    lines = (out / "list_attr_cartoons.txt").read_text().splitlines()
    assert lines[0] == "12"
    assert lines[1].split() == list(NAMES)
    columns = celeba.read(out)
    assert columns.files[0] == "000001.png"
    for index, file in enumerate(columns.files):
        face, labels = cartoons.sample(4, index)
        assert [columns.binary[name][index] for name in NAMES] == labels.tolist()
        with Image.open(out / "images" / file) as image:
            assert np.array_equal(np.asarray(image), pixels(face, labels))


def test_write_fills_an_empty_folder_and_refuses_any_other(tmp_path: Path) -> None:
    out = tmp_path / "faces"
    out.mkdir()
    cartoons.write(out, 1, size=16)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="not an empty folder"):
        cartoons.write(out, 2, size=16)
    with pytest.raises(DataError, match="not an empty folder"):
        cartoons.write(out / cartoons.LIST, 2, size=16)
    with pytest.raises(DataError, match="at least 1"):
        cartoons.write(tmp_path / "none", 0)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_broken_write_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cartoons.write(tmp_path / "faces", 5, size=16, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([1, 1, 0, 0, 0, 0, 0, 0, 0], "exactly one"),
        ([0] * 9, "exactly one"),
        ({"Smiling": 1}, "exactly one"),
        ([1, 0, 0, 0, 0], "9 values"),
        (np.zeros((1, 9)), "9 values"),
        ({"Black_Hair": 1, "Bald": 1}, "'Bald'"),
        ([1, 0, 0, 0, 2, 0, 0, 0, 0], "Long_Hair is 2"),
        ([1, 0, 0, 0, 0, 0, float("nan"), 0, 0], "Smiling is nan"),
    ],
)
def test_wrong_labels_are_refused(labels: cartoons.Labels, words: str) -> None:
    with pytest.raises(DomainError, match=words):
        cartoons.draw(cartoons.sample(0, 0)[0], labels, 16)
