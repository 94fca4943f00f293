"""The TensorFlow engine: it takes and returns numpy arrays."""

import math
import resource
import sys
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from stargan.config import Config, schedules
from stargan.config.training import Precision
from stargan.domains import Domains
from stargan.engine import state as states
from stargan.engine.constants import generate_batch
from stargan.engine.tensorflow.cost import multiply_adds
from stargan.engine.tensorflow.edit.updates import EditUpdates
from stargan.engine.tensorflow.network import Network, from_arrays, to_arrays
from stargan.engine.tensorflow.updates import Updates
from stargan.errors import CheckpointError, ConfigError, ModelError
from stargan.images import scale
from stargan.model.safetensors_file import under


class TensorflowEngine:
    """See `stargan.engine.Engine`.

    Args:
        config: All settings.
        domains: The label layout.

    Raises:
        ConfigError: The device or the precision is not available, or this engine lacks a setting.
    """

    rank = 0
    world_size = 1

    def __init__(self, config: Config, domains: Domains) -> None:
        _check(config)
        self.config = config
        self.updates = EditUpdates(config, domains) if config.discriminator == "projected" else Updates(config, domains)
        self.precision: Precision = "bf16" if self.updates.bf16 else "fp32"
        self.num_parameters = {name: network.count() for name, network in self.updates.networks.items()}
        self._generate = tf.function(self.updates.ema_generator.call, reduce_retracing=True, autograph=False)
        self._classify = tf.function(self.updates.classifier.call, reduce_retracing=True, autograph=False)

    # ---------------------------------------------------------------- updates

    def upload(self, pixels: np.ndarray) -> None:
        """Gains nothing here; see `Engine.upload`."""
        return

    def d_step(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        targets: np.ndarray,
        dataset: int,
        *,
        step: int,
        lr: float,
        lambda_cls: float | None = None,
    ) -> None:
        """Updates D once; see `Engine.d_step`."""
        self.updates.step = step
        tensors = self._tensors(images, labels, targets) | self.updates.draws(step, images.shape, of_d=True)
        self.updates.update_d(tensors, dataset, lr, self._class_weight(step, lambda_cls))

    def g_step(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        targets: np.ndarray,
        dataset: int,
        *,
        step: int,
        lr: float,
        lambda_cls: float | None = None,
    ) -> None:
        """Updates G, its EMA and the attribute classifier once; see `Engine.g_step`."""
        self.updates.step = step
        tensors = self._tensors(images, labels, targets) | self.updates.draws(step, images.shape, of_d=False)
        self.updates.update_g(tensors, dataset, lr, self._class_weight(step, lambda_cls))

    def losses(self) -> dict[str, float]:
        """Returns the loss terms of the last updates; see `Engine.losses`."""
        return {name: float(term) for name, term in self.updates.terms.items()}

    def _class_weight(self, step: int, given: float | None) -> float:
        return schedules.class_weight(self.config, step) if given is None else given

    def _tensors(self, images: np.ndarray, labels: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
        return {"images": scale(images.astype(np.float32)), "labels": labels, "targets": targets}

    # ---------------------------------------------------------------- inference

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Translates with G's EMA weights; see `Engine.generate`."""
        return run_generator(self._generate, images, labels)

    def classify(self, images: np.ndarray) -> np.ndarray:
        """Returns the attribute classifier's logits; see `Engine.classify`."""
        return run_classifier(self._classify, images)

    # ---------------------------------------------------------------- cost

    def macs(self) -> dict[str, int]:
        """Returns the multiply-adds of one image's forward pass; see `Engine.macs`."""
        return {name: multiply_adds(network, self.config.image_size) for name, network in self.updates.networks.items()}

    def peak_memory(self) -> int:
        """Returns the peak memory so far in bytes; see `Engine.peak_memory`."""
        if self.config.device == "cuda":
            return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    # ---------------------------------------------------------------- state

    def state(self) -> dict[str, np.ndarray]:
        """Returns everything needed to continue exactly; see `Engine.state`."""
        return states.State(
            {name: to_arrays(network) for name, network in self._stored().items()},
            {name: adam.to_arrays() for name, adam in self.updates.optimizers.items()},
            self.updates.g_updates,
            self.losses(),
        ).to_arrays()

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restores what `state` returned; see `Engine.load_state`."""
        found = states.from_arrays(arrays, self._stored(), self.updates.optimizers)
        self.updates.g_updates = found.g_updates
        self._load(self._stored(), arrays)
        for name, adam in self.updates.optimizers.items():
            adam.from_arrays(found.adam[name], f"{states.ADAM}/{name}")
        self.updates.terms = {name: tf.constant(loss, tf.float32) for name, loss in found.losses.items()}

    def load_weights(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Starts from the weights of a model file; see `Engine.load_weights`."""
        loaded = dict(self.updates.networks)
        if not under(arrays, "classifier"):
            del loaded["classifier"]
        self._load(loaded, arrays)
        self._load({"generator": self.updates.ema_generator}, arrays)
        self.updates.g_updates = 0
        for adam in self.updates.optimizers.values():
            adam.clear()

    def _load(self, loaded: Mapping[str, Network], arrays: Mapping[str, np.ndarray]) -> None:
        try:
            for name, network in loaded.items():
                from_arrays(network, under(arrays, name), name)
        except ModelError as error:
            raise CheckpointError(str(error)) from error

    def _stored(self) -> dict[str, Network]:
        """Returns the networks by their names in a file, where `generator` has the EMA weights."""
        return {
            "generator": self.updates.ema_generator,
            "discriminator": self.updates.discriminator,
            "classifier": self.updates.classifier,
            "training/generator": self.updates.generator,
        }


def run_generator(generate: Callable[..., tf.Tensor], images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Translates (N, 3, H, W) images to (N, L) labels with a function of (N, H, W, 3) images, in small batches."""
    parts = [generate(images[rows].transpose(0, 2, 3, 1), labels[rows]) for rows in _batches(images)]
    return np.ascontiguousarray(np.concatenate([part.numpy() for part in parts]).transpose(0, 3, 1, 2))


def run_classifier(classify: Callable[..., tf.Tensor], images: np.ndarray) -> np.ndarray:
    """Classifies (N, 3, H, W) images with a function of (N, H, W, 3) images, in small batches."""
    parts = [classify(images[rows].transpose(0, 2, 3, 1)) for rows in _batches(images)]
    return np.concatenate([part.numpy() for part in parts])


def _batches(images: np.ndarray) -> list[slice]:
    size = generate_batch(math.prod(images.shape[2:]))
    return [slice(start, start + size) for start in range(0, len(images), size)]


def _check(config: Config) -> None:
    """Refuses what this engine lacks."""
    if config.device == "cuda" and not tf.config.list_physical_devices("GPU"):
        raise ConfigError("--device cuda: this TensorFlow sees no GPU; use --device cpu")
