"""Estimates of a run's network sizes, cost and time, without training."""

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

TIMED = 3  # number of updates of each kind to time, after one that is not timed


@dataclass(frozen=True)
class Plan:
    """The size, cost and time of a run.

    Attributes:
        domains: The label layout.
        parameters: The number of parameters of each network, by name.
        macs: Multiply-adds of one image's forward pass through each network, by name.
        d_seconds: Seconds for one update of D, measured on this machine.
        g_seconds: Seconds for one update of G, measured on this machine.
        seconds: Seconds for all updates, without data, samples and checkpoints.
        peak_memory: Peak memory in bytes: of the GPU if the run uses one, else of the process.
    """

    domains: Domains
    parameters: dict[str, int]
    macs: dict[str, int]
    d_seconds: float
    g_seconds: float
    seconds: float
    peak_memory: int


def plan(config: Config) -> Plan:
    """Builds the networks and times a few updates on random images; writes nothing.

    Args:
        config: All settings. If they name no data, the labels are the named attributes.

    Raises:
        StarganError: Training would raise it too, or the settings name neither data nor attributes.
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
            update(images, labels, targets, 0, step=config.warm_up + step, lr=config.lr)
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
        return sources.find_all(config.data, config.attributes, config.exclusive, config.bins, config.share)[1]
    if not config.attributes:
        raise ConfigError("--dry-run needs --data PATH, or --attributes with the names of the labels")
    groups: list[Group] = []
    for name in config.attributes:
        group = next((item.split(",") for item in config.exclusive if name in item.split(",")), [name])
        if tuple(group) not in [known.names for known in groups]:
            groups.append(Group(tuple(group)))
    return Domains((LabelSet("data", tuple(groups)),))
