"""pix2pix's updates. Equation numbers are those of its paper (arXiv 1611.07004)."""

import torch
from torch import Tensor

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.pytorch import losses, optimizer
from stargan.engine.pytorch.cuda_graphs import Tensors
from stargan.engine.pytorch.two_domains.unet import PairDiscriminator, PairGenerator
from stargan.engine.pytorch.two_domains.updates import TwoDomainUpdates


class PairUpdates(TwoDomainUpdates):
    """The networks, their optimizers, and one update of each.

    A batch has images of the first domain, A, followed by their translations in the second, B. As in the authors' code,
    both updates of a step use the same translations by G, whose dropout follows from the seed and the step.

    Arguments and errors are those of `TwoDomainUpdates`.
    """

    generator: PairGenerator
    discriminator: PairDiscriminator

    def __init__(self, config: Config, domains: Domains) -> None:
        super().__init__(config, domains)
        self.generator.eval()  # except in updates
        self.ema_generator.eval()
        self._made: Tensor | None = None

    def update_d(
        self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float, draws: Tensors | None = None
    ) -> None:
        """Updates D once; keeps the translations for the update of G. See `Updates.update_d`."""
        optimizer.set_rate(self.optimizers["discriminator"], lr)
        self._clear_gradients()
        a, b = real.chunk(2)
        self._made = self._make(a)
        terms = self.d_terms(a, b, self._made.detach())
        total = (terms["d_real"] + terms["d_fake"]) / 2  # halves the objective, which slows D down (section 3.3)
        total.backward()
        self.optimizers["discriminator"].step()
        self._keep({**terms, "d_total": total})

    def d_terms(self, a: Tensor, b: Tensor, fake: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Computes the unweighted terms of D's loss (eq. 1).

        Args:
            a: (N, 3, H, W) in [-1, 1], images of A.
            b: Their translations.
            fake: Their translations by G, without gradients.
        """
        with self._autocast():
            scores = self.discriminator(a, b), self.discriminator(a, fake)
        real_term, fake_term = losses.d_adversarial(self.config.objective, *(each.float() for each in scores))
        return {"d_real": real_term, "d_fake": fake_term}

    def update_g(self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float) -> None:
        """Updates G, its EMA and the attribute classifier once; see `Updates.update_g`."""
        optimizer.set_rate(self.optimizers["generator"], lr)
        optimizer.set_rate(self.optimizers["classifier"], self._classifier_rate(lr))
        self._clear_gradients()
        a, b = real.chunk(2)
        made, self._made = self._made, None
        # A forecast measures the two updates one after the other, with batches of different sizes.
        fake = self._make(a) if made is None or len(made) != len(a) else made
        self.discriminator.requires_grad_(False)  # gradients flow through D, but those of its weights are not needed
        terms = self.g_terms(a, b, fake)
        total = terms["g_fake"] + self.config.lambda_rec * terms["g_rec"]
        total.backward()
        self.discriminator.requires_grad_(True)
        self.optimizers["generator"].step()
        self._update_ema()
        self._clear_gradients()
        classifier = self._update_classifier(dataset, {"real": real, "labels": labels})
        self._keep({**terms, "g_total": total, **classifier})

    def g_terms(self, a: Tensor, b: Tensor, fake: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Computes the unweighted terms of G's loss (eqs. 1 and 3); the arguments are those of `d_terms`."""
        with self._autocast():
            scores = self.discriminator(a, fake)
        return {
            "g_fake": losses.g_adversarial(self.config.objective, scores.float()),
            "g_rec": losses.reconstruction(b, fake),
        }

    def _make(self, a: Tensor) -> Tensor:
        """Translates with dropout, and the statistics of the batch."""
        devices = [self.device] if self.device.type == "cuda" else []
        self.generator.train()
        with torch.random.fork_rng(devices), self._autocast():
            torch.manual_seed(self.random.initial_seed())
            made: Tensor = self.generator.to_b(a)
        self.generator.eval()
        return made.float()
