"""The sizes of the networks: what training chooses and what a model file records."""

import dataclasses
import re
from dataclasses import dataclass

from stargan.config.checks import check
from stargan.errors import ConfigError

MAX_SIDE = 2**13
"""Pixels of an image's side, at most."""


@dataclass(frozen=True)
class Architecture:
    """The sizes of the networks.

    Attributes:
        image_size: Size of the images, N or WIDTHxHEIGHT; multiples of 4.
        width: Channels of the first layer, of G and of D.
        blocks: Residual blocks of G.
        d_layers: Stride-2 layers of D; the image size must be divisible by 2 to their number.
        attention_mask: G also predicts where to repaint and leaves the rest of the image as it is (not in the paper).
        resize_conv: G enlarges by repeating pixels before a convolution, against checkerboards (not in the paper).
    """

    image_size: tuple[int, int] = (128, 128)
    width: int = 64
    blocks: int = 6
    d_layers: int = 6
    attention_mask: bool = False
    resize_conv: bool = False

    def __post_init__(self) -> None:
        # The upper bounds are what no machine can hold: an honest mistake gets a line instead of a library's traceback.
        check(self, "width", 1 <= self.width <= 1024, "from 1 to 1024")
        check(self, "blocks", 0 <= self.blocks <= 1000, "from 0 to 1000")
        check(self, "d_layers", 1 <= self.d_layers <= 13, "from 1 to 13")
        for side in self.image_size:
            check(self, "image_size", side >= 4 and side % 4 == 0, "a multiple of 4 (G halves it twice)")
            check(self, "image_size", side <= MAX_SIDE, f"at most {MAX_SIDE} each way")

    @property
    def architecture(self) -> "Architecture":
        """The sizes alone, also of a `Config`, which has more settings."""
        return Architecture(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Architecture)})


def parse_size(text: str) -> tuple[int, int]:
    """Reads `128` or `160x128` (width x height).

    Raises:
        ConfigError: It is neither.
    """
    found = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text.strip())
    if not found:
        raise ConfigError(f"--image-size {text}: must be N or WIDTHxHEIGHT, for example 128 or 160x128")
    return int(found[1]), int(found[2] or found[1])
