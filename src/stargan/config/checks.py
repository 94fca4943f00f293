"""Checks of settings: ranges, and the types of values that come from JSON."""

import reprlib
from typing import Any

from stargan.errors import ConfigError


def check(settings: Any, name: str, holds: bool, allowed: str) -> None:
    """Refuses a setting that is out of range.

    Args:
        settings: What has it.
        name: Of the setting.
        holds: Whether it is in range.
        allowed: What would be right, in words that follow "must be".

    Raises:
        ConfigError: It is out of range; the line names option, value and range.
    """
    if not holds:
        value = getattr(settings, name)
        shown = "x".join(map(str, value)) if name == "image_size" else value
        raise ConfigError(f"--{name.replace('_', '-')} {shown}: must be {allowed}")


def typed(name: str, value: Any, default: Any) -> Any:
    """A value from JSON, with the type that a field's default has.

    Args:
        name: Of the field.
        value: From JSON; a list becomes a tuple.
        default: Of the field: a tuple of text, or of two numbers (an image size), None for an optional number, or a
            plain value.

    Raises:
        ConfigError: The value is of another type.
    """
    right: bool
    if isinstance(default, tuple):
        right = isinstance(value, list | tuple)
        if name == "image_size":
            right = right and len(value) == 2 and all(map(is_integer, value))
        else:
            right = right and all(isinstance(item, str) for item in value)
        value = tuple(value) if right else value
    elif default is None:
        right = value is None or is_integer(value)
    elif isinstance(default, bool | str):
        right = isinstance(value, type(default))
    else:
        right = is_number(value) if isinstance(default, float) else is_integer(value)
    if not right:
        raise ConfigError(f"setting {name}: {reprlib.repr(value)} is not of the right type")
    return value


def is_integer(value: Any) -> bool:
    """Whether a value from JSON is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value from JSON is a number that a float can hold; JSON has integers that none can."""
    return isinstance(value, float) or (is_integer(value) and abs(value) < 2**63)
