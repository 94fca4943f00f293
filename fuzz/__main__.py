"""Gives damaged and invented files to every reader, guided by coverage (Atheris).

    python -m fuzz --minutes 1            all readers, a minute in all
    python -m fuzz --inputs 50000 png     so many inputs for the reader of PNG files
    python -m fuzz png FILE               reads one input, to look into a fault

A fault is an error that is not one of stargan's lines, an input that takes more than 2 s of processor time, or memory
above 1 GiB. Its input is kept in build/fuzz/NAME, and the exit code is 1. Useful inputs are kept there too, and the
next call goes on from them.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "fuzz"
LIMITS = ["-timeout=300", "-report_slow_units=300", "-print_final_stats=1"]
MEMORY = 1024  # MiB


def main() -> int:
    """Fuzzes the chosen readers in processes of their own; prints a line for each."""
    parser = argparse.ArgumentParser("python -m fuzz", description=__doc__)
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--inputs", type=int, default=-1, help="inputs for each reader, at most")
    parser.add_argument("names", nargs="*", metavar="NAME", help="readers; by default all")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(ROOT / "src"))
    from fuzz import one  # for all readers once, since it takes seconds

    if len(options.names) == 2 and Path(options.names[1]).is_file():
        one.fuzz(options.names[0], Path(options.names[1]), [])
    names = options.names or list(one.TARGETS)
    seconds = max(1, round(60 * options.minutes * _PROCESSES / len(names)))
    limits = [*LIMITS, f"-max_total_time={seconds}", f"-runs={options.inputs}", f"-rss_limit_mb={MEMORY}"]
    print(f"{'reader':12} {'inputs':>8} {'seconds':>8} {'peak MiB':>8}  faults")
    waiting, running, results = names[::-1], dict[int, tuple[str, float]](), list[tuple[int, bool]]()
    while waiting or running:
        if waiting and len(running) < _PROCESSES:
            name = waiting.pop()
            running[_start(name, limits)] = name, time.monotonic()
        else:
            process, code = os.wait()
            results.append(_tell(*running.pop(process), code))
    print(f"{'all':12} {sum(count for count, _ in results):8}")
    return int(any(fault for _, fault in results))


_PROCESSES = len(os.sched_getaffinity(0))


def _start(name: str, limits: list[str]) -> int:
    """Fuzzes a reader in a new process; what it prints goes into its log."""
    corpus = KEPT / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    if process := os.fork():
        return process
    log = os.open(KEPT / name / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from fuzz import one

    one.fuzz(name, corpus, [*limits, f"-artifact_prefix={KEPT / name}/"])
    os._exit(0)


def _tell(name: str, began: float, code: int) -> tuple[int, bool]:
    """Prints what one process has done; returns the number of inputs and whether there was a fault."""
    log = (KEPT / name / "log").read_text(errors="replace")
    count, peak = (int((re.findall(rf"stat::{key}: *(\d+)", log) or ["0"])[0]) for key in _FIGURES)
    found = re.findall(r"written to (\S+)", log) or ([f"ended early, see {KEPT / name / 'log'}"] if code else ["-"])
    print(f"{name:12} {count:8} {time.monotonic() - began:8.1f} {peak:8}  {' '.join(found)}", flush=True)
    return count, bool(code)


_FIGURES = ("number_of_executed_units", "peak_rss_mb")

if __name__ == "__main__":
    sys.exit(main())
