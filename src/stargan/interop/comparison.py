"""What an exported file is like: its size, its speed, and how far its images are from those in float32."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stargan.errors import ModelError, StarganError
from stargan.interop.form import Form
from stargan.interop.sample_requests import Batch

_log = logging.getLogger(__name__)

TIMED = 5  # runs, of which the median counts
VISIBLE = 30.0  # dB; below it, quantization changes images visibly

Run = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Translates images, given the generator's second input."""


@dataclass(frozen=True)
class Measured:
    """What a file is like.

    Attributes:
        size: Bytes on the disk.
        milliseconds: For one image.
        where: On what, in words.
        difference: The largest one between its images and those in float32.
        psnr: Of its images, against those, in dB.
        count: The number of images.
    """

    size: int
    milliseconds: float
    where: str
    difference: float
    psnr: float
    count: int

    def __str__(self) -> str:
        return f"{self.size / 1e6:.1f} MB, {self.milliseconds:.0f} ms an image{self.where}"


def measure(path: Path, run: Run, reference: Run, batches: Sequence[Batch], where: str = "") -> Measured:
    """Measures a file.

    Args:
        path: The file, or a folder.
        run: Its generator.
        reference: The generator in float32.
        batches: Inputs of both.
        where: On what it runs, in words.

    Raises:
        ValueError: Its images have numbers that are not finite.
    """
    expected = np.concatenate([reference(*batch) for batch in batches])
    results = np.concatenate([run(*batch) for batch in batches])
    if not np.isfinite(results).all():
        raise ValueError("its images have numbers that are not finite")
    error = np.square(results.astype(np.float64) - expected).mean()
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Measured(
        sum(file.stat().st_size for file in files),
        milliseconds(run, batches),
        where,
        float(np.abs(results - expected).max()),
        10 * float(np.log10(4 / max(error, 1e-20))),
        len(batches),
    )


def milliseconds(run: Run, batches: Sequence[Batch]) -> float:
    """The median time of a run."""
    times = []
    for index in range(TIMED):
        started = time.perf_counter()
        run(*batches[index % len(batches)])
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


def report(path: Path, found: Measured, form: Form, gentler: str) -> None:
    """Says what a quantized file is like, and warns if one sees the difference.

    Args:
        path: The file.
        found: What was measured.
        form: How it stores the model.
        gentler: Options that change less.
    """
    of = "of the images" if form.calibrate else "drawn faces"
    _log.info(
        "%s: %s, %s, PSNR %.1f dB against float32 (%d %s)",
        path.name, form.quantization, found, found.psnr, found.count, of,
    )  # fmt: skip
    if not found.psnr >= VISIBLE:
        _log.warning(
            "%s: %s changes its images visibly, by more than %.0f dB allow; %s less",
            path.name, form.quantization, VISIBLE, gentler,
        )  # fmt: skip


@contextmanager
def in_one_line(path: Path, tool: str) -> Iterator[None]:
    """Turns what a tool raises that has no common base class into a ModelError.

    Args:
        path: The file that it writes.
        tool: Its name.
    """
    try:
        yield
    except (StarganError, OSError, MemoryError):
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelError(f"{path}: {tool} cannot write it ({reason})") from error
