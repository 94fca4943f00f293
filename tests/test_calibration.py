"""Temperatures of an attribute classifier, and how far its estimates can be trusted."""

import math
from dataclasses import replace

import numpy as np
import pytest
from test_domains import celeba, joint, one, rafd

from stargan.config import Architecture
from stargan.domains import Domains, Group
from stargan.domains.calibration import reliability, temperatures
from stargan.domains.estimates import outcomes
from stargan.model.info import ModelInfo

COUNT = 6000


def sampled(domains: Domains, logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels, (N, C), that come true as often as the logits say."""
    values = np.zeros(logits.shape, np.float32)
    groups = zip(domains.groups(), outcomes(domains, domains.probabilities(logits)), strict=True)
    for (_, columns, group), chances in groups:
        drawn = (chances.cumsum(axis=1) > rng.random((len(chances), 1))).argmax(axis=1)
        for index, column in enumerate(columns):
            values[:, column] = drawn == index + (not group.categorical)
    return values


@pytest.mark.parametrize("domains", [celeba, rafd], ids=["celeba", "rafd"])
@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(domains: Domains, true: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (COUNT, domains.num_classes))
    values, nobody = sampled(domains, logits, rng), np.zeros(COUNT, int)
    found = temperatures(domains, logits * true, values, nobody)
    assert found == pytest.approx([true] * domains.num_classes, rel=0.1)
    before, after = (
        reliability(domains, domains.probabilities(scaled), values, nobody)
        for scaled in (logits * true, logits * true / np.array(found))
    )
    for group, calibrated in zip(before, after, strict=True):
        assert calibrated.error < 0.03
        assert calibrated.error < group.error / 2 or true == 1
        assert calibrated.accuracy == group.accuracy  # a temperature changes no decision


def test_each_group_has_its_own_temperature() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (COUNT, 5))
    scales = np.array([0.5, 0.5, 0.5, 1.0, 3.0])
    values = sampled(celeba, logits, rng)
    assert temperatures(celeba, logits * scales, values, np.zeros(COUNT, int)) == pytest.approx(scales, rel=0.1)


def test_images_of_other_data_sets_do_not_count() -> None:
    rng = np.random.default_rng(2)
    logits, datasets = rng.normal(0, 2, (COUNT, 13)), np.arange(COUNT) % 2
    values = sampled(joint, logits, rng)
    values[datasets == 0, 5:] = 0  # as `Domains.pad` leaves them
    values[datasets == 1, :5] = 0
    assert temperatures(joint, logits, values, datasets) == pytest.approx([1] * 13, rel=0.1)
    only = temperatures(joint, logits[::2] * 2, values[::2], datasets[::2])
    assert only == pytest.approx([2] * 5 + [1] * 8, rel=0.1)
    assert [group.images for group in reliability(joint, joint.probabilities(logits), values, datasets)] == [3000] * 4


def test_without_errors_the_temperature_stays_near_1() -> None:
    values = (np.arange(200) % 2)[:, None].astype(np.float32)
    domains, nobody = one(Group(("A",))), np.zeros(200, int)
    (found,) = temperatures(domains, 20 * values - 10, values, nobody)
    assert 0.9 < found <= 1
    assert temperatures(domains, np.empty((0, 1)), np.empty((0, 1)), nobody[:0]) == (1,)
    (found,) = temperatures(domains, 20 * (1 - values) - 10, values, nobody)  # always wrong
    assert found == 10


def test_two_labels_that_exclude_each_other_do_not_count() -> None:
    values = np.array([[1, 1, 0, 1, 1], [1, 0, 0, 1, 1]], np.float32)
    (hair, male, _) = reliability(celeba, np.full((2, 5), 0.9), values, np.zeros(2, int))
    assert (hair.images, male.images) == (1, 2)
    assert hair.name == "Black_Hair, Blond_Hair, Brown_Hair"


def test_reliability_by_hand() -> None:
    domains = one(Group(("A",)))
    probabilities = np.array([[0.9], [0.91], [0.4], [0.45]])  # told: on, on, off, off, in two bins
    values = np.array([[1], [0], [0], [0]], np.float32)
    (found,) = reliability(domains, probabilities, values, np.zeros(4, int))
    assert (found.images, found.accuracy, found.certain, found.certain_accuracy) == (4, 0.75, 0.5, 0.5)
    bins = [abs(0.9 + 0.91 - 1), abs(0.6 - 1), abs(0.55 - 1)]
    assert found.error == pytest.approx(sum(bins) / 4)
    (none,) = reliability(domains, probabilities[:0], values[:0], np.zeros(0, int))
    assert math.isnan(none.error)
    (unsure,) = reliability(domains, probabilities[2:], values[2:], np.zeros(2, int))
    assert math.isnan(unsure.certain_accuracy)


def test_a_model_divides_logits_by_its_temperatures() -> None:
    info = ModelInfo(celeba, Architecture(image_size=(16, 16)))
    logits = np.array([[4, -2, 0, 3, -1]], np.float32)
    assert np.array_equal(info.probabilities(logits), celeba.probabilities(logits))
    info = replace(info, temperatures=(2, 2, 2, 3, 0.5))
    assert info.probabilities(logits) == pytest.approx(celeba.probabilities(np.array([[2, -1, 0, 1, -2]])))
    assert info.probabilities(logits).dtype == np.float32
    assert ModelInfo.loads(info.dumps()) == info
