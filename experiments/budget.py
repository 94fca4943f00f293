"""Training to a budget of time, as many updates as fit it.

On a CPU it is processor time of one thread: what else the machine does counts for little, though not for nothing where
cores share a cache. On a GPU, which nobody shares, it is time as it passes.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stargan import engine, training
from stargan.config import Config
from stargan.data import sources
from stargan.interop.export import export
from stargan.model import run_folder

WARM = 5  # updates before, for recording and compiling
ROUNDS = 7  # D and G take turns; the median round tells
EACH = 4  # updates of a turn


def cost(config: Config) -> float:
    """Seconds of one update of D with its share of G's."""
    _, domains = sources.find_all(config.data, config.attributes, config.exclusive)
    rng = np.random.default_rng(0)
    width, height = config.image_size
    pictures = rng.integers(0, 256, (config.batch_size, height, width, 3), dtype=np.uint8)
    labels = domains.labels(domains.random_values(rng, config.batch_size), 0)
    each = engine.create(config, domains)

    def seconds(update: Any, count: int) -> float:
        began = _now(config)
        for step in range(count):
            update(pictures, labels, labels[::-1].copy(), 0, step=step, lr=config.lr)
        return (_now(config) - began) / count

    sides = each.d_step, each.g_step
    for side in sides:
        seconds(side, WARM)
    d, g = np.median([[seconds(side, EACH) for side in sides] for _ in range(ROUNDS)], axis=0)
    return float(d + g / config.n_critic)


def _now(config: Config) -> float:
    if config.device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def train(config: Config, seconds: float, run: Path) -> None:
    """Trains for as many updates as fit the budget, the schedule of the learning rate ending there.

    A run that is finished stays as it is, one that was stopped goes on.

    Raises:
        KeyboardInterrupt: Ctrl-C stopped it, with a checkpoint.
    """
    if (run / "model.onnx").exists():
        return
    torch.set_num_threads(1)
    if (run / "config.json").exists():
        config = run_folder.saved_config(run)
    else:
        config = replace(config, steps=max(1, round(seconds / cost(config))))
    if not training.train(config, run, resume=bool(run_folder.checkpoints(run))).finished:
        raise KeyboardInterrupt
    export(run, run / "model.onnx", overwrite=True)
