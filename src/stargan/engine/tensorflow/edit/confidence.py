"""How sure D is of the classes of real images, as the PyTorch engine's `edit.confidence`."""

import tensorflow as tf
from keras import layers

from stargan.domains import Domains
from stargan.engine.edit_constants import CERTAIN, FORGET, KEPT
from stargan.engine.tensorflow.edit import groups

LEAST = 1e-6  # probability, so that logarithms are finite


class Confidence(layers.Layer):
    """Mean probability of the true class of real images that D classifies right, for classes that are off, and on."""

    def __init__(self, domains: Domains) -> None:
        super().__init__()
        self.domains, self.built = domains, True
        for value in ("on", "off"):
            self.add_weight((domains.num_classes,), "ones", trainable=False, name=value)
        self.forget()

    @property
    def means(self) -> list[tf.Variable]:
        """Those of classes that are on, and of classes that are off."""
        return [weight.value for weight in self.weights]

    def forget(self) -> None:
        """Begins anew."""
        for means in self.means:
            means.assign(tf.fill(means.shape, CERTAIN))

    def observe(self, logits: tf.Tensor, labels: tf.Tensor) -> None:
        """Takes real images into account: their logits and their labels, (N, C) each; unknown labels do not count."""
        found = probabilities(self.domains, logits)
        for means, value, probability in zip(self.means, (1, 0), (found, 1 - found), strict=True):
            right = tf.cast((labels == value) & (probability > 0.5), tf.float32)
            count = tf.reduce_sum(right, 0)
            seen = tf.reduce_sum(probability * right, 0) / tf.maximum(count, 1)
            means.assign(means + (seen - means) * (1 - (1 - FORGET) ** count))

    def shortfall(self, logits: tf.Tensor, sources: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """How much less clearly translations show their classes than real images do; see the PyTorch engine."""
        on, off = self.means
        typical = on * targets + off * (1 - targets)
        now, before = (
            found * targets + (1 - found) * (1 - targets)
            for found in (probabilities(self.domains, each) for each in (logits, sources))
        )
        total = tf.zeros(())
        for index in groups.columns(self.domains):
            truth = targets[:, index]
            known = tf.reduce_all((truth == 0) | (truth == 1), 1)
            share = truth if truth.shape[1] > 1 else tf.ones_like(truth)
            asked, shown, had = (tf.reduce_sum(each[:, index] * share, 1) for each in (typical, now, before))
            stays = tf.reduce_all(labels[:, index] == truth, 1)
            asked = tf.clip_by_value(tf.where(stays, tf.minimum(asked, had), asked), LEAST, 1 - LEAST)
            shown = tf.clip_by_value(shown, LEAST, 1 - LEAST)
            divergence = asked * tf.math.log(asked / shown) + (1 - asked) * tf.math.log((1 - asked) / (1 - shown))
            counts = known & tf.reduce_any(share != 0, 1) & (shown < asked)
            weight = 1 + (KEPT - 1) * tf.cast(stays, tf.float32)
            total += tf.reduce_mean(tf.where(counts, divergence, tf.zeros_like(divergence)) * weight)
        return total


def probabilities(domains: Domains, logits: tf.Tensor) -> tf.Tensor:
    """The probability of each class, from 0 to 1: (N, C) for logits, (N, C)."""
    parts = [logits[:, index] for index in groups.columns(domains)]
    return tf.concat([tf.sigmoid(part) if part.shape[1] == 1 else tf.nn.softmax(part) for part in parts], 1)
