"""Other updates for the recipe `edit`, for `trials.py`: too special for options of `stargan train`."""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.edit_constants import R1, R1_EVERY
from stargan.engine.pytorch import engine
from stargan.engine.pytorch.edit import losses
from stargan.engine.pytorch.edit.discriminator import EditDiscriminator
from stargan.engine.pytorch.edit.updates import EditUpdates, Made

TEACHER_DECAY = 0.999


class Cycle(EditUpdates):
    """The paper's reconstruction (eq. 4): translations are translated back; it replaces that of unchanged images."""

    def _g_terms(self, made: Made) -> dict[str, Tensor]:
        with self._autocast():
            back, _, _ = self.generator.edit(made.edited, made.labels - made.targets)
        return super()._g_terms(made) | {"g_rec": self.config.lambda_rec * (back.float() - made.images).abs().mean()}


class Paired(EditUpdates):
    """A relativistic objective with R1 and R2 (R3GAN, Huang et al. 2024, arXiv 2501.05441).

    D says how much more real an image looks than its own translation.
    """

    def _d_terms(self, real: Tensor, labels: Tensor, targets: Tensor) -> dict[str, Tensor]:
        with mock.patch.object(losses, "d_adversarial", _paired):
            terms = super()._d_terms(real, labels, targets)
        if self.step % R1_EVERY == 0 and self._made is not None:
            fake = self._made.crisp[1].detach()
            penalty = losses.r1(lambda images: self.discriminator.critic(images, targets)[0][0], fake)
            terms["d_r2"] = 0.5 * R1 * R1_EVERY * penalty
        return terms

    def _g_terms(self, made: Made) -> dict[str, Tensor]:
        with torch.no_grad():
            sources = [
                self._critic(made.crisp[0], made.labels)[0][0],
                self.discriminator.projected(made.features[0], made.labels)[0][0],
            ]
        real = iter(sources)  # in the order in which `_g_terms` asks for the two terms

        def fooled(scores: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
            return _paired([torch.cat(pair) for pair in zip(scores, next(real), strict=True)], weights)

        with mock.patch.object(losses, "g_adversarial", fooled):
            return super()._g_terms(made)


def _paired(scores: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """How much less real the first half of the images looks than the second, patch by patch."""
    parts = []
    for score, weight in zip(scores, weights, strict=True):
        better, worse = score.chunk(2)
        parts.append((weight * F.softplus(worse - better)).mean())
    return torch.stack(parts).mean()


class Teacher(EditUpdates):
    """G learns from an EMA of D."""

    def __init__(self, config: Config, domains: Domains) -> None:
        super().__init__(config, domains)
        self._teacher: EditDiscriminator | None = None  # not in checkpoints: a resumed run begins with D's weights

    def update_d(self, *arguments: Tensor, **options: object) -> None:  # type: ignore[override]
        """Updates D once, and its EMA; see `EditUpdates.update_d`."""
        super().update_d(*arguments, **options)  # type: ignore[arg-type]
        if self._teacher is None or self._warms_up:
            self._teacher = copy.deepcopy(self.discriminator).requires_grad_(False)
        with torch.no_grad():
            averages: list[Tensor] = list(self._teacher.parameters())
            weights: list[Tensor] = list(self.discriminator.parameters())
            torch._foreach_lerp_(averages, weights, 1 - TEACHER_DECAY)
            for mine, its in zip(self._teacher.buffers(), self.discriminator.buffers(), strict=True):
                mine.copy_(its)

    def _g_terms(self, made: Made) -> dict[str, Tensor]:
        own, self.discriminator = self.discriminator, self._teacher or self.discriminator
        try:
            return super()._g_terms(made)
        finally:
            self.discriminator = own


VARIANTS = {"": EditUpdates, "cycle": Cycle, "paired": Paired, "teacher": Teacher}


@contextlib.contextmanager
def used(name: str) -> Iterator[None]:
    """Lets PyTorch's engine use one of `VARIANTS` for the recipe `edit`."""
    with mock.patch.object(engine, "EditUpdates", VARIANTS[name]):
        yield
