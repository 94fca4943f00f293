"""G rewritten for CPUs that only use it: the same images but for rounding, from fewer operations."""

import torch.nn.functional as F
from torch import Tensor, nn

from stargan.config import Architecture
from stargan.engine.pytorch.fast import winograd
from stargan.engine.pytorch.networks import Generator, ResidualBlock


def rewrite(generator: nn.Module, architecture: Architecture) -> None:
    """Puts `ColumnConv` in the place of G's last layer and, where that pays, `winograd.Trunk` in that of its blocks.

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
    """A convolution with few output channels, each column of its kernel as a channel of its own.

    Runtimes fill up the output channels to 16, so that 3 cost as much; 3 times 7 columns become 32 instead, of a
    seventh of the kernel each. The columns are then added up, each shifted to its place.

    Args:
        conv: Square kernel of odd size, stride 1, padding of half its size, no bias.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        made, _, self.size, _ = conv.weight.shape
        self.made = made
        columns = conv.weight.detach().permute(3, 0, 1, 2).flatten(0, 1).unsqueeze(3)
        self.weight = nn.Parameter(columns.contiguous(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, made, H, W)."""
        width = x.shape[3]
        columns = F.conv2d(x, self.weight, padding=self.size // 2).split(self.made, 1)
        out = columns[0][..., :width]
        for place, column in enumerate(columns[1:], 1):
            out = out + column[..., place : place + width]
        return out
