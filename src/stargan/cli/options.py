"""Reading options: dataclasses by tyro, and the few things that tyro does otherwise."""

import contextlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from stargan.errors import ConfigError
from stargan.old_names import OPTIONS


def parse(options: Any, arguments: list[str], command: str, *, default: Any = None) -> Any:
    """Reads options into a dataclass; a mistake becomes one ConfigError line instead of tyro's box."""
    arguments = [_current_option(word) for word in arguments]
    said = io.StringIO()
    extra = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(options, args=arguments, prog=f"stargan {command}", **extra)
    except SystemExit as end:
        if not end.code:
            raise
        raise ConfigError(_one_line(said.getvalue()) + f" (see stargan {command} --help)") from None


def _current_option(word: str) -> str:
    """An option by its current name; other words stay as they are."""
    name, equals, value = word.partition("=")
    return OPTIONS.get(name, name) + equals + value


def _one_line(box: str) -> str:
    """The message inside a box that tyro drew, with its suggestion, if it has one."""
    rows = [re.sub(r"^[│╭╰─\s]+|[│╮╯─\s]+$", "", row) for row in box.splitlines()[1:]]
    message, _, rest = "\n".join(rows).partition("\n\n")
    near = re.search(r"Perhaps you meant:?\n(.*)", rest)
    return " ".join(message.split()) + (f"; did you mean {near[1].split()[0]}?" if near else "")


def check_output(option: str, path: Path, *, folder: bool) -> None:
    """Refuses, before any work, a place where nothing can be written.

    Args:
        option: What the user called it.
        path: A folder to be made or to write into, or a file to be written.
        folder: Which of the two.

    Raises:
        ConfigError: A file stands where a folder is needed, or a folder in the place of the file.
    """
    if not folder and path.is_dir():
        raise ConfigError(f"{option} {path}: is a folder; must be a file")
    for above in (path, *path.parents) if folder else path.parents:
        if above.exists() and not above.is_dir():
            inside = "" if above == path else f" in which to write {path.name}"
            raise ConfigError(f"{option} {path}: {above} is a file; must be a folder{inside}")


def signed(arguments: Sequence[str]) -> list[str]:
    """Spells `-Male` behind --to or --from as `Male=0`, which no option parser takes for an option."""
    spelled, inside = [], False
    for word in arguments:
        if word.startswith("--"):
            inside = word in ("--to", "--from")
        off = inside and re.fullmatch(r"-[^-].+", word)
        spelled.append(f"{word[1:]}=0" if off else word)
    return spelled


def value_of(option: str, arguments: Sequence[str]) -> str | None:
    """What an option is given, before the others can be read."""
    for index, word in enumerate(arguments):
        if word == option and index + 1 < len(arguments):
            return arguments[index + 1]
        if word.startswith(option + "="):
            return word.partition("=")[2]
    return None
