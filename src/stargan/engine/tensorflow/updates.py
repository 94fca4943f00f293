"""The updates of D and of G, one `tf.function` each."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.constants import CLASSIFIER_LR, PENALISED
from stargan.engine.tensorflow import losses, networks, parts
from stargan.engine.tensorflow.augment import augment
from stargan.engine.tensorflow.network import Network, from_arrays, to_arrays
from stargan.engine.tensorflow.optimizer import Adam
from stargan.engine.tensorflow.precision import autocast, bf16

Tensors = Mapping[str, tf.Tensor]


class Updates:
    """The networks, their optimizers, and one update of each.

    Args:
        config: Network sizes, losses, optimizer and seed.
        domains: The label layout.
    """

    def __init__(self, config: Config, domains: Domains) -> None:
        self.config = config
        self.bf16 = bf16(config)
        self.heads = [domains.heads(index) for index in range(len(domains.sets))]
        self.networks = {name: self._build(name, domains) for name in networks.NAMES}
        random = np.random.default_rng(config.seed)
        for name, network in self.networks.items():
            network.initialise(random, xavier=config.init == "xavier" and name != "classifier")
        self.generator = self.networks["generator"]
        self.discriminator = self.networks["discriminator"]
        self.classifier = self.networks["classifier"]
        self.ema_generator = self.generator
        if config.ema:
            self.ema_generator = networks.build("generator", config.architecture, domains)
            from_arrays(self.ema_generator, to_arrays(self.generator), "generator")
        self.optimizers = {name: Adam(network, config) for name, network in self.networks.items()}
        self.step = 0  # the number of updates of D before the next one
        self.g_updates = 0
        self.terms: dict[str, tf.Tensor] = {}
        self._d_update = tf.function(self.d_update, autograph=False)
        self._g_update = tf.function(self.g_update, autograph=False)
        self._average = tf.function(self._update_ema, autograph=False)

    def _build(self, name: str, domains: Domains) -> Network:
        return networks.build(name, self.config.architecture, domains)

    # ---------------------------------------------------------------- D

    def update_d(self, tensors: Tensors, dataset: int, lr: float, lambda_cls: float) -> None:
        """Updates D once.

        Args:
            tensors: `images`, (N, H, W, 3) in [-1, 1]; `labels` and `targets`, (N, L); and the random numbers of
                `d_terms`.
            dataset: The index of the data set that the images come from.
            lr: The learning rate.
            lambda_cls: The weight of the classification loss.
        """
        self.terms.update(self._d_update(dict(tensors), dataset, scalar(lr), scalar(lambda_cls)))

    def d_update(self, tensors: Tensors, dataset: int, lr: tf.Tensor, lambda_cls: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `update_d`, not compiled; returns the terms."""
        condition = self._condition(tensors["targets"], tensors["labels"])
        with autocast(self.bf16, self.generator):
            fake = self._translated(tensors["images"], condition)
        weights = list(self.discriminator.parameters().values())
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            terms = self.d_terms(tensors["images"], fake, tensors["labels"], dataset, tensors)
            total = (
                terms["d_real"]
                + terms["d_fake"]
                + lambda_cls * terms["d_cls"]
                + self.config.lambda_gp * terms.get("d_gp", 0.0)
                + self.config.lambda_cls_gp * terms.get("d_cls_gp", 0.0)
            )
        self.optimizers["discriminator"].apply(tape.gradient(total, weights), lr)
        return {**terms, "d_total": total}

    def d_terms(
        self, real: tf.Tensor, fake: tf.Tensor, labels: tf.Tensor, dataset: int, draws: Tensors
    ) -> dict[str, tf.Tensor]:
        """Computes the unweighted terms of D's loss (eq. 8 and eq. 5).

        Args:
            real: (N, H, W, 3) in [-1, 1], the real images.
            fake: (N, H, W, 3), their translations.
            labels: (N, L), the labels of the real images.
            dataset: The index of the data set that they come from.
            draws: Random numbers in [0, 1): `alpha`, (N, 1, 1, 1), for the penalty; `noise`, like the images, for
                DRAGAN; `views`, (2N, 5), for `augment`.
        """
        both = self._augmented(tf.concat([real, fake], 0), draws)
        real, fake = tf.split(both, 2)
        with autocast(self.bf16, self.discriminator):
            src, cls = self.discriminator(both)
        src_real, src_fake = tf.split(src, 2)
        d_real, d_fake = losses.d_adversarial(self.config.objective, src_real, src_fake)
        count = real.shape[0]
        terms = {
            "d_real": d_real,
            "d_fake": d_fake,
            "d_cls": losses.classification(cls[:count], labels, self.heads[dataset]),
        }
        if self.config.objective in PENALISED:  # always in float32: second-order gradients get lost in rounding errors
            terms["d_gp"] = losses.gradient_penalty(
                lambda points: self.discriminator(points)[0],
                self._penalty_points(real, fake, draws),
                one_sided=self.config.objective == "wgan-lp",
            )
        if self.config.lambda_cls_gp:
            half = (count + 1) // 2  # half of the images at half of the cost
            terms["d_cls_gp"] = losses.classification_gradient_penalty(
                lambda points: losses.classification(self.discriminator(points)[1], labels[:half], self.heads[dataset]),
                real[:half],
            )
        return terms

    def _penalty_points(self, real: tf.Tensor, fake: tf.Tensor, draws: Tensors) -> tf.Tensor:
        if self.config.objective == "dragan":
            return losses.around(real, 2 * draws["alpha"] - 1, draws["noise"])
        return losses.between(real, fake, draws["alpha"])

    # ---------------------------------------------------------------- G

    def update_g(self, tensors: Tensors, dataset: int, lr: float, lambda_cls: float) -> None:
        """Updates G, its EMA and the attribute classifier once; the arguments are those of `update_d`."""
        self.terms.update(self._g_update(dict(tensors), dataset, scalar(lr), scalar(lambda_cls)))
        self.update_ema()

    def update_ema(self) -> None:
        """Counts an update of G, and updates the EMA of its weights."""
        self.g_updates += 1
        if self.ema_generator is not self.generator:
            # The decay starts low, so that the initial weights are soon forgotten; otherwise short runs would suffer.
            self._average(scalar(min(self.config.ema, self.g_updates / (9 + self.g_updates))))

    def g_update(self, tensors: Tensors, dataset: int, lr: tf.Tensor, lambda_cls: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `update_g` without the EMA, not compiled; returns the terms."""
        weights = list(self.generator.parameters().values())

        def gradients(part: Tensors) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                terms = self.g_terms(part["images"], part["labels"], part["targets"], dataset, part)
                total = terms["g_fake"] + lambda_cls * terms["g_cls"] + self.config.lambda_rec * terms["g_rec"]
            return {**terms, "g_total": total}, tape.gradient(total, weights)

        terms, found = parts.mean(gradients, tensors, parts.size(tensors["images"]))
        self.optimizers["generator"].apply(found, lr)
        return {**terms, "classifier": self.update_classifier(tensors, dataset, lr)}

    def g_terms(
        self, real: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor, dataset: int, draws: Tensors
    ) -> dict[str, tf.Tensor]:
        """Computes the unweighted terms of G's loss (eqs. 8, 6 and 7); of `draws`, only `views`, (N, 5), is used."""
        with autocast(self.bf16, self.generator, self.discriminator):
            fake = self.generator(real, self._condition(targets, labels))
            src, cls = self.discriminator(self._augmented(fake, draws))
            back = self.generator(fake, self._condition(labels, targets))
        return {
            "g_fake": losses.g_adversarial(self.config.objective, src),
            "g_cls": losses.classification(cls, targets, self.heads[dataset]),
            "g_rec": losses.reconstruction(real, back),
        }

    def update_classifier(self, tensors: Tensors, dataset: int, lr: tf.Tensor) -> tf.Tensor:
        """Updates the attribute classifier once, not compiled; returns its loss."""
        weights = list(self.classifier.parameters().values())
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            with autocast(self.bf16, self.classifier):
                logits = self.classifier(tensors["images"])
            loss = losses.classification(logits, tensors["labels"], self.heads[dataset])
        self.optimizers["classifier"].apply(tape.gradient(loss, weights), CLASSIFIER_LR * lr / self.config.lr)
        return loss

    def _update_ema(self, decay: tf.Tensor) -> None:
        averages, weights = self.ema_generator.parameters(), self.generator.parameters()
        for name, average in averages.items():
            average.assign_add((1 - decay) * (weights[name] - average))

    # ---------------------------------------------------------------- both

    def draws(self, step: int, shape: tuple[int, ...], *, of_d: bool) -> dict[str, np.ndarray]:
        """The random numbers of an update, which follow from the seed and the step.

        Args:
            step: The number of updates of D before this one.
            shape: (N, H, W, 3), the shape of the images.
            of_d: Whether it is an update of D.
        """
        random = np.random.default_rng((self.config.seed, step, of_d))
        drawn: dict[str, np.ndarray] = {}

        def uniform(shape: tuple[int, ...]) -> np.ndarray:
            return random.random(shape, dtype=np.float32)

        if of_d and self.config.objective in PENALISED:
            drawn["alpha"] = uniform((shape[0], 1, 1, 1))
        if of_d and self.config.objective == "dragan":
            drawn["noise"] = uniform(shape)
        if self.config.augment:
            drawn["views"] = uniform((shape[0] * (2 if of_d else 1), 5))
        return drawn

    def _translated(self, images: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        """Translates a batch without gradients, in parts."""
        return parts.join(self.generator, parts.size(images), images, condition)

    def _condition(self, targets: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """G's second input, as `Architecture.condition` returns it, to translate from labels to targets."""
        return targets - labels if self.config.generator == "edit" else targets

    def _augmented(self, images: tf.Tensor, draws: Tensors) -> tf.Tensor:
        """Returns the images as D sees them."""
        return augment(images, draws["views"]) if self.config.augment else images


def scalar(value: float) -> tf.Tensor:
    """A tensor, so that another value needs no other graph."""
    return tf.constant(value, tf.float32)
