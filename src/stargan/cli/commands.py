"""The commands, and how their arguments are parsed."""

import dataclasses
import functools
import importlib
import operator
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from stargan.cli.options import Command, one_line_errors
from stargan.errors import ConfigError
from stargan.old_names import OPTIONS

SUMMARIES = {
    "demo": "Try stargan on drawn faces, or train a small model on them",
    "translate": "Translate images, or whole folders of them",
    "serve": "Open a page in the browser to change photos, with an HTTP API",
    "data": "Look at a data set before training on it",
    "train": "Train a model, or resume a run",
    "distill": "Train a small model that does what another one does, many times faster",
    "evaluate": "Measure how well models translate images that they were not trained on",
    "card": "Print a model's card: what it is for, how well it works, and for whom",
    "export": "Convert a model to another kind of file",
    "import": "Convert a checkpoint of the official code or of taki0112's to a model file",
    "cartoons": "Draw a data set of cartoon faces",
    "completion": "Print a script that completes commands and options in your shell",
}
"""The commands in the order of the help; each is a module here, which is imported when it is needed."""

_DESCRIPTION = """\
StarGAN: one generator that translates an image between many domains.
`stargan COMMAND -h` explains a command, `stargan --version` prints the version."""


def parse(arguments: Sequence[str]) -> tuple[Command, Any]:
    """Parses a command line.

    Only the module of the command given is imported: all of them take several times as long.

    Returns:
        The command and its options.

    Raises:
        ConfigError: The command or an option is unknown, missing or malformed.
        SystemExit: The help was asked for and is printed.
    """
    name, *rest = map(_present_name, arguments)
    if name not in SUMMARIES and not name.startswith("-"):
        from stargan.domains.names import suggest  # loads NumPy

        raise ConfigError(f"unknown command {name!r}{suggest(name, list(SUMMARIES))}")
    command = load(name) if name in SUMMARIES else Command(_NoOptions, lambda _: 0)
    rest = command.rewrite(rest)
    chosen = {name: _subcommand(name, command, command.defaults(rest) if command.defaults else None)}
    prog = f"stargan {name}" if name in SUMMARIES else "stargan"
    with one_line_errors(prog):
        return command, _cli({n: chosen.get(n) or _subcommand(n) for n in SUMMARIES}, [name, *rest])


def print_completion(shell: str) -> None:
    """Prints the completion script of a shell that tyro knows."""
    _cli({name: _subcommand(name, load(name)) for name in SUMMARIES}, ["--tyro-write-completion", shell, "-"])


def load(name: str) -> Command:
    """Imports a command."""
    module = "import_" if name == "import" else name
    found: Command = importlib.import_module(f"stargan.cli.{module}").COMMAND
    return found


def _present_name(word: str) -> str:
    """The present name of an option that had another one in an earlier version; other words as they are."""
    option, equals, value = word.partition("=")
    return OPTIONS.get(option.replace("_", "-"), option) + equals + value


def _subcommand(name: str, command: Command | None = None, defaults: Any = None) -> Any:
    """What tyro needs to know of a command: all its options, or without `command` only its summary."""
    if command is None:
        return Annotated[Any, tyro.conf.subcommand(name, description=SUMMARIES[name], constructor=_NoOptions)]
    extra = {} if defaults is None else {"default": defaults}
    return Annotated[command.options, tyro.conf.subcommand(name, **extra)]


@dataclasses.dataclass(frozen=True)
class _NoOptions:
    """Stands for a command whose options are not needed. For a function, tyro would load a slow library."""


def _cli(subcommands: dict[str, Any], arguments: Sequence[str]) -> Any:
    either = functools.reduce(operator.or_, subcommands.values())
    return tyro.cli(either, prog="stargan", description=_DESCRIPTION, args=arguments, config=(tyro.conf.DisallowNone,))
