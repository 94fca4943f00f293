"""pix2pix's networks (Isola et al. 2017, section 6.1): a U-Net, and a PatchGAN for pairs of images."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stargan.config import Architecture
from stargan.domains import two
from stargan.engine.pytorch.two_domains.networks import PatchGan, ResnetGenerator

DROPOUT = 0.5
FIRST_DROPOUT = 4
"""The level from which on the U-Net has dropout; the innermost one has none."""


class Norm(nn.BatchNorm2d):
    """Batch normalisation in training; afterwards each image has its own statistics, as in batches of one image."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (N, channels, H, W)."""
        if self.training:
            return super().forward(x)
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


class Unet(nn.Module):
    """Halves an image `levels` times, and enlarges it again beside what it was at each level.

    Args:
        width: Channels of the first level; each further level has twice as many, up to eight times as many.
        levels: How often it halves an image; its sides are multiples of 2 to this power.
    """

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(levels)]
        down, up = [], []
        for level, channels in enumerate(widths):
            outermost, innermost = level == 0, level == levels - 1
            before = 3 if outermost else widths[level - 1]
            first: nn.Module = nn.Identity() if outermost else nn.LeakyReLU(0.2)
            lower: list[nn.Module] = [first, nn.Conv2d(before, channels, 4, 2, 1, bias=False)]
            lower += [] if outermost or innermost else [Norm(channels)]
            joined = channels if innermost else 2 * channels
            upper: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(joined, before, 4, 2, 1, bias=outermost)]
            upper += [nn.Tanh()] if outermost else [Norm(before)]
            upper += [nn.Dropout(DROPOUT)] if FIRST_DROPOUT <= level < levels - 1 else []
            down.append(nn.Sequential(*lower))
            up.append(nn.Sequential(*upper))
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images, (N, 3, H, W) in [-1, 1], to the same shape and range."""
        kept = [images]
        for layers in self.down:
            kept.append(layers(kept[-1]))
        x = kept.pop()
        for level in reversed(range(len(self.up))):
            x = self.up[level](x)
            x = torch.cat([kept.pop(), x], 1) if level else x
        return x


class PairGenerator(nn.Module):
    """A U-Net or CycleGAN's generator, for images whose target label is the second domain; others stay as they are."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        build = Unet if architecture.has_unet else ResnetGenerator
        self.to_b = build(architecture.width, architecture.blocks)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Translates images, (N, 3, H, W) in [-1, 1], to target labels, (N, L)."""
        return torch.where(two.second(labels)[:, None, None, None], self.to_b(images), images)


class PairDiscriminator(PatchGan):
    """Scores patches of an image beside its translation."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(6, architecture.width, architecture.d_layers, Norm, bias=False)

    def forward(self, images: Tensor, translated: Tensor | None = None) -> Tensor:
        """Maps images and their translations, by default the images themselves, to scores, (N, 1, h, w)."""
        return self.layers(torch.cat([images, images if translated is None else translated], 1))
