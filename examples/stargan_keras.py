"""StarGAN in one file of Keras 3 on TensorFlow: one generator that moves images between many domains.

    stargan cartoons faces --count 2000 --size 64     # or CelebA: img_align_celeba/ and list_attr_celeba.txt
    python examples/stargan_keras.py faces --attributes Black_Hair Blond_Hair Beard --size 64 --width 32 --epochs 20

Networks, losses and settings are those of the paper (Choi et al. 2018, arXiv 1711.09020) as its authors' code has them.
Each epoch writes samples: the first row shows images, each further row one attribute turned on or off. `stargan train`
has more of everything: other losses, exact resume, evaluation. This file is there to be read.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

Losses = dict[str, tf.Tensor]

# ---------------------------------------------------------------- data


def read_attributes(folder: Path, attributes: list[str]) -> tuple[list[str], np.ndarray]:
    """Reads CelebA's list: a count, the names of all attributes, then a file name and -1 or 1 for each.

    Returns:
        The paths of N images, and their labels, (N, L) float32, 0 or 1.
    """
    (path,) = folder.glob("list_attr*.txt")
    _, header, *lines = path.read_text().splitlines()
    columns = [header.split().index(name) + 1 for name in attributes]
    rows = [line.split() for line in lines if line.strip()]
    found = {file.name: str(file) for file in folder.rglob("*") if file.suffix in (".jpg", ".png")}
    return [found[row[0]] for row in rows], np.float32([[row[column] == "1" for column in columns] for row in rows])


def batches(paths: list[str], labels: np.ndarray, size: int, batch: int) -> tf.data.Dataset:
    """Batches of images, (N, size, size, 3) float32 in [-1, 1], and labels, (N, L), shuffled and flipped at random."""

    def load(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        side = tf.reduce_min(tf.shape(image)[:2])  # the central square
        image = tf.image.resize(tf.image.resize_with_crop_or_pad(image, side, side), (size, size), antialias=True)
        return tf.image.random_flip_left_right(tf.ensure_shape(image, (size, size, 3)) / 127.5 - 1), label

    data = tf.data.Dataset.from_tensor_slices((paths, labels)).shuffle(len(paths)).map(load, tf.data.AUTOTUNE)
    return data.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


# ---------------------------------------------------------------- networks (paper, tables 4 and 5)


def norm() -> layers.Layer:
    """Instance normalisation: each channel of each image on its own."""
    return layers.GroupNormalization(groups=-1, epsilon=1e-5)


class Paint(layers.Layer):
    """Appends the labels to an image as L planes of one value each."""

    def call(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """(N, H, W, 3) and (N, L) to (N, H, W, 3 + L)."""
        return tf.concat([images, tf.ones_like(images[..., :1]) * labels[:, None, None, :]], -1)


def build_generator(size: int, num_labels: int, width: int = 64, blocks: int = 6) -> keras.Model:
    """G: images, (N, size, size, 3), and target labels, (N, L), to images."""
    images, labels = keras.Input((size, size, 3)), keras.Input((num_labels,))
    x = Paint()(images, labels)
    x = layers.ReLU()(norm()(layers.Conv2D(width, 7, padding="same", use_bias=False)(x)))
    for channels in (2 * width, 4 * width):
        x = layers.ReLU()(norm()(layers.Conv2D(channels, 4, 2, "same", use_bias=False)(x)))
    for _ in range(blocks):
        y = layers.ReLU()(norm()(layers.Conv2D(4 * width, 3, padding="same", use_bias=False)(x)))
        x = x + norm()(layers.Conv2D(4 * width, 3, padding="same", use_bias=False)(y))
    for channels in (2 * width, width):
        x = layers.ReLU()(norm()(layers.Conv2DTranspose(channels, 4, 2, "same", use_bias=False)(x)))
    out = layers.Conv2D(3, 7, padding="same", use_bias=False, activation="tanh")(x)
    return keras.Model([images, labels], out, name="generator")


def build_discriminator(size: int, num_labels: int, width: int = 64, depth: int = 6) -> keras.Model:
    """D: images to a score for each patch, (N, h, w, 1), and logits of the labels, (N, L)."""
    x = images = keras.Input((size, size, 3))
    for level in range(depth):
        x = layers.LeakyReLU(0.01)(layers.Conv2D(width * 2**level, 4, 2, "same")(x))
    scores = layers.Conv2D(1, 3, padding="same", use_bias=False)(x)
    logits = layers.Flatten()(layers.Conv2D(num_labels, size >> depth, use_bias=False)(x))
    return keras.Model(images, [scores, logits], name="discriminator")


# ---------------------------------------------------------------- training


def classification(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy, summed over the labels, mean over the batch."""
    each = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(tf.reduce_sum(each, 1))


class StarGAN(keras.Model):
    """Both networks and one update of each."""

    n_critic, lambda_cls, lambda_rec, lambda_gp = 5, 1.0, 10.0, 10.0

    def __init__(self, generator: keras.Model, discriminator: keras.Model, lr: float = 1e-4) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.d_optimizer, self.g_optimizer = (keras.optimizers.Adam(lr, 0.5, 0.999, 1e-8) for _ in range(2))
        names = ("d_real", "d_fake", "d_cls", "d_gp", "g_fake", "g_cls", "g_rec")
        self.means = {name: keras.metrics.Mean(name) for name in names}

    @property
    def metrics(self) -> list[keras.Metric]:
        """Means over an epoch, which `fit` prints."""
        return list(self.means.values())

    def call(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Translates images to target labels."""
        return self.generator([images, labels])

    def d_losses(self, images: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor, alpha: tf.Tensor) -> Losses:
        """The terms of L_D (equations 5 and 8). `alpha`, (N, 1, 1, 1) in [0, 1), mixes real and fake."""
        real_scores, logits = self.discriminator(images)
        fake = tf.stop_gradient(self.generator([images, targets]))
        mixed = alpha * images + (1 - alpha) * fake
        with tf.GradientTape() as tape:
            tape.watch(mixed)
            mixed_scores = self.discriminator(mixed)[0]
        slope = tf.sqrt(tf.reduce_sum(tf.square(tape.gradient(mixed_scores, mixed)), (1, 2, 3)) + 1e-12)
        return {
            "d_real": -tf.reduce_mean(real_scores),
            "d_fake": tf.reduce_mean(self.discriminator(fake)[0]),
            "d_cls": self.lambda_cls * classification(labels, logits),
            "d_gp": self.lambda_gp * tf.reduce_mean(tf.square(slope - 1)),
        }

    def g_losses(self, images: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor) -> Losses:
        """The terms of L_G (equation 6)."""
        fake = self.generator([images, targets])
        scores, logits = self.discriminator(fake)
        back = self.generator([fake, labels])
        return {
            "g_fake": -tf.reduce_mean(scores),
            "g_cls": self.lambda_cls * classification(targets, logits),
            "g_rec": self.lambda_rec * tf.reduce_mean(tf.abs(images - back)),
        }

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> Losses:
        """Updates D, and G every `n_critic` updates of D. The targets are the batch's labels in another order."""
        images, labels = data
        targets = tf.random.shuffle(labels)
        alpha = tf.random.uniform((tf.shape(images)[0], 1, 1, 1))
        self.update(self.d_optimizer, self.discriminator, lambda: self.d_losses(images, labels, targets, alpha))

        def update_g() -> None:
            self.update(self.g_optimizer, self.generator, lambda: self.g_losses(images, labels, targets))

        tf.cond(self.d_optimizer.iterations % self.n_critic == 0, update_g, lambda: None)
        return {name: mean.result() for name, mean in self.means.items()}

    def update(self, optimizer: keras.Optimizer, network: keras.Model, losses: Callable[[], Losses]) -> None:
        """One step down the gradient of the sum of the losses."""
        with tf.GradientTape() as tape:
            terms = losses()
            total = tf.add_n(list(terms.values()))
        weights = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(total, weights), weights, strict=True))
        for name, value in terms.items():
            self.means[name].update_state(value)


class Samples(keras.callbacks.Callback):
    """Writes samples/EPOCH.png: some images, and below them each attribute turned round."""

    def __init__(self, images: tf.Tensor, labels: tf.Tensor, folder: Path) -> None:
        super().__init__()
        self.images, self.labels, self.folder = images, labels, folder

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draws with the weights of now."""
        rows = [self.images]
        for column in range(self.labels.shape[1]):
            flipped = np.array(self.labels)
            flipped[:, column] = 1 - flipped[:, column]
            rows.append(self.model(self.images, tf.constant(flipped)))
        grid = tf.concat([tf.concat(tf.unstack(row), 1) for row in rows], 0)
        self.folder.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(self.folder / f"{epoch + 1:03d}.png", ((grid + 1) * 127.5).numpy(), scale=False)


def main() -> None:
    """Trains on a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="images and a list_attr*.txt")
    parser.add_argument("--attributes", nargs="+", default=["Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"])
    parser.add_argument("--out", type=Path, default=Path("samples"))
    for name, value in {"size": 128, "width": 64, "blocks": 6, "batch": 16, "epochs": 20}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--lr", type=float, default=1e-4)
    options = parser.parse_args()

    data = batches(*read_attributes(options.folder, options.attributes), options.size, options.batch)
    depth = (options.size // 2).bit_length() - 1  # down to 2 x 2 pixels
    count = len(options.attributes)
    model = StarGAN(
        build_generator(options.size, count, options.width, options.blocks),
        build_discriminator(options.size, count, options.width, depth),
        options.lr,
    )
    model.compile(jit_compile=False)  # on CPUs, XLA compiles for long and gains little
    images, labels = next(iter(data))
    samples = Samples(images[:8], labels[:8], options.out)
    model.fit(data, epochs=options.epochs, shuffle=False, callbacks=[samples])
    model.generator.save(options.out / "generator.keras")


if __name__ == "__main__":
    main()
