"""Shared by the benchmarks: options, timing, peak memory, a description of the machine, tables."""

import argparse
import importlib
import json
import math
import multiprocessing
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from stargan.errors import BAD_INPUT, INTERRUPTED, ConfigError, StarganError
from stargan.storage import write_bytes

MIB = 2**20
PACKAGES = ("numpy", "torch", "tensorflow", "tensorflow-cpu", "onnxruntime", "openvino", "pillow")

# ---------------------------------------------------------------- the command line


class Parser(argparse.ArgumentParser):
    """Reports wrong options in one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def parser(description: str | None) -> Parser:
    """A parser with the options that all benchmarks take."""
    made = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="write the figures to this file")
    made.add_argument("--repeats", type=at_least_one, help="number of measurements")
    made.add_argument("--threads", type=at_least_one, help="threads of PyTorch; default: as PyTorch chooses")
    return made


def at_least_one(text: str) -> int:
    """A count, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a count of at least 1")
    return int(text)


def above_zero(text: str) -> float:
    """An amount, for argparse."""
    amount = float(text)
    if not 0 < amount < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return amount


def at_least_zero(text: str) -> float:
    """An amount or none, for argparse."""
    amount = float(text)
    if not 0 <= amount < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be 0 or more")
    return amount


def command(main: Callable[[], int | None]) -> int:
    """Runs a script and returns its exit code; reports user errors in one line."""
    try:
        return main() or 0
    except StarganError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED


def use_device(device: str, threads: int | None) -> None:
    """Restricts this process and its children to a device and a number of threads; call it before any computation."""
    if device == "cpu":  # otherwise the official code would use any GPU it finds
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if threads:
        import torch

        os.environ["OMP_NUM_THREADS"] = str(threads)
        torch.set_num_threads(threads)


# ---------------------------------------------------------------- time


PAUSE = 0.1  # seconds before each measurement: threads of the one before spin for a while, waiting for work


def alternate(sides: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Measures in the order A B B A, so that a machine that slows down affects all sides equally.

    Args:
        sides: By name, functions that do their work once and return the seconds it took. Warm them up before.
        repeats: Number of measurements of each.

    Returns:
        Seconds by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for turn in range(repeats):
        for name in names if turn % 2 == 0 else reversed(names):
            time.sleep(PAUSE)
            seconds[name].append(sides[name]())
    return seconds


def seconds_of(work: Callable[[], object]) -> float:
    """The seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def growth(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent e of cost ~ size^e: the slope of the least-squares line through the logarithms."""
    return round(float(np.polyfit(np.log(sizes), np.log(costs), 1)[0]), 2) + 0.0  # turns -0.0 into 0.0


# ---------------------------------------------------------------- memory


@dataclass(frozen=True)
class Memory:
    """Peak memory in bytes: of the whole process, and without the memory that its imports took.

    On a GPU both are the memory that PyTorch allocated there.
    """

    whole: int
    own: int


def peak_memory(work: Callable[..., object], *arguments: Any, preload: Sequence[str] = ()) -> Memory:
    """Measures the peak memory of some work in a separate process.

    Args:
        work: A function at the top level of a module.
        arguments: Its arguments.
        preload: Modules that count as imports, not as work. Where processes can be forked, they are loaded once.

    Raises:
        ConfigError: The process was killed.
    """
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(list(preload))
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(_watched, work, arguments, preload).result()
    except BrokenProcessPool as error:
        raise ConfigError("a process was killed, probably out of memory; choose smaller sizes") from error


def _watched(work: Callable[..., object], arguments: tuple[Any, ...], preload: Sequence[str]) -> Memory:
    for name in preload:
        importlib.import_module(name)
    before = resident_memory()
    work(*arguments)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        used = torch.cuda.max_memory_allocated()
        return Memory(used, used)
    peak = resident_memory(peak=True)
    return Memory(peak, peak - before)


def resident_memory(*, peak: bool = False) -> int:
    """Resident memory of this process in bytes, now or at its peak."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: a new process inherits ru_maxrss from its parent, even across exec.
        found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


# ---------------------------------------------------------------- results


def machine() -> dict[str, Any]:
    """Describes the machine; `load` is the average number of runnable processes in the last minute."""
    import torch

    found: dict[str, Any] = {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; numbers with three significant digits."""
    heads = list(dict.fromkeys(head for row in rows for head in row))
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(_cell(row.get(head)) for head in heads) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def write_json(path: Path | None, results: Any, machine: Mapping[str, Any]) -> None:
    """Writes the results to a file, if one is given."""
    if path is not None:
        write_bytes(path, (json.dumps({"results": results, "machine": machine}, indent=1) + "\n").encode())
