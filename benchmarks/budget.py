"""Training to a budget of processor time, on one thread, so that what else the machine does changes no comparison."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stargan import engine
from stargan.config import Config
from stargan.data import sources
from stargan.interop.export import export
from stargan.training import loop

MEASURED = 10  # updates, for the cost of one


def cost(config: Config) -> float:
    """Seconds of processor time of one update of D with its share of G's."""
    _, domains = sources.find_all(config.data, config.attributes, config.exclusive)
    rng = np.random.default_rng(0)
    width, height = config.image_size
    pictures = rng.integers(0, 256, (config.batch_size, height, width, 3), dtype=np.uint8)
    labels = domains.labels(domains.random_values(rng, config.batch_size), 0)
    each = engine.create(config, domains)

    def seconds(update: Any) -> float:
        update(pictures, labels, labels[::-1].copy(), 0, step=0, lr=config.lr)
        began = time.process_time()
        for step in range(MEASURED):
            update(pictures, labels, labels[::-1].copy(), 0, step=step, lr=config.lr)
        return (time.process_time() - began) / MEASURED

    return seconds(each.d_step) + seconds(each.g_step) / config.critic_updates


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
        config = loop.saved_config(run)
    else:
        config = replace(config, steps=max(1, round(seconds / cost(config))))
    if not loop.train(config, run, resume=bool(list(run.glob("checkpoints/*.safetensors")))).finished:
        raise KeyboardInterrupt
    export(run, run / "model.onnx", overwrite=True)
