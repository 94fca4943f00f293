"""CycleGAN's updates. Equation numbers are those of its paper (arXiv 1703.10593)."""

import torch
from torch import Tensor, nn

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.pytorch import losses, optimizer
from stargan.engine.pytorch.cuda_graphs import Tensors
from stargan.engine.pytorch.two_domains.buffer import Buffer
from stargan.engine.pytorch.two_domains.networks import CycleDiscriminator, CycleGenerator, PatchGan
from stargan.engine.pytorch.two_domains.updates import TwoDomainUpdates


class CycleUpdates(TwoDomainUpdates):
    """The networks of both directions, their optimizers, and one update of each.

    A batch has as many images of the first domain, A, as of the second, B, which follow. As in the authors' code, the
    generators learn from the discriminators as they are before the update of the same step. So `update_d` computes the
    gradients of the generators first, and `update_g` applies them.

    Arguments and errors are those of `TwoDomainUpdates`.
    """

    generator: CycleGenerator
    discriminator: CycleDiscriminator

    def __init__(self, config: Config, domains: Domains) -> None:
        super().__init__(config, domains)
        self.buffers: list[Buffer] = []
        if config.buffer:
            self.buffers = [Buffer(config.buffer, config.image_size).to(self.device) for _ in "ab"]
            self.kept = {"buffer": nn.ModuleDict(dict(zip("ab", self.buffers, strict=True)))}
        self._has_gradients = False

    def update_d(
        self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float, draws: Tensors | None = None
    ) -> None:
        """Updates both discriminators once, and computes the gradients of the generators; see `Updates.update_d`.

        Of `draws`, `buffer` is used, (2, N, 2): see `Buffer.swap`.
        """
        optimizer.set_rate(self.optimizers["discriminator"], lr)
        a, b = real.chunk(2)
        fakes = self._compute_gradients(a, b)
        drawn = (draws or {}).get("buffer", self._random(2, len(a), 2))
        fakes = [buffer.swap(*each) for buffer, *each in zip(self.buffers, fakes, drawn, strict=False)] or fakes
        terms = self.d_terms(a, b, *fakes)
        total = torch.stack(list(terms.values())).sum()
        total.backward()
        self.optimizers["discriminator"].step()
        self._keep({**terms, "d_total": total})

    def d_terms(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Computes the terms of the discriminators' loss (eq. 1, as least squares in section 4).

        Args:
            a: (N, 3, H, W) in [-1, 1], images of A.
            b: Images of B.
            fake_a: Translations to A, without gradients.
            fake_b: Translations to B.
        """
        pairs = {"d_a": (self.discriminator.a, a, fake_a), "d_b": (self.discriminator.b, b, fake_b)}
        terms = {}
        for name, (score, real, fake) in pairs.items():
            with self._autocast():
                scores = score(real), score(fake)
            of_real, of_fake = losses.d_adversarial(self.config.objective, *(each.float() for each in scores))
            terms[name] = (of_real + of_fake) / 2  # halves the objective, which slows D down (section 4)
        return terms

    def update_g(self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float) -> None:
        """Updates both generators, their EMA and the attribute classifier once; see `Updates.update_g`."""
        optimizer.set_rate(self.optimizers["generator"], lr)
        optimizer.set_rate(self.optimizers["classifier"], self._classifier_rate(lr))
        if not self._has_gradients:
            self._compute_gradients(*real.chunk(2))
        self.optimizers["generator"].step()
        self._update_ema()
        self._clear_gradients()
        self._has_gradients = False
        self._keep(self._update_classifier(dataset, {"real": real, "labels": labels}))

    def _compute_gradients(self, a: Tensor, b: Tensor) -> list[Tensor]:
        """Computes the gradients of the generators; returns the translations to A and to B."""
        self._clear_gradients()
        self.discriminator.requires_grad_(False)  # gradients flow through D, but those of its weights are not needed
        with self._autocast():
            fakes = [self.generator.to_a(b), self.generator.to_b(a)]
        terms = self.g_terms(a, b, *fakes)
        total = sum(self._weight(name) * term for name, term in terms.items())
        assert isinstance(total, Tensor)
        total.backward()
        self.discriminator.requires_grad_(True)
        self._keep({**terms, "g_total": total})
        self._has_gradients = True
        return [fake.detach().float() for fake in fakes]

    def g_terms(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Computes the unweighted terms of the generators' loss (eqs. 1 and 2, and the identity loss of section 5.2).

        `g_features` is DIAT's loss (arXiv 1610.05586). Terms with weight 0 are left out. The arguments are
        those of `d_terms`, with gradients.
        """
        g, d, config = self.generator, self.discriminator, self.config
        with self._autocast():
            scores = {"a": d.a(fake_a), "b": d.b(fake_b)}
            kept = {"a": _changes(d.a, b, fake_a), "b": _changes(d.b, a, fake_b)} if config.lambda_features else {}
            back = {"a": (a, g.to_a(fake_b)), "b": (b, g.to_b(fake_a))} if config.lambda_rec else {}
            same = {"a": (a, g.to_a(a)), "b": (b, g.to_b(b))} if config.lambda_identity else {}
        return {
            **{f"g_fake_{x}": losses.g_adversarial(config.objective, each.float()) for x, each in scores.items()},
            **{f"g_features_{x}": each for x, each in kept.items()},
            **{f"g_rec_{x}": losses.reconstruction(real, each.float()) for x, (real, each) in back.items()},
            **{f"g_identity_{x}": losses.reconstruction(real, each.float()) for x, (real, each) in same.items()},
        }

    def _weight(self, name: str) -> float:
        if name.startswith("g_rec"):
            return self.config.lambda_rec
        if name.startswith("g_features"):
            return self.config.lambda_features
        return self.config.lambda_rec * self.config.lambda_identity if name.startswith("g_identity") else 1.0


def _changes(discriminator: PatchGan, images: Tensor, translated: Tensor) -> Tensor:
    """The mean squared difference between D's features of images and of their translations, over all layers."""
    pairs = zip(discriminator.features(images), discriminator.features(translated), strict=True)
    return torch.stack([(one.detach().float() - other.float()).square().mean() for one, other in pairs]).mean()
