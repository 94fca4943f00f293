"""The sizes of the networks, which training sets and model files record."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from stargan.config.checks import check
from stargan.domains import Domains
from stargan.errors import ConfigError

Method = Literal["stargan", "cyclegan", "pix2pix"]
Generator = Literal["stargan", "edit", "resnet"]

MAX_SIDE = 2**13
"""Largest side of an image, in pixels."""
MAX_LAYERS = MAX_SIDE.bit_length() - 1
"""Stride-2 layers, at most: they reduce the largest image to one pixel."""

EDIT_SIDES = (64, 128, 256, 512)
"""Sides of the images that an edit generator can be built for: it folds them into a grid of 32x32 cells."""
NOT_OF_EDIT = ("attention_mask", "resize_conv")
"""Settings of the paper's G that an edit generator does not have."""
EDIT_CHANNELS = 16
"""The channels of an edit generator are normalised in as many groups."""
DETAIL_CHANNELS = 8
"""The channels with which it draws details, too."""

OF_EDIT = {"details": 0, "palette": False}
"""Settings that only an edit generator has, and the values that they keep for others."""
ONLY_STARGAN = {"attention_mask": False, "resize_conv": False, "cls_pooling": False, **OF_EDIT}
"""Settings of the networks that only StarGAN's have, and the values that they keep for other methods."""
GENERATORS = {"stargan": ("stargan", "edit"), "cyclegan": ("stargan",), "pix2pix": ("stargan", "resnet")}
"""The generators of each method; the first one is its own."""


@dataclass(frozen=True)
class Architecture:
    """The sizes of the networks.

    Attributes:
        image_size: Size of the images, N or WIDTHxHEIGHT; multiples of 4.
        width: Channels of the first layer, of G and of D.
        blocks: Residual blocks of G; of the U-Net of --method pix2pix, how often it halves an image.
        d_layers: Stride-2 layers of D. With --image-size alone, as many as fit it: 5 for 64 pixels, 6 for 128.
        attention_mask: G also predicts where to repaint and leaves the rest of the image as it is (not in the paper).
        resize_conv: G enlarges by repeating pixels before a convolution, against checkerboards (not in the paper).
        cls_pooling: D averages its class logits over the image instead of reading all of it with one kernel, so that it
            fits images of any size (not in the paper).
        generator: The method's own G; or one that edits parts of the image by the change of its labels (not in the
            paper); or with --method pix2pix, CycleGAN's, resnet.
        details: Channels with which an edit generator adds details at the full size of the image; 0 for none.
        palette: An edit generator may also paint with colours from elsewhere in the image, such as the background's,
            and with the image's own grays.
        method: StarGAN for any number of domains; for two, CycleGAN, or pix2pix for pairs of images.
    """

    image_size: tuple[int, int] = (128, 128)
    width: int = 64
    blocks: int = 6
    d_layers: int = 6
    attention_mask: bool = False
    resize_conv: bool = False
    cls_pooling: bool = False
    generator: Generator = "stargan"
    details: int = 0
    palette: bool = False
    method: Method = "stargan"

    def __post_init__(self) -> None:
        # Networks beyond these bounds fit no machine. A typo gets an error message instead of a traceback.
        check(self, "width", 1 <= self.width <= 1024, "from 1 to 1024")
        check(self, "blocks", 0 <= self.blocks <= 1000, "from 0 to 1000")
        check(self, "d_layers", 1 <= self.d_layers <= MAX_LAYERS, f"from 1 to {MAX_LAYERS}")
        for side in self.image_size:
            check(self, "image_size", side >= 4 and side % 4 == 0, "a multiple of 4 (G halves it twice)")
            check(self, "image_size", side <= MAX_SIDE, f"at most {MAX_SIDE} each way")
        check(self, "generator", self.generator in get_args(Generator), f"one of {', '.join(get_args(Generator))}")
        check(self, "method", self.method in get_args(Method), f"one of {', '.join(get_args(Method))}")
        for name, value in ONLY_STARGAN.items() if self.method != "stargan" else ():
            check(self, name, getattr(self, name) == value, f"left out with --method {self.method}")
        kinds = GENERATORS[self.method]
        allowed = " or ".join(kinds) if len(kinds) > 1 else "left out"
        check(self, "generator", self.generator in kinds, f"{allowed} with --method {self.method}")
        if self.has_unet:
            check(self, "blocks", 2 <= self.blocks <= MAX_LAYERS, f"from 2 to {MAX_LAYERS} with --method pix2pix")
            multiple, halved = self.side_multiple, f"the U-Net halves it {self.blocks} times; --blocks"
            fits = all(side % multiple == 0 for side in self.image_size)
            check(self, "image_size", fits, f"a multiple of {multiple} ({halved})")
        if self.generator == "edit":
            self._check_edit()
        else:
            for name, value in OF_EDIT.items():
                check(self, name, getattr(self, name) == value, "left out without --generator edit")

    def _check_edit(self) -> None:
        width, height = self.image_size
        allowed = f"square, of {', '.join(map(str, EDIT_SIDES))} pixels, for --generator edit{self._instead}"
        check(self, "image_size", width == height and width in EDIT_SIDES, allowed)
        multiple = self.width % EDIT_CHANNELS == 0
        check(self, "width", multiple, f"a multiple of {EDIT_CHANNELS} for --generator edit{self._instead}")
        fine = 0 <= self.details <= 1024 and self.details % DETAIL_CHANNELS == 0
        check(self, "details", fine, f"0 or a multiple of {DETAIL_CHANNELS} up to 1024")
        for name in NOT_OF_EDIT:
            check(
                self,
                name,
                not getattr(self, name),
                f"left out with --generator edit, which has its own mask{self._instead}",
            )

    @property
    def _instead(self) -> str:
        """The end of an error about what the edit generator does not take: what else to do about it."""
        return ""

    @property
    def least_weights(self) -> int:
        """How many weights G has at least: those of its residual blocks."""
        return 2 * 9 * self.blocks * (4 * self.width) ** 2

    @property
    def has_papers_generator(self) -> bool:
        """Whether G is that of StarGAN's paper (table 4)."""
        return self.method == "stargan" and self.generator == "stargan"

    @property
    def has_unet(self) -> bool:
        """Whether G is pix2pix's U-Net."""
        return self.method == "pix2pix" and self.generator == "stargan"

    @property
    def side_multiple(self) -> int:
        """What the sides of an image must be multiples of, if G takes images of any size; else 0."""
        if self.method == "stargan":
            return 0
        return 2**self.blocks if self.has_unet else 4

    @property
    def classifier_layers(self) -> int:
        """Stride-2 layers of the attribute classifier."""
        return self.d_layers if self.method == "stargan" else fitting_layers(self.image_size)

    @property
    def condition_name(self) -> str:
        """The name of G's second input: `labels`, or `change` for an edit generator."""
        return "change" if self.generator == "edit" else "labels"

    def condition(self, domains: Domains, labels: np.ndarray, source_values: np.ndarray) -> np.ndarray:
        """Returns G's second input for a translation.

        Args:
            domains: The label layout.
            labels: (N, L), the target labels.
            source_values: (N, C), the values of the images.

        Returns:
            (N, L) float32: the target labels, or for an edit generator the change from the images' own labels to them.
        """
        return domains.change(labels, source_values) if self.generator == "edit" else labels

    @property
    def architecture(self) -> "Architecture":
        """The sizes alone, without the other settings that a `Config` has."""
        return Architecture(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Architecture)})


def fitting_size(size: tuple[int, int], generator: Generator) -> tuple[int, int]:
    """The nearest image size that a generator can be built for; the larger one of two."""
    if generator == "edit":
        side = min(EDIT_SIDES, key=lambda side: (max(abs(side - own) for own in size), -side))
        return side, side
    width, height = (min(max(4, (side + 2) // 4 * 4), MAX_SIDE) for side in size)
    return width, height


def fitting_layers(size: tuple[int, int]) -> int:
    """The usual number of stride-2 layers of D for an image size, which leave 2 or 3 positions of its shorter side."""
    return max(1, min(size).bit_length() - 2)


def in_range(size: tuple[int, int]) -> bool:
    """Whether images may have this size, or one near it."""
    return 4 <= min(size) <= max(size) <= MAX_SIDE


def fitting(size: tuple[int, int], generator: str) -> tuple[tuple[int, int], int, str]:
    """The nearest image size that a generator can be built for, the layers of D that fit it, and what to tell the user.

    The text is empty if the size stays as it is, also one that is out of range: the check of the settings refuses it.
    """
    if not in_range(size):
        return size, 1, ""
    nearest = fitting_size(size, "edit" if generator == "edit" else "stargan")
    given, kept = ("x".join(map(str, each if each[0] != each[1] else each[:1])) for each in (size, nearest))
    told = f"--image-size {given}: the generator cannot take it; {kept} is the nearest size that it can"
    return nearest, fitting_layers(nearest), told if nearest != size else ""


def parse_size(text: str) -> tuple[int, int]:
    """Parses an image size such as `128` or `160x128` (width x height).

    Raises:
        ConfigError: The text has neither form.
    """
    match = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text.strip())
    if not match:
        raise ConfigError(f"--image-size {text}: must be N or WIDTHxHEIGHT, for example 128 or 160x128")
    return int(match[1]), int(match[2] or match[1])
