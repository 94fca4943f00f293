"""Differentiable augmentation of the images D sees (`Config.augment`; after Zhao et al. 2020, DiffAugment)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stargan.engine.constants import BRIGHTNESS, COVER, SHIFT


def augment(images: Tensor, draws: Tensor) -> Tensor:
    """Randomly shifts each image, changes its brightness and covers a part of it.

    G learns from D's gradients. A D that sees every image in one position only can be fooled by faint patterns that
    nobody sees. The result can be differentiated any number of times.

    Args:
        images: (N, 3, H, W) in [-1, 1].
        draws: (N, 5) random numbers in [0, 1): the vertical and horizontal shift, the brightness, and the vertical and
            horizontal position of the covered rectangle.
    """
    height, width = images.shape[2:]
    down, right = (torch.arange(side, device=images.device) for side in (height, width))
    up, left = int(SHIFT * height), int(SHIFT * width)
    tall, wide = int(COVER * height), int(COVER * width)
    y, x, light, top, side = draws.unbind(1)

    padded = F.pad(images, (left, left, up, up))
    rows = down + _pick(y, 2 * up)
    columns = right + _pick(x, 2 * left)
    padded = padded.gather(2, rows[:, None, :, None].expand(-1, 3, -1, padded.shape[3]))
    shifted = padded.gather(3, columns[:, None, None, :].expand(-1, 3, height, -1))

    below, after = down - _pick(top, height - tall), right - _pick(side, width - wide)
    covered = ((below >= 0) & (below < tall))[:, :, None] & ((after >= 0) & (after < wide))[:, None]
    lit = shifted + ((2 * light - 1) * BRIGHTNESS)[:, None, None, None]
    return lit * ~covered[:, None]


def _pick(draws: Tensor, most: int) -> Tensor:
    """Maps (N,) random numbers in [0, 1) to (N, 1) integers from 0 to `most`."""
    return (draws * (most + 1)).long().clamp(max=most)[:, None]  # in a short float format, 0.9999 rounds to 1
