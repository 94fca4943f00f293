"""Training within a time budget: as many updates as fit.

On a CPU the budget is processor time of one thread, which other work on the machine affects little (cores may share a
cache). On a GPU it is elapsed time.
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from stargan import engine, training
from stargan.config import Config
from stargan.data import sources
from stargan.interop.export import export
from stargan.model import run_folder

WARM_UP = 5  # steps before timing, for recording and compiling
ROUNDS = 3  # the median round counts
STEPS = 16  # in a round; the penalty of the recipe `edit` comes once in them


def cost(config: Config) -> float:
    """Seconds of one update of D with its share of an update of G."""
    _, domains = sources.find_all(config.data, config.attributes, config.exclusive)
    rng = np.random.default_rng(0)
    width, height = config.image_size
    images = rng.integers(0, 256, (config.batch_size, height, width, 3), dtype=np.uint8)
    labels = domains.labels(domains.random_values(rng, config.batch_size), 0)
    trained = engine.create(config, domains)
    updates = trained.d_step, trained.g_step

    def seconds(steps: int) -> tuple[float, ...]:
        """The mean seconds of an update of D, and of one of G that follows it."""
        took = [0.0, 0.0]
        for step in range(steps):
            for which, update in enumerate(updates):
                began = _now(config)
                update(images, labels, labels[::-1].copy(), 0, step=config.warm_up + step, lr=config.lr)
                took[which] += _now(config) - began
        return took[0] / steps, took[1] / steps

    seconds(WARM_UP)
    d, g = np.median([seconds(STEPS) for _ in range(ROUNDS)], axis=0)
    return float(d + g / config.n_critic)


def _now(config: Config) -> float:
    if config.device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def train(config: Config, seconds: float, run: Path) -> None:
    """Trains for as many updates as fit the budget; the learning rate schedule ends there.

    Finished runs are left as they are, interrupted ones are resumed.

    Raises:
        KeyboardInterrupt: Ctrl-C interrupted it after writing a checkpoint.
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
