"""Joint training against training on one data set (JNT and SNG in the paper's section 5.4 and figure 7), in small.

There are two data sets of cartoon faces with different labels: a large one with hair colour and glasses, a small one
with smile and hat. One model is trained on each alone and one on both, with the same number of updates per data set.
Then the joint model translates with the right domain mask, the wrong one, and none.
"""

import sys
from collections.abc import Sequence
from typing import Any

import cartoon_runs as runs
import numpy as np
from options import command

from stargan import demo
from stargan.data import cartoons

SETS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {  # number of images, labels, mutually exclusive labels
    "large": (1500, (*cartoons.EXCLUSIVE, "Eyeglasses"), cartoons.EXCLUSIVE),
    "small": (150, ("Smiling", "Wearing_Hat"), ()),
}
LAMBDA_REC = 10.0  # as in the paper; with the demo's 50 and so few labels, G remains the identity for 2,400 updates


def changing(pairs: Sequence[cartoons.Pair], names: Sequence[str]) -> list[cartoons.Pair]:
    """The pairs that change one of some labels."""
    columns = [cartoons.ATTRIBUTES.index(name) for name in names]
    return [pair for pair in pairs if np.any(pair.source[columns] != pair.target[columns])]


def main() -> int:
    """Trains the three models and prints the table."""
    options = runs.arguments(__doc__, 2400)
    folders = {
        name: runs.draw(options.out / name, count, seed, labels)
        for seed, (name, (count, labels, _)) in enumerate(SETS.items(), 10)
    }
    both = runs.settings(list(folders.values()), steps=2 * options.steps, lambda_rec=LAMBDA_REC)
    joint = runs.train(both, options.out / "joint")
    all_pairs = list(cartoons.pairs(2 * options.pairs, runs.TEST_SEED, both.image_size[0]))
    rows: list[dict[str, Any]] = []
    for index, (data, (_, labels, exclusive)) in enumerate(SETS.items()):
        config = runs.settings([folders[data]], exclusive, steps=options.steps, lambda_rec=LAMBDA_REC)
        single = runs.train(config, options.out / f"{data}-alone")
        pairs = changing(all_pairs, labels)
        right = np.eye(len(SETS))[index]
        for model, mask, name in (
            (single, None, "alone"),
            (joint, right, "joint, right mask"),
            (joint, 1 - right, "joint, wrong mask"),
            (joint, 0 * right, "joint, no mask"),
        ):
            figures = demo.measure(model, pairs, mask)
            rows.append({"labels": ", ".join(labels), "trained": name, "pairs": len(pairs), **figures})
    runs.report(options.out, "joint", rows)
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
