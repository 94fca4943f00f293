"""Trains small networks in float64, each in 1, 2 and 4 processes, and writes their weights: `together.py FOLDER`.

Two processes also train some of them on two parts of their batches, one after another.

A script of its own, which forks its processes: the number formats of PyTorch are set for the whole process.
"""

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from stargan import engine as engines
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data.batches import Batches, TrainingSet
from stargan.domains import Domains, Group, LabelSet
from stargan.engine import Processes

DOMAINS = Domains((LabelSet("faces", (Group(("black", "blond", "gray")), Group(("smile",)))),))


def small(config: Config, side: int = 16, width: int = 4, layers: int = 2) -> Config:
    """The settings, with small networks and batches."""
    size = (side, side)
    return replace(config, image_size=size, width=width, blocks=1, d_layers=layers, batch_size=4, device="cpu")


CASES = {
    "official": small(recipe("official")),
    "modern": small(recipe("modern")),
    "dragan": small(replace(recipe("paper"), objective="dragan", augment=True, targets="balanced")),
    "edit": small(replace(recipe("edit"), warm_up=0), 64, 16, 3),
}
FOR_FOUR = ("official", "modern")  # what four processes train too
IN_PARTS = ("modern", "dragan")
STEPS = {"edit": 1}  # which takes as long as the 20 of another; the moments of Adam show all gradients


def train(config: Config, steps: int, processes: Processes, out: Path) -> None:
    """Trains as one of some processes; the first one writes weights, the optimizers' state and losses."""
    rng = np.random.default_rng(0)
    width, height = config.image_size
    pixels = rng.integers(0, 256, (40, height, width, 3), np.uint8)
    sets = [TrainingSet(pixels, DOMAINS.random_values(rng, 40), np.arange(40))]
    own = slice(processes.rank, None, processes.world_size)
    batches = Batches(sets, DOMAINS, batch_size=config.batch_size, seed=0, targets=config.targets, own=own)
    engine = engines.create(config, DOMAINS)
    for step in range(steps):
        batch = batches.batch(step)
        labels, targets = batch.labels.astype(np.float64), batch.targets.astype(np.float64)
        engine.d_step(batch.images, labels, targets, 0, step=step, lr=config.lr)
        if (step + 1) % config.n_critic == 0:
            engine.g_step(batch.images, labels, targets, 0, step=step, lr=config.lr)
    if processes.rank == 0:
        np.savez(out, **engine.state())  # type: ignore[arg-type]  # its stub takes names for options


def train_all(world_size: int, folder: Path) -> None:
    """Trains all networks as one of the processes that the environment describes."""
    with engines.together(CASES["official"]) as processes:
        for name in CASES if world_size < 4 else FOR_FOUR:
            train(CASES[name], STEPS.get(name, 20), processes, folder / f"{name}-{world_size}.npz")
        for name in IN_PARTS if world_size == 2 else ():
            train(replace(CASES[name], accumulate=2), 20, processes, folder / f"{name}-2x2.npz")


def fork(world_size: int, folder: Path) -> None:
    """Trains all networks in some processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(world_size):
        child = os.fork()
        if not child:
            place = {"RANK": rank, "WORLD_SIZE": world_size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            os.environ |= {name: str(value) for name, value in place.items()}
            train_all(world_size, folder)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * world_size


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]  # what is float32 in training
    train_all(1, Path(sys.argv[1]))  # first, since it imports what the others need
    for world_size in (2, 4):
        fork(world_size, Path(sys.argv[1]))
