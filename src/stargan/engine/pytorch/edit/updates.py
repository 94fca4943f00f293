"""The updates of the edit generator and of its discriminator (`--discriminator projected`).

Both see the same translations and the same views of them. A step's random numbers follow from its seed, so that an
update of G after one of D could compute everything again; it uses what the update of D left, which takes half the time.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.edit_constants import BOUNDS, CRITIC_RATE, EDITED, MASK, MISMATCH, PROJECTED_RATE, R1, R1_EVERY
from stargan.engine.pytorch import device as devices
from stargan.engine.pytorch import optimizer
from stargan.engine.pytorch.cuda_graphs import Tensors
from stargan.engine.pytorch.edit import losses
from stargan.engine.pytorch.edit.discriminator import EditDiscriminator
from stargan.engine.pytorch.edit.features import Features
from stargan.engine.pytorch.edit.generator import EditGenerator
from stargan.engine.pytorch.edit.views import Views
from stargan.engine.pytorch.updates import Updates
from stargan.errors import ConfigError


@dataclass
class Made:
    """Translations of a batch, as D sees them.

    Attributes:
        images: (N, 3, H, W), the images.
        labels: (N, C), their labels.
        targets: (N, C), the target labels.
        edited: (N, 3, H, W), the translations.
        mask: (N, 1, H, W), see `EditGenerator.edit`.
        drawn: (N, 3, H, W), see `EditGenerator.edit`.
        crisp: Views of the images and of the translations, (N, 3, H, W) each.
        features: Those of turned views of the images and of the translations.
        changes: How much crisp and turned views were changed, (N, 1, H', W') each.
    """

    images: Tensor
    labels: Tensor
    targets: Tensor
    edited: Tensor
    mask: Tensor
    drawn: Tensor
    crisp: tuple[Tensor, Tensor]
    features: tuple[list[Tensor], list[Tensor]]
    changes: tuple[Tensor, Tensor]


class EditUpdates(Updates):
    """The networks, their optimizers, and one update of each.

    Args:
        config: All settings.
        domains: The label layout, of one data set.

    Raises:
        ConfigError: The device is not available, or there are several data sets.
        MissingExtraError: The network with fixed weights is not installed.
    """

    generator: EditGenerator
    discriminator: EditDiscriminator

    def __init__(self, config: Config, domains: Domains) -> None:
        if len(domains.sets) > 1:
            raise ConfigError("--discriminator projected: trains on one data set; say --data once")
        if config.precision == "auto" and devices.choose(config).type == "cuda":
            config = replace(config, precision="fp32")  # whether bf16 is faster there has not been measured
        super().__init__(config, domains)
        self.frozen = Features().to(self.device)
        parts = [self.discriminator.critic, self.discriminator.projected]
        self.optimizers["discriminator"] = optimizer.Adam(self.discriminator, config, parts)
        self._made: Made | None = None

    def _network(self, name: str) -> nn.Module:
        projected = name == "discriminator"
        return EditDiscriminator(self.config.architecture, self.domains) if projected else super()._network(name)

    def _use_gpu(self) -> None:
        torch.backends.cudnn.benchmark = True  # worthwhile because shapes never change

    # ---------------------------------------------------------------- D

    def update_d(
        self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float, draws: Tensors | None = None
    ) -> None:
        """Updates D once, in the first `warm_up` steps only its classification; see `Updates.update_d`."""
        optimizer.set_rate(self.optimizers["discriminator"], CRITIC_RATE * lr, PROJECTED_RATE * lr)
        if self.step == self.config.warm_up:  # from here on, gradients are others
            self.optimizers["discriminator"].state.clear()
        self._clear_gradients()
        terms = self._warm_up_terms(real, labels) if self._warms_up else self._d_terms(real, labels, targets)
        torch.stack(list(terms.values())).sum().backward()
        self.terms |= self._apply("discriminator", terms)

    @property
    def _warms_up(self) -> bool:
        return self.step < self.config.warm_up

    def _warm_up_terms(self, real: Tensor, labels: Tensor) -> dict[str, Tensor]:
        views = self._views_of(real)
        found = self._calibrated(self.frozen(views.turned(real)))
        logits, projected_logits = self._critic(views.crisp(real))[1], self.discriminator.projected(found)[1]
        return self._class_terms(logits, projected_logits, labels)

    def _class_terms(self, critic: Tensor, projected: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The classification of real images; remembers how sure it is."""
        truth = self.processes.gathered(labels)
        for confidence, logits in zip(self.discriminator.confidences, (critic, projected), strict=True):
            confidence.observe(self.processes.gathered(logits.detach()), truth)
        return {
            "d_cls": losses.classification(self.domains, critic, labels),
            "d_projected_cls": losses.classification(self.domains, projected, labels),
        }

    def _d_terms(self, real: Tensor, labels: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The weighted terms of D's loss; keeps the translations for the update of G."""
        made, count = self._make(real, labels, targets), len(real)
        self._made = made
        own, others = torch.cat([labels, targets]), torch.cat([targets, targets])
        crisp = torch.cat([part.detach() for part in made.crisp])
        (own_scores, other_scores), logits = self._critic(crisp, own, others)
        joined = [torch.cat([a, b.detach()]) for a, b in zip(*made.features, strict=True)]
        (projected, other_projected), projected_logits = self.discriminator.projected(joined, own, others)
        weights = losses.patch_weights(made.changes[0], [each[:count] for each in own_scores])
        projected_weights = losses.patch_weights(made.changes[1], [each[:count] for each in projected])
        requested = (labels != targets).any(1)
        rows = requested, self._count(requested)
        mismatches = (
            losses.mismatch(other_scores, weights, *rows),
            losses.mismatch(other_projected, projected_weights, *rows),
        )
        changed = losses.of_changes(self.domains, labels, targets)
        edited = [losses.classification(self.domains, each[count:], changed) for each in (logits, projected_logits)]
        terms = {
            "d_critic": losses.d_adversarial(own_scores, weights),
            "d_projected": losses.d_adversarial(projected, projected_weights),
            "d_mismatch": MISMATCH * (mismatches[0] + mismatches[1]),
            **self._class_terms(logits[:count], projected_logits[:count], labels),
            "d_edited_cls": EDITED * (edited[0] + edited[1]),
        }
        if self.step % R1_EVERY == 0:
            penalty = losses.r1(lambda images: self.discriminator.critic(images, labels)[0][0], made.crisp[0])
            terms["d_r1"] = 0.5 * R1 * R1_EVERY * penalty
        return terms

    # ---------------------------------------------------------------- G

    def update_g(self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float) -> None:
        """Updates G, its EMA and the attribute classifier once; see `Updates.update_g`."""
        optimizer.set_rate(self.optimizers["classifier"], self._classifier_rate(lr))
        if not self._warms_up:
            optimizer.set_rate(self.optimizers["generator"], lr)
            self._update_generator(self._made or self._make(real, labels, targets))
            self._update_ema()
        self._made = None
        self._clear_gradients()
        self.terms |= self._update_classifier(dataset, {"real": real, "labels": labels})

    def _update_generator(self, made: Made) -> None:
        self._clear_gradients()
        self.discriminator.requires_grad_(False)  # gradients flow through D, but those of its weights are not needed
        terms = self._g_terms(made)
        torch.stack(list(terms.values())).sum().backward()
        self.discriminator.requires_grad_(True)
        self.terms |= self._apply("generator", terms)

    def _g_terms(self, made: Made) -> dict[str, Tensor]:
        """The weighted terms of G's loss."""
        projected = self.discriminator.projected
        (scores,), logits = self._critic(made.crisp[1], made.targets)
        (projected_scores,), projected_logits = projected(made.features[1], made.targets)
        with torch.no_grad():
            sources = self._critic(made.crisp[0])[1], projected(made.features[0])[1]
        both = [
            confidence.shortfall(each, source, made.labels, made.targets)
            for confidence, each, source in zip(
                self.discriminator.confidences, (logits, projected_logits), sources, strict=True
            )
        ]
        nothing = (made.labels == made.targets).all(1)
        return {
            "g_critic": losses.g_adversarial(scores, losses.patch_weights(made.changes[0], scores)),
            "g_projected": losses.g_adversarial(
                projected_scores, losses.patch_weights(made.changes[1], projected_scores)
            ),
            "g_cls": self.lambda_cls * (both[0] + both[1]) / 2,
            "g_rec": self.config.lambda_rec * losses.unchanged(made.images, made.edited, nothing, self._count(nothing)),
            "g_change": self.config.lambda_change * (made.edited - made.images).abs().mean(),
            "g_mask": MASK * made.mask.mean(),
            "g_bounds": BOUNDS * losses.bounds(made.drawn),
        }

    # ---------------------------------------------------------------- both

    def _make(self, images: Tensor, labels: Tensor, targets: Tensor) -> Made:
        with self._autocast():
            edited, mask, drawn = self.generator.edit(images, targets - labels)
        views = self._views_of(images)
        crisp, turned = ((view(images), view(edited)) for view in (views.crisp, views.turned))
        with torch.no_grad():
            real_features = self._calibrated(self.frozen(turned[0]))
            change, turned_change = ((a - b).abs().mean(1, keepdim=True) for a, b in (crisp, turned))
        features = real_features, self.frozen(turned[1])
        return Made(images, labels, targets, edited, mask, drawn, crisp, features, (change, turned_change))

    def _critic(self, images: Tensor, *conditions: Tensor) -> tuple[list[list[Tensor]], Tensor]:
        """Applies the convolutional part of D; returns float32, also where its layers compute in bf16. See `Critic`."""
        with self._autocast():
            scores, logits = self.discriminator.critic(images, *conditions)
        return [[scale.float() for scale in each] for each in scores], logits.float()

    def _calibrated(self, found: list[Tensor]) -> list[Tensor]:
        self.discriminator.projected.calibrate(found, self.processes.gathered)
        return found

    def _count(self, rows: Tensor) -> Tensor:
        """The mean number of `rows`, (N,) bool, over all processes; of the whole batch, at least one counts."""
        every = self.processes.gathered(rows.float()).sum()
        return every.clamp(min=1) / self.processes.world_size

    def _views_of(self, images: Tensor) -> Views:
        random = torch.Generator().manual_seed(self.random.initial_seed())
        return Views(len(images) * self.processes.world_size, images.shape[3], random, self.processes.own)
