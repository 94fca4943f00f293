"""The losses, as pure functions of network outputs. Equation numbers are the paper's (arXiv 1711.09020)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stargan.config.training import Objective
from stargan.domains import Head

# ---------------------------------------------------------------- adversarial


def d_adversarial(objective: Objective, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Computes D's adversarial terms for real and for translated images; D minimises their sum.

    Args:
        objective: `wgan-gp` and `wgan-lp`: -E[D(x)] and E[D(G)] (eq. 8); `gan` and `dragan`: the log-likelihoods
            of eq. 1; `lsgan`: squared distance to 1 and to 0 (Mao et al. 2017); `hinge`: Lim & Ye 2017.
        real: (N, 1, h, w), D's outputs for real images.
        fake: (N, 1, h, w), D's outputs for translated images.
    """
    if objective in ("wgan-gp", "wgan-lp"):
        return -real.mean(), fake.mean()
    if objective == "lsgan":
        return (real - 1).square().mean(), fake.square().mean()
    if objective == "hinge":
        return F.relu(1 - real).mean(), F.relu(1 + fake).mean()
    return F.softplus(-real).mean(), F.softplus(fake).mean()


def g_adversarial(objective: Objective, fake: Tensor) -> Tensor:
    """Computes G's adversarial term, which is low when D takes translations for real.

    For `gan` and `dragan` it is the non-saturating form.
    """
    if objective == "lsgan":
        return (fake - 1).square().mean()
    if objective in ("gan", "dragan"):
        return F.softplus(-fake).mean()
    return -fake.mean()


# ---------------------------------------------------------------- gradient penalties


def between(real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """Interpolates between real and translated images; alpha, (N, 1, 1, 1) in [0, 1], is the weight of the real one."""
    return alpha * real + (1 - alpha) * fake


def around(real: Tensor, alpha: Tensor, noise: Tensor, deviation: Tensor | None = None) -> Tensor:
    """Samples DRAGAN's points around real images (Kodali et al. 2017), clamped to [-1, 1].

    Args:
        real: (N, 3, H, W).
        alpha: (N, 1, 1, 1), uniform in [-1, 1]: two-sided, like the authors' own correction of their code.
        noise: (N, 3, H, W), uniform in [0, 1]; scaled here by half the batch's standard deviation.
        deviation: That of the whole batch, if `real` is a part of it.
    """
    spread = 0.5 * (real.std(correction=0) if deviation is None else deviation)
    return (real + alpha * spread * noise).clamp(-1, 1)


def gradient_penalty(critic: Callable[[Tensor], Tensor], points: Tensor, *, one_sided: bool = False) -> Tensor:
    """Computes E[(|grad D(x^)| - 1)^2] (eq. 8, without its factor).

    Where the norm is zero, its gradient is taken to be zero, so the penalty is finite everywhere.

    Args:
        critic: Maps images, (N, 3, H, W), to D's realness scores, (N, 1, h, w), which are summed over patches as in
            the official code.
        points: (N, 3, H, W), where to take the gradient.
        one_sided: Penalise only norms above 1 (WGAN-LP, Petzka et al. 2018).
    """
    points = points.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    excess = torch.linalg.vector_norm(gradient.flatten(1), dim=1) - 1
    if one_sided:
        excess = excess.clamp(min=0)
    return excess.square().mean()


def classification_gradient_penalty(loss: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Computes E[|grad_x -log D_cls(c|x)|^2] at real images (double backpropagation, Drucker & LeCun 1992).

    Where the gradient of D's classification is large, a few pixels in a colour that no face has change the predicted
    class, and G learns to paint such pixels.

    Args:
        loss: Maps images, (N, 3, H, W), to their mean classification loss; each image's share must not depend on the
            others.
        images: (N, 3, H, W).
    """
    images = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(len(images) * loss(images), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


# ---------------------------------------------------------------- classification and reconstruction


def classification(logits: Tensor, values: Tensor, heads: Sequence[Head]) -> Tensor:
    """Computes -log D_cls(c|x) (eqs. 5 and 6) over the classes whose labels are known.

    Binary classes: cross-entropy, summed over classes and averaged over the batch, as in the official code. One-of-n
    classes: softmax cross-entropy, averaged over the batch. An image of which a class is unknown adds nothing to it.

    Args:
        logits: (N, C).
        values: (N, C or more), the labels, between 0 and 1 where unknown; columns after the first C (the domain mask)
            are ignored.
        heads: The classes whose labels are known in this data set.
    """
    total = logits.new_zeros(())
    for head in heads:
        part, truth = logits[:, head.columns], values[:, head.columns]
        known = ((truth == 0) | (truth == 1)).to(part.dtype)
        if head.categorical:
            losses = F.cross_entropy(part, truth.argmax(1), reduction="none") * known.amin(1)
        else:
            losses = F.binary_cross_entropy_with_logits(part, truth, weight=known, reduction="none")
        total = total + losses.sum() / len(part)
    return total


def reconstruction(images: Tensor, back: Tensor) -> Tensor:
    """Computes E[|x - G(G(x, c), c')|_1] (eq. 7), the mean absolute difference over all pixels."""
    return (images - back).abs().mean()
