"""The six GAN objectives on cartoon faces, at equal training time: which one translates best?

All runs have the networks, data, seed and settings of the recipe `demo`, except for the objective. Updates with a
gradient penalty cost more, so the cost of an update is measured first, and each objective gets as many updates as fit
the time that the cheapest one needs for --steps of them. Objectives differ in scale, so each is tried with two weights
of the reconstruction loss: the paper's and a larger one.
"""

import itertools
import sys
import time
from dataclasses import replace
from statistics import median
from typing import Any, get_args

import cartoon_runs as runs
import numpy as np
from options import command

from stargan import demo, engine
from stargan.config.training import Config, Objective
from stargan.data import cartoons, sources
from stargan.model import run_folder

ROUNDS, UPDATES = 9, 10
LAMBDA_REC = (10.0, 30.0)


def costs(config: Config) -> dict[Objective, float]:
    """Seconds of one update of D and one of G by objective, medians of rounds in which all take turns."""
    _, domains = sources.find_all(config.data, config.attributes, config.exclusive)
    rng = np.random.default_rng(0)
    width, height = config.image_size
    images = rng.integers(0, 256, (config.batch_size, height, width, 3), dtype=np.uint8)
    labels = domains.labels(domains.random_values(rng, config.batch_size), 0)
    targets = labels[::-1].copy()
    engines = {name: engine.create(replace(config, objective=name), domains) for name in get_args(Objective)}
    seconds: dict[Objective, list[float]] = {name: [] for name in engines}
    for turn in range(ROUNDS + 1):
        for name, each in engines.items():
            began = time.perf_counter()
            for step in range(UPDATES):
                each.d_step(images, labels, targets, 0, step=step, lr=config.lr)
                each.g_step(images, labels, targets, 0, step=step, lr=config.lr)
            if turn:  # the first turn is a warm-up
                seconds[name].append((time.perf_counter() - began) / UPDATES)
    return {name: median(times) for name, times in seconds.items()}


def main() -> int:
    """Trains with all objectives and prints the table."""
    options = runs.arguments(__doc__, 2400)
    faces = runs.draw(options.out / "faces", demo.FACES, 0)
    config = runs.settings([faces])
    cost = costs(config)
    cheapest = min(cost.values())
    pairs = list(cartoons.pairs(options.pairs, runs.TEST_SEED, config.image_size[0]))
    rows: list[dict[str, Any]] = []
    for lambda_rec, name in itertools.product(LAMBDA_REC, cost):
        run = options.out / f"{name}-{lambda_rec:.0f}"
        exists = (run / run_folder.CONFIG).exists()
        steps = run_folder.saved_config(run).steps if exists else round(options.steps * cheapest / cost[name])
        model = runs.train(replace(config, objective=name, lambda_rec=lambda_rec, steps=steps), run)
        settings = {"objective": name, "lambda_rec": lambda_rec, "cost": cost[name] / cheapest, "updates": steps}
        rows.append({**settings, **demo.measure(model, pairs)})
        runs.report(options.out, "objectives", rows)
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
