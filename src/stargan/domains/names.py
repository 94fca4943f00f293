"""Names of domains as people write them: what is a valid name, spelling, suggestions."""

import difflib
import re
from collections.abc import Sequence

from stargan.errors import DomainError


def check_name(name: str) -> None:
    """Refuses a name that could not be part of a request.

    Raises:
        DomainError: The name is empty, contains `=` `/` or `,`, or begins with `+` or `-`.
    """
    if not name.strip() or set("=/,") & set(name) or name.strip()[0] in "+-" or not name.isprintable():
        raise DomainError(f"{name!r} cannot name a domain: no '=', '/', ',' and no '+' or '-' in front")


def suggest(word: str, known: Sequence[str]) -> str:
    """The end of an error line about an unknown word: the nearest known word, or all of them."""
    near = difflib.get_close_matches(key(word), [key(name) for name in known], n=1, cutoff=0.6)
    if near:
        match = next(name for name in known if key(name) == near[0])
        return f"; did you mean {match}?"
    return f"; known: {', '.join(known)}"


def key(name: str) -> str:
    """A name without case, spaces and hyphens, to compare names by; also around `/` and `=`."""
    return re.sub(r" *([/=]) *", r"\1", name.strip().casefold()).replace(" ", "_").replace("-", "_")
