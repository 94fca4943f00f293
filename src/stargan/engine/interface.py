"""The interface of a training framework: everything the rest of the package uses of it.

Weights and state are exchanged as arrays by name. An update takes images as (N, H, W, 3) uint8, or as a batch of an
uploaded data set. Labels and targets are (N, L) float32 in the layout of `Domains`.

Every framework uses the same names and axes for a model's arrays, so that one can continue from another's files. The
names are `generator/...` (EMA weights), `discriminator/...` and `classifier/...`, followed by PyTorch's module names,
as in `generator/layers.0.weight`. Axes are in PyTorch's order: kernels are (out, in, height, width), kernels of
transposed convolutions (in, out, height, width). The training state adds `training/generator/...` (weights without
EMA), `training/adam/<network>/<weight>/{step,exp_avg,exp_avg_sq}` and `training/g_updates`.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from stargan.config import Architecture, Config
from stargan.config.training import Precision
from stargan.domains import Domains
from stargan.machine import Place

Arrays = Mapping[str, np.ndarray]


class Predictor(Protocol):
    """Networks with fixed weights."""

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Translates images.

        Args:
            images: (N, 3, H, W) in [-1, 1].
            labels: (N, L), what `Architecture.condition` returns: the target labels, or the change to them.

        Returns:
            The translations, (N, 3, H, W) in [-1, 1]. All arrays are float32.
        """
        ...

    def classify(self, images: np.ndarray) -> np.ndarray:
        """Returns the attribute classifier's logits, (N, C) float32, for images, (N, 3, H, W) float32 in [-1, 1]."""
        ...


class Engine(Predictor, Protocol):
    """The networks during training, with their optimizers and updates. As a predictor it uses G's EMA weights."""

    num_parameters: dict[str, int]
    """The number of parameters of each network, by name."""
    precision: Precision
    """The number format of the forward passes: fp32 or bf16, with `auto` resolved for this machine."""
    rank: int
    """The index of this process among those that train together, from 0. Only process 0 writes files."""
    world_size: int
    """The number of processes that train together."""

    def upload(self, pixels: np.ndarray) -> Any | None:
        """Copies a data set, (N, H, W, 3) uint8, to the device that trains.

        Returns:
            A `stargan.data.batches.DeviceImages` to take batches from, or None if the data do not fit or uploading
            would gain nothing.
        """
        ...

    def d_step(
        self,
        images: Any,
        labels: np.ndarray,
        targets: np.ndarray,
        dataset: int,
        *,
        step: int,
        lr: float,
        lambda_cls: float | None = None,
    ) -> None:
        """Updates D once. The seed and `step` determine all random numbers.

        Args:
            images: (B, H, W, 3) uint8, or a batch of uploaded images.
            labels: (B, L) float32, the labels of the images.
            targets: (B, L) float32, the target labels.
            dataset: The index of the data set of the batch.
            step: The number of updates of D before this one.
            lr: The learning rate.
            lambda_cls: The weight of the classification loss; None: as scheduled for `step`.
        """
        ...

    def g_step(
        self,
        images: Any,
        labels: np.ndarray,
        targets: np.ndarray,
        dataset: int,
        *,
        step: int,
        lr: float,
        lambda_cls: float | None = None,
    ) -> None:
        """Updates G, its EMA and the attribute classifier once; the arguments are those of `d_step`."""
        ...

    def losses(self) -> dict[str, float]:
        """Returns the loss terms of the last updates by name. It waits for the device, so call it only to log."""
        ...

    def macs(self) -> dict[str, int]:
        """Returns the multiply-adds of one image's forward pass through each network, by name."""
        ...

    def peak_memory(self) -> int:
        """Returns the peak memory so far in bytes: of the GPU if it trains on one, else of the process."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Returns everything needed to continue exactly, under the names listed above."""
        ...

    def load_state(self, arrays: Arrays) -> None:
        """Restores what `state` returned.

        Raises:
            CheckpointError: An array is missing, unexpected or of the wrong shape.
        """
        ...

    def load_weights(self, arrays: Arrays) -> None:
        """Starts from the weights of a model file, with fresh optimizers.

        If the file has no attribute classifier, the engine keeps its own.

        Raises:
            CheckpointError: As `load_state`.
        """
        ...


@dataclass(frozen=True)
class OnnxGraphs:
    """A model as ONNX graphs.

    Attributes:
        generator: A serialised graph from `images` (N, 3, H, W) and `labels` or `change` (N, L), see
            `Architecture.condition_name`, to `translated` (N, 3, H, W).
        classifier: A serialised graph from `images` to `logits` (N, C), or None if the model has no attribute
            classifier.
        difference: The largest difference between the graphs' results and the framework's, on random images.
    """

    generator: bytes
    classifier: bytes | None
    difference: float


class Framework(Protocol):
    """A training framework: it creates engines, and predictors and ONNX graphs from a model's arrays."""

    def create(self, config: Config, domains: Domains) -> Engine:
        """Creates an engine with fresh weights, drawn from the configuration's seed.

        Raises:
            ConfigError: The device or the precision is not available.
        """
        ...

    def predictor(self, architecture: Architecture, domains: Domains, arrays: Arrays) -> Predictor:
        """Creates a predictor on the CPU: the generator and, if `arrays` contain one, the attribute classifier.

        Raises:
            ModelError: An array is missing, unexpected or of the wrong shape; the message names it.
        """
        ...

    def parameter_shapes(
        self, architecture: Architecture, num_labels: int, num_classes: int | None
    ) -> dict[str, tuple[int, ...]]:
        """Returns the shape of each array of the generator and, unless `num_classes` is None, the discriminator."""
        ...

    def export_onnx(
        self, architecture: Architecture, domains: Domains, arrays: Arrays, *, half: bool, plain: bool
    ) -> OnnxGraphs:
        """Exports the networks as ONNX graphs with a dynamic batch size.

        Args:
            architecture: The sizes of the networks.
            domains: The label layout.
            arrays: The weights of the networks.
            half: Store the weights as float16. They are converted back to float32 when the graph is loaded.
            plain: Keep the layers as they are instead of rewriting them for CPUs.

        Raises:
            ModelError: As `predictor`.
        """
        ...


class Processes(Protocol):
    """The processes that train together."""

    rank: int
    """The index of this process, from 0."""
    world_size: int
    """The number of processes."""

    def largest(self, *values: float) -> list[float]:
        """Returns the largest of each value over all processes. It waits until all of them have called it.

        Raises:
            ProcessLostError: Another process has ended.
        """
        ...


class Alone:
    """One process that trains without others; see `Processes`."""

    rank = 0
    world_size = 1

    def largest(self, *values: float) -> list[float]:
        """Returns the values."""
        return list(values)


@runtime_checkable
class TrainsTogether(Protocol):
    """What a framework offers besides, if several processes can train one model with it.

    Each of its engines gets a part of every batch and updates the networks as one process would with the whole batch.
    """

    def join(self, config: Config, place: Place) -> AbstractContextManager[Processes]:
        """Connects this process with the others, before it creates an engine.

        Raises:
            ConfigError: The device is not available.
        """
        ...
