"""Names of domains as people write them: spelling, signs, suggestions."""

import difflib
import re
from collections.abc import Mapping, Sequence

from stargan.errors import DomainError

Words = Sequence[str] | Mapping[str, int]
"""A request: `["Blond_Hair", "Male=0"]`, `["+Blond_Hair", "-Male"]` or `{"Blond_Hair": 1, "Male": 0}`."""


def check_name(name: str) -> None:
    """Refuses a name of a class or data set that a request could not say.

    Raises:
        DomainError: The name is empty, holds `=` `/` or `,`, or begins with `+` or `-`.
    """
    if not name.strip() or set("=/,") & set(name) or name.strip()[0] in "+-" or not name.isprintable():
        raise DomainError(f"{name!r} cannot name a domain: no '=', '/', ',' and no '+' or '-' in front")


def suggest(word: str, known: Sequence[str]) -> str:
    """The end of an error line for an unknown word: the nearest known one, or all of them."""
    near = difflib.get_close_matches(key(word), [key(name) for name in known], n=1, cutoff=0.6)
    if near:
        match = next(name for name in known if key(name) == near[0])
        return f"; did you mean {match}?"
    return f"; known: {', '.join(known)}"


def key(name: str) -> str:
    """What is left of a name without case and spacing, also around `/` and `=`."""
    return re.sub(r" *([/=]) *", r"\1", name.strip().casefold()).replace(" ", "_").replace("-", "_")


def split(word: str) -> tuple[str, int | str]:
    """One word of a request as (name, state): `-Male` is ("Male", 0), `season=winter` is ("season", "winter")."""
    text = word.strip()
    if text[:1] in ("+", "-"):
        return text[1:], int(text[0] == "+")
    name, equals, value = text.partition("=")
    return (name, value.strip()) if equals else (name, 1)
