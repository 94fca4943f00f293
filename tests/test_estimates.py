"""Estimates of labels in words, and labels that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_domains import any_domains, calm, celeba, draws, joint, one, rafd

from stargan.domains import Domains, Group, requests
from stargan.domains.estimates import Estimate, estimates, outcomes, with_known
from stargan.errors import DomainError


def test_estimates_in_words() -> None:
    told = estimates(celeba, np.array([0.1, 0.9, 0.2, 0.03, 0.91]))
    assert [word for word, _ in told] == ["Blond_Hair", "Male=0", "Young"]
    assert told[1].probability == pytest.approx(0.97)
    odds = np.array([1 / 9, 9, 1 / 4])
    assert told[0].probability == pytest.approx(9 / (1 + odds.sum()))  # at most one is on
    assert [estimate.uncertain for estimate in told] == [False, False, False]
    assert estimates(celeba, np.array([0.1, 0.6, 0.2, 0.3, 0.5]))[1].uncertain


def test_estimates_of_a_group_without_a_class_that_is_on() -> None:
    assert estimates(celeba, np.array([0.2, 0.1, 0.1, 1, 1]))[0].word == "other hair"
    certain = estimates(celeba, np.zeros(5))[0]
    assert (certain.word, round(certain.probability, 5)) == ("other hair", 1)
    assert estimates(one(Group(("red", "green"))), np.zeros(2))[0].word == "none of red/green"
    assert estimates(one(Group(("Black_Hair", "Blue_Eyes"))), np.zeros(2))[0].word == "none of Black_Hair/Blue_Eyes"


def test_groups_that_do_not_matter() -> None:
    """The paper's G takes the target labels: what a request determines; an edit generator: what it leaves alone."""
    for words, determined, left_alone in (
        (["blond hair"], {0}, {1, 2}),
        (["no black hair"], set(), {1, 2}),
        (["male", "young"], {1, 2}, {0}),
    ):
        assert requests.settled(celeba, words) == determined
        assert requests.settled(celeba, words, edit=True) == left_alone


def test_estimates_of_a_one_of_n_group() -> None:
    chances = np.full(8, 0.1)
    chances[4] = 0.3
    assert estimates(rafd, chances) == [Estimate("happy", 0.3 / chances.sum())]
    assert len(estimates(joint, np.full(13, 0.5))) == 4


@calm
@given(any_domains(), st.integers(0, 9))
def test_estimates_agree_with_decisions(domains: Domains, seed: int) -> None:
    probabilities = domains.probabilities(draws(domains, seed))
    parts = outcomes(domains, probabilities)
    for row, values in enumerate(domains.decide(probabilities)):
        told = estimates(domains, probabilities[row])
        for (_, columns, group), part, estimate in zip(domains.groups(), parts, told, strict=True):
            on = np.flatnonzero(values[columns])
            best = int(part[row].argmax())
            assert best == (on[0] if group.categorical else on[0] + 1 if len(on) else 0)
            assert part[row].sum() == pytest.approx(1)
            assert estimate.probability == pytest.approx(part[row].max())
            if len(on):
                assert estimate.word == domains.names[columns[on[0]]]
            elif len(columns) == 1:
                assert requests.parse(domains, [estimate.word]) == {columns[0]: 0}


def test_known_labels_replace_estimates() -> None:
    probabilities = np.array([[0.2, 0.9, 0.1, 0.4, 0.8], [0.8, 0.1, 0.1, 0.9, 0.2]], np.float32)
    replaced = with_known(celeba, probabilities, ["brunette", "old"])
    assert replaced.tolist() == [[0, 0, 1, pytest.approx(0.4), 0], [0, 0, 1, pytest.approx(0.9), 0]]
    assert probabilities[0, 0] == pytest.approx(0.2)  # stays as it was
    assert with_known(celeba, probabilities, ["no black hair"])[:, :3].tolist() == [[0, 1, 0], [0, 0, 0]]
    assert with_known(celeba, probabilities[:0], ["Male"]).shape == (0, 5)
    with pytest.raises(DomainError, match="unknown domain"):
        with_known(celeba, probabilities, ["zzz"])
    with pytest.raises(DomainError, match=r"^Young=1\.2: must be 0 or 1 here, without a strength$"):
        with_known(celeba, probabilities, ["Young=1.2"])
