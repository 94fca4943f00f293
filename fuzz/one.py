"""Fuzzes one reader in this process."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import atheris


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """Lets Atheris see which parts run of what is imported inside; it prints each name, which nobody needs."""
    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(["stargan", "PIL"]):
        yield


with _watched():
    from fuzz.checked import checked
    from fuzz.targets import TARGETS, bounded
    from stargan.errors import StarganError


def fuzz(name: str, corpus: Path, options: list[str]) -> None:
    """Fuzzes a reader and ends the process.

    Args:
        name: The reader.
        corpus: A folder with useful inputs; or one input, which is read.
        options: Of libFuzzer.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        folder.mkdir()
        os.environ["STARGAN_CACHE"] = str(Path(scratch) / "cache")
        TARGETS[name].prepare(folder)
        bounded()
        with _watched():  # what readers import when they are first called
            for number, seed in enumerate(TARGETS[name].seeds()):
                with contextlib.suppress(StarganError):
                    TARGETS[name].read(seed, folder)
                if corpus.is_dir():
                    (corpus / f"seed-{number}").write_bytes(seed)
        atheris.Setup(["fuzz", *options, str(corpus)], lambda content: checked(name, content, folder))
        atheris.Fuzz()
