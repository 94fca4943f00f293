"""Numbers of the method that are the same in every engine, and that are not settings."""

from stargan.config.training import Objective

MASK_FLOOR = 0.1
"""Smallest value of the attention mask. If the mask could reach zero, G could collapse to the identity before D has
learnt the classes. The saturated mask then passes on no gradient, and G cannot recover."""

CLASSIFIER_LR = 1e-3
"""For supervised learning of a small network; it decays with the learning rate of G and D."""

PENALISED: frozenset[Objective] = frozenset({"wgan-gp", "wgan-lp", "dragan"})
"""The objectives with a gradient penalty."""

SHIFT = 1 / 8
"""Largest shift in each direction in augmented images, as a fraction of height and width."""
BRIGHTNESS = 0.25
"""Largest change of brightness up or down in augmented images, for values in [-1, 1]."""
COVER = 1 / 4
"""Sides of the covered rectangle of augmented images, as fractions of height and width."""

GENERATE_BATCH = 32
"""Images that an engine's `generate` and `classify` process at once, at most."""
GENERATE_PIXELS = GENERATE_BATCH * 64 * 64
"""Pixels of these images, which limits their memory: at most what an update takes."""


def generate_batch(pixels: int) -> int:
    """Returns how many images, of so many pixels each, an engine's `generate` and `classify` process at once."""
    return max(1, min(GENERATE_BATCH, GENERATE_PIXELS // pixels))
