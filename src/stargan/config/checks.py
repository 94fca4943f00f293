"""Checks of settings: ranges, and the types of values from JSON."""

import math
import reprlib
from typing import Any

from stargan.errors import ConfigError

MAX_CROP = 2**31 - 1
CELEBA_CROP = 178  # pixels of CelebA's images, which have 178x218: as much as fits in a square


def check(settings: Any, name: str, valid: bool, allowed: str) -> None:
    """Checks that a setting is in range.

    Args:
        settings: The object that has the setting.
        name: The name of the setting.
        valid: Whether the setting is in range.
        allowed: The range, in words that follow "must be".

    Raises:
        ConfigError: The setting is out of range; the message names option, value and range.
    """
    if not valid:
        value = getattr(settings, name)
        text = ("x" if name == "image_size" else " ").join(map(str, value)) if isinstance(value, tuple) else value
        raise ConfigError(f"--{name.replace('_', '-')} {text}: must be {allowed}")


def as_option(name: str, value: Any) -> str:
    """Writes a setting as on a command line, for example `--width 64` or `--no-attention-mask`."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {value}"


def check_crop(settings: Any) -> None:
    """Checks `settings.crop`: None, a fraction, or a whole number of pixels.

    Raises:
        ConfigError: As `check`.
    """
    crop = settings.crop
    valid = crop is None or 0 < crop <= 1 or (1 < crop <= MAX_CROP and crop == int(crop))
    check(settings, "crop", valid, f"a fraction up to 1, or a whole number of pixels up to {MAX_CROP}")


def check_range(range: Any) -> None:
    """Checks a range of samples: None, or two numbers in order.

    Raises:
        ConfigError: It is something else.
    """
    if range is None or (is_range(range) and range[0] < range[1]):
        return
    text = ",".join(map(str, range)) if isinstance(range, list | tuple) else range
    raise ConfigError(f"--range {text}: must be two numbers LOW,HIGH, the lower one first")


def is_range(value: Any) -> bool:
    """Returns whether a value from JSON is two finite numbers."""
    pair = isinstance(value, list | tuple) and len(value) == 2
    return pair and all(is_number(edge) and math.isfinite(edge) for edge in value)


def typed(name: str, value: Any, default: Any) -> Any:
    """Returns a value from JSON after checking that it has the type of the field's default.

    Args:
        name: The name of the field.
        value: The value from JSON; a list becomes a tuple.
        default: The field's default: a tuple of strings, a tuple of two numbers (an image size), None for an optional
            number (or a range, two numbers), or a plain value.

    Raises:
        ConfigError: The value has another type.
    """
    valid: bool
    if isinstance(default, tuple):
        valid = isinstance(value, list | tuple)
        if name == "image_size":
            valid = valid and len(value) == 2 and all(map(is_integer, value))
        else:
            valid = valid and all(isinstance(item, str) for item in value)
        value = tuple(value) if valid else value
    elif name == "range":
        valid = value is None or is_range(value)
        value = value if value is None or not valid else (float(value[0]), float(value[1]))
    elif default is None:
        valid = value is None or is_number(value)
    elif isinstance(default, bool | str):
        valid = isinstance(value, type(default))
    else:
        valid = is_number(value) if isinstance(default, float) else is_integer(value)
    if not valid:
        raise ConfigError(f"setting {name}: {reprlib.repr(value)} has the wrong type")
    return value


def is_integer(value: Any) -> bool:
    """Returns whether a value from JSON is an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Returns whether a value from JSON is a number that fits a float; some JSON integers are too large."""
    return isinstance(value, float) or (is_integer(value) and abs(value) < 2**63)
