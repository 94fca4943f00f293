"""What a training would be, without training: sizes, cost, time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from stargan import engine as engines
from stargan.config import Config
from stargan.data import sources
from stargan.domains import Domains, Group, LabelSet
from stargan.errors import ConfigError

TIMED = 3  # updates of each kind that are timed, after one that is not


@dataclass(frozen=True)
class Plan:
    """What a training would be.

    Attributes:
        domains: The label layout.
        parameters: Of each network by name.
        macs: Multiply-adds of one picture forward through each network, by name.
        d_seconds: One update of D, measured here.
        g_seconds: One update of G, measured here.
        seconds: All updates, without data, samples and checkpoints.
        peak_memory: Bytes, of the process, or of the GPU where there is one.
    """

    domains: Domains
    parameters: dict[str, int]
    macs: dict[str, int]
    d_seconds: float
    g_seconds: float
    seconds: float
    peak_memory: int


def plan(config: Config) -> Plan:
    """Builds the networks and times some updates on random pictures; nothing is written.

    Args:
        config: All settings. Without data the named attributes stand for the labels.

    Raises:
        StarganError: As training would; or neither data nor attributes are named.
    """
    domains = _domains(config)
    engine = engines.create(config, domains)
    rng = np.random.default_rng(0)
    width, height = config.image_size
    images = rng.integers(0, 256, (config.batch_size, height, width, 3), np.uint8)
    labels = domains.labels(domains.random_values(rng, config.batch_size), 0)
    targets = domains.labels(domains.random_values(rng, config.batch_size), 0)

    def timed(update: Callable[..., None]) -> float:
        took = []
        for step in range(TIMED + 1):
            began = time.perf_counter()
            update(images, labels, targets, 0, step=step, lr=config.lr)
            engine.losses()  # waits for the device
            took.append(time.perf_counter() - began)
        return median(took[1:])

    d_seconds, g_seconds = timed(engine.d_step), timed(engine.g_step)
    return Plan(
        domains=domains,
        parameters=engine.num_parameters,
        macs=engine.macs(),
        d_seconds=d_seconds,
        g_seconds=g_seconds,
        seconds=config.steps * (d_seconds + g_seconds / config.n_critic),
        peak_memory=engine.peak_memory(),
    )


def _domains(config: Config) -> Domains:
    if config.data:
        return sources.find_all(config.data, config.attributes, config.exclusive)[1]
    if not config.attributes:
        raise ConfigError("--dry-run needs --data PATH, or --attributes that stand for the labels")
    groups: list[Group] = []
    for name in config.attributes:
        group = next((item.split(",") for item in config.exclusive if name in item.split(",")), [name])
        if tuple(group) not in [known.names for known in groups]:
            groups.append(Group(tuple(group)))
    return Domains((LabelSet("data", tuple(groups)),))
