"""A price on what a change of hair does to the face.

Most images with gray hair in CelebA show old men. G learns that gray hair goes with such faces, and D agrees. So what
a change of hair alone changes between the eyes and the mouth of an aligned photo costs extra.
"""

import torch
from torch import Tensor

from stargan.domains import Domains
from stargan.engine.pytorch.edit.updates import Made
from stargan.errors import ConfigError

CENTRE, AXES = (0.5, 0.64), (0.172, 0.203)  # of the ellipse around eyes and mouth, to the right and down
EDGE = 0.25  # how far outside of it the price falls to nothing, as a fraction of its axes


class Spare:
    """The term of G's loss.

    Args:
        price: Of the mean absolute change of an image, as `lambda_change`, but only what is within the face counts.
        domains: The label layout.
        places: (size,) float32, the places of the rows of an image, from 0 to 1; on the device.

    Raises:
        ConfigError: There is a price, but the first group of labels is not the colours of hair.
    """

    def __init__(self, price: float, domains: Domains, places: Tensor) -> None:
        first = next(domains.groups())[2].names
        if price and not all(name.endswith("_Hair") for name in first):
            raise ConfigError(
                f"--spare {price:g}: must be 0, since the first labels, {', '.join(first)}, are not of hair"
            )
        self.price = price
        self.others = len(first)  # labels from here on are not of hair
        (x, y), (across, down) = CENTRE, AXES
        distance = torch.hypot((places[None] - x) / across, (places[:, None] - y) / down)
        self.face = ((1 + EDGE - distance) / EDGE).clamp(0, 1)  # (size, size), 1 within the ellipse

    def __call__(self, made: Made) -> Tensor:
        """Computes the term, averaged over all images, of which those with other changes do not count."""
        alone = (made.labels == made.targets)[:, self.others :].all(1)
        each = ((made.edited - made.images).abs().mean(1) * self.face).mean((1, 2))
        return self.price * (each @ alone.to(each.dtype)) / len(each)
