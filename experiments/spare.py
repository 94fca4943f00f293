"""A price on what a change of hair does to the face.

Most images with gray hair in CelebA show old men. G learns that gray hair goes with such faces, and D agrees. So what
a change of hair alone changes between the eyes and the mouth of an aligned photo costs extra.
"""

import torch
from torch import Tensor

from stargan.domains import Domains
from stargan.engine.pytorch.edit.updates import Made

CENTRE, AXES = (0.5, 0.64), (0.172, 0.203)  # of the ellipse around eyes and mouth, to the right and down
EDGE = 0.25  # how far outside of it the price falls to nothing, as a fraction of its axes


class Spare:
    """The term of G's loss.

    Args:
        price: What a mean absolute change of 1 within the face costs.
        domains: The label layout; its first group is the colours of hair.
        places: (size,) float32, the places of the rows of an image, from 0 to 1; on the device.
    """

    def __init__(self, price: float, domains: Domains, places: Tensor) -> None:
        self.price = price
        self.others = len(next(domains.groups())[2].names)  # labels from here on are not of hair
        (x, y), (across, down) = CENTRE, AXES
        distance = torch.hypot((places[None] - x) / across, (places[:, None] - y) / down)
        self.face = ((1 + EDGE - distance) / EDGE).clamp(0, 1)  # (size, size), 1 within the ellipse

    def __call__(self, made: Made) -> Tensor:
        """Computes the term, averaged over all images, of which those with other changes do not count."""
        alone = (made.labels == made.targets)[:, self.others :].all(1)
        each = ((made.edited - made.images).abs().mean(1) * self.face).mean((1, 2))
        return self.price * (each @ alone.to(each.dtype)) / len(each)
