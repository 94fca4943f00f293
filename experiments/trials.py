"""What makes a better recipe? One change at a time, at equal compute, judged by `stargan evaluate`.

Every trial has the same data, seed and network widths. The cost of its updates is measured first, in processor time of
one thread, and it gets as many updates as fit --seconds; its learning rate's schedule ends there. The judge never saw
a trained model. A run that is there is not repeated, so a stopped call goes on, and several may share a folder.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import budget
import measure
import numpy as np

from stargan import cli
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data import cartoons
from stargan.model import run_folder

# From the official algorithm's settings to those that a short training needs; the base of the single changes.
BASE: dict[str, Any] = {"lr": 1e-3, "batch_size": 8, "final_lr": 0.0, "decay_every": 1, "n_critic": 1}
HINGE = {**BASE, "objective": "hinge"}
MASK = {**BASE, "attention_mask": True, "lambda_cls": 5.0}
AUGMENTED = {**MASK, "augment": True}
RESIZE = {**MASK, "resize_conv": True}
ALL = {**RESIZE, "augment": True}
FALLING = {**ALL, "final_cls": 0.3, "n_critic": 2}
GENTLE = {**FALLING, "augment": False, "lambda_cls": 10.0, "lambda_cls_gp": 20.0}
STEADY = {**GENTLE, "final_cls": 1.0}


@dataclass(frozen=True)
class Trial:
    """One row.

    Attributes:
        hypothesis: What it was tried for.
        changes: Of the recipe `official`.
    """

    hypothesis: str
    changes: Mapping[str, Any] = field(default_factory=lambda: BASE)


TRIALS: dict[str, Trial] = {
    "official": Trial("the opponent", {}),
    "base": Trial("ten times the rate, falling to 0, half the batch, one update of D for one of G: learns in time"),
    # What is learned by
    "critic2": Trial("two updates of D for one of G: a better judge", {**BASE, "n_critic": 2}),
    "rate2": Trial("twice the learning rate", {**BASE, "lr": 2e-3}),
    "rate.5": Trial("half the learning rate", {**BASE, "lr": 5e-4}),
    "batch16": Trial("batch 16: steadier gradients, half as many", {**BASE, "batch_size": 16}),
    "beta0": Trial("no momentum, as newer GANs", {**BASE, "beta1": 0.0}),
    "mean": Trial("a running mean of G's weights (EMA) is steadier than the last ones", {**BASE, "ema": 0.999}),
    "fp32": Trial("full precision, where auto means bf16: half as many updates", {**BASE, "precision": "fp32"}),
    # What is asked of it
    "mask": Trial("G repaints only what must change", {**BASE, "attention_mask": True}),
    "mask cls5": Trial("with more weight on the classes it does change", MASK),
    "mask cls5 augmented": Trial("and an augmented D is not fooled by noise", AUGMENTED),
    "mask cls5 resize": Trial("and G cannot draw checkerboards", RESIZE),
    "all": Trial("all three", ALL),
    "all falling": Trial("and later on less is painted", {**ALL, "final_cls": 0.3}),
    "all falling critic2": Trial("by a better judge", FALLING),
    "all gentle": Trial(
        "and classes that a few odd pixels cannot show, asked for with more weight",
        {**FALLING, "lambda_cls": 15.0, "lambda_cls_gp": 15.0},
    ),
    "all gentler": Trial("even fewer can", {**FALLING, "lambda_cls": 15.0, "lambda_cls_gp": 50.0}),
    "resize gentle": Trial("no need of the augmentation then", GENTLE),
    "mask gentle": Trial("nor of resizing", {**GENTLE, "resize_conv": False, "lambda_cls_gp": 10.0}),
    "gentle balanced": Trial("and rare domains asked for as often as others", {**GENTLE, "targets": "balanced"}),
    "gentle steady": Trial("the weight on the classes does not fall", STEADY),
    "gentle strong": Trial("and is twice as large", {**STEADY, "lambda_cls": 20.0}),
    "all hinge": Trial("two updates of D in the time of one", {**ALL, "objective": "hinge", "n_critic": 2}),
    "balanced": Trial("rare domains are asked for as often as others", {**BASE, "targets": "balanced"}),
    "rec5": Trial("half the weight on staying the same", {**BASE, "lambda_rec": 5.0}),
    "rec20": Trial("twice the weight on staying the same", {**BASE, "lambda_rec": 20.0}),
    "cls2": Trial("twice the weight on the classes", {**BASE, "lambda_cls": 2.0}),
    # D
    "hinge": Trial("hinge needs no penalty, so updates cost less", HINGE),
    "lsgan": Trial("least squares are smoother than hinge", {**BASE, "objective": "lsgan"}),
    "augmented": Trial("an augmented D is not fooled by noise", {**BASE, "augment": True}),
    # G
    "resize": Trial("no checkerboards", {**BASE, "resize_conv": True}),
}
SHOWN = ("error", "kept", "kid", "idle_kid", "rec_psnr", "background", "sharpness", "truth_psnr", "idle_psnr")


def start(data: str, out: Path, seed: int) -> tuple[Config, list[str]]:
    """The recipe `official`, small enough for a CPU, and what `stargan evaluate` is told besides."""
    sizes: dict[str, Any] = {
        "width": 16,
        "blocks": 3,
        "seed": seed,
        "device": "cpu",
        "sample_every": 10**6,
        "checkpoint_every": 10**6,
    }
    config = replace(recipe("official"), **sizes)
    if data != "cartoons":
        return replace(config, data=(data,), image_size=(64, 64), d_layers=5), ["--data", data, "--protocol", "celeba"]
    faces = out / "faces"
    if not faces.exists():
        cartoons.write(faces, 1500, size=32)
    config = replace(config, data=(str(faces),), crop=None, image_size=(32, 32), d_layers=4)
    config = replace(config, attributes=cartoons.ATTRIBUTES, exclusive=(",".join(cartoons.EXCLUSIVE),))
    return config, ["--data", "cartoons"]


def main() -> int:
    """Trains what is named and prints the table."""
    parser = measure.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the runs and the report")
    parser.add_argument("--data", default="cartoons", help="cartoons, or a folder in CelebA format")
    parser.add_argument("--trials", nargs="+", choices=list(TRIALS), default=list(TRIALS), metavar="TRIAL")
    parser.add_argument("--seconds", type=measure.above_zero, default=100, help="processor time of each")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--train-only", action="store_true", help="leave the judging to another call")
    parser.add_argument("--limit", type=measure.at_least_one, default=300, help="pictures that are judged")
    options = parser.parse_args()

    for seed in options.seeds:
        config, told = start(options.data, options.out, seed)
        for name in options.trials:
            trial, run = TRIALS[name], options.out / f"{name}-{seed}"
            print(f"{name}, seed {seed}: {trial.hypothesis}", flush=True)
            budget.train(replace(config, **trial.changes), options.seconds, run)
    if options.train_only:
        return 0
    runs = [options.out / f"{name}-{seed}" for seed in options.seeds for name in options.trials]
    report = options.out / "report"
    asked = [*map(str, runs), *told, "--out", str(report), "--limit", str(options.limit), "--overwrite"]
    code = cli.main(["evaluate", *asked])
    if not code:
        found = json.loads((report / "report.json").read_text(encoding="utf-8"))
        table(found, options.trials, options.seeds, options.out)
    return code


def table(report: dict[str, Any], trials: list[str], seeds: list[int], out: Path) -> None:
    """Prints means over the seeds."""
    models = {name: model["figures"]["all"] for name, model in report["models"].items()}
    first = next(iter(models.values()))
    shown = [name for name in SHOWN if name in first]
    print("| trial | updates | " + " | ".join(shown) + " |", "|" + "---|" * (2 + len(shown)), sep="\n")
    for name in trials:
        rows = [models[f"{name}-{seed}"] for seed in seeds]
        steps = [run_folder.saved_config(out / f"{name}-{seed}").steps for seed in seeds]
        cells = [f"{np.mean([row[metric]['value'] for row in rows]):.3g}" for metric in shown]
        print(f"| {name} | {round(np.mean(steps))} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(measure.command(main))
