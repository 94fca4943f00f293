"""Adam, with the arithmetic and the arrays of the PyTorch engine.

Keras' own adds epsilon before it corrects for the first steps, so that a run would not go on as another engine's does.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from stargan.config import Config
from stargan.engine.tensorflow.network import Network, file_shape, from_file, to_file
from stargan.errors import CheckpointError

EPSILON = 1e-8
MOMENTS = ("exp_avg", "exp_avg_sq")


class Adam:
    """Adam for the weights of a network.

    Args:
        network: The network to update.
        config: The betas.
    """

    def __init__(self, network: Network, config: Config) -> None:
        self.beta1, self.beta2 = config.beta1, config.beta2
        self.weights = network.parameters()
        self.steps = tf.Variable(0.0)
        self.moments = {
            slot: {name: tf.Variable(tf.zeros_like(weight)) for name, weight in self.weights.items()}
            for slot in MOMENTS
        }

    def apply(self, gradients: Sequence[tf.Tensor], lr: tf.Tensor) -> None:
        """Updates the weights by their gradients, in the order of `Network.parameters`."""
        steps = self.steps.assign_add(1.0)
        rate = lr / (1 - self.beta1**steps)
        root = tf.sqrt(1 - self.beta2**steps)
        for (name, weight), gradient in zip(self.weights.items(), gradients, strict=True):
            mean, square = (self.moments[slot][name] for slot in MOMENTS)
            mean.assign_add((1 - self.beta1) * (gradient - mean))
            square.assign_add((1 - self.beta2) * (tf.square(gradient) - square))
            weight.assign_sub(rate * mean / (tf.sqrt(square) / root + EPSILON))

    def clear(self) -> None:
        """Forgets all updates."""
        self.steps.assign(0.0)
        for moments in self.moments.values():
            for moment in moments.values():
                moment.assign(tf.zeros_like(moment))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns a copy of the state as arrays named `weight/slot`; empty before the first update."""
        steps = self.steps.numpy()
        if not steps:
            return {}
        return {f"{name}/step": np.array(steps, np.float32) for name in self.weights} | {
            f"{name}/{slot}": to_file(moment.numpy()) for slot in MOMENTS for name, moment in self.moments[slot].items()
        }

    def from_arrays(self, arrays: Mapping[str, np.ndarray], what: str) -> None:
        """Restores what `to_arrays` returned; `what` names the optimizer in error messages.

        Raises:
            CheckpointError: An array is missing, unexpected, or of the wrong shape, or the weights have had different
                numbers of updates.
        """
        self.clear()
        if not arrays:
            return
        expected: dict[str, tuple[int, ...]] = {f"{name}/step": () for name in self.weights}
        expected |= {f"{name}/{slot}": file_shape(weight) for name, weight in self.weights.items() for slot in MOMENTS}
        for key in sorted(arrays.keys() | expected.keys()):
            if key not in arrays:
                raise CheckpointError(f"{what}/{key} is missing")
            if key not in expected:
                raise CheckpointError(f"unexpected array {what}/{key}")
            if arrays[key].shape != expected[key]:
                raise CheckpointError(f"{what}/{key} has shape {arrays[key].shape}, not {expected[key]}")
        steps = {float(arrays[f"{name}/step"]) for name in self.weights}
        if len(steps) > 1:
            raise CheckpointError(f"{what}: its weights have had different numbers of updates")
        self.steps.assign(steps.pop())
        for slot, moments in self.moments.items():
            for name, moment in moments.items():
                moment.assign(from_file(arrays[f"{name}/{slot}"]))
