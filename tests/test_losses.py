"""The losses against values computed by hand or in numpy."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from stargan.config import Architecture
from stargan.config.training import Objective
from stargan.domains import Head
from stargan.engine.constants import PENALISED
from stargan.engine.pytorch import losses, networks

REAL = np.array([[-2.0, 0.5], [1.5, 3.0]])
FAKE = np.array([[-1.5, -0.25], [0.75, 2.0]])


def tensor(
    values: np.ndarray | list[list[float]] | list[float] | float, shape: tuple[int, ...] | None = None
) -> Tensor:
    array = np.asarray(values, np.float64)
    return torch.from_numpy(array.reshape(shape) if shape else array)


def minus_log_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.log(1 + np.exp(-x))


# ---------------------------------------------------------------- adversarial

BY_HAND: dict[Objective, tuple[float, float, float]] = {
    "wgan-gp": (-0.75, 0.25, -0.25),
    "wgan-lp": (-0.75, 0.25, -0.25),
    # (9 + 0.25 + 0.25 + 4) / 4, (2.25 + 0.0625 + 0.5625 + 4) / 4, (6.25 + 1.5625 + 0.0625 + 1) / 4
    "lsgan": (3.375, 1.71875, 2.21875),
    # (3 + 0.5 + 0 + 0) / 4, (0 + 0.75 + 1.75 + 3) / 4
    "hinge": (0.875, 1.375, -0.25),
    "gan": tuple(minus_log_sigmoid(x).mean() for x in (REAL, -FAKE, FAKE)),
    "dragan": tuple(minus_log_sigmoid(x).mean() for x in (REAL, -FAKE, FAKE)),
}


@pytest.mark.parametrize("objective", BY_HAND)
def test_adversarial_terms(objective: Objective) -> None:
    real, fake = tensor(REAL, (2, 1, 1, 2)), tensor(FAKE, (2, 1, 1, 2))
    d_real, d_fake, g_fake = BY_HAND[objective]
    ours = losses.d_adversarial(objective, real, fake)
    assert ours[0].item() == pytest.approx(d_real, abs=1e-12)
    assert ours[1].item() == pytest.approx(d_fake, abs=1e-12)
    assert losses.g_adversarial(objective, fake).item() == pytest.approx(g_fake, abs=1e-12)


@pytest.mark.parametrize("objective", ["gan", "dragan"])
def test_likelihoods_are_finite_for_large_outputs(objective: Objective) -> None:
    far = tensor([-1e4, 1e4])
    terms = (*losses.d_adversarial(objective, far, far), losses.g_adversarial(objective, far))
    assert [term.item() for term in terms] == [5000, 5000, 5000]


def test_penalised_objectives() -> None:
    assert {"wgan-gp", "wgan-lp", "dragan"} == PENALISED


# ---------------------------------------------------------------- penalties

POINTS = np.zeros((3, 3, 4, 4))
POINTS[0, 0, 0, 0] = 3  # Euclidean norms 5, 0.5 and 0
POINTS[0, 2, 3, 1] = -4
POINTS[1, 1, 2, 2] = 0.5


def bowl(scale: Tensor) -> Callable[[Tensor], Tensor]:
    """Returns D(x) = scale |x|^2 / 2, spread over two patches; its gradient at x is scale x."""
    return lambda x: torch.stack([scale * x.square().flatten(1).sum(1) / 4] * 2, 1)[:, None, None, :]


@pytest.mark.parametrize(
    ("one_sided", "penalty", "slope"),
    [
        (False, (4**2 + 0.5**2 + 1) / 3, (2 * 4 * 5 + 2 * -0.5 * 0.5) / 3),
        (True, 4**2 / 3, 2 * 4 * 5 / 3),
    ],
)
def test_penalty_and_its_gradient(one_sided: bool, penalty: float, slope: float) -> None:
    scale = tensor(1.0).requires_grad_(True)
    ours = losses.gradient_penalty(bowl(scale), tensor(POINTS), one_sided=one_sided)
    assert ours.item() == pytest.approx(penalty, rel=1e-12)
    ours.backward()
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize(("one_sided", "penalty"), [(False, 1.0), (True, 0.0)])
def test_penalty_is_finite_where_the_gradient_is_zero(one_sided: bool, penalty: float) -> None:
    discriminator = networks.Discriminator(Architecture((16, 16), width=4, d_layers=2), 2)
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.zero_()
    points = torch.from_numpy(np.ones((2, 3, 16, 16), np.float32))
    ours = losses.gradient_penalty(lambda x: discriminator(x)[0], points, one_sided=one_sided)
    assert ours.item() == penalty
    ours.backward()
    gradients = [p.grad for p in discriminator.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_penalty_passes_no_gradient_to_its_points() -> None:
    points = tensor(POINTS).requires_grad_(True)
    scale = tensor(1.0).requires_grad_(True)
    losses.gradient_penalty(bowl(scale), points * 1).backward()
    assert scale.grad is not None
    assert points.grad is None


def test_classification_gradient_penalty_and_its_gradient() -> None:
    """For a loss of s |x|^2 / 2, averaged over images, the gradient norms are s times 5, 0.5 and 0."""
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    result = losses.classification_gradient_penalty(
        lambda x: (scale * x.square().flatten(1).sum(1) / 2).mean(), tensor(POINTS)
    )
    result.backward()
    assert result.item() == pytest.approx(4 * (25 + 0.25) / 3)
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx(2 * 2 * (25 + 0.25) / 3)


def test_between() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.uniform(-1, 1, (2, 3, 3, 4, 4))
    alpha = np.array([0.0, 0.25, 1.0])
    ours = losses.between(tensor(real), tensor(fake), tensor(alpha, (3, 1, 1, 1))).numpy()
    assert np.allclose(ours[0], fake[0], atol=0)
    assert np.allclose(ours[1], 0.25 * real[1] + 0.75 * fake[1], atol=1e-15)
    assert np.allclose(ours[2], real[2], atol=0)


def test_around() -> None:
    rng = np.random.default_rng(1)
    real = rng.uniform(-1, 1, (3, 3, 4, 4))
    noise = rng.uniform(0, 1, real.shape)
    alpha = np.array([-1.0, 0.5, 1.0]).reshape(3, 1, 1, 1)
    spread = np.sqrt(((real - real.mean()) ** 2).mean())  # over the whole batch
    expected = np.clip(real + alpha * 0.5 * spread * noise, -1, 1)
    ours = losses.around(tensor(real), tensor(alpha), tensor(noise)).numpy()
    assert np.allclose(ours, expected, atol=1e-12)
    assert (np.abs(expected) == 1).any()  # some values were clamped


# ---------------------------------------------------------------- classification

LOGITS = np.array([[0.5, -1.0, 2.0, 0.0, -3.0], [-0.25, 4.0, -2.0, 1.0, 0.5]])
VALUES = np.array([[1.0, 0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0, 0.0]])


def binary(columns: slice) -> float:
    probability = 1 / (1 + np.exp(-LOGITS[:, columns]))
    truth = VALUES[:, columns]
    return float(-np.log(np.where(truth == 1, probability, 1 - probability)).sum(1).mean())


def categorical(columns: slice) -> float:
    shares = np.exp(LOGITS[:, columns])
    shares /= shares.sum(1, keepdims=True)
    return float(-np.log((shares * VALUES[:, columns]).sum(1)).mean())


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        ([Head(0, 5, False)], binary(slice(0, 5))),
        ([Head(2, 4, True)], categorical(slice(2, 4))),
        ([Head(0, 2, False), Head(2, 4, True)], binary(slice(0, 2)) + categorical(slice(2, 4))),
        ([Head(2, 4, True), Head(4, 5, False)], categorical(slice(2, 4)) + binary(slice(4, 5))),
    ],
    ids=["binary", "one of n", "both", "the second part only"],
)
def test_classification(heads: list[Head], expected: float) -> None:
    ours = losses.classification(tensor(LOGITS), tensor(VALUES), heads)
    assert ours.item() == pytest.approx(expected, rel=1e-12)


def test_classification_by_hand() -> None:
    # Two attributes of one image at logit 0 and one at log 3: log 2 + log 2 - log(3/4), summed over the attributes.
    logits, values = tensor([[0.0, 0.0, np.log(3)]]), tensor([[1.0, 0.0, 1.0]])
    ours = losses.classification(logits, values, [Head(0, 3, False)])
    assert ours.item() == pytest.approx(2 * np.log(2) + np.log(4 / 3), rel=1e-12)
    # One of three classes at equal logits: log 3.
    ours = losses.classification(tensor([[1.0, 1.0, 1.0]]), tensor([[0.0, 0.0, 1.0]]), [Head(0, 3, True)])
    assert ours.item() == pytest.approx(np.log(3), rel=1e-12)


def test_unknown_joint_labels_do_not_count() -> None:
    logits = tensor(LOGITS).requires_grad_(True)
    values = np.concatenate([VALUES, [[0, 1], [0, 1]]], axis=1)  # with a domain mask at the end
    losses.classification(logits, tensor(values), [Head(2, 5, False)]).backward()
    assert logits.grad is not None
    assert (logits.grad[:, :2] == 0).all()
    assert (logits.grad[:, 2:] != 0).all()


def test_classification_without_known_labels_is_zero() -> None:
    assert losses.classification(tensor(LOGITS), tensor(VALUES), []).item() == 0


# ---------------------------------------------------------------- reconstruction


def test_reconstruction() -> None:
    images, back = np.zeros((2, 3, 2, 2)), np.zeros((2, 3, 2, 2))
    images[0, 0, 0, 0], back[1, 2, 1, 1] = 1.5, -0.9
    assert losses.reconstruction(tensor(images), tensor(back)).item() == pytest.approx(2.4 / 24, rel=1e-12)
