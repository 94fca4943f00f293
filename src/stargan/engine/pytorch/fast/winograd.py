"""G's inner convolutions with a quarter of the multiplications, for CPUs that only use it.

Winograd's F(4x4, 3x3) (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.3): tiles of
6x6 pixels and kernels are transformed, multiplied place by place, and transformed back into 4x4 pixels. What happens
between channels are then ordinary matrix products. Results differ from the convolution's by rounding, about 1e-5.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stargan.config import Architecture
from stargan.engine.pytorch.networks import ResidualBlock

TILE, STEP = 6, 4  # pixels that a tile reads and makes, each way
FEWEST_CHANNELS, FEWEST_TILES = 256, 64  # below, transforming costs more than it saves (measured at 128 and at 16)

# From the interpolation points 0, 1, -1, 2, -2 and infinity.
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
    """Whether a model is large enough to become faster."""
    width, height = (-(-side // 4 // STEP) for side in architecture.image_size)
    return 4 * architecture.width >= FEWEST_CHANNELS and width * height >= FEWEST_TILES


class Trunk(nn.Module):
    """Residual blocks one after the other, channels last throughout, so that tiles are copied in long pieces.

    Args:
        blocks: As G has them. They are of no use by themselves afterwards, since their kernels are turned.
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
                if isinstance(layer, nn.Conv2d):  # (9, in, out), so that nothing need be turned at each start
                    layer.weight = nn.Parameter(layer.weight.permute(2, 3, 1, 0).flatten(0, 1), requires_grad=False)
        for name, rows in (("pixels", PIXELS), ("kernel", KERNEL), ("back", BACK)):
            matrix = torch.tensor(rows, dtype=torch.float64)
            self.register_buffer(name, torch.kron(matrix, matrix).to(dtype))  # both ways at once

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        x = x.permute(0, 2, 3, 1)
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)  # for the type checker
            first, norm, relu, second, last = block.layers
            x = x + _norm(self._convolution(relu(_norm(self._convolution(x, first), norm)), second), last)
        return x.permute(0, 3, 1, 2)

    def _convolution(self, x: Tensor, layer: Any) -> Tensor:
        """3x3 with zeros around, (N, H, W, C) to the same."""
        _, height, width, channels = x.shape
        down, across = -(-height // STEP), -(-width // STEP)
        around = (1, 1 + STEP * across - width, 1, 1 + STEP * down - height)
        x = F.pad(x, (0, 0, *around))
        # The first row of all tiles, then the second ...; a picked row and a picked pixel are each one piece of memory.
        tiles = x.index_select(1, _places(down)).index_select(2, _places(across))
        tiles = tiles.view(-1, TILE, down, TILE, across, channels)
        tiles = tiles.permute(1, 3, 0, 2, 4, 5).reshape(TILE**2, -1)
        pixels = (self.pixels @ tiles).view(TILE**2, -1, channels)
        kernels = torch.einsum("tk,kio->tio", self.kernel, layer.weight)
        made = self.back @ (pixels @ kernels).reshape(TILE**2, -1)
        made = made.view(STEP, STEP, -1, down, across, channels).permute(2, 3, 0, 4, 1, 5)
        return made.reshape(-1, STEP * down, STEP * across, channels)[:, :height, :width]


def _places(tiles: int) -> Tensor:
    """Where the pixels of so many tiles lie, along one side: (TILE * tiles,)."""
    return (torch.arange(TILE)[:, None] + STEP * torch.arange(tiles)).flatten()


def _norm(x: Tensor, layer: Any) -> Tensor:
    """Instance normalisation of (N, H, W, C)."""
    away = x - _mean(x)
    scale = (_mean(away * away) + layer.eps).rsqrt() * layer.weight
    return away * scale + layer.bias


def _mean(x: Tensor) -> Tensor:
    """Over H and W, one after the other: for both at once ONNX Runtime takes 20 times as long (a image of 256 px)."""
    return x.mean(2, keepdim=True).mean(1, keepdim=True)
