"""Rewriting of G for inference on CPUs: the same images, except for rounding, from fewer operations."""

import torch.nn.functional as F
from torch import Tensor, nn

from stargan.config import Architecture
from stargan.engine.pytorch.fast import winograd
from stargan.engine.pytorch.networks import Generator, ResidualBlock


def rewrite(generator: nn.Module, architecture: Architecture) -> None:
    """Replaces G's last layer by a `ColumnConv` and, if the model is large enough, its blocks by a `winograd.Trunk`.

    Args:
        generator: A `Generator`, changed in place; it cannot be trained afterwards.
        architecture: Its architecture.
    """
    assert isinstance(generator, Generator)  # for the type checker
    *layers, last = generator.layers
    assert isinstance(last, nn.Conv2d)
    places = [place for place, layer in enumerate(layers) if isinstance(layer, ResidualBlock)]
    if places and winograd.pays(architecture):
        inner = slice(places[0], places[-1] + 1)
        layers[inner] = [winograd.Trunk(layers[inner])]
    generator.layers = nn.Sequential(*layers, ColumnConv(last))


class ColumnConv(nn.Module):
    """A convolution with few output channels that computes each column of its kernel as a separate channel.

    Runtimes pad the number of output channels to a multiple of 16, so 3 channels cost as much as 16. Split by the 7
    columns of the kernel, the 3 channels become 21, padded to 32, each with a seventh of the kernel. The results of
    the columns are then shifted into place and added up.

    Args:
        conv: A convolution with a square kernel of odd size, stride 1, padding of half that size, and no bias.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.out_channels, _, self.size, _ = conv.weight.shape
        columns = conv.weight.detach().permute(3, 0, 1, 2).flatten(0, 1).unsqueeze(3)
        self.weight = nn.Parameter(columns.contiguous(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, output channels, H, W)."""
        width = x.shape[3]
        columns = F.conv2d(x, self.weight, padding=self.size // 2).split(self.out_channels, 1)
        out = columns[0][..., :width]
        for place, column in enumerate(columns[1:], 1):
            out = out + column[..., place : place + width]
        return out
