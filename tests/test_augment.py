"""Augmentation of the images that D sees."""

from dataclasses import replace

import numpy as np
import torch

from stargan.config import Config
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.constants import BRIGHTNESS, COVER, SHIFT
from stargan.engine.pytorch.augment import augment
from stargan.engine.pytorch.engine import PytorchEngine

CONFIG = Config(
    image_size=(16, 16), width=4, blocks=1, d_layers=2, batch_size=4, device="cpu", precision="fp32", augment=True
)  # fmt: skip
DOMAINS = Domains((LabelSet("x", (Group(("A",)), Group(("B",)))),))


def draws(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((count, 5), generator=torch.Generator().manual_seed(seed))


def test_images_are_shifted_brightened_and_covered_at_random() -> None:
    row = torch.arange(32.0)
    images = (row[:, None] * 32 + row)[None, None].repeat(64, 3, 1, 1)  # each value encodes its position
    augmented = augment(images, draws(64))
    assert augmented.shape == images.shape
    places = set()
    for image in augmented:
        covered = (image == 0).all(0)
        assert covered.sum() >= int(COVER * 32) ** 2
        middle = image[0][~covered & (torch.arange(32) > 4) & (torch.arange(32) < 28)]
        light = float(middle.frac().median())
        light -= light > 0.5
        assert abs(light) <= BRIGHTNESS
        at = (~covered).nonzero()
        y, x = next((y, x) for y, x in at.tolist() if 6 < y < 26 and 6 < x < 26)
        origin = round(float(image[0, y, x]) - light)
        dy, dx = origin // 32 - y, origin % 32 - x
        assert max(abs(dy), abs(dx)) <= SHIFT * 32
        places.add((dy, dx))
    assert len(places) > 30


def test_an_image_is_changed_only_by_its_own_draws() -> None:
    images, drawn = torch.rand(3, 3, 8, 8), draws(3)
    augmented = augment(images, drawn)
    for index in range(3):
        assert torch.equal(augment(images[index, None], drawn[index, None])[0], augmented[index])
    assert not torch.equal(augment(images, draws(3, 1)), augmented)


def test_extreme_draws() -> None:
    """Positions stay inside the image, even if rounding has turned a draw into 1."""
    row = torch.arange(16.0)
    images = (1 + row[:, None] * 16 + row)[None, None].repeat(2, 3, 1, 1)
    augmented = augment(images, torch.tensor([[0.0, 0, 0.5, 0, 0], [1, 1, 0.5, 1, 1]]))
    first, last = augmented[:, 0]
    assert (first[:4, :4] == 0).all()
    assert (first[4:, 4:] == images[0, 0, 2:-2, 2:-2]).all()  # shifted by 2 px, an eighth of 16
    assert (last[-4:, -4:] == 0).all()
    assert (last[:-4, :-4] == images[0, 0, 2:-2, 2:-2]).all()


def test_gradients_pass_except_where_covered() -> None:
    images = torch.rand(2, 3, 8, 8, requires_grad=True)
    augment(images, draws(2)).sum().backward()
    assert images.grad is not None
    assert set(images.grad.unique().tolist()) == {0.0, 1.0}


def test_training_is_reproducible_and_can_be_resumed() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    labels = DOMAINS.labels(DOMAINS.random_values(rng, 4), 0)

    def train(engine: PytorchEngine, steps: range) -> None:
        for step in steps:
            engine.d_step(pixels, labels, labels[::-1].copy(), 0, step=step, lr=1e-3)
            engine.g_step(pixels, labels, labels[::-1].copy(), 0, step=step, lr=1e-3)

    whole, first, second = (PytorchEngine(CONFIG, DOMAINS) for _ in range(3))
    train(whole, range(4))
    train(first, range(2))
    second.load_state(first.state())
    train(second, range(2, 4))
    for name, array in whole.state().items():
        assert np.isfinite(array).all(), name
        assert np.array_equal(array, second.state()[name]), name
    without = PytorchEngine(replace(CONFIG, augment=False), DOMAINS)
    train(without, range(4))
    assert any((array != without.state()[name]).any() for name, array in whole.state().items())
