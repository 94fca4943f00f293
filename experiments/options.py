"""The command line of the experiments: the argument parser and types of the benchmarks."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))  # scripts only see their own folder

from measure import Parser, above_zero, at_least_one, at_least_zero, command

__all__ = ["Parser", "above_zero", "at_least_one", "at_least_zero", "command"]
