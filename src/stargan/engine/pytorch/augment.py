"""What D is shown in place of images where `Config.augment` is on (after Zhao et al. 2020, DiffAugment)."""

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT = 1 / 8  # of height and width, at most, either way
BRIGHTNESS = 0.25  # of the values in [-1, 1], at most, either way
COVER = 1 / 4  # of height and width: the side of what is covered


def augment(images: Tensor, draws: Tensor) -> Tensor:
    """Shifts each image, makes it brighter or darker and covers a part of it, each by chance.

    G is taught by D's view of its translations, and a D that sees each image in one place only is fooled by faint
    patterns that nobody sees. It can be differentiated as often as one likes.

    Args:
        images: (N, 3, H, W) in [-1, 1].
        draws: (N, 5) in [0, 1): the shift down and right, the light, and the place, down and right, of what is covered.
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
    """(N,) in [0, 1) to (N, 1), whole numbers from 0 to `most`."""
    return (draws * (most + 1)).long().clamp(max=most)[:, None]  # in few bits, 0.9999 is 1
