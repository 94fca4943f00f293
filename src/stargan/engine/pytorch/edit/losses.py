"""The losses of the edit generator and its discriminator, as pure functions."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stargan.domains import Domains
from stargan.engine.edit_constants import FLAT, FOCUS, MOST, SMOOTHING
from stargan.engine.pytorch.edit import groups


def classification(domains: Domains, logits: Tensor, targets: Tensor) -> Tensor:
    """Computes cross-entropies with smoothed targets, summed over groups and averaged over images.

    Where no class of a group is on, or nobody knows which, that group does not count.

    Args:
        domains: The label layout.
        logits: (N, C).
        targets: (N, C), the labels, between 0 and 1 where they are not known.
    """
    parts = []
    for index in groups.columns(domains, logits.device):
        own, truth = logits[:, index], targets[:, index]
        known = ((truth == 0) | (truth == 1)).all(1).to(own.dtype)
        if len(index) == 1:
            soft = truth * (1 - 2 * SMOOTHING) + SMOOTHING
            parts.append(F.binary_cross_entropy_with_logits(own, soft, reduction="none")[:, 0] * known)
        else:
            entropy = F.cross_entropy(own, truth.argmax(1), reduction="none", label_smoothing=2 * SMOOTHING)
            parts.append(entropy * truth.sum(1) * known)
    return torch.stack(parts, 1).sum(1).mean()


def of_changes(domains: Domains, labels: Tensor, targets: Tensor) -> Tensor:
    """The labels, (N, C), of groups in which the targets differ; those of other groups as not known."""
    out = labels.clone()
    for index in groups.columns(domains, labels.device):
        stays = (labels[:, index] == targets[:, index]).all(1, keepdim=True)
        out[:, index] = torch.where(stays, 0.5, labels[:, index])
    return out


def patch_weights(change: Tensor, scores: Sequence[Tensor]) -> list[Tensor]:
    """Weights patches by how much of the image was changed there.

    An edit of a mouth changes a hundredth of all patches. If all counted the same, the classification, which sees the
    whole image, would outweigh the few patches that show whether the mouth is one. And what was not changed is a part
    of a real image, which D should not learn to call a fake.

    Args:
        change: (N, 1, H, W), the mean absolute change of colours.
        scores: (N, P) for each scale; patches are square.

    Returns:
        (N, P) for each scale, with a mean of at most 1.
    """
    found = []
    for score in scores:
        pooled = F.adaptive_avg_pool2d(change, math.isqrt(score.shape[1])).flatten(1)
        relative = (pooled / (pooled.mean(1, keepdim=True) + 0.01)).clamp(max=MOST)
        found.append(1 - FOCUS + FOCUS * relative)
    return found


def d_adversarial(scores: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Computes the hinge loss, averaged over scales, of real images, the first half, and their translations."""
    parts = []
    for score, weight in zip(scores, weights, strict=True):
        real, fake = score.chunk(2)
        parts.append((weight * (F.relu(1 - real) + F.relu(1 + fake))).mean())
    return torch.stack(parts).mean()


def mismatch(scores: Sequence[Tensor], weights: Sequence[Tensor], rows: Tensor, count: Tensor | None = None) -> Tensor:
    """Computes the hinge loss of real images, the first half, with labels that are not theirs in `rows`, (N,) bool.

    `count` is what to divide by, instead of the number of these rows, if the images are a part of a batch.
    """
    parts = [
        (weight * F.relu(1 + score.chunk(2)[0])).mean(1) @ rows.to(score.dtype)
        for score, weight in zip(scores, weights, strict=True)
    ]
    return torch.stack(parts).mean() / (rows.sum().clamp(min=1) if count is None else count)


def g_adversarial(scores: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Computes G's adversarial term, averaged over scales: low where D takes translations for real."""
    parts = [(weight * score).mean() for score, weight in zip(scores, weights, strict=True)]
    return -torch.stack(parts).mean()


def r1(critic: Callable[[Tensor], Sequence[Tensor]], real: Tensor) -> Tensor:
    """Computes the mean squared gradient of the scores at real images (Mescheder et al. 2018, R1)."""
    real = real.detach().requires_grad_(True)
    total = torch.stack([score.mean(1).sum() for score in critic(real)]).sum()
    (gradient,) = torch.autograd.grad(total, real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def bounds(drawn: Tensor) -> Tensor:
    """Penalises colours before tanh, (N, 3, H, W), where tanh is flat and passes on no gradient."""
    return F.relu(drawn.abs() - FLAT).square().mean()


def unchanged(images: Tensor, edited: Tensor, rows: Tensor, count: Tensor | None = None) -> Tensor:
    """Computes the mean absolute difference over images that nothing was requested of: `rows`, (N,) bool.

    `count` is as in `mismatch`.
    """
    each = (edited - images).abs().mean((1, 2, 3))
    return each @ rows.to(each.dtype) / (rows.sum().clamp(min=1) if count is None else count)
