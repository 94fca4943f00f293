"""What the commands share: how a command is declared, how options look in the help, and checks."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from stargan.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Command:
    """A command; its module offers it as `COMMAND`.

    Attributes:
        options: A dataclass with the options; its docstring is the help.
        run: Runs the command and returns the exit code.
        rewrite: Changes the arguments before they are parsed.
        defaults: From the arguments, the values of the options that are not among them.
    """

    options: type
    run: Callable[[Any], int]
    rewrite: Callable[[Sequence[str]], list[str]] = list
    defaults: Callable[[Sequence[str]], Any] | None = None


def option(metavar: str | None = None, **how: Any) -> Any:
    """An annotation that names an option's values in the help, and leaves out defaults that mean nothing.

    Args:
        metavar: What the option takes, for example `FOLDER`.
        how: Other arguments of `tyro.conf.arg`.
    """
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=_default, **how)


def _default(value: str) -> str:
    return "" if value in ("", "None", "False") else f"(default: {value})"


def _crop(words: list[str]) -> float | None:
    if words[0] == "None":  # undoes that of a recipe or run
        return None
    value = float(words[0])
    return int(value) if value.is_integer() else value


_CROP = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="FRACTION|PIXELS",
    instance_from_str=_crop,
    is_instance=lambda value: value is None or isinstance(value, int | float),
    str_from_instance=lambda value: [str(value)],
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shared:
    """The options of every command.

    Attributes:
        quiet: Show only results, warnings and errors.
        verbose: Also show what happens behind the scenes.
    """

    quiet: Annotated[tyro.conf.FlagCreatePairsOff[bool], option(aliases=("-q",))] = False
    verbose: Annotated[tyro.conf.FlagCreatePairsOff[bool], option(aliases=("-v",))] = False

    def own(self) -> dict[str, Any]:
        """The command's own options by name."""
        return {name: value for name, value in vars(self).items() if name not in Shared.__dataclass_fields__}


def _range(words: list[str]) -> tuple[float, float] | None:
    if words[0] == "None":
        return None
    edges = words[0].split(",")
    try:
        low, high = map(float, edges)
    except ValueError:
        raise ConfigError(f"--range {words[0]}: must be two numbers LOW,HIGH, the lower one first") from None
    return low, high


_RANGE = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="LOW,HIGH",
    instance_from_str=_range,
    is_instance=lambda value: value is None or isinstance(value, tuple),
    str_from_instance=lambda value: [str(value) if value is None else ",".join(map(str, value))],
)

Crop = Annotated[float | None, _CROP, option()]
Range = Annotated[tuple[float, float] | None, _RANGE, option()]
Flag = Annotated[bool, option()]
Int = Annotated[int, option("INT")]
OptionalInt = Annotated[int | None, option("INT")]
Model = Annotated[tyro.conf.Positional[Path], option("MODEL")]
Folder = Annotated[Path, option("FOLDER")]
OptionalFolder = Annotated[Path | None, option("FOLDER")]
OptionalFile = Annotated[Path | None, option("FILE")]
OptionalName = Annotated[str | None, option("NAME")]
Text = Annotated[str, option("TEXT")]
Labels = Annotated[tuple[str, ...], option("LABEL...")]
LabelGroups = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="A,B,...")]
Bins = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="COLUMN=A,B,...")]


@contextlib.contextmanager
def one_line_errors(prog: str) -> Iterator[None]:
    """Turns what tyro prints about a mistake, a box of several lines, into the one line of a ConfigError.

    Args:
        prog: The program, for example `stargan train`, whose help the line points to.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            yield
    except SystemExit as end:
        if not end.code:
            raise
        raise ConfigError(f"{_one_line(printed.getvalue())} (see {prog} --help)") from None


def _one_line(box: str) -> str:
    """The message in a box that tyro drew, in our words where it is a usual one."""
    box = re.sub(r"\x1b\[[\d;]*m", "", box)  # colours
    rows = [re.sub(r"^[│ ] ?", "", row).rstrip("│ \t") for row in box.splitlines()[1:] if not row.startswith("╰")]
    sections = re.split(r"^[─-]{9,}\n", "\n".join(rows), flags=re.MULTILINE)  # where tyro drew lines
    message, *rest = [section for section in sections if section.strip()] or [box]
    text, hints = " ".join(message.split()), "\n".join(rest)
    if found := re.match(r"Unrecognized options: (-*)([^,]*)", text):
        near = re.search(r"Perhaps you meant:?\n +(\S+)", hints)
        kind = "unknown option" if found[1] else "unexpected argument"
        return f"{kind} {found[1]}{found[2]}" + (f"; did you mean {near[1]}?" if near else "")
    if text.startswith("Missing from"):
        unknown = re.search(r"Unrecognized options:\n +(\S+)", hints)
        names = re.findall(r"^ {4}(\S.*)", message, re.MULTILINE)
        return f"missing: {', '.join(names)}" + (f" (unknown option {unknown[1]})" if unknown else "")
    if found := re.match(r"Missing value for argument '(.*?)'", text):
        return f"{found[1]}: its value is missing"
    if found := re.match(r"invalid choice '(.*)' for argument '(.*)'. Expected one of \((.*?),?\)", text):
        return f"{found[2]} {found[1]}: must be one of {found[3].replace(chr(39), '')}"
    metavar = re.search(r"Argument helptext:\n +(\S+) (.+)", hints)
    if metavar and (value := re.search(r"'([^']*)'\]?\.?$", text)):
        return f"{metavar[1]} {value[1]}: must be {_KINDS.get(metavar[2], metavar[2])}"
    return text


_KINDS = {"INT": "a whole number", "FLOAT": "a number", "MINUTES": "a number", "0..1.5": "a number from 0 to 1.5"}
"""What the names of values in the help stand for."""


def check_output(name: str, path: Path, *, folder: bool) -> None:
    """Refuses, before any work, a place where nothing can be written.

    Args:
        name: The option, for the message.
        path: A folder to be made or to write into, or a file to be written.
        folder: Which of the two.

    Raises:
        ConfigError: A file is where a folder is needed, or a folder where the file should go.
    """
    if not folder and path.is_dir():
        raise ConfigError(f"{name} {path}: is a folder; must be a file")
    for above in (path, *path.parents) if folder else path.parents:
        if above.exists() and not above.is_dir():
            inside = "" if above == path else f" in which to write {path.name}"
            raise ConfigError(f"{name} {path}: {above} is a file; must be a folder{inside}")


def value_of(name: str, arguments: Sequence[str]) -> str | None:
    """The value of one option, before the others can be parsed; if it is given several times, the last one."""
    found = None
    for index, word in enumerate(arguments):
        if word == name and index + 1 < len(arguments):
            found = arguments[index + 1]
        if word.startswith(name + "="):
            found = word.partition("=")[2]
    return found
