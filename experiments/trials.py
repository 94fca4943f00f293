"""Which changes make a better recipe? One change at a time, at equal compute, compared by `stargan evaluate`.

All trials have the same data, seed and network widths. The cost of an update is measured first, in processor time of
one thread, and each trial gets as many updates as fit --seconds; its learning rate schedule ends there. Finished runs
are not repeated, so an interrupted call can be continued, and several calls may share a folder.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import budget
import edit_variants
import numpy as np
from options import Parser, above_zero, at_least_one, command

from stargan import cli
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data import cartoons
from stargan.model import run_folder

# The official settings adapted to a short training; the base of the single changes.
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
    """One trial.

    Attributes:
        hypothesis: The expected effect.
        changes: Changes of the recipe.
        recipe: The recipe to change; `official` is made small enough for a CPU first.
        updates: Other updates for the recipe `edit`, one of `edit_variants.VARIANTS`.
    """

    hypothesis: str
    changes: Mapping[str, Any] = field(default_factory=lambda: BASE)
    recipe: str = "official"
    updates: str = ""


TRIALS: dict[str, Trial] = {
    "official": Trial("the reference", {}),
    "base": Trial("ten times the rate, falling to 0, half the batch, n_critic 1: learns in a short time"),
    # optimization
    "critic2": Trial("two updates of D for one of G: a better D", {**BASE, "n_critic": 2}),
    "rate2": Trial("twice the learning rate", {**BASE, "lr": 2e-3}),
    "rate.5": Trial("half the learning rate", {**BASE, "lr": 5e-4}),
    "batch16": Trial("batch 16: less noisy gradients, half as many updates", {**BASE, "batch_size": 16}),
    "beta0": Trial("no momentum, as in newer GANs", {**BASE, "beta1": 0.0}),
    "ema": Trial("EMA of G's weights: less noise than the last weights", {**BASE, "ema": 0.999}),
    "fp32": Trial("fp32 where auto means bf16: half as many updates", {**BASE, "precision": "fp32"}),
    # losses and networks
    "mask": Trial("attention mask: G changes only what must change", {**BASE, "attention_mask": True}),
    "mask cls5": Trial("and more weight on the classes, so that it does change it", MASK),
    "mask cls5 augmented": Trial("and augmentation, so that noise does not fool D", AUGMENTED),
    "mask cls5 resize": Trial("and resize convolutions: no checkerboards", RESIZE),
    "all": Trial("all three", ALL),
    "all falling": Trial("and less weight on the classes towards the end", {**ALL, "final_cls": 0.3}),
    "all falling critic2": Trial("and two updates of D for one of G", FALLING),
    "all gentle": Trial(
        "and a gradient penalty on D's classification, with more weight on the classes",
        {**FALLING, "lambda_cls": 15.0, "lambda_cls_gp": 15.0},
    ),
    "all gentler": Trial("a larger gradient penalty", {**FALLING, "lambda_cls": 15.0, "lambda_cls_gp": 50.0}),
    "resize gentle": Trial("without augmentation", GENTLE),
    "mask gentle": Trial("without resize convolutions", {**GENTLE, "resize_conv": False, "lambda_cls_gp": 10.0}),
    "gentle balanced": Trial("and rare domains requested as often as others", {**GENTLE, "targets": "balanced"}),
    "gentle steady": Trial("constant weight on the classes", STEADY),
    "gentle strong": Trial("twice as large", {**STEADY, "lambda_cls": 20.0}),
    "all hinge": Trial("hinge loss: two updates of D in the time of one", {**ALL, "objective": "hinge", "n_critic": 2}),
    "balanced": Trial("rare domains requested as often as others", {**BASE, "targets": "balanced"}),
    "rec5": Trial("half the weight on reconstruction", {**BASE, "lambda_rec": 5.0}),
    "rec20": Trial("twice the weight on reconstruction", {**BASE, "lambda_rec": 20.0}),
    "cls2": Trial("twice the weight on the classes", {**BASE, "lambda_cls": 2.0}),
    # discriminator
    "hinge": Trial("hinge loss needs no gradient penalty, so updates cost less", HINGE),
    "lsgan": Trial("least squares: smoother than hinge", {**BASE, "objective": "lsgan"}),
    "augmented": Trial("augmentation, so that noise does not fool D", {**BASE, "augment": True}),
    # generator
    "resize": Trial("no checkerboards", {**BASE, "resize_conv": True}),
    # the recipe edit
    "edit": Trial("the edit generator and a D that looks through a pretrained network", {}, "edit"),
    "edit modern": Trial(
        "the edit generator with the D and the losses of modern",
        {"generator": "edit", "attention_mask": False, "resize_conv": False},
        "modern",
    ),
    "edit change0": Trial("no price on change: larger changes", {"lambda_change": 0.0}, "edit"),
    "edit change.2": Trial("a lower price on change", {"lambda_change": 0.2}, "edit"),
    "edit cls.45": Trial("half the weight on the classes: closer to the photo", {"lambda_cls": 0.45}, "edit"),
    "edit cls1.8": Trial("twice the weight on the classes: larger changes", {"lambda_cls": 1.8}, "edit"),
    "edit even": Trial("rare labels no more often than they are", {"rare": 0.0}, "edit"),
    "edit plain": Trial("no details at full size: cheaper updates", {"details": 0}, "edit"),
    "edit narrow": Trial("half the channels: cheaper updates, so more of them", {"width": 32}, "edit"),
    "edit short": Trial("one residual block instead of three", {"blocks": 1}, "edit"),
    "edit small": Trial("both: half the channels and one block", {"width": 32, "blocks": 1}, "edit"),
    "edit batch16": Trial("batch 16: half as many updates", {"batch_size": 16}, "edit"),
    "edit rate2": Trial("twice the learning rate", {"lr": 8e-4}, "edit"),
    "edit fp32": Trial("fp32 instead of bf16", {"precision": "fp32"}, "edit"),
    "edit cycle": Trial("translations are translated back", {"lambda_rec": 2.0}, "edit", "cycle"),
    "edit paired": Trial("relativistic pairs, R1 and R2", {}, "edit", "paired"),
    "edit teacher": Trial("G learns from an EMA of D", {}, "edit", "teacher"),
}
SMALL = [name for name, trial in TRIALS.items() if trial.recipe == "official"]  # the others need 64 pixels
METRICS = (
    "error", "kept", "kid", "baseline_kid", "rec_psnr", "identity", "background", "sharpness",
    "truth_psnr", "baseline_psnr",
)  # fmt: skip


def start(data: str, out: Path, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Settings that all trials share, and further options for `stargan evaluate`."""
    shared: dict[str, Any] = {"seed": seed, "device": "cpu", "sample_every": 10**6, "checkpoint_every": 1000}
    if data != "cartoons":
        names = ("attributes", "exclusive", "crop")
        shared |= {"data": (data,), "image_size": (64, 64), "d_layers": 5}
        return shared | {name: getattr(recipe("official"), name) for name in names}, [
            "--data",
            data,
            "--protocol",
            "celeba",
        ]
    faces = out / "faces"
    if not faces.exists():
        cartoons.write(faces, 1500, size=32)
    shared |= {"data": (str(faces),), "crop": None, "image_size": (32, 32), "d_layers": 4}
    shared |= {"attributes": cartoons.ATTRIBUTES, "exclusive": (",".join(cartoons.EXCLUSIVE),)}
    return shared, ["--data", "cartoons"]


def settings(trial: Trial, shared: dict[str, Any]) -> Config:
    """The settings of a trial."""
    sizes = {"width": 16, "blocks": 3} if trial.recipe == "official" else {}
    return replace(recipe(trial.recipe), **{**shared, **sizes, **trial.changes})


def main() -> int:
    """Trains the trials and prints the table."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the runs and the report")
    parser.add_argument("--data", default="cartoons", help="cartoons, or a folder in CelebA format")
    parser.add_argument("--trials", nargs="+", choices=list(TRIALS), default=SMALL, metavar="TRIAL")
    parser.add_argument("--seconds", type=above_zero, default=100, help="processor time of each trial")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--train-only", action="store_true", help="do not evaluate")
    parser.add_argument("--limit", type=at_least_one, default=300, help="maximum number of test images")
    options = parser.parse_args()

    for seed in options.seeds:
        shared, more = start(options.data, options.out, seed)
        for name in options.trials:
            trial, run = TRIALS[name], options.out / f"{name}-{seed}"
            print(f"{name}, seed {seed}: {trial.hypothesis}", flush=True)
            with edit_variants.used(trial.updates):
                budget.train(settings(trial, shared), options.seconds, run)
    if options.train_only:
        return 0
    runs = [options.out / f"{name}-{seed}" for seed in options.seeds for name in options.trials]
    report = options.out / "report"
    arguments = [*map(str, runs), *more, "--out", str(report), "--limit", str(options.limit), "--overwrite"]
    code = cli.main(["evaluate", *arguments])
    if not code:
        found = json.loads((report / "report.json").read_text(encoding="utf-8"))
        table(found, options.trials, options.seeds, options.out)
    return code


def table(report: dict[str, Any], trials: list[str], seeds: list[int], out: Path) -> None:
    """Prints the means over the seeds."""
    models = {name: model["figures"]["all"] for name, model in report["models"].items()}
    first = next(iter(models.values()))
    metrics = [name for name in METRICS if name in first]
    print("| trial | updates | " + " | ".join(metrics) + " |", "|" + "---|" * (2 + len(metrics)), sep="\n")
    for name in trials:
        rows = [models[f"{name}-{seed}"] for seed in seeds]
        steps = [run_folder.saved_config(out / f"{name}-{seed}").steps for seed in seeds]
        cells = [f"{np.mean([row[metric]['value'] for row in rows]):.3g}" for metric in metrics]
        print(f"| {name} | {round(np.mean(steps))} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(command(main))
