"""What a training will take: time and memory, measured with a few updates, and the sizes of its networks."""

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from stargan import engine as engines
from stargan.config import Config
from stargan.domains import Domains, Group, LabelSet
from stargan.engine import Engine
from stargan.errors import ConfigError
from stargan.progress import Progress, about
from stargan.storage import cache_folder, temporary_path
from stargan.training import data_sets

TIMES = 3  # updates to time for a figure; the first ones are slower
SECONDS = 2.0  # after which no further update is timed for a figure
LITTLE = 2000  # steps in which no network learns much
LONG = 3600.0  # seconds of training from which on there is a hint


@dataclass(frozen=True)
class Forecast:
    """The time, memory and sizes of a run.

    Attributes:
        config: Its settings.
        domains: The label layout.
        parameters: The number of parameters of each network, by name.
        macs: Multiply-adds of one image's forward pass through each network, by name.
        d_seconds: Seconds for one update of D after the warm-up, measured on this machine.
        g_seconds: Seconds for one update of G, measured on this machine.
        peak_memory: Peak memory in bytes: of the GPU if the run uses one, else of the process.
        warm_up_seconds: Seconds for one of the first `Config.warm_up` steps, measured on this machine; 0 without them.
    """

    config: Config
    domains: Domains
    parameters: dict[str, int]
    macs: dict[str, int]
    d_seconds: float
    g_seconds: float
    peak_memory: int
    warm_up_seconds: float = 0.0

    @property
    def steps(self) -> int:
        """The steps of the training: all, or as many as fit the minutes."""
        first, limit = self._warm_up, 60 * (self.config.minutes or math.inf)
        if limit < first * self.warm_up_seconds:
            return round(limit / self.warm_up_seconds)
        later = min((limit - first * self.warm_up_seconds) / self._step_seconds, self.config.steps - first)
        return first + round(later)

    @property
    def seconds(self) -> float:
        """Seconds for the whole training, without data, samples and checkpoints."""
        first = min(self._warm_up, self.steps)
        return first * self.warm_up_seconds + (self.steps - first) * self._step_seconds

    @property
    def _warm_up(self) -> int:
        return min(self.config.warm_up, self.config.steps)

    @property
    def _step_seconds(self) -> float:
        """Seconds for a later step: an update of D, and the share of one of G."""
        return self.d_seconds + self.g_seconds / self.config.n_critic

    def __str__(self) -> str:
        """The time and memory in words, and if it is long, how to make it shorter."""
        config, steps = self.config, self.steps
        memory = f"about {self.peak_memory / 2**30:.1f} GiB of memory"
        if config.warm_up and steps <= config.warm_up:
            memory += f"; G is not trained in the first {config.warm_up} steps (--warm-up)"
        if steps < config.steps:
            edit = config.generator == "edit"  # costs much the same at 64, 128 and 256 pixels
            large = max(config.image_size) > (256 if edit else 64) or (config.width > 32 and not edit)
            less = "--image-size 128" if edit else "--image-size 64 --width 32"
            more = f"smaller networks learn more in it: {less}" if large else "it needs more of them"
            few = f"; {more}" if steps < LITTLE else ""
            return (
                f"{_minutes(config.minutes or 0)} enough for about {steps:,} of {config.steps:,} steps on this "
                f"machine, with {memory}; the learning rate follows the minutes{few}"
            )
        demo = " or --recipe demo" if config.method == "stargan" else ""
        hint = f"; --minutes 60{demo} for less" if self.seconds > LONG else ""
        return f"{config.steps:,} steps take {about(self.seconds)} on this machine, with {memory}{hint}"


def _minutes(minutes: float) -> str:
    return "1 minute is" if minutes == 1 else f"{minutes:g} minutes are"


def forecast(config: Config, domains: Domains | None = None) -> Forecast:
    """Builds the networks and times a few updates on random images; writes nothing.

    Args:
        config: All settings.
        domains: The label layout; None: that of the data, or without data, the named attributes.

    Raises:
        StarganError: Training would raise it too, or there are neither data nor attributes.
    """
    domains = domains or _domains(config)
    # For a short training, no engine compiles its networks: on a GPU, that alone takes a minute.
    engine = engines.create(replace(config, steps=1, minutes=None), domains)
    with Progress("measure", (3 if config.warm_up else 2) * 2 * TIMES, "updates") as progress:
        warm_up = 0.0
        if config.warm_up:
            warm_up, _ = _cost(engine, engine.d_step, config, domains, 4 * config.accumulate, progress, first=0)
        later = config.warm_up
        d_seconds, d_memory = _cost(
            engine, engine.d_step, config, domains, 4 * config.accumulate, progress, first=later
        )
        few = 4 if config.generator == "edit" else 1
        g_seconds, g_memory = _cost(engine, engine.g_step, config, domains, few, progress, first=later)
    memory = max(d_memory, g_memory)
    found = Forecast(config, domains, engine.num_parameters, engine.macs(), d_seconds, g_seconds, memory, warm_up)
    del engine
    gc.collect()  # before the training makes its own
    return found


def _cost(
    engine: Engine,
    update: Callable[..., None],
    config: Config,
    domains: Domains,
    few: int,
    progress: Progress,
    *,
    first: int,
) -> tuple[float, int]:
    """Returns the seconds of an update, and the peak memory with it; `first` is the step to begin with.

    Where whole batches take too long, both follow from one image and from `few`: the time grows by the same
    amount with each further image, the memory with each in the same part of the batch. The weights take most of
    the time of an update with one image, of D and of the edit generator, but hardly any of the paper's G.
    """

    def measure(count: int) -> tuple[float, int]:
        images, labels, targets = _random_batch(config, domains, count)
        began, took = time.perf_counter(), []
        for step in range(TIMES):
            started = time.perf_counter()
            how = {"step": first + step, "lr": config.lr, "lambda_cls": config.lambda_cls}
            update(images, labels, targets, 0, **how)
            engine.losses()  # waits for the device
            took.append(time.perf_counter() - started)
            progress.update(progress.done + 1)
            if step and time.perf_counter() - began > SECONDS:  # the first may take long, to prepare for the others
                break
        return min(took), engine.peak_memory()

    batch = config.batch_size
    seconds, memory = measure(1)
    count = batch if batch * seconds * TIMES < SECONDS else min(few, batch)
    if count == 1:
        return batch * seconds, memory
    engine.load_state(engine.state())  # forgets what is recorded for batches of another size
    more_seconds, more_memory = measure(count)
    further, further_at_once = ((batch - count) / max(1, count - parts) for parts in (1, config.accumulate))
    return (
        more_seconds + further * max(more_seconds - seconds, 0),
        more_memory + round(further_at_once * max(more_memory - memory, 0)),
    )


def _random_batch(config: Config, domains: Domains, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    width, height = config.image_size
    count *= 1 if config.method == "stargan" else 2  # as many images of each domain
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    labels, targets = (domains.labels(domains.random_values(rng, count), 0) for _ in range(2))
    return images, labels, targets


def _domains(config: Config) -> Domains:
    if config.data:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with temporary_path(cache_folder(), folder=True) as unpacked:  # the first window, if there are some
            return data_sets.find(config, unpacked, lambda line: None)[1]
    if not config.attributes:
        raise ConfigError("--dry-run needs --data PATH, or --attributes with the names of the labels")
    groups: list[Group] = []
    for name in config.attributes:
        group = next((item.split(",") for item in config.exclusive if name in item.split(",")), [name])
        if tuple(group) not in [known.names for known in groups]:
            groups.append(Group(tuple(group)))
    return Domains((LabelSet("data", tuple(groups)),))
