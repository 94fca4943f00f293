"""The command line: runs a command, and turns errors into one line and an exit code."""

import contextlib
import gc
import io
import os
import re
import sys
from collections.abc import Sequence

from stargan.errors import (
    BAD_INPUT,
    INTERRUPTED,
    ConfigError,
    MissingExtraError,
    ProcessLostError,
    StarganError,
    one_line,
)
from stargan.machine import place


def process() -> int:
    """Runs `main` as a whole process."""
    code = main()
    gc.freeze()  # otherwise the interpreter looks for garbage once more before it ends
    try:
        print(end="", flush=True)
    except OSError:  # `main` has reported it; the interpreter would try to write the rest once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 2 bad input (explained in one line), 130 interrupted."""
    code, rank = 0, place().rank
    if rank or sys.stdout is None:  # of several processes that train together, the first one prints; `stargan ... >&-`
        sys.stdout = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # file names may have letters that its encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        with contextlib.suppress(SystemExit):  # tyro exits after it has printed the help
            code = _run(list(sys.argv[1:] if argv is None else argv))
        print(end="", flush=True)  # here, a full disk or a closed pipe can still be reported
        return code
    except StarganError as error:
        if not rank:
            print(f"stargan: {error}", file=sys.stderr)
        elif not isinstance(
            error, ConfigError | MissingExtraError | ProcessLostError
        ):  # all processes have the same settings
            print(f"stargan: process {rank}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("stargan: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `stargan ... | head`
        sys.stderr.close()
        return BAD_INPUT
    except OSError as error:  # a full disk, a folder without permission
        where = f"{error.filename}: " if error.filename else ""
        print(f"stargan: {one_line(f'{where}{error.strerror or error}')}", file=sys.stderr)
        return BAD_INPUT


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--version"]:
        from stargan import __version__

        print(f"stargan {__version__}")
        return 0
    _check_words(arguments)
    if place().world_size > 1 and arguments[:1] != ["train"]:
        raise ConfigError("torchrun starts several processes, which only stargan train can use; leave it out")
    from stargan.cli.commands import parse  # loads tyro
    from stargan.cli.options import Shared

    command, options = parse(arguments or ["--help"])
    if not isinstance(options, Shared):
        return command.run(options)
    if options.quiet and options.verbose:
        raise ConfigError("say either -q or -v")
    from stargan.cli.console import shown

    with shown(quiet=options.quiet or place().rank > 0, verbose=options.verbose):
        return command.run(options)


MAY_BE_EMPTY = ("--licence", "--limits")
"""Options whose value is a text."""


def _check_words(arguments: Sequence[str]) -> None:
    """Refuses an empty argument, such as an unset variable of a script, and an address of the web.

    As a path, the first would be the current folder, and the second is shown with a slash less.
    """
    for before, word in zip(["stargan", *arguments], arguments, strict=False):
        option = word[:-1] if word.startswith("--") and word.endswith("=") else before
        if (not word or option != before) and option not in MAY_BE_EMPTY:
            raise ConfigError(f"the argument after {before} is empty" if not word else f"{option}: its value is empty")
        data = option == "--data" or arguments[0] == "data"  # which may be anywhere
        if re.match(r"https?://", word) and option not in MAY_BE_EMPTY and not data and not word.endswith(".tar"):
            raise ConfigError(f"{word}: an address, not a file; download it first")
