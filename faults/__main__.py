"""Interrupts stargan at random moments, and lets the disk fail at each of its operations.

    python -m faults --kills 200          SIGKILL, in turn while it trains, decodes, exports, ...
    python -m faults --disk 100           a full disk, an I/O error and short writes, each at up to 100 operations

After each fault, all files must be whole: equal to those of a run without faults, or to what was there before. An error
must be one line that names a file. Then the same command runs again: it must end well, give the same bytes and leave
nothing else behind. The exit code is 1 if anything is wrong. Needs a C compiler for --disk, and Linux.
"""

import argparse
import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "build" / "faults" / "disk.so"
KINDS = {"full disk": errno.ENOSPC, "I/O error": errno.EIO, "short writes": 0}


def main() -> int:
    """Runs the campaign; returns the exit code."""
    parser = argparse.ArgumentParser("python -m faults", description=__doc__)
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("--kills", type=int, default=0, help="number of kills, in all")
    parser.add_argument("--disk", type=int, default=0, help="operations that fail, for each command and kind of fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("names", nargs="*", help="commands; by default all")
    options = parser.parse_args()
    if options.disk and "LD_PRELOAD" not in os.environ:
        _compile()
        os.environ["LD_PRELOAD"] = str(LIBRARY)
        os.execv(sys.executable, [sys.executable, "-m", "faults", *sys.argv[1:]])
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(ROOT / "src"))
    from faults.campaign import Campaign  # all imports, for the processes that it starts
    from faults.scenarios import SCENARIOS

    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        campaign = Campaign(Path(folder), random.Random(options.seed))
        names = options.names or list(SCENARIOS)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):  # what was done so far counts
            for number in range(options.kills):
                campaign.kill(names[number % len(names)])
            for name in names if options.disk else ():
                for kind, number in KINDS.items() if not SCENARIOS[name].serves else ():
                    campaign.fail(name, options.disk, kind, number)
        return campaign.tell()


def _compile() -> None:
    LIBRARY.parent.mkdir(parents=True, exist_ok=True)
    source = ROOT / "faults" / "disk.c"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(LIBRARY), str(source), "-ldl"], check=True)


if __name__ == "__main__":
    sys.exit(main())
