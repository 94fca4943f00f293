"""G's inner convolutions with a quarter of the multiplications, for inference on CPUs.

This is Winograd's F(4x4, 3x3) (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.3).
Tiles of 6x6 pixels and kernels are transformed, multiplied element by element, and transformed back into 4x4 pixels.
The sums over channels become ordinary matrix products. Results differ from the convolution's by rounding, about 1e-5.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stargan.config import Architecture
from stargan.engine.pytorch.networks import ResidualBlock

TILE, STEP = 6, 4  # side of the input and of the output of a tile, in pixels
FEWEST_CHANNELS, FEWEST_TILES = 256, 64  # below these, transforms cost more than they save (measured at 128 and at 16)

# The transforms for the interpolation points 0, 1, -1, 2, -2 and infinity.
PIXELS = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
BACK = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


def pays(architecture: Architecture) -> bool:
    """Returns whether a model has the paper's generator and is large enough to become faster."""
    if not architecture.has_papers_generator:
        return False
    width, height = (-(-side // 4 // STEP) for side in architecture.image_size)
    return 4 * architecture.width >= FEWEST_CHANNELS and width * height >= FEWEST_TILES


class Trunk(nn.Module):
    """A sequence of residual blocks with channels last throughout, so that tiles are copied in long pieces.

    Args:
        blocks: G's residual blocks. They cannot be used on their own afterwards, because their kernels are transposed.
    """

    pixels: Tensor
    kernel: Tensor
    back: Tensor

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        dtype = next(self.parameters()).dtype
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d):  # to (9, in, out), so that no session has to transpose when it starts
                    layer.weight = nn.Parameter(layer.weight.permute(2, 3, 1, 0).flatten(0, 1), requires_grad=False)
        for name, rows in (("pixels", PIXELS), ("kernel", KERNEL), ("back", BACK)):
            matrix = torch.tensor(rows, dtype=torch.float64)
            self.register_buffer(name, torch.kron(matrix, matrix).to(dtype))  # transforms rows and columns at once

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        x = x.permute(0, 2, 3, 1)
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)  # for the type checker
            first, norm, relu, second, last = block.layers
            x = x + _norm(self._convolution(relu(_norm(self._convolution(x, first), norm)), second), last)
        return x.permute(0, 3, 1, 2)

    def _convolution(self, x: Tensor, layer: Any) -> Tensor:
        """Computes a 3x3 convolution with zero padding; maps (N, H, W, C) to the same shape."""
        _, height, width, channels = x.shape
        down, across = -(-height // STEP), -(-width // STEP)
        padding = (1, 1 + STEP * across - width, 1, 1 + STEP * down - height)
        x = F.pad(x, (0, 0, *padding))
        # First the first rows of all tiles, then the second rows and so on: each selected row, and each selected pixel
        # of a row, is one piece of memory.
        tiles = x.index_select(1, _places(down)).index_select(2, _places(across))
        tiles = tiles.view(-1, TILE, down, TILE, across, channels)
        tiles = tiles.permute(1, 3, 0, 2, 4, 5).reshape(TILE**2, -1)
        pixels = (self.pixels @ tiles).view(TILE**2, -1, channels)
        kernels = torch.einsum("tk,kio->tio", self.kernel, layer.weight)
        out = self.back @ (pixels @ kernels).reshape(TILE**2, -1)
        out = out.view(STEP, STEP, -1, down, across, channels).permute(2, 3, 0, 4, 1, 5)
        return out.reshape(-1, STEP * down, STEP * across, channels)[:, :height, :width]


def _places(tiles: int) -> Tensor:
    """Returns the positions of the pixels of a number of tiles along one side, (TILE * tiles,)."""
    return (torch.arange(TILE)[:, None] + STEP * torch.arange(tiles)).flatten()


def _norm(x: Tensor, layer: Any) -> Tensor:
    """Applies instance normalisation to (N, H, W, C)."""
    centred = x - _mean(x)
    scale = (_mean(centred * centred) + layer.eps).rsqrt() * layer.weight
    return centred * scale + layer.bias


def _mean(x: Tensor) -> Tensor:
    """Averages over W, then over H: for both at once ONNX Runtime takes 20 times as long (an image of 256 px)."""
    return x.mean(2, keepdim=True).mean(1, keepdim=True)
