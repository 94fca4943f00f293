"""What turns a batch into better weights, behind one small interface, so that the loop knows no framework."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from stargan.config.training import Config, Precision
from stargan.domains import Domains
from stargan.errors import require


class Engine(Protocol):
    """One framework's networks, optimizers and update rules. Arrays go in and come out by name.

    Images of an update are (N, H, W, 3) uint8, or a batch of what `upload` returned; labels and targets (N, L)
    float32 in the layout of `Domains`.
    """

    num_parameters: dict[str, int]
    """Parameters of each network by name."""
    precision: Precision
    """Of the forward passes: fp32 or bf16, whichever auto means here."""

    def upload(self, pixels: np.ndarray) -> Any | None:
        """Copies the images of a data set, (N, H, W, 3) uint8, to the device, where batches are then made.

        Returns:
            A `stargan.data.batches.DeviceImages`; None if that would gain nothing or the memory is too small.
        """
        ...

    def d_step(
        self, images: Any, labels: np.ndarray, targets: np.ndarray, dataset: int, *, step: int, lr: float
    ) -> None:
        """One update of D. All that is drawn at random follows from the seed and `step`."""
        ...

    def g_step(
        self, images: Any, labels: np.ndarray, targets: np.ndarray, dataset: int, *, step: int, lr: float
    ) -> None:
        """One update of G, of its running mean, and of the attribute classifier, on the same batch."""
        ...

    def losses(self) -> dict[str, float]:
        """The terms of the last updates by name. Waits for the device, so only for logging steps."""
        ...

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Translates (N, 3, H, W) float32 in [-1, 1] with the running mean of G's weights."""
        ...

    def classify(self, images: np.ndarray) -> np.ndarray:
        """The attribute classifier's logits, (N, C) float32, of (N, 3, H, W) float32 in [-1, 1]."""
        ...

    def macs(self) -> dict[str, int]:
        """Multiply-adds of one picture forward through each network, by name."""
        ...

    def peak_memory(self) -> int:
        """The most memory used so far, in bytes: of the GPU that computes, else of the process."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Everything an exact continuation needs, named as in `stargan.model.safetensors_file`."""
        ...

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """The inverse of `state`.

        Raises:
            CheckpointError: An array is missing, left over or of the wrong shape.
        """
        ...

    def load_weights(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Starts from the weights of a model file, with fresh optimizers.

        Raises:
            CheckpointError: As `load_state`.
        """
        ...


def create(config: Config, domains: Domains) -> Engine:
    """The engine for a configuration, with fresh weights that follow from its seed.

    Raises:
        ConfigError: The device or the precision is not to be had.
        MissingExtraError: PyTorch is not installed.
    """
    require("torch", "train", "train")
    from stargan.engine.pytorch.engine import PytorchEngine

    return PytorchEngine(config, domains)
