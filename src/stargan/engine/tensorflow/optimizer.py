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
        self.steps = tf.Variable(tf.zeros(len(self.weights)))
        self.moments = {
            slot: {name: tf.Variable(tf.zeros_like(weight)) for name, weight in self.weights.items()}
            for slot in MOMENTS
        }

    def apply(self, gradients: Sequence[tf.Tensor | None], lr: tf.Tensor) -> None:
        """Updates the weights that have a gradient.

        Args:
            gradients: The gradients, in the order of `Network.parameters`.
            lr: The learning rate: a number, or one for each weight.
        """
        steps = self.steps.assign_add([float(gradient is not None) for gradient in gradients])
        lrs, powers1, powers2 = lr * tf.ones_like(steps), self.beta1**steps, self.beta2**steps
        # TensorFlow's kernel adds epsilon before it corrects for the first steps, PyTorch afterwards.
        epsilons = EPSILON * tf.sqrt(1 - powers2)
        for index, (name, weight) in enumerate(self.weights.items()):
            if gradients[index] is not None:
                mean, square = (self.moments[slot][name].handle for slot in MOMENTS)
                tf.raw_ops.ResourceApplyAdam(
                    var=weight.handle, m=mean, v=square, grad=gradients[index], lr=lrs[index], epsilon=epsilons[index],
                    beta1_power=powers1[index], beta2_power=powers2[index], beta1=self.beta1, beta2=self.beta2,
                )  # fmt: skip

    def clear(self) -> None:
        """Forgets all updates."""
        self.steps.assign(tf.zeros_like(self.steps))
        for moments in self.moments.values():
            for moment in moments.values():
                moment.assign(tf.zeros_like(moment))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns a copy of the state as arrays named `weight/slot`; only of weights that have been updated."""
        arrays: dict[str, np.ndarray] = {}
        for name, steps in zip(self.weights, self.steps.numpy(), strict=True):
            if steps:
                arrays[f"{name}/step"] = np.array(steps, np.float32)
                arrays |= {f"{name}/{slot}": to_file(self.moments[slot][name].numpy()) for slot in MOMENTS}
        return arrays

    def from_arrays(self, arrays: Mapping[str, np.ndarray], what: str) -> None:
        """Restores what `to_arrays` returned; `what` names the optimizer in error messages.

        Raises:
            CheckpointError: An array is missing, unexpected or of the wrong shape.
        """
        updated = {key.rpartition("/")[0] for key in arrays}
        expected: dict[str, tuple[int, ...]] = {}
        for name in updated & self.weights.keys():
            shape = file_shape(self.weights[name])
            expected |= {f"{name}/step": ()} | {f"{name}/{slot}": shape for slot in MOMENTS}
        for key in sorted(arrays.keys() | expected.keys()):
            if key not in arrays:
                raise CheckpointError(f"{what}/{key} is missing")
            if key not in expected:
                raise CheckpointError(f"unexpected array {what}/{key}")
            if arrays[key].shape != expected[key]:
                raise CheckpointError(f"{what}/{key} has shape {arrays[key].shape}, not {expected[key]}")
        self.clear()
        self.steps.assign([float(arrays[f"{name}/step"]) if name in updated else 0.0 for name in self.weights])
        for slot, moments in self.moments.items():
            for name in updated:
                moments[name].assign(from_file(arrays[f"{name}/{slot}"]))
