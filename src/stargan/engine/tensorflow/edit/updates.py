"""The updates of the edit generator and of its discriminator, as the PyTorch engine's; one `tf.function` each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.edit_constants import BOUNDS, CRITIC_RATE, EDITED, MASK, MISMATCH, PROJECTED_RATE, R1, R1_EVERY
from stargan.engine.tensorflow.edit import losses, views
from stargan.engine.tensorflow.edit.discriminator import EditDiscriminator
from stargan.engine.tensorflow.edit.features import Features
from stargan.engine.tensorflow.network import Network
from stargan.engine.tensorflow.updates import Tensors, Updates, scalar
from stargan.errors import ConfigError


@dataclass
class Made:
    """Translations of a batch, as D sees them.

    Attributes:
        edited: (N, H, W, 3), the translations.
        mask: (N, H, W, 1), see `EditGenerator.edit`.
        drawn: (N, H, W, 3), see `EditGenerator.edit`.
        crisp: Views of the images and of the translations, (N, H, W, 3) each.
        turned: Turned views of the images and of the translations.
        changes: How much crisp and turned views were changed, (N, H', W', 1) each.
    """

    edited: tf.Tensor
    mask: tf.Tensor
    drawn: tf.Tensor
    crisp: tuple[tf.Tensor, tf.Tensor]
    turned: tuple[tf.Tensor, tf.Tensor]
    changes: tuple[tf.Tensor, tf.Tensor]


class EditUpdates(Updates):
    """The networks, their optimizers, and one update of each.

    Args:
        config: All settings.
        domains: The label layout, of one data set.

    Raises:
        ConfigError: There are several data sets.
        MissingExtraError: The network with fixed weights is not installed.
    """

    def __init__(self, config: Config, domains: Domains) -> None:
        if len(domains.sets) > 1:
            raise ConfigError("--discriminator projected: trains on one data set; say --data once")
        self.domains = domains
        self.frozen = Features()
        super().__init__(config, domains)
        rates = [
            CRITIC_RATE if name.startswith("critic.") else PROJECTED_RATE for name in self.discriminator.parameters()
        ]
        self.d_rates = tf.constant(rates, tf.float32)
        self._discriminator_update = tf.function(self.discriminator_update, autograph=False)
        self._generator_update = tf.function(self.generator_update, autograph=False)
        self._warm_up_update = tf.function(self.warm_up_update, autograph=False)
        self._classifier_update = tf.function(self.update_classifier, autograph=False)

    def _build(self, name: str, domains: Domains) -> Network:
        if name == "discriminator":
            return EditDiscriminator(self.config.architecture, domains)
        return super()._build(name, domains)

    def draws(self, step: int, shape: tuple[int, ...], *, of_d: bool) -> dict[str, np.ndarray]:
        """The random numbers of an update, see `views`; both updates of a step see the same views."""
        return views.draw(np.random.default_rng((self.config.seed, step)), shape[0], shape[1])

    # ---------------------------------------------------------------- D

    def update_d(self, tensors: Tensors, dataset: int, lr: float, lambda_cls: float) -> None:
        """Updates D once, in the first `warm_up` steps only its classification; see `Updates.update_d`."""
        if not self.discriminator.mixing.calibrated:
            self.discriminator.mixing.calibrate(self.frozen(views.turned(tensors["images"], tensors)))
        if self.step == self.config.warm_up:  # from here on, gradients are others
            self.optimizers["discriminator"].clear()
        if self._warms_up:
            self.terms.update(self._warm_up_update(dict(tensors), scalar(lr)))
        else:
            penalise = self.step % R1_EVERY == 0
            self.terms.update(self._discriminator_update(dict(tensors), scalar(lr), penalise))

    @property
    def _warms_up(self) -> bool:
        return self.step < self.config.warm_up

    def warm_up_update(self, tensors: Tensors, lr: tf.Tensor) -> dict[str, tf.Tensor]:
        """Updates D's classification, not compiled; returns the terms."""
        crisp, turned = (view(tensors["images"], tensors) for view in (views.crisp, views.turned))
        found = self.frozen(turned)

        def terms() -> dict[str, tf.Tensor]:
            logits, projected_logits = self.discriminator.critic(crisp)[1], self.discriminator.projected(found)[1]
            return self._class_terms(logits, projected_logits, tensors["labels"])

        return self._minimise("discriminator", terms, self.d_rates * lr)

    def _class_terms(self, critic: tf.Tensor, projected: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """The classification of real images; remembers how sure it is."""
        for confidence, logits in zip(self.discriminator.confidences, (critic, projected), strict=True):
            confidence.observe(logits, labels)
        return {
            "d_cls": losses.classification(self.domains, critic, labels),
            "d_projected_cls": losses.classification(self.domains, projected, labels),
        }

    def discriminator_update(self, tensors: Tensors, lr: tf.Tensor, penalise: bool) -> dict[str, tf.Tensor]:
        """As `update_d` after the warm-up, not compiled; returns the weighted terms.

        Args:
            tensors: As for `update_d`.
            lr: The learning rate of G.
            penalise: Whether to add the penalty on the convolutional part.
        """
        made = self._make(tensors)
        found = self.frozen(tf.concat(made.turned, 0))

        def terms() -> dict[str, tf.Tensor]:
            parts = self._d_terms(made, found, tensors["labels"], tensors["targets"])
            if penalise:
                penalty = losses.r1(
                    lambda images: self.discriminator.critic(images, tensors["labels"])[0][0], made.crisp[0]
                )
                parts["d_r1"] = 0.5 * R1 * R1_EVERY * penalty
            return parts

        return self._minimise("discriminator", terms, self.d_rates * lr)

    def _d_terms(
        self, made: Made, found: list[tf.Tensor], labels: tf.Tensor, targets: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        count = labels.shape[0]
        own, others = tf.concat([labels, targets], 0), tf.concat([targets, targets], 0)
        (own_scores, other_scores), logits = self.discriminator.critic(tf.concat(made.crisp, 0), own, others)
        (projected, other_projected), projected_logits = self.discriminator.projected(found, own, others)
        weights = losses.patch_weights(made.changes[0], own_scores)
        projected_weights = losses.patch_weights(made.changes[1], projected)
        requested = tf.reduce_any(labels != targets, 1)
        mismatches = (
            losses.mismatch(other_scores, weights, requested),
            losses.mismatch(other_projected, projected_weights, requested),
        )
        changed = losses.of_changes(self.domains, labels, targets)
        edited = [losses.classification(self.domains, each[count:], changed) for each in (logits, projected_logits)]
        return {
            "d_critic": losses.d_adversarial(own_scores, weights),
            "d_projected": losses.d_adversarial(projected, projected_weights),
            "d_mismatch": MISMATCH * (mismatches[0] + mismatches[1]),
            **self._class_terms(logits[:count], projected_logits[:count], labels),
            "d_edited_cls": EDITED * (edited[0] + edited[1]),
        }

    # ---------------------------------------------------------------- G

    def update_g(self, tensors: Tensors, dataset: int, lr: float, lambda_cls: float) -> None:
        """Updates G, its EMA and the attribute classifier once; see `Updates.update_g`."""
        if not self._warms_up:
            self.terms.update(self._generator_update(dict(tensors), scalar(lr), scalar(lambda_cls)))
            self.update_ema()
        self.terms["classifier"] = self._classifier_update(dict(tensors), dataset, scalar(lr))

    def generator_update(self, tensors: Tensors, lr: tf.Tensor, lambda_cls: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `update_g` without the EMA and the attribute classifier, not compiled; returns the weighted terms."""
        return self._minimise("generator", lambda: self._g_terms(self._make(tensors), tensors, lambda_cls), lr)

    def _g_terms(self, made: Made, tensors: Tensors, lambda_cls: tf.Tensor) -> dict[str, tf.Tensor]:
        images, labels, targets = (tensors[name] for name in ("images", "labels", "targets"))
        discriminator = self.discriminator
        (scores,), logits = discriminator.critic(made.crisp[1], targets)
        (projected_scores,), projected_logits = discriminator.projected(self.frozen(made.turned[1]), targets)
        sources = discriminator.critic(made.crisp[0])[1], discriminator.projected(self.frozen(made.turned[0]))[1]
        both = [
            confidence.shortfall(each, tf.stop_gradient(source), labels, targets)
            for confidence, each, source in zip(
                discriminator.confidences, (logits, projected_logits), sources, strict=True
            )
        ]
        weights, projected_weights = (
            losses.patch_weights(change, each)
            for change, each in zip(made.changes, (scores, projected_scores), strict=True)
        )
        nothing = tf.reduce_all(labels == targets, 1)
        return {
            "g_critic": losses.g_adversarial(scores, weights),
            "g_projected": losses.g_adversarial(projected_scores, projected_weights),
            "g_cls": lambda_cls * (both[0] + both[1]) / 2,
            "g_rec": self.config.lambda_rec * losses.unchanged(images, made.edited, nothing),
            "g_change": self.config.lambda_change * tf.reduce_mean(tf.abs(made.edited - images)),
            "g_mask": MASK * tf.reduce_mean(made.mask),
            "g_bounds": BOUNDS * losses.bounds(made.drawn),
        }

    # ---------------------------------------------------------------- both

    def _make(self, tensors: Tensors) -> Made:
        images = tensors["images"]
        edited, mask, drawn = self.generator.edit(images, tensors["targets"] - tensors["labels"])
        crisp, turned = ((view(images, tensors), view(edited, tensors)) for view in (views.crisp, views.turned))
        change, turned_change = (
            tf.stop_gradient(tf.reduce_mean(tf.abs(a - b), 3, keepdims=True)) for a, b in (crisp, turned)
        )
        return Made(edited, mask, drawn, crisp, turned, (change, turned_change))

    def _minimise(self, name: str, compute: Callable[[], dict[str, tf.Tensor]], lr: tf.Tensor) -> dict[str, tf.Tensor]:
        """Updates a network by the gradients of the sum of some terms; returns the terms."""
        weights = list(self.networks[name].parameters().values())
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            terms = compute()
            total = tf.add_n(list(terms.values()))
        self.optimizers[name].apply(tape.gradient(total, weights), lr)
        return terms
