"""Keeps what TensorFlow's libraries print from the user."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences the converters of TensorFlow, which write to the process' streams past Python.

    What they raise says what went wrong.
    """
    kept, handlers = {}, logging.root.handlers[:]  # which absl adds to, so that messages would be printed twice
    with warnings.catch_warnings(), tempfile.TemporaryFile() as nowhere:
        warnings.simplefilter("ignore")
        for stream in (1, 2):
            with contextlib.suppress(OSError):  # a closed one
                (sys.stdout if stream == 1 else sys.stderr).flush()
                kept[stream] = os.dup(stream)
                os.dup2(nowhere.fileno(), stream)
        try:
            yield
        finally:
            logging.root.handlers[:] = handlers
            for stream, copy in kept.items():
                (sys.stdout if stream == 1 else sys.stderr).flush()
                os.dup2(copy, stream)
                os.close(copy)
