"""The six GAN objectives on cartoon faces, at equal time: which one translates best?

The same networks, data, seed and settings (those of the recipe `demo`); only the objective differs. Updates with a
gradient penalty cost more, so the cost of each objective's update is measured first, all of them in turns, and each
gets as many updates as fit the time that the cheapest one needs for --steps of them. An objective pulls as strongly as
its own scale has it, so each is tried with two weights of reconstruction: the paper's and a larger one.
"""

import itertools
import sys
import time
from dataclasses import replace
from statistics import median
from typing import Any, get_args

import cartoon_runs as runs
import numpy as np

from stargan import demo, engine
from stargan.config.training import Config, Objective
from stargan.data import cartoons, sources
from stargan.model import run_folder

ROUNDS, UPDATES = 9, 10
LAMBDA_REC = (10.0, 30.0)


def costs(config: Config) -> dict[Objective, float]:
    """Seconds of one update of D with its share of G's, by objective: medians of rounds that take turns."""
    _, domains = sources.find_all(config.data, config.attributes, config.exclusive)
    rng = np.random.default_rng(0)
    width, height = config.image_size
    pictures = rng.integers(0, 256, (config.batch_size, height, width, 3), dtype=np.uint8)
    labels = domains.labels(domains.random_values(rng, config.batch_size), 0)
    targets = labels[::-1].copy()
    engines = {name: engine.create(replace(config, objective=name), domains) for name in get_args(Objective)}
    seconds: dict[Objective, list[float]] = {name: [] for name in engines}
    for turn in range(ROUNDS + 1):
        for name, each in engines.items():
            began = time.perf_counter()
            for step in range(UPDATES):
                each.d_step(pictures, labels, targets, 0, step=step, lr=config.lr)
                each.g_step(pictures, labels, targets, 0, step=step, lr=config.lr)
            if turn:  # the first one warms up
                seconds[name].append((time.perf_counter() - began) / UPDATES)
    return {name: median(times) for name, times in seconds.items()}


def main() -> int:
    """Trains all six and prints the table."""
    options = runs.arguments(__doc__, 2400)
    faces = runs.draw(options.out / "faces", demo.FACES, 0)
    config = runs.settings([faces])
    cost = costs(config)
    cheapest = min(cost.values())
    pairs = list(cartoons.pairs(options.pairs, runs.TEST_SEED, config.image_size[0]))
    rows: list[dict[str, Any]] = []
    for lambda_rec, name in itertools.product(LAMBDA_REC, cost):
        run = options.out / f"{name}-{lambda_rec:.0f}"
        begun = (run / "config.json").exists()
        steps = run_folder.saved_config(run).steps if begun else round(options.steps * cheapest / cost[name])
        model = runs.train(replace(config, objective=name, lambda_rec=lambda_rec, steps=steps), run)
        shown = {"objective": name, "lambda_rec": lambda_rec, "cost": cost[name] / cheapest, "updates": steps}
        rows.append({**shown, **demo.measure(model, pairs)})
        runs.report(options.out, "objectives", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
