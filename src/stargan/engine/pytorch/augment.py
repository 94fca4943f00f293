"""What D is shown in place of pictures where `Config.augment` is on (after Zhao et al. 2020, DiffAugment)."""

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT = 1 / 8  # of height and width, at most, either way
BRIGHTNESS = 0.25  # of the values in [-1, 1], at most, either way
COVER = 1 / 4  # of height and width: the side of what is covered


def augment(images: Tensor, random: torch.Generator) -> Tensor:
    """Shifts each picture, makes it brighter or darker and covers a part of it, each by chance.

    G is taught by D's view of its translations, and a D that sees each picture in one place only is fooled by faint
    patterns that nobody sees. It can be differentiated as often as one likes.

    Args:
        images: (N, 3, H, W) in [-1, 1].
        random: On the CPU, whatever the device of the pictures.
    """
    height, width = images.shape[2:]
    draws = torch.rand((len(images), 5), generator=random)
    up, left = int(SHIFT * height), int(SHIFT * width)
    tall, wide = int(COVER * height), int(COVER * width)
    places = draws * torch.tensor([2 * up + 1, 2 * left + 1, 1, height - tall + 1, width - wide + 1])
    padded = F.pad(images, (left, left, up, up))
    keep = images.new_ones((len(images), 1, height, width))
    shifted = []
    for index, (y, x, _, top, side) in enumerate(places.int().tolist()):
        shifted.append(padded[index, :, y : y + height, x : x + width])
        keep[index, :, top : top + tall, side : side + wide] = 0
    light = (2 * draws[:, 2] - 1) * BRIGHTNESS
    return (torch.stack(shifted) + light.to(images)[:, None, None, None]) * keep
