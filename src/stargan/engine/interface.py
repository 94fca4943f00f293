"""What a training framework has to offer; the rest of the package knows nothing else of it.

Arrays go in and come out by name. Images of an update are (N, H, W, 3) uint8, or a batch of an uploaded data set;
labels and targets are (N, L) float32 in the layout of `Domains`.

Names and axes of a model's arrays are the same for every framework, so that one can go on with what another wrote:
`generator/...` (EMA weights), `discriminator/...` and `classifier/...`, each with PyTorch's module names behind it
(`generator/layers.0.weight`) and PyTorch's order of axes: kernels are (out, in, height, width), those of transposed
convolutions (in, out, height, width). The state of a training adds `training/generator/...` (weights without EMA),
`training/adam/<network>/<weight>/{step,exp_avg,exp_avg_sq}` and `training/g_updates`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stargan.config import Architecture, Config
from stargan.config.training import Precision
from stargan.domains import Domains

Arrays = Mapping[str, np.ndarray]


class Predictor(Protocol):
    """Networks with fixed weights."""

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Translates (N, 3, H, W) images in [-1, 1] to (N, L) labels: (N, 3, H, W); all float32."""
        ...

    def classify(self, images: np.ndarray) -> np.ndarray:
        """The attribute classifier's logits, (N, C) float32, of (N, 3, H, W) float32 in [-1, 1]."""
        ...


class Engine(Predictor, Protocol):
    """The networks in training, their optimizers and update rules. As a predictor it uses G's EMA weights."""

    num_parameters: dict[str, int]
    """Parameters of each network by name."""
    precision: Precision
    """Of the forward passes: fp32 or bf16, whichever `auto` means here."""
    rank: int
    """Which of the processes that train together this one is, from 0; the first one writes files."""
    world_size: int
    """How many processes train together."""

    def upload(self, pixels: np.ndarray) -> Any | None:
        """Copies a data set, (N, H, W, 3) uint8, to the device that computes.

        Returns:
            A `stargan.data.batches.DeviceImages` to take batches from; None where that gains nothing or does not fit.
        """
        ...

    def d_step(
        self, images: Any, labels: np.ndarray, targets: np.ndarray, dataset: int, *, step: int, lr: float
    ) -> None:
        """One update of D. All random numbers follow from the seed and `step`."""
        ...

    def g_step(
        self, images: Any, labels: np.ndarray, targets: np.ndarray, dataset: int, *, step: int, lr: float
    ) -> None:
        """One update of G, of its EMA and of the attribute classifier, on the same batch."""
        ...

    def losses(self) -> dict[str, float]:
        """The terms of the last updates by name. Waits for the device, so only for logging steps."""
        ...

    def macs(self) -> dict[str, int]:
        """Multiply-adds of one image forward through each network, by name."""
        ...

    def peak_memory(self) -> int:
        """The most memory used so far, in bytes: of the GPU that computes, else of the process."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Everything that exact continuation needs, named as above."""
        ...

    def load_state(self, arrays: Arrays) -> None:
        """The inverse of `state`.

        Raises:
            CheckpointError: An array is missing, left over or of the wrong shape.
        """
        ...

    def load_weights(self, arrays: Arrays) -> None:
        """Starts from the weights of a model file, with fresh optimizers.

        A file without an attribute classifier leaves that of the engine as it is.

        Raises:
            CheckpointError: As `load_state`.
        """
        ...


@dataclass(frozen=True)
class OnnxGraphs:
    """A model as ONNX.

    Attributes:
        generator: A serialised graph from `images` (N, 3, H, W) and `labels` (N, L) to `translated` (N, 3, H, W).
        classifier: One from `images` to `logits` (N, C); None without an attribute classifier.
        difference: The largest difference between their results and the framework's, on random images.
    """

    generator: bytes
    classifier: bytes | None
    difference: float


class Framework(Protocol):
    """A training framework: engines, and what it makes of a model's arrays."""

    def create(self, config: Config, domains: Domains) -> Engine:
        """An engine with fresh weights that follow from the configuration's seed.

        Raises:
            ConfigError: The device or the precision is not available.
        """
        ...

    def predictor(self, architecture: Architecture, domains: Domains, arrays: Arrays) -> Predictor:
        """The generator, and the attribute classifier where `arrays` have one, on the CPU.

        Raises:
            ModelError: An array is missing, left over or of the wrong shape; the line names it.
        """
        ...

    def parameter_shapes(
        self, architecture: Architecture, num_labels: int, num_classes: int | None
    ) -> dict[str, tuple[int, ...]]:
        """The shape of each array of the generator and, unless `num_classes` is None, of the discriminator."""
        ...

    def export_onnx(
        self, architecture: Architecture, domains: Domains, arrays: Arrays, *, half: bool, plain: bool
    ) -> OnnxGraphs:
        """The networks as ONNX graphs with a free batch size.

        Args:
            architecture: The sizes of the networks.
            domains: The label layout.
            arrays: Their weights.
            half: Round the weights to float16 and keep them so; they are turned back when the graph is loaded.
            plain: Keep the layers as they are instead of rewriting them for CPUs.

        Raises:
            ModelError: As `predictor`.
        """
        ...
