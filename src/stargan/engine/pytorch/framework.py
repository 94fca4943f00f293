"""PyTorch as a `stargan.engine.Framework`."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import numpy as np
import torch

from stargan.config import Architecture, Config
from stargan.domains import Domains
from stargan.engine.interface import Engine, Framework, OnnxGraphs, Predictor, Processes
from stargan.engine.pytorch import networks, processes
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.engine.pytorch.onnx_export import export
from stargan.engine.pytorch.predictor import PytorchPredictor
from stargan.machine import Place


class Pytorch:
    """See `stargan.engine.Framework`."""

    def create(self, config: Config, domains: Domains) -> Engine:
        """Creates an engine with fresh weights; see `Framework.create`."""
        return PytorchEngine(config, domains)

    def join(self, config: Config, place: Place) -> AbstractContextManager[Processes]:
        """Connects this process with those that train with it; see `TrainsTogether.join`."""
        return processes.join(config, place)

    def predictor(self, architecture: Architecture, domains: Domains, arrays: Mapping[str, np.ndarray]) -> Predictor:
        """Creates a predictor on the CPU; see `Framework.predictor`."""
        return PytorchPredictor(architecture, domains, arrays)

    def parameter_shapes(
        self, architecture: Architecture, num_labels: int, num_classes: int | None
    ) -> dict[str, tuple[int, ...]]:
        """Returns the shapes of all arrays without allocating them; see `Framework.parameter_shapes`."""
        with torch.device("meta"):
            built: dict[str, torch.nn.Module] = {"generator": networks.generator(architecture, num_labels)}
            if num_classes is not None:
                built["discriminator"] = networks.discriminator(architecture, num_classes)
        return {
            f"{network}/{name}": tuple(tensor.shape)
            for network, module in built.items()
            for name, tensor in module.state_dict().items()
        }

    def export_onnx(
        self,
        architecture: Architecture,
        domains: Domains,
        arrays: Mapping[str, np.ndarray],
        *,
        half: bool,
        plain: bool,
    ) -> OnnxGraphs:
        """Exports the networks as ONNX graphs; see `Framework.export_onnx`."""
        return export(architecture, domains, arrays, half=half, plain=plain)


FRAMEWORK: Framework = Pytorch()
