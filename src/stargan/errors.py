"""Every error that this package raises on purpose.

    StarganError                 one clear line; the command line prints it and exits with code 2
    ├── DomainError              a label or request that the model does not know, or that contradicts another
    ├── ConfigError              a setting that is out of range, unknown or does not fit the others
    ├── DataError                a data set that cannot be used as it is
    │   └── ImageError           an image that cannot be read
    │       └── ImageSizeError   an image that is too large to be read
    ├── ModelError               a model file that is missing, damaged or not ours
    ├── CheckpointError          a checkpoint or run folder that cannot be resumed
    ├── TrainingError            training that cannot continue (a loss became NaN)
    │   └── ProcessLostError     another process of this training has ended
    └── MissingExtraError        an optional part is not installed; the line says the pip command

Library code raises these; only the command line turns them into an exit code.
"""

import importlib
import re
from types import ModuleType

BAD_INPUT = 2  # exit code
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it


class StarganError(Exception):
    """Base of all errors raised on purpose; its text is one line that names what would be right."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class DomainError(StarganError):
    """A label or request that the model does not know, or that contradicts another."""


class ConfigError(StarganError):
    """A setting that is out of range, unknown or does not fit the others."""


class DataError(StarganError):
    """A data set that cannot be used as it is."""


class ImageError(DataError):
    """An image that cannot be read."""


class ImageSizeError(ImageError):
    """An image that is too large to be read."""


class ModelError(StarganError):
    """A model file that is missing, damaged or not ours."""


class CheckpointError(StarganError):
    """A checkpoint or run folder that cannot be resumed."""


class TrainingError(StarganError):
    """Training that cannot continue."""


class ProcessLostError(TrainingError):
    """Another process of this training has ended."""


class MissingExtraError(StarganError):
    """An optional part of the package is not installed."""


def one_line(text: str) -> str:
    """Escapes what does not print: newlines, codes that control a terminal, and bytes of an oddly encoded file name.

    Names of files, labels and models come from strangers. Words that are longer than paths are shortened.
    """
    escaped = "".join(char if char.isprintable() or char in _JOINERS else repr(char)[1:-1] for char in text)
    return _LONG.sub(lambda word: f"{word[0][:_SHOWN]}...{word[0][-_SHOWN:]}", escaped)


_LONG, _SHOWN = re.compile(r"\S{1000,}"), 100
_JOINERS = "\u200c\u200d"  # parts of words in Persian and Hindi, and of emoji


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Imports an optional dependency, or says how to install it.

    Args:
        module: The module to import, for example `"torch"`.
        extra: The extra of this package that brings it, for example `"train"`.
        purpose: What it is needed for, in words that follow "is needed to".

    Raises:
        MissingExtraError: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        raise MissingExtraError(f"{missing} is needed to {purpose}: pip install 'stargan[{extra}]'") from error
