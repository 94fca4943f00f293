"""Labels that several data sets share, and requests that mix data sets."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import celeba, table, write_image

from stargan.config import Config
from stargan.data.batches import Batches, TrainingSet
from stargan.data.sources import find_all
from stargan.domains import UNKNOWN, Domains, Group, Head, LabelSet, requests
from stargan.domains.sharing import with_shared
from stargan.errors import DomainError
from stargan.inference.steps import steps
from stargan.model import run_folder

HAIR = Group(("Black", "Blond"))
MALE = Group(("Male",))
MOOD = Group(("happy", "sad", "neutral"), categorical=True, name="mood")
CELEBA = LabelSet("celeba", (HAIR, MALE))
MOODS = LabelSet("moods", (MOOD, Group(("male",))))


def joint(*share: str) -> Domains:
    return Domains(with_shared([CELEBA, MOODS], share))


def test_labels_of_the_same_name_are_one() -> None:
    domains = joint()
    assert domains.names == ("Black", "Blond", "Male", "happy", "sad", "neutral")
    assert domains.num_labels == 8
    assert domains.columns(0).tolist() == [0, 1, 2]
    assert domains.columns(1).tolist() == [3, 4, 5, 2]
    assert domains.heads(0) == (Head(0, 3, False),)
    assert domains.heads(1) == (Head(3, 6, True), Head(2, 3, False))
    assert domains.owners.tolist() == [[True, True, False], [False, True, True]]
    assert joint("male") == joint("Male") == domains
    assert joint("none").names == ("Black", "Blond", "celeba/Male", "happy", "sad", "neutral", "moods/male")


def test_values_of_another_order_are_the_same_group() -> None:
    other = LabelSet("b", (Group(("neutral", "happy", "sad"), categorical=True),))
    domains = Domains(with_shared([LabelSet("a", (MOOD,)), other], ()))
    assert domains.names == MOOD.names
    assert domains.columns(1).tolist() == [2, 0, 1]
    assert domains.pad(np.array([[1, 0, 0]], np.uint8), 1).tolist() == [[0, 0, 1]]


def test_other_values_or_another_kind_stay_apart() -> None:
    fewer = LabelSet("b", (Group(("happy", "sad"), categorical=True), Group(("Blond", "Black"), categorical=True)))
    assert with_shared([LabelSet("a", (MOOD, HAIR)), fewer], ())[1].shared == ()
    with pytest.raises(DomainError, match=r"--share glasses: not a label that two data sets have.*known: male"):
        joint("glasses")
    with pytest.raises(DomainError, match="no label in common"):
        with_shared([LabelSet("a", (MOOD,)), LabelSet("b", (HAIR,))], ["mood"])


def test_labels_of_either_data_set() -> None:
    domains = joint()
    values = domains.pad(np.array([[0, 1, 0, 1]], np.uint8), 1)
    assert values.tolist() == [[0, 0, 1, 0, 1, 0]]
    assert domains.labels(values, 1).tolist() == [[0, 0, 1, 0, 1, 0, 0, 1]]
    assert domains.labels(values, 0).tolist() == [[0, 0, 1, 0, 0, 0, 1, 0]]
    unknown = domains.pad(np.array([[0, 1, 0, UNKNOWN]], np.uint8), 1)
    assert domains.known(unknown)[0].tolist() == [True, False, True]
    shares = domains.frequencies(
        [
            domains.pad(np.array([[1, 0, 1]] * 3, np.uint8), 0),
            values,
        ]
    )
    assert shares == (1, 0, 1, 0, 1, 0)


def test_requests() -> None:
    domains = joint()
    values = np.array([1, 0, 0, 0, 0, 1], np.float32)
    assert requests.apply(domains, values, ["Male"])[1] == 0
    assert requests.apply(domains, values, ["Male"], dataset=1)[1] == 1
    assert requests.apply(domains, values, ["female", "happy"])[1] == 1
    assert requests.parse(domains, ["moods/male"]) == requests.parse(domains, ["celeba/Male"]) == {2: 1}
    assert requests.parse(domains, ["woman"]) == {2: 0}
    assert [owner for _, _, owner in requests.single_changes(domains, values, 1)] == [1, 1, 1]
    assert "Male" in repr(domains)


def test_a_request_may_mix_data_sets() -> None:
    for domains in (joint(), joint("none")):
        words = ["Blond", "happy", "Male" if domains == joint() else "celeba/Male"]
        assert [part for _, part in requests.steps(domains, words)] == [
            {"Blond": 1, words[2]: 1},
            {"happy": 1},
        ]
        first, second = steps(domains, np.zeros(domains.num_classes), words)
        assert first.labels[domains.domain_mask].tolist() == [1, 0]
        assert second.labels[domains.domain_mask].tolist() == [0, 1]
        assert second.source_values[1] == 1
    strengths = [(s, sorted(part)) for s, part in requests.steps(joint(), {"happy": 0.5, "Male": 0.5, "Blond": 1})]
    assert strengths == [(1, ["Blond"]), (0.5, ["Male"]), (0.5, ["happy"])] or strengths == [
        (1, ["Blond"]),
        (0.5, ["Male", "happy"]),
    ]


def test_json() -> None:
    plain = json.loads(json.dumps(joint().to_json()))
    assert plain[1]["shared"] == ["male"]
    assert "shared" not in plain[0]
    assert Domains.from_json(plain) == joint()
    assert not joint().same_layout(joint("none"))
    wrong: list[Any] = [["happy"], ["sad", "x"], "male", [1]]
    for shared in wrong:
        with pytest.raises(DomainError):
            Domains.from_json([{**plain[0]}, {**plain[1], "shared": shared}])


def test_training_batches() -> None:
    domains = joint()
    pixels = np.zeros((4, 4, 4, 3), np.uint8)
    first = domains.pad(np.array([[1, 0, 1], [0, 1, 0]] * 2, np.uint8), 0)
    second = domains.pad(np.array([[1, 0, 0, 1], [0, 1, 0, 0]] * 2, np.uint8), 1)
    for targets in ("permuted", "balanced", "changes"):
        sets = [TrainingSet(pixels, values, np.arange(4)) for values in (first, second)]
        batches = Batches(sets, domains, batch_size=4, seed=0, targets=targets)
        for step in range(4):
            batch = batches.batch(step)
            others = [3, 4, 5] if batch.dataset == 0 else [0, 1]
            assert (batch.targets[:, others] == 0).all()
            assert (batch.targets[:, 6 + batch.dataset] == 1).all()


def test_data_sets_on_disk(tmp_path: Path) -> None:
    one = celeba(tmp_path / "one", "Male Smiling", {f"{i}.png": "+-"[i % 2] + "+-"[i // 2 % 2] for i in range(8)})
    rows: list[dict[str, object]]
    rows = [{"path": f"{i}.png", "male": i % 2, "mood": ("happy", "sad")[i // 2 % 2]} for i in range(8)]
    two = table(write_image(tmp_path / "two" / "x.png").with_name("labels.csv"), rows)
    assert find_all([one, two])[1].names == ("Male", "Smiling", "happy", "sad")
    assert find_all([one, two], share=["none"])[1].names == ("one/Male", "Smiling", "labels/male", "happy", "sad")


def test_runs_of_earlier_versions_share_nothing(tmp_path: Path) -> None:
    settings = Config(data=("a", "b")).to_json()
    assert settings.pop("share") == ()
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert run_folder.saved_config(tmp_path).share == ("none",)
