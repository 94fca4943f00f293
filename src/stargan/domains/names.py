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


def suggest(word: str, known: Sequence[str], also: Sequence[str] = ()) -> str:
    """The end of an error line about an unknown word: the nearest word, or else all of `known` (but not of `also`)."""
    by_key = {key(name): name for name in (*also, *known)}
    near = difflib.get_close_matches(key(word), by_key, n=1, cutoff=0.6)
    return f"; did you mean {by_key[near[0]]}?" if near else f"; known: {', '.join(known)}"


def key(name: str) -> str:
    """A name without case, spaces and hyphens, to compare names by; also around `/` and `=`."""
    return re.sub(r" *([/=]) *", r"\1", name.strip().casefold()).replace(" ", "_").replace("-", "_")
