"""The losses, as functions of network outputs; each is that of the PyTorch engine's `losses` with the same name."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from stargan.config.training import Objective
from stargan.domains import Head


def d_adversarial(objective: Objective, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """D's adversarial terms for its outputs, (N, h, w, 1), for real and for translated images."""
    if objective in ("wgan-gp", "wgan-lp"):
        return -tf.reduce_mean(real), tf.reduce_mean(fake)
    if objective == "lsgan":
        return tf.reduce_mean(tf.square(real - 1)), tf.reduce_mean(tf.square(fake))
    if objective == "hinge":
        return tf.reduce_mean(tf.nn.relu(1 - real)), tf.reduce_mean(tf.nn.relu(1 + fake))
    return tf.reduce_mean(tf.nn.softplus(-real)), tf.reduce_mean(tf.nn.softplus(fake))


def g_adversarial(objective: Objective, fake: tf.Tensor) -> tf.Tensor:
    """G's adversarial term, which is low when D takes translations for real."""
    if objective == "lsgan":
        return tf.reduce_mean(tf.square(fake - 1))
    if objective in ("gan", "dragan"):
        return tf.reduce_mean(tf.nn.softplus(-fake))
    return -tf.reduce_mean(fake)


def between(real: tf.Tensor, fake: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Interpolates between real and translated images; alpha, (N, 1, 1, 1), is the weight of the real one."""
    return alpha * real + (1 - alpha) * fake


def around(real: tf.Tensor, alpha: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Samples DRAGAN's points around real images, clamped to [-1, 1]; alpha in [-1, 1], noise in [0, 1]."""
    return tf.clip_by_value(real + alpha * 0.5 * tf.math.reduce_std(real) * noise, -1, 1)


def gradient_penalty(
    critic: Callable[[tf.Tensor], tf.Tensor], points: tf.Tensor, *, one_sided: bool = False
) -> tf.Tensor:
    """E[(|grad D(x^)| - 1)^2] (eq. 8, without its factor); `one_sided`: only norms above 1 (WGAN-LP)."""
    points = tf.stop_gradient(points)
    with tf.GradientTape() as tape:
        tape.watch(points)
        total = tf.reduce_sum(critic(points))
    squares = tf.reduce_sum(tf.square(tape.gradient(total, points)), (1, 2, 3))
    positive = squares > 0  # the gradient of a root at zero is infinite
    excess = tf.where(positive, tf.sqrt(tf.where(positive, squares, 1.0)), 0.0) - 1
    return tf.reduce_mean(tf.square(tf.nn.relu(excess) if one_sided else excess))


def classification_gradient_penalty(loss: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """E[|grad_x -log D_cls(c|x)|^2] at real images."""
    images = tf.stop_gradient(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.cast(tf.shape(images)[0], tf.float32) * loss(images)
    return tf.reduce_mean(tf.reduce_sum(tf.square(tape.gradient(total, images)), (1, 2, 3)))


def classification(logits: tf.Tensor, values: tf.Tensor, heads: Sequence[Head]) -> tf.Tensor:
    """-log D_cls(c|x) (eqs. 5 and 6) over the classes whose labels are known."""
    total = tf.zeros(())
    for head in heads:
        part, truth = logits[:, head.columns], values[:, head.columns]
        known = tf.cast((truth == 0) | (truth == 1), tf.float32)
        if head.categorical:
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.argmax(truth, 1), part) * tf.reduce_min(known, 1)
        else:
            each = tf.nn.sigmoid_cross_entropy_with_logits(truth, part) * known
        total += tf.reduce_sum(each) / tf.cast(tf.shape(part)[0], tf.float32)
    return total


def reconstruction(images: tf.Tensor, back: tf.Tensor) -> tf.Tensor:
    """E[|x - G(G(x, c), c')|_1] (eq. 7), the mean absolute difference over all pixels."""
    return tf.reduce_mean(tf.abs(images - back))
