"""What must hold for every input."""

import time
from pathlib import Path

from fuzz.targets import TARGETS
from stargan.errors import StarganError

SECONDS = 2.0  # of processor time
LINE = 8_000  # characters; longer lines are no messages


def checked(name: str, content: bytes, folder: Path) -> None:
    """Reads an input.

    Raises:
        Exception: What must not happen: another error than ours, one that is not a line, or more than 2 s.
    """
    began = time.process_time()
    try:
        TARGETS[name].read(content, folder)
    except StarganError as error:
        if "\n" in str(error) or len(str(error)) > LINE:
            raise AssertionError(f"not a line: {str(error)[:200]}") from error
    if time.process_time() - began > SECONDS:
        raise AssertionError(f"took {time.process_time() - began:.1f} s")
