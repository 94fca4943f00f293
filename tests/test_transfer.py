"""Starting from a model with other labels or sizes: what is kept, by name and shape, and what starts fresh."""

import functools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stargan import engine as engines
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.engine.transfer import Transfer, transfer
from stargan.model.safetensors_file import under

TINY = Config(image_size=(16, 16), width=4, blocks=1, d_layers=2, device="cpu", precision="fp32")
EDIT = replace(recipe("edit"), image_size=(64, 64), width=16, blocks=1, device="cpu", precision="fp32")


def seasons(*names: str, data: str = "data") -> LabelSet:
    return LabelSet(data, (Group(names, categorical=True),))


@functools.cache
def weights(config: Config, *sets: LabelSet, seed: int = 0) -> dict[str, np.ndarray]:
    state = engines.create(replace(config, seed=seed), Domains(sets)).state()
    return {name: array for name, array in state.items() if not name.startswith("training/")}


Weights = dict[str, np.ndarray]


def moved(
    config: Config, before: tuple[LabelSet, ...], now: tuple[LabelSet, ...], *, to: Config | None = None
) -> tuple[Weights, Weights, Transfer]:
    """The weights of the file, the fresh ones, and what becomes of them."""
    old, fresh = weights(config, *before), weights(to or config, *now, seed=1)
    found = transfer(old, Domains(before), fresh, Domains(now))
    assert {n: a.shape for n, a in found.arrays.items()} == {n: a.shape for n, a in fresh.items()}
    return old, fresh, found


def test_another_label_and_another_order() -> None:
    old, fresh, found = moved(TINY, (seasons("spring", "autumn", "fall"),), (seasons("autumn", "winter", "Spring"),))
    assert found.lines == (
        "labels kept: autumn, Spring; starting fresh: winter; left out: fall",
        "all weights kept",
    )
    first = "generator/layers.0.weight"
    assert (found.arrays[first][:, :3] == old[first][:, :3]).all()  # the image
    assert (found.arrays[first][:, 3] == old[first][:, 4]).all()
    assert (found.arrays[first][:, 4] == fresh[first][:, 4]).all()
    assert (found.arrays[first][:, 5] == old[first][:, 3]).all()
    for name in ("discriminator/cls.weight", "classifier/cls.weight", "classifier/cls.bias"):
        assert (found.arrays[name][0] == old[name][1]).all()
        assert (found.arrays[name][1] == fresh[name][1]).all()
        assert (found.arrays[name][2] == old[name][0]).all()
    for name in old.keys() - {first} - {name for name in old if "/cls." in name}:
        assert (found.arrays[name] == old[name]).all(), name


def test_data_sets_keep_their_masks() -> None:
    first, second, third = seasons("a", "b", data="one"), seasons("c", "d", data="two"), seasons("e", "f", data="three")
    old, fresh, found = moved(TINY, (first, second), (second, third))
    name = "generator/layers.0.weight"
    for column, source in ((0, 2), (1, 3), (4, 5)):
        assert (found.arrays[name][:, 3 + column] == old[name][:, 3 + source]).all()
    for column in (2, 3, 5):
        assert (found.arrays[name][:, 3 + column] == fresh[name][:, 3 + column]).all()


@pytest.mark.parametrize("layers", [2, 3])
def test_larger_images(layers: int) -> None:
    label = (seasons("a", "b"),)
    old, fresh, found = moved(TINY, label, label, to=replace(TINY, image_size=(32, 32), d_layers=layers))
    assert all((found.arrays[name] == old[name]).all() for name in old if name.startswith("generator/"))
    assert (found.arrays["discriminator/layers.2.weight"] == old["discriminator/layers.2.weight"]).all()
    assert "22 of 22 of the generator" in found.lines[-1]
    if layers == 2:  # the last kernel covers the image
        assert found.lines[-1].endswith("starting fresh: discriminator/cls.weight")
        assert (found.arrays["discriminator/cls.weight"] == fresh["discriminator/cls.weight"]).all()
    else:
        assert "discriminator/layers.4.weight" in found.lines[-1]


def test_the_edit_generator() -> None:
    before, now = (seasons("a", "b"),), (seasons("b", "c", "a"),)
    old, fresh, found = moved(EDIT, before, now, to=replace(EDIT, image_size=(128, 128)))
    embed = "generator/embed.weight"
    assert (found.arrays[embed][:, 0] == old[embed][:, 1]).all()
    assert (found.arrays[embed][:, 1] == fresh[embed][:, 1]).all()
    fresh_layers = "discriminator/critic.layers.0.weight, discriminator/critic.layers.0.bias, "
    assert found.lines[-1].endswith(f"starting fresh: {fresh_layers}discriminator/critic.layers.1.weight")
    for index in (1, 2, 3):  # D has a layer more, before the others
        for name in ("weight", "bias") if index > 1 else ("bias",):
            grown = found.arrays[f"discriminator/critic.layers.{index + 1}.{name}"]
            assert (grown == old[f"discriminator/critic.layers.{index}.{name}"]).all()
    labels = "discriminator/projected.labels.weight"
    assert (found.arrays[labels][2] == old[labels][0]).all()
    for scores in ("discriminator/critic.fine.weight", "discriminator/critic.coarse.bias"):
        assert (found.arrays[scores][0] == old[scores][0]).all()  # whatever the labels
        assert (found.arrays[scores][3] == old[scores][1]).all()
    assert (found.arrays["generator/up1.mix.weight"] == old["generator/up1.mix.weight"]).all()


@pytest.mark.parametrize(("before", "now"), [(64, 128), (128, 64)])
def test_the_edit_generator_sees_the_same_in_another_resolution(before: int, now: int) -> None:
    label = (seasons("a", "b"),)
    sizes = {side: replace(EDIT, image_size=(side, side)) for side in (before, now)}
    old, _, found = moved(sizes[before], label, label, to=sizes[now])
    small = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images = {64: small, 128: small.repeat_interleave(2, 2).repeat_interleave(2, 3)}
    seen = {}
    for side, arrays in ((before, old), (now, found.arrays)):
        weights = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        stem, look, last = (weights[f"generator/{name}.weight"] for name in ("stem", "refine.look", "refine.last"))
        folded = F.conv2d(F.pixel_unshuffle(images[side], side // 32), stem)
        details = F.conv2d(F.pixel_unshuffle(images[side], side // 64), look)
        drawn = F.pixel_shuffle(F.conv2d(details, last + 1), side // 64)
        seen[side] = folded, details, F.adaptive_avg_pool2d(drawn, drawn.shape[-1] * 64 // side)
    for one, other in zip(*seen.values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("without", "fresh"), [({"details": 0}, "generator/refine."), ({"palette": False}, "generator/palette.")]
)
def test_new_parts_start_fresh(without: dict[str, Any], fresh: str) -> None:
    label = (seasons("a", "b"),)
    _, _, found = moved(replace(EDIT, **without), label, label, to=EDIT)
    kept, whole = (int(count) for count in re.findall(r"(\d+) of (?:(\d+) of )?the generator", found.lines[0])[0])
    assert kept < whole
    assert f"starting fresh: {fresh}" in found.lines[0]


@pytest.mark.parametrize(("before", "now"), [("kernel", "pooled"), ("pooled", "pooled"), ("pooled", "kernel")])
def test_the_class_head_of_d_for_larger_images(before: str, now: str) -> None:
    """All of D is kept; where all of an image looks alike, its logits are the same."""
    label = (seasons("a", "b"),)
    first = replace(TINY, cls_pooling=before == "pooled")
    second = replace(TINY, image_size=(32, 32), cls_pooling=now == "pooled")
    old, _, found = moved(first, label, label, to=second)
    assert found.lines == ("all weights kept",)
    one, other = (PytorchEngine(config, Domains(label)).updates.discriminator.double() for config in (first, second))
    for network, arrays in ((one, old), (other, found.arrays)):
        network.load_state_dict({n: torch.from_numpy(np.array(a)) for n, a in under(arrays, "discriminator").items()})
        network.layers = torch.nn.Identity()
    alike = torch.rand(3, 8, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(one(alike.expand(-1, -1, 4, 4))[1], other(alike.expand(-1, -1, 8, 8))[1])
