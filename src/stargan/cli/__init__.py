"""The command line: finds the command, and turns errors into one line and an exit code."""

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from stargan.errors import BAD_INPUT, INTERRUPTED, ConfigError, StarganError

# A module of `stargan.cli` each, imported when it is asked for.
COMMANDS = {
    "demo": "Translate drawn faces with a model that comes with stargan, or train such a model",
    "data": "Show what is in a data set: labels per domain and split, unreadable files, a contact sheet",
    "train": "Train a model, or go on with a run",
    "translate": "Translate pictures, or whole folders of them",
    "evaluate": "Measure models on pictures that they were not trained on: report.json and report.html",
    "card": "Print what a model says about itself: how well it does, and for whom",
    "export": "Write a model as another kind of file",
    "import": "Make a model file from a checkpoint of the official code or of taki0112's",
    "cartoons": "Draw a data set of cartoon faces, in CelebA format",
}


def process() -> int:
    """`main` as a whole process."""
    code = main()
    gc.freeze()  # the interpreter would look through everything once more, for garbage that the system takes back
    try:
        print(end="", flush=True)
    except OSError:  # which `main` has told; the interpreter would try to write the rest once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 2 bad input (one line says what), 130 interrupted."""
    code = 0
    try:
        with contextlib.suppress(SystemExit):  # by which tyro ends when it has explained the options
            code = _run(list(sys.argv[1:] if argv is None else argv))
        print(end="", flush=True)  # a full disk or a closed pipe can still be told here
        return code
    except StarganError as error:
        print(f"stargan: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("stargan: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `stargan ... | head`
        sys.stderr.close()
        return BAD_INPUT
    except OSError as error:  # a full disk, a folder without permission
        print(f"stargan: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", file=sys.stderr)
        return BAD_INPUT


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from stargan import __version__

        print(f"stargan {__version__}")
        return 0
    if arguments[0] == "translate" and len(arguments) > 1 and not any("--runtime" in word for word in arguments):
        from stargan.inference.onnx import load_ahead

        # While the options are read, which takes as long: hence before anybody can tell which other runtime it is.
        load_ahead(arguments[1])
    return _command(arguments[0])(arguments[1:])


def _command(name: str) -> Callable[[list[str]], int]:
    if name not in COMMANDS:
        from stargan.domains.names import suggest

        raise ConfigError(f"unknown command {name!r}{suggest(name, list(COMMANDS))}")
    module = "import_" if name == "import" else name
    run: Callable[[list[str]], int] = importlib.import_module(f"stargan.cli.{module}").run
    return run


def _overview() -> str:
    lines = ["usage: stargan COMMAND [OPTIONS]; stargan COMMAND --help says more", ""]
    return "\n".join(lines + [f"  {name:10} {text}" for name, text in COMMANDS.items()])
