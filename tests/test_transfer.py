"""Starting from a model with other labels or sizes: what is kept, by name and shape, and what starts fresh."""

from dataclasses import replace

import numpy as np
import pytest

from stargan import engine as engines
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.transfer import Transfer, transfer

TINY = Config(image_size=(16, 16), width=4, blocks=1, d_layers=2, device="cpu", precision="fp32")
EDIT = replace(recipe("edit"), image_size=(64, 64), width=16, blocks=1, device="cpu", precision="fp32")


def seasons(*names: str, data: str = "data") -> LabelSet:
    return LabelSet(data, (Group(names, categorical=True),))


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
        "arrays kept: 22 of 22 of the generator, 6 of 6 of the discriminator, 6 of 6 of the classifier",
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
    assert "22 of 22 of the generator" in found.lines[1]
    if layers == 2:  # the last kernel covers the image
        assert found.lines[1].endswith("starting fresh: discriminator/cls.weight")
        assert (found.arrays["discriminator/cls.weight"] == fresh["discriminator/cls.weight"]).all()
    else:
        assert "discriminator/layers.4.weight" in found.lines[1]


def test_the_edit_generator() -> None:
    before, now = (seasons("a", "b"),), (seasons("b", "c", "a"),)
    old, fresh, found = moved(EDIT, before, now, to=replace(EDIT, image_size=(128, 128)))
    embed = "generator/embed.weight"
    assert (found.arrays[embed][:, 0] == old[embed][:, 1]).all()
    assert (found.arrays[embed][:, 1] == fresh[embed][:, 1]).all()
    assert "generator/stem.weight" in found.lines[1]  # folds the image
    labels = "discriminator/projected.labels.weight"
    assert (found.arrays[labels][2] == old[labels][0]).all()
    assert (found.arrays["generator/up1.mix.weight"] == old["generator/up1.mix.weight"]).all()
