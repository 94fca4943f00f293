"""Names of domains as people write them: what is a valid name, spelling, suggestions."""

import difflib
import os
import unicodedata
from collections.abc import Sequence

from stargan.errors import DomainError


def check_name(name: str) -> None:
    """Refuses a name that could not be part of a request.

    Raises:
        DomainError: The name is empty, contains `=` `/` or `,`, or begins with `+` or `-`.
    """
    if not name.strip() or set("=/,") & set(name) or name.strip()[0] in "+-" or not printable(name):
        raise DomainError(f"{name!r} cannot name a domain: no '=', '/', ',' and no '+' or '-' in front")


def suggest(word: str, known: Sequence[str], also: Sequence[str] = ()) -> str:
    """The end of an error line about an unknown word: the nearest word, or else all of `known` (but not of `also`)."""
    by_key = {key(name): name for name in (*also, *known)}
    # Longer words are no typing mistakes, and comparing them would take very long.
    near = difflib.get_close_matches(key(word), by_key, n=1, cutoff=0.6) if len(word) <= LONGEST_TYPED else []
    return f"; did you mean {by_key[near[0]]}?" if near else f"; known: {', '.join(known)}"


def key(name: str) -> str:
    """A name without case, spaces and hyphens, to compare names by; also around `/` and `=`."""
    text = clean(name, _JOINERS).casefold()
    for mark in "/=":  # a pattern for the spaces around it would take quadratic time
        text = mark.join(part.strip(" ") for part in text.split(mark))
    return text.replace(" ", "_").replace("-", "_")


LONGEST_TYPED = 200  # characters of an unknown word for which a known one is suggested
_JOINERS = "\u200c\u200d"  # part of words in Persian and Hindi, and of emoji


def clean(name: str, remove: str = "") -> str:
    """A name from a file in its usual form: composed accents, plain spaces, and none of the marks that nobody sees.

    Args:
        name: From a file or folder name, in which bytes that are not UTF-8 may be surrogates, or from a table.
        remove: Other characters to remove.
    """
    composed = unicodedata.normalize("NFC", _decoded(name))
    spaced = (" " if unicodedata.category(letter) == "Zs" else letter for letter in composed)
    unseen = (x for x in spaced if x not in remove and (unicodedata.category(x) != "Cf" or x in _JOINERS))
    return "".join(unseen).strip()


def _decoded(name: str) -> str:
    """A name without surrogates: in an older encoding, which most often is Windows-1252."""
    if not any("\ud800" <= letter <= "\udfff" for letter in name):
        return name
    content = os.fsencode(name)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def printable(name: str) -> bool:
    """Whether a name can be shown; joiners count as letters."""
    return all(letter.isprintable() or letter in _JOINERS for letter in name)
