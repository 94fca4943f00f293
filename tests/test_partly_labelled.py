"""Images of which only some labels are known: their values, the losses, training and evaluation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import TINY, draw_folders, in_process, stargan
from datasets import write_image
from test_loop import tiny

from stargan import training
from stargan.data.batches import Batches, TrainingSet
from stargan.data.sources import SPLITS, Source, find, hashed_split, split_by_name
from stargan.domains import UNKNOWN, Domains, Group, LabelSet, requests
from stargan.domains.protocols import protocol
from stargan.engine.pytorch import losses
from stargan.errors import CheckpointError, DataError
from stargan.evaluation.evaluation_set import EvaluationSet
from stargan.evaluation.tasks import request_translations
from stargan.training import prepare

SEASON = Group(("winter", "spring", "summer"), categorical=True, name="season")
HAIR = Group(("black", "blond"), name="hair")
DOMAINS = Domains((LabelSet("photos", (Group(("Male",)), SEASON, HAIR)), LabelSet("other", (Group(("big",)),))))
LABELS = np.array([[1, 0, 0, 1, 1, 0], [0, 255, 255, 255, 0, 0], [255, 1, 0, 0, 255, 255]], np.uint8)
"""Of three images; the season of the second and the gender and hair of the third are not known."""
KNOWN = [[1, 1, 1, 1], [1, 0, 1, 1], [0, 1, 0, 1]]


def values() -> np.ndarray:
    return DOMAINS.pad(LABELS, 0)


# ---------------------------------------------------------------- domains


def test_values_of_unknown_groups_are_equal() -> None:
    third = np.float32(1 / 3)
    assert values()[1].tolist() == [0, third, third, third, 0, 0, 0]
    assert values()[2].tolist() == [0.5, 1, 0, 0, 0.5, 0.5, 0]
    assert DOMAINS.known(values()).tolist() == KNOWN
    assert DOMAINS.known(DOMAINS.labels(values(), 0)).tolist() == KNOWN


def test_match_keeps_what_is_unknown() -> None:
    names = DOMAINS.sets[0].names
    datasets, matched = DOMAINS.match(names[::-1], LABELS[:, ::-1])
    assert datasets == (0,)
    assert np.array_equal(matched, values())


def test_frequencies_are_of_the_known() -> None:
    other = DOMAINS.pad(np.array([[1], [0]]), 1)
    assert DOMAINS.frequencies([values(), other]) == (0.5, 0.5, 0, 0.5, 0.5, 0, 0.5)
    unknown = DOMAINS.pad(np.full((2, 1), UNKNOWN), 1)
    assert DOMAINS.frequencies([values(), unknown])[-1] == 0


def test_valid_ignores_unknown_groups() -> None:
    assert DOMAINS.valid(values(), (0,)).all()
    assert not DOMAINS.valid(DOMAINS.pad(np.array([[1, 1, 1, 0, 0, 0]]), 0), (0,)).any()


def test_targets_keep_what_is_unknown() -> None:
    labels = DOMAINS.labels(values(), 0)
    targets = labels[[1, 2, 0]]
    kept = DOMAINS.keep_unknown(labels, targets)
    third = np.float32(1 / 3)
    assert kept[0].tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 0]  # the second's gender and hair, the own season
    assert kept[1].tolist() == [0, third, third, third, 0, 0, 0, 1, 0]  # the third knows only its season
    assert kept[2].tolist() == [0.5, 0, 0, 1, 0.5, 0.5, 0, 1, 0]
    everything = DOMAINS.labels(DOMAINS.pad(LABELS[:1], 0), 0)
    assert DOMAINS.keep_unknown(everything, everything) is everything


def test_single_changes_are_of_known_groups() -> None:
    words = [[word for word, _, dataset in requests.single_changes(DOMAINS, row, 0)] for row in values()]
    assert words == [
        ["Male=0", "winter", "spring", "blond"],
        ["Male", "black", "blond"],
        ["spring", "summer"],
    ]


# ---------------------------------------------------------------- losses


def test_losses_count_only_known_labels() -> None:
    """The loss is that of the known labels alone, and no gradient reaches the others."""
    logits = torch.randn(3, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    truth = torch.from_numpy(DOMAINS.labels(values(), 0))
    loss = losses.classification(logits, truth, DOMAINS.heads(0))
    season = F.cross_entropy(logits[[0, 2], 1:4], torch.tensor([2, 0]), reduction="sum")
    rows, columns = [0, 1, 0, 0, 1, 1], [0, 0, 4, 5, 4, 5]
    binary = F.binary_cross_entropy_with_logits(logits[rows, columns], truth[rows, columns], reduction="sum")
    assert loss.item() == pytest.approx(((season + binary) / 3).item(), rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    known = np.repeat(np.array(KNOWN, bool), [1, 3, 2, 1], axis=1)
    known[:, 6] = False  # of the other data set
    assert np.array_equal(logits.grad.numpy() != 0, known)


@pytest.mark.parametrize("targets", ["permuted", "balanced"])
def test_batches(targets: str) -> None:
    domains = Domains(DOMAINS.sets[:1])
    own = domains.pad(LABELS, 0)
    pixels = np.zeros((3, 4, 4, 3), np.uint8)
    batches = Batches([TrainingSet(pixels, own, np.arange(3))], domains, batch_size=6, seed=0, targets=targets)  # type: ignore[arg-type]
    for step in range(20):
        batch = batches.batch(step)
        unknown = ~domains.known(batch.labels)
        assert (~domains.known(batch.targets))[unknown].all()
        columns = np.repeat(unknown, [1, 3, 2], axis=1)
        assert np.array_equal(batch.targets[columns], batch.labels[columns])
        if targets == "balanced":
            assert np.array_equal(domains.known(batch.targets), ~unknown)


# ---------------------------------------------------------------- evaluation


def test_translations_change_known_labels() -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    rows = np.arange(3)
    chosen = EvaluationSet("photos", "test", (0,), "", images, values(), rows, rows)
    requested = request_translations(chosen, protocol("single", DOMAINS), DOMAINS)
    assert [(int(row), task) for row, task in zip(requested.rows, requested.tasks, strict=True)] == [
        (0, "Male=0"), (0, "winter"), (0, "spring"), (0, "blond"),
        (1, "Male"), (1, "black"), (1, "blond"),
        (2, "spring"), (2, "summer"),
    ]  # fmt: skip
    known = np.array(KNOWN, bool)[requested.rows]
    assert not (requested.changed & ~known).any()
    assert not (requested.unchanged & ~known).any()


# ---------------------------------------------------------------- training


def partly(root: Path) -> Path:
    """A table of colours of which a third is not known, and of sizes of which another third is not."""
    data = draw_folders(root / "colours", 20)
    lines = ["path,colour,big"]
    for number, file in enumerate(sorted(data.rglob("*.png"))):
        colour = "?" if number % 3 == 0 else file.parent.name
        big = "" if number % 3 == 1 else number % 2
        lines.append(f"{file.relative_to(root)},{colour},{big}")
    (root / "t.csv").write_text("\n".join(lines))
    return root / "t.csv"


def test_training(tmp_path: Path) -> None:
    data, run = partly(tmp_path), tmp_path / "run"
    done = in_process("train", "--data", data, "--run", run, *TINY, "--steps", "4", "--sample-every", "2")
    assert done.returncode == 0, done.stderr
    assert "colour: not known in 20 images ('?')" in done.stdout + done.stderr
    done = in_process("translate", run, tmp_path / "colours" / "red" / "red000.png", "--all", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- domains without training images


def splits(root: Path, **counts: str) -> Path:
    """Folders in which each domain has images in the splits that are named."""
    for domain, names in counts.items():
        for split in names.split():
            write_image(root / split / domain / "1.png")
    return root


def test_a_domain_without_training_images_is_refused(tmp_path: Path) -> None:
    data = splits(tmp_path / "set", a="train val", b="train test", c="val test")
    with pytest.raises(DataError, match=r"set: no training images of c \(train 0, val 1, test 1\); .* --allow-empty"):
        training.train(tiny(data), tmp_path / "run", say=lambda line: None)
    assert not (tmp_path / "run").exists()
    done = stargan("data", data)
    assert "no training images of c (train 0, val 1, test 1): stargan train will refuse this" in done.stdout
    lines: list[str] = []
    training.train(tiny(data, allow_empty=True, steps=2), tmp_path / "run", say=lines.append)
    assert "set: no images of b in val, on which the run is measured" in lines


@pytest.mark.parametrize("constant", [0, 1])
def test_one_side_of_a_label_without_training_images(tmp_path: Path, constant: int) -> None:
    lines = [f"{i}.png,{constant if i < 6 else 1 - constant},{'train' if i < 6 else 'test'}" for i in range(8)]
    for index in range(8):
        write_image(tmp_path / f"{index}.png")
    (tmp_path / "t.csv").write_text("\n".join(["path,male,split", *lines]))
    source = find(tmp_path / "t.csv")
    name = "male=0" if constant else "male"
    assert source.lacking(source.rows("train")) == {name: f"{name} (train 0, val 0, test 2)"}


def test_equal_file_names_in_all_folders(tmp_path: Path) -> None:
    """Each domain has training images, although all its files have the same name."""
    for modality in ("flair", "t1"):
        for patient in range(20):
            write_image(tmp_path / modality / f"p{patient}" / f"{modality}.png")
    source = find(tmp_path)
    assert not source.lacking(source.rows("train"))
    assert source.split.tolist() == hashed_split(source.files).tolist()


# ---------------------------------------------------------------- runs of earlier versions


def test_a_run_with_the_split_of_earlier_versions_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = draw_folders(tmp_path / "colours", 20)

    def before(*args: Any, **how: Any) -> tuple[list[Source], Domains]:
        found, domains = find_all(*args, **how)
        return [split_by_name(source) for source in found], domains

    find_all = prepare.sources.find_all
    monkeypatch.setattr(prepare.sources, "find_all", before)
    training.train(tiny(data, steps=6), tmp_path / "run", say=lambda line: None)
    monkeypatch.undo()
    assert find(data).split.tolist() != split_by_name(find(data)).split.tolist()
    training.train(tiny(data, steps=8), tmp_path / "run", resume=True, say=lambda line: None)
    (data / "red" / "red000.png").unlink()
    with pytest.raises(CheckpointError, match="images or labels have changed"):
        training.train(tiny(data, steps=9), tmp_path / "run", resume=True, say=lambda line: None)


def test_splits_of_their_own_stay(tmp_path: Path) -> None:
    source = find(splits(tmp_path, a="train val", b="train test"))
    assert split_by_name(source) is source
    assert {SPLITS[split] for split in source.split} == {"train", "val", "test"}
