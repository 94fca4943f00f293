"""How sure D is of the classes of real images, and how far translations are from that."""

import torch
from torch import Tensor, nn

from stargan.domains import Domains
from stargan.engine.edit_constants import CERTAIN, FORGET, KEPT
from stargan.engine.pytorch.edit import groups

LEAST = 1e-6  # probability, so that logarithms are finite


class Confidence(nn.Module):
    """Mean probability of the true class of real images that D classifies right, for each class that is on, or off.

    G is not paid for more. Few images with old faces are as clearly old as a network can paint them; a loss that asks
    for certainty turns features into caricatures.

    Args:
        domains: The label layout.
    """

    on: Tensor
    off: Tensor

    def __init__(self, domains: Domains) -> None:
        super().__init__()
        self.domains = domains
        for value in ("on", "off"):
            self.register_buffer(value, torch.full((domains.num_classes,), CERTAIN))

    @torch.no_grad()
    def observe(self, logits: Tensor, labels: Tensor) -> None:
        """Takes real images into account: their logits and their labels, (N, C) each; unknown labels do not count."""
        found = probabilities(self.domains, logits)
        for means, value, probability in ((self.on, 1, found), (self.off, 0, 1 - found)):
            right = (labels == value) & (probability > 0.5)
            count = right.sum(0)
            seen = (probability * right).sum(0) / count.clamp(min=1)
            means.lerp_(seen, 1 - (1 - FORGET) ** count)

    def shortfall(self, logits: Tensor, sources: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        """Computes how much less clearly translations show their classes than real images do.

        That is the Kullback-Leibler divergence of a class from what is typical, where D is less sure than that. Of
        classes that should stay, translations need not show more than their sources.

        Args:
            logits: (N, C), of the translations.
            sources: (N, C), the logits of their sources.
            labels: (N, C), the labels of the sources.
            targets: (N, C), the target labels, between 0 and 1 where they are not known.

        Returns:
            The sum over groups, averaged over images.
        """
        typical = self.on * targets + self.off * (1 - targets)
        now, before = (
            found * targets + (1 - found) * (1 - targets)
            for found in (probabilities(self.domains, each) for each in (logits, sources))
        )
        parts = []
        for index in groups.columns(self.domains, logits.device):
            truth = targets[:, index]
            known = ((truth == 0) | (truth == 1)).all(1)
            share = truth if len(index) > 1 else torch.ones_like(truth)  # of several classes, only that which is on
            asked, shown, had = ((each[:, index] * share).sum(1) for each in (typical, now, before))
            stays = (labels[:, index] == truth).all(1)
            asked = torch.where(stays, torch.minimum(asked, had), asked).clamp(LEAST, 1 - LEAST)
            shown = shown.clamp(LEAST, 1 - LEAST)
            divergence = asked * (asked / shown).log() + (1 - asked) * ((1 - asked) / (1 - shown)).log()
            counts = known & share.any(1) & (shown < asked)
            parts.append(torch.where(counts, divergence, 0.0) * (1 + (KEPT - 1) * stays))
        return torch.stack(parts, 1).sum(1).mean()


def probabilities(domains: Domains, logits: Tensor) -> Tensor:
    """The probability of each class, from 0 to 1: (N, C) for logits, (N, C)."""
    parts = [logits[:, index] for index in groups.columns(domains, logits.device)]
    return torch.cat([part.sigmoid() if part.shape[1] == 1 else part.softmax(1) for part in parts], 1)
