"""`stargan completion`."""

import dataclasses
from typing import Annotated, Literal

import tyro

from stargan.cli.options import Command, Shared, option


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Print a script that completes commands and options in your shell.

    Try it with: source <(stargan completion bash)

    Attributes:
        shell: Your shell.
    """

    shell: Annotated[tyro.conf.Positional[Literal["bash", "zsh"]], option("bash|zsh")]


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    from stargan.cli.commands import print_completion  # which lists this command

    print_completion(options.shell)
    return 0


COMMAND = Command(Options, run)
