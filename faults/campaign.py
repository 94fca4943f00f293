"""Starts commands in processes of their own, lets them fail, and looks at what is left."""

import ctypes
import http.client
import importlib
import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from faults.scenarios import SCENARIOS, ask, contents, make
from stargan.errors import BAD_INPUT, StarganError

Contents = Mapping[str, object]
SLOW_IMPORTS = (
    "tensorboardX", "safetensors.numpy", "onnxruntime", "torch._dynamo", "stargan.engine.pytorch.framework",
    "stargan.evaluation.evaluate", "stargan.web.server", "stargan.cli.commands",
)  # fmt: skip
"""What commands import when they need it, which takes longer than all they do here."""


class Campaign:
    """A campaign of faults.

    Args:
        folder: An empty folder to work in.
        rng: Chooses the moments of kills, and the operations that fail.
    """

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.given, self.folder, self.log = folder / "given", folder / "work", folder / "log"
        self.rng = rng
        self.wrong: list[str] = []
        self.done: Counter[str] = Counter()
        self._expected: dict[str, tuple[Contents, float]] = {}
        for name in SLOW_IMPORTS:
            importlib.import_module(name)
        if self._wait(self._fork(lambda: make(self.given))):
            raise RuntimeError(self._said())

    def tell(self) -> int:
        """Prints what was done and what was wrong; returns the exit code."""
        for what, count in self.done.items():
            print(f"{what:28} {count:6}")
        print(f"{'all':28} {self.done.total():6}, wrong: {len(self.wrong)}")
        return bool(self.wrong)

    def _note(self, what: str) -> None:
        self.wrong.append(what)
        print(f"WRONG: {what}", flush=True)

    # ---------------------------------------------------------------- kills

    def kill(self, name: str) -> None:
        """Kills a command at a random moment."""
        expected, seconds = self._without_faults(name)
        moment = self.rng.uniform(0, 1.1 * seconds)
        process = self._start(name)
        asking = threading.Thread(target=self._served, args=(moment,))
        if SCENARIOS[name].serves:
            asking.start()
        time.sleep(moment)
        os.kill(process, signal.SIGKILL)
        self._wait(process)
        if SCENARIOS[name].serves:
            asking.join()
        self.done[f"{name}: kills"] += 1
        what = f"{name}, killed after {moment:.2f} of {seconds:.2f} s"
        self._check_whole(what, name, expected)
        self._check_again(what, name, expected)

    def _served(self, seconds: float | None = None) -> None:
        """Asks the server until it has answered; or all the time for some seconds."""
        until = time.monotonic() + (seconds or 300)
        while time.monotonic() < until:
            try:
                ask(self.given)
                if seconds is None:
                    return
            except (OSError, http.client.HTTPException):  # it does not listen yet, or it was killed
                time.sleep(0.02)
        if seconds is None:
            self._note("the server does not answer")

    # ---------------------------------------------------------------- disks

    def fail(self, name: str, count: int, kind: str, number: int) -> None:
        """Lets operations on the disk fail, one in each run.

        Args:
            name: The command.
            count: How many operations, at most; chosen at random.
            kind: What to call the failure.
            number: The error's number; 0 for short writes.
        """
        expected, _ = self._without_faults(name)
        self._wait(self._start(name, fault=(0, 0)))
        operations = int(self._counted.read_text())
        for nth in sorted(self.rng.sample(range(1, operations + 1), min(count, operations))):
            code = self._wait(self._start(name, fault=(number, nth)))
            self.done[f"{name}: {kind}"] += 1
            what = f"{name}, {kind} at operation {nth} of {operations}"
            self._check_line(what, code, bool(number))
            self._check_whole(what, name, expected)
            self._check_again(what, name, expected)

    def _check_line(self, what: str, code: int, may_fail: bool) -> None:
        """A command that fails says in one line what has happened to which file."""
        lines = [line for line in self._said().splitlines() if line.startswith("stargan: ")]
        told = code == BAD_INPUT and may_fail and lines and all(str(self.folder) in line for line in lines)
        if (code and not told) or "Traceback" in self._said():
            self._note(f"{what}: exit code {code}: {self._said()[-400:]}")

    # ---------------------------------------------------------------- what is left

    def _without_faults(self, name: str) -> tuple[Contents, float]:
        """What a command leaves, and how long it takes."""
        if name not in self._expected:
            began = time.monotonic()
            code = self._finish(name, self._start(name))
            if code:
                raise RuntimeError(f"{name} without faults: exit code {code}: {self._said()}")
            self._expected[name] = contents(self.folder), time.monotonic() - began
        return self._expected[name]

    def _check_whole(self, what: str, name: str, expected: Contents) -> None:
        """Each file is as it was before, or as it should become; nothing is lost."""
        before, left = self._before(name), self._contents(what)
        for file, content in left.items():
            if not _is_temporary(file) and not _fits(content, expected.get(file), before.get(file)):
                self._note(f"{what}: {file} is not whole")
        for file in before.keys() - left.keys():
            self._note(f"{what}: {file} is lost")

    def _check_again(self, what: str, name: str, expected: Contents) -> None:
        """The same command ends well, with the same result, and leaves nothing else."""
        code = self._finish(name, self._start(name, again=True))
        if code:
            self._note(f"{what}: again: exit code {code}: {self._said()[-400:]}")
            return
        after = self._contents(what)
        for file in sorted(after.keys() | expected.keys()):
            if after.get(file) != expected.get(file):
                where = "left over" if file not in expected else "different" if file in after else "missing"
                self._note(f"{what}: again: {file} is {where}")

    def _contents(self, what: str) -> Contents:
        try:
            return contents(self.folder)
        except (StarganError, ValueError, OSError) as error:
            self._note(f"{what}: {error}")
            return {}

    def _before(self, name: str) -> Contents:
        folder = self.log.with_suffix(".before")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        SCENARIOS[name].prepare(self.given, folder)
        return contents(folder)

    # ---------------------------------------------------------------- processes

    def _start(self, name: str, *, again: bool = False, fault: tuple[int, int] | None = None) -> int:
        """Starts a command in a new folder, or `again` in that of the last one; returns the process."""
        scenario = SCENARIOS[name]
        if not again:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            scenario.prepare(self.given, self.folder)
        if fault is None:
            return self._fork(lambda: scenario.work(self.given, self.folder))
        number, nth = fault

        def work() -> int:
            library = ctypes.CDLL(os.environ["LD_PRELOAD"])
            library.disk_fault(os.fsencode(self.folder), number, ctypes.c_long(nth))
            try:
                return _exit_code(lambda: scenario.work(self.given, self.folder))
            finally:
                self._counted.write_text(str(library.disk_operations()))

        return self._fork(work)

    def _finish(self, name: str, process: int) -> int:
        """Waits for a command; a server is asked once, and told to stop."""
        if SCENARIOS[name].serves:
            self._served()
            os.kill(process, signal.SIGTERM)
        return self._wait(process)

    def _wait(self, process: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def _said(self) -> str:
        return self.log.read_text(errors="replace").strip()

    @property
    def _counted(self) -> Path:
        return self.log.with_suffix(".count")

    def _fork(self, work: Callable[[], int]) -> int:
        """Does something in a new process, which has all imports of this one; what it prints goes into the log."""
        process = os.fork()
        if process:
            return process
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["STARGAN_CACHE"] = str(self.folder / "cache")
        code = _exit_code(work)
        sys.stderr.flush()
        os._exit(code)


def _exit_code(work: Callable[[], int]) -> int:
    """Does something, with the exit codes and messages of the command line."""
    try:
        return work()
    except StarganError as error:
        print(f"stargan: {error}", file=sys.stderr)
    except OSError as error:
        print(f"stargan: {error.filename}: {error.strerror}", file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        return 1
    return BAD_INPUT


def _is_temporary(file: str) -> bool:
    return ".partial" in file or file.endswith(".lock")


def _fits(content: object, expected: object, before: object) -> bool:
    if isinstance(content, list) and isinstance(expected, list):  # a log, which grows
        return content == expected[: len(content)]
    return content in (expected, before) and content is not None
