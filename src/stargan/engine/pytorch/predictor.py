"""A model's networks on the CPU, for inference."""

from collections.abc import Mapping

import numpy as np
import torch

from stargan.config import Architecture
from stargan.domains import Domains
from stargan.engine.pytorch import networks


class PytorchPredictor:
    """See `stargan.engine.Predictor`.

    Args:
        architecture: The sizes of the networks.
        domains: The label layout.
        arrays: The weights by name. Without those of an attribute classifier, `classify` does not work.

    Raises:
        ModelError: An array is missing, unexpected or of the wrong shape.
    """

    def __init__(self, architecture: Architecture, domains: Domains, arrays: Mapping[str, np.ndarray]) -> None:
        present = [name for name in ("generator", "classifier") if any(key.startswith(f"{name}/") for key in arrays)]
        self._networks = {
            name: networks.restore(name, architecture, domains, arrays)
            for name in dict.fromkeys(["generator", *present])
        }

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Translates images, (N, 3, H, W), to target labels, (N, L); see `Predictor.generate`."""
        return self._run("generator", images, labels)

    def classify(self, images: np.ndarray) -> np.ndarray:
        """Returns the logits, (N, C), for images, (N, 3, H, W); see `Predictor.classify`."""
        return self._run("classifier", images)

    @torch.inference_mode()
    def _run(self, name: str, *arrays: np.ndarray) -> np.ndarray:
        tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
        result: np.ndarray = self._networks[name](*tensors).numpy()
        return result
