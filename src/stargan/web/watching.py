"""Training runs as the page shows them. Only their folders are read, whose files may come from anybody."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from stargan import images
from stargan.config import Config, schedules
from stargan.domains import Domains
from stargan.errors import ConfigError, StarganError, one_line
from stargan.model import onnx_file, run_folder, safetensors_file
from stargan.storage import open_regular
from stargan.web.curves import Curves
from stargan.web.messages import CurveSeen, RunSeen, SheetLayout
from stargan.web.refusals import ApiError

MOST = 8  # runs side by side
SAMPLES = 300  # grids of samples that are listed, at most; of more, some in between are left out
SAMPLE_BYTES = 2**26
SAMPLE_PIXELS = 2**26
PROBLEM = 500  # characters that are shown
PNG = b"\x89PNG\r\n\x1a\n"
QUIET = 120.0  # seconds without a new figure or grid after which a run counts as stopped, at least
LONGEST = 1e10  # seconds that are left, at most
FRESH = 1.0  # seconds for which what was seen is not looked at again


class Watched:
    """A run folder that is looked at from time to time.

    Args:
        folder: The run folder.
        name: What to call it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self._folder = name, folder
        self._curves = Curves(folder / run_folder.STATS)
        self._domains: tuple[object, Domains | None] = (None, None)
        self._lock = threading.Lock()
        self._seen: tuple[float, RunSeen] | None = None

    def look(self) -> RunSeen:
        """What the folder says now; what cannot be read is in the result's `problem`."""
        with self._lock:
            now = time.monotonic()
            if self._seen is None or now - self._seen[0] > FRESH:
                self._seen = now, self._look()
            return self._seen[1]

    def sample(self, step: int) -> bytes:
        """The PNG file with the samples of a step.

        Raises:
            ApiError: There is none, or it is not a usable PNG file.
        """
        path = run_folder.sample_path(self._folder, step)
        try:
            if path.is_symlink():  # it may point anywhere
                raise FileNotFoundError
            with open_regular(path) as file:
                content = file.read(SAMPLE_BYTES + 1)
        except OSError as error:
            raise ApiError(404, "sample", f"no samples of step {step}") from error
        width, height = _png_size(content)
        if len(content) > SAMPLE_BYTES or not 0 < width * height <= SAMPLE_PIXELS:
            raise ApiError(422, "sample", f"the samples of step {step} are not a PNG image of a usual size")
        return content

    # ---------------------------------------------------------------- looking

    def _look(self) -> RunSeen:
        problems = []
        try:
            self._curves.update()
        except OSError as error:
            problems.append(f"{run_folder.STATS}: cannot be read ({error.strerror})")
        try:
            steps = list(run_folder.samples(self._folder))
        except OSError as error:
            steps = []
            problems.append(f"{run_folder.SAMPLES}: cannot be read ({error.strerror})")
        found = RunSeen(name=self.name, step=self._curves.step, samples=_thinned(steps), curves=self._all_curves())
        try:
            self._follow_config(found, run_folder.saved_config(self._folder))
        except StarganError as error:
            problems.append(str(error))
        except (OverflowError, ValueError):
            problems.append(f"{run_folder.CONFIG}: has numbers that are out of range")
        found.problem = one_line("; ".join(problems))[:PROBLEM]
        return found

    def _follow_config(self, found: RunSeen, config: Config) -> None:
        seconds = self._curves.last("seconds")
        position = schedules.position(config, found.step, seconds or 0.0)
        found.state = self._state(position >= config.steps)
        found.steps, found.minutes = config.steps, config.minutes
        found.progress = min(position / config.steps, 1.0)
        found.recipe, found.size = one_line(config.recipe)[:100], config.image_size
        found.data = [one_line(Path(path).name)[:200] for path in config.data[:20]]
        found.seconds = seconds
        if found.state == "training":
            found.rate = self._rate(lambda step, _: step) or self._curves.last("steps_per_second")
            pace = self._rate(lambda step, spent: schedules.position(config, int(step), spent))
            if not pace and config.minutes is None:  # a run of an earlier version, which logged no seconds
                pace = found.rate
            found.left = min((config.steps - position) / pace, LONGEST) if pace else None
        found.sheet = self._layout(found.samples, config)

    def _rate(self, measure: Callable[[float, float], float]) -> float | None:
        """How fast something grows, by the latest lines: in units a second."""
        if len(self._curves.recent) < 2:
            return None
        first, last = self._curves.recent[0], self._curves.recent[-1]
        seconds = last[1] - first[1]
        grown = measure(*last) - measure(*first)
        return grown / seconds if seconds > 1e-6 and grown > 0 else None

    def _state(self, complete: bool) -> Literal["training", "finished", "stopped"]:
        """A lock without anything new is what a killed run leaves."""
        folder = self._folder
        lock = _changed(folder / run_folder.LOCK)
        newest = max(_changed(path) for path in (folder / run_folder.STATS, folder / run_folder.SAMPLES, folder))
        recent = list(self._curves.recent)
        spent = (recent[-1][1] - recent[0][1]) / (len(recent) - 1) if len(recent) > 1 else 0.0
        if lock and time.time() - max(lock, newest) < max(QUIET, min(5 * spent, 3600)) and not complete:
            return "training"
        return "finished" if complete or (not lock and (folder / run_folder.MODEL).exists()) else "stopped"

    def _all_curves(self) -> dict[str, CurveSeen]:
        return {
            name: CurveSeen(steps=steps, values=values)
            for name, (steps, values) in self._curves.curves().items()
            if name != "seconds"
        }

    # ---------------------------------------------------------------- samples

    def _layout(self, steps: Sequence[int], config: Config) -> SheetLayout | None:
        """Where the images are in a grid of samples; None if that cannot be found out."""
        domains = self._described()
        if not steps or domains is None:
            return None
        try:
            with open_regular(run_folder.sample_path(self._folder, steps[-1])) as file:
                size = _png_size(file.read(24))
        except OSError:
            return None
        image = config.image_size
        for with_truth in (True, False) if config.method == "pix2pix" else (False,):  # earlier versions: without
            titles = run_folder.sample_titles(domains, with_truth=with_truth)
            found = images.titled_rows(size, len(titles), image)
            if found:
                rows, top = found
                return SheetLayout(titles=titles, rows=rows, top=top, gap=images.GAP, sheet=size, image=image)
        return None

    def _described(self) -> Domains | None:
        """The domains, as a checkpoint or the finished model describes them."""
        try:
            path = run_folder.checkpoints(self._folder)[-1]
        except (OSError, IndexError):
            path = self._folder / run_folder.MODEL
        if self._domains[1] is None and self._domains[0] != (path, _changed(path)):
            self._domains = (path, _changed(path)), self._read_domains(path)
        return self._domains[1]

    def _read_domains(self, path: Path) -> Domains | None:
        model = self._folder / run_folder.MODEL
        for read in (lambda: safetensors_file.read(path, networks=())[0], lambda: onnx_file.read(model).info):
            try:
                return read().domains
            except StarganError:  # damaged, deleted meanwhile, or safetensors is not installed
                continue
        return None


def open_runs(folders: Sequence[Path]) -> list[Watched]:
    """Checks run folders and gives them different names: those of the folders.

    Raises:
        CheckpointError: One of them is not a run folder.
        ConfigError: They are too many.
    """
    if len(folders) > MOST:
        raise ConfigError(f"--run: {len(folders)} folders; at most {MOST} are shown side by side")
    found: dict[str, Watched] = {}
    for folder in folders:
        run_folder.saved_config(folder)
        name = one_line(folder.resolve().name) or "run"
        number, free = 2, name
        while free in found:
            free, number = f"{name}-{number}", number + 1
        found[free] = Watched(folder, free)
    return list(found.values())


def _png_size(content: bytes) -> tuple[int, int]:
    """(width, height) by the head of a PNG file; (0, 0) if it is none."""
    if len(content) < 24 or content[:8] != PNG or content[12:16] != b"IHDR":
        return 0, 0
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def _thinned(steps: Sequence[int]) -> list[int]:
    """At most `SAMPLES` of the steps, spread evenly, with the first and the last."""
    if len(steps) <= SAMPLES:
        return list(steps)
    return [steps[round(index * (len(steps) - 1) / (SAMPLES - 1))] for index in range(SAMPLES)]


def _changed(path: Path) -> float:
    """When a file or folder was changed, in seconds; 0 if there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
