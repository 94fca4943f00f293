"""Cartoon people: what a face is made of, and how faces and labels are sampled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from stargan.domains.presets import CELEBA_HAIR
from stargan.errors import DomainError

EXCLUSIVE: tuple[str, ...] = (*CELEBA_HAIR, "Gray_Hair")
ATTRIBUTES: tuple[str, ...] = (*EXCLUSIVE, "Long_Hair", "Eyeglasses", "Smiling", "Beard", "Wearing_Hat")

Colour = tuple[int, int, int]
Labels = Sequence[int] | Mapping[str, int] | np.ndarray

SAMPLES, PAIRS = 0, 1  # random streams: no pair shows a face that `sample` returns
_CHANCES = (0.45, 0.4, 0.5, 0.35, 0.35)  # of the binary attributes

# Hair of four lightnesses and hues; backgrounds are of middle lightness and never of a hair's or a skin's hue.
HAIR_COLOURS: tuple[Colour, ...] = ((38, 34, 44), (246, 202, 72), (122, 54, 24), (206, 210, 220))
_SKINS: tuple[Colour, ...] = (
    (255, 224, 200), (250, 208, 176), (238, 186, 148), (222, 164, 122), (200, 142, 106), (174, 120, 92),
    (146, 96, 70), (116, 74, 56),
)  # fmt: skip
_BACKGROUNDS: tuple[Colour, ...] = (
    (88, 168, 172), (104, 160, 216), (152, 128, 206), (112, 182, 136), (220, 116, 140), (92, 124, 180), (196, 120, 184),
)  # fmt: skip
_CLOTHES: tuple[Colour, ...] = (
    (210, 58, 66), (52, 84, 176), (38, 134, 88), (124, 64, 164), (236, 122, 48), (24, 140, 156), (232, 92, 150),
)  # fmt: skip
_IRISES: tuple[Colour, ...] = ((92, 56, 34), (52, 116, 178), (70, 132, 82), (112, 120, 136), (150, 96, 40))


def _between(low: float, high: float) -> Any:
    return field(metadata={"sample": lambda rng: rng.uniform(low, high)})


def _style(count: int) -> Any:
    return field(metadata={"sample": lambda rng: int(rng.integers(count))})


@dataclass(frozen=True)
class Face:
    """A person: everything that is not a label, so everything that a translation must keep.

    Colours are RGB from 0 to 255, lengths are fractions of the image's side. Each number is sampled from
    the range beside it.
    """

    skin: Colour
    iris: Colour
    background: Colour
    shirt: Colour
    hat: Colour
    width: float = _between(0.200, 0.228)  # half the head's
    height: float = _between(0.255, 0.285)  # half the head's
    jaw: float = _between(0.8, 1.25)  # from pointed to square
    eye_gap: float = _between(0.086, 0.102)  # from the middle to an eye
    eye_size: float = _between(0.036, 0.046)  # half its height
    brow_tilt: float = _between(-0.012, 0.02)  # how far the outer end of a brow lies lower
    nose_length: float = _between(0.05, 0.075)
    nose_width: float = _between(0.02, 0.034)  # half
    mouth_width: float = _between(0.055, 0.07)  # half, closed
    fringe: int = _style(5)
    hair_volume: float = _between(0.034, 0.052)  # how far hair stands off the head
    hair_length: float = _between(0.34, 0.42)  # the height at which long hair ends
    beard_length: float = _between(0.02, 0.06)  # below the chin
    frame: float = _between(0.0, 1.0)  # of glasses, from rectangular to round
    hat_style: int = _style(3)  # a beanie, one with a pompom, a cap
    collar: int = _style(3)  # a round neck, a V neck, a round neck and stripes
    shift_x: float = _between(-0.03, 0.03)  # how far the face is off the middle
    shift_y: float = _between(-0.02, 0.02)
    scale: float = _between(0.98, 1.09)


def sample(seed: int, index: int) -> tuple[Face, np.ndarray]:
    """Samples a person: a pure function of both numbers, which must not be negative.

    Returns:
        The face, and labels, (9,) uint8: each hair colour equally likely, each binary attribute with its own chance.
    """
    return sample_face(np.random.default_rng([seed, index, SAMPLES]))


def sample_face(rng: np.random.Generator) -> tuple[Face, np.ndarray]:
    """Samples a person, see `sample`."""
    background = _pick(rng, _BACKGROUNDS)
    clothes = [colour for colour in _CLOTHES if np.linalg.norm(np.subtract(colour, background)) > 90]
    face = Face(
        skin=_pick(rng, _SKINS),
        iris=_pick(rng, _IRISES),
        background=background,
        shirt=_pick(rng, clothes),
        hat=_pick(rng, clothes),
        **{item.name: item.metadata["sample"](rng) for item in fields(Face) if item.metadata},
    )
    labels = np.zeros(len(ATTRIBUTES), np.uint8)
    labels[int(rng.integers(len(EXCLUSIVE)))] = 1
    labels[len(EXCLUSIVE) :] = rng.random(len(_CHANCES)) < _CHANCES
    return face, labels


def _pick(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """One of the colours with a little noise, so that no two images have the same by accident."""
    chosen = colours[int(rng.integers(len(colours)))]
    red, green, blue = (int(np.clip(c + d, 0, 255)) for c, d in zip(chosen, rng.integers(-7, 8, 3), strict=True))
    return red, green, blue


def names_on(labels: Labels) -> set[str]:
    """The names of the labels that are 1.

    Raises:
        DomainError: See `drawing.draw`.
    """
    if isinstance(labels, Mapping):
        unknown = [name for name in labels if name not in ATTRIBUTES]
        if unknown:
            raise DomainError(f"cartoons do not have {unknown[0]!r}; they have {', '.join(ATTRIBUTES)}")
        values = dict(labels)
    else:
        if np.shape(labels) != (len(ATTRIBUTES),):
            raise DomainError(f"labels of a cartoon are {len(ATTRIBUTES)} values; got shape {np.shape(labels)}")
        values = dict(zip(ATTRIBUTES, labels, strict=True))
    for name, value in values.items():
        if value not in (0, 1):
            raise DomainError(f"{name} is {value}; must be 0 or 1")
    on = {name for name, value in values.items() if value}
    if len(on.intersection(EXCLUSIVE)) != 1:
        raise DomainError(f"a cartoon has exactly one of {', '.join(EXCLUSIVE)}; got {sorted(on & set(EXCLUSIVE))}")
    return on
