"""What D is shown with `augment`."""

from dataclasses import replace

import numpy as np
import torch

from stargan.config import Config
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch.augment import BRIGHTNESS, COVER, SHIFT, augment
from stargan.engine.pytorch.engine import PytorchEngine

CONFIG = Config(
    image_size=(16, 16), width=4, blocks=1, d_layers=2, batch_size=4, device="cpu", precision="fp32", augment=True
)  # fmt: skip
DOMAINS = Domains((LabelSet("x", (Group(("A",)), Group(("B",)))),))


def draws(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((count, 5), generator=torch.Generator().manual_seed(seed))


def test_each_picture_is_shifted_lit_and_covered_by_chance() -> None:
    row = torch.arange(32.0)
    pictures = (row[:, None] * 32 + row)[None, None].repeat(64, 3, 1, 1)  # each value says its place
    shown = augment(pictures, draws(64))
    assert shown.shape == pictures.shape
    places = set()
    for picture in shown:
        covered = (picture == 0).all(0)
        assert covered.sum() >= int(COVER * 32) ** 2
        middle = picture[0][~covered & (torch.arange(32) > 4) & (torch.arange(32) < 28)]
        light = float(middle.frac().median())
        light -= light > 0.5
        assert abs(light) <= BRIGHTNESS
        at = (~covered).nonzero()
        y, x = next((y, x) for y, x in at.tolist() if 6 < y < 26 and 6 < x < 26)
        came = round(float(picture[0, y, x]) - light)
        dy, dx = came // 32 - y, came % 32 - x
        assert max(abs(dy), abs(dx)) <= SHIFT * 32
        places.add((dy, dx))
    assert len(places) > 30


def test_a_picture_is_only_ever_changed_by_its_own_draws() -> None:
    pictures, drawn = torch.rand(3, 3, 8, 8), draws(3)
    shown = augment(pictures, drawn)
    for index in range(3):
        assert torch.equal(augment(pictures[index, None], drawn[index, None])[0], shown[index])
    assert not torch.equal(augment(pictures, draws(3, 1)), shown)


def test_the_outermost_draws() -> None:
    """Nothing is picked outside the picture, also where a draw in few bits has become 1."""
    row = torch.arange(16.0)
    pictures = (1 + row[:, None] * 16 + row)[None, None].repeat(2, 3, 1, 1)
    shown = augment(pictures, torch.tensor([[0.0, 0, 0.5, 0, 0], [1, 1, 0.5, 1, 1]]))
    first, last = shown[:, 0]
    assert (first[:4, :4] == 0).all()
    assert (first[4:, 4:] == pictures[0, 0, 2:-2, 2:-2]).all()  # two down and right, of 16 an eighth
    assert (last[-4:, -4:] == 0).all()
    assert (last[:-4, :-4] == pictures[0, 0, 2:-2, 2:-2]).all()


def test_gradients_pass_where_nothing_is_covered() -> None:
    pictures = torch.rand(2, 3, 8, 8, requires_grad=True)
    augment(pictures, draws(2)).sum().backward()
    assert pictures.grad is not None
    assert set(pictures.grad.unique().tolist()) == {0.0, 1.0}


def test_training_with_it_can_be_repeated_and_resumed() -> None:
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
