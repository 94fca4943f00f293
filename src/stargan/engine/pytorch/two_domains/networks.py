"""CycleGAN's networks (Zhu et al. 2017, section 7.2): a residual generator for each direction, and PatchGANs."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from stargan.config import Architecture
from stargan.domains import two


class ResnetBlock(nn.Module):
    """Computes x + IN(conv(ReLU(IN(conv(x))))) with 3x3 convolutions on images that are padded by reflection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, channels, H, W) to the same shape."""
        return x + self.layers(x)


class ResnetGenerator(nn.Module):
    """Translates images in one direction, of any size whose sides are multiples of 4.

    Args:
        width: Channels of the first layer.
        blocks: Residual blocks.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), *_normalised(width)]
        for channels in (2 * width, 4 * width):
            layers += [nn.Conv2d(channels // 2, channels, 3, 2, 1), *_normalised(channels)]
        layers += [ResnetBlock(4 * width) for _ in range(blocks)]
        for channels in (2 * width, width):
            layers += [nn.ConvTranspose2d(2 * channels, channels, 3, 2, 1, 1), *_normalised(channels)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images, (N, 3, H, W) in [-1, 1], to the same shape and range."""
        return self.layers(images)


class CycleGenerator(nn.Module):
    """The generators of both directions; the target label of an image chooses one."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.to_a = ResnetGenerator(architecture.width, architecture.blocks)
        self.to_b = ResnetGenerator(architecture.width, architecture.blocks)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Translates images, (N, 3, H, W) in [-1, 1], to target labels, (N, L)."""
        to_b = two.second(labels)
        if torch.compiler.is_exporting():  # a graph without branches computes both directions
            return torch.where(to_b[:, None, None, None], self.to_b(images), self.to_a(images))
        result = torch.empty_like(images)
        for chosen, translate in ((to_b, self.to_b), (~to_b, self.to_a)):
            if chosen.any():
                result[chosen] = translate(images[chosen]).to(images.dtype)
        return result


class PatchGan(nn.Module):
    """Scores overlapping patches of images, of 70x70 pixels with three stride-2 layers.

    Args:
        channels: Channels of its input.
        width: Channels of the first layer; each further layer has twice as many, up to eight times as many.
        layers: Stride-2 layers.
        norm: Makes the norms from a number of channels.
        bias: Whether the convolutions before norms have one.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        layers: int,
        norm: Callable[[int], nn.Module] = nn.InstanceNorm2d,
        bias: bool = True,
    ) -> None:
        super().__init__()
        found: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        widths = [width * min(2**index, 8) for index in range(layers + 1)]
        for index, (before, after) in enumerate(itertools.pairwise(widths), 1):
            stride = 2 if index < layers else 1
            found += [nn.Conv2d(before, after, 4, stride, 1, bias=bias), norm(after)]
            found += [nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*found, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Maps images, (N, channels, H, W), to scores, (N, 1, h, w)."""
        return self.layers(images)

    def features(self, images: Tensor) -> list[Tensor]:
        """Maps images to the outputs of all layers but the last one, behind their activations."""
        found, x = [], images
        for layer in list(self.layers.children())[:-1]:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                found.append(x)
        return found


class CycleDiscriminator(nn.Module):
    """A discriminator for each domain."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.a = PatchGan(3, architecture.width, architecture.d_layers)
        self.b = PatchGan(3, architecture.width, architecture.d_layers)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps images, (N, 3, H, W), to the scores of both, (N, 1, h, w) each."""
        return self.a(images), self.b(images)


def _normalised(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]
