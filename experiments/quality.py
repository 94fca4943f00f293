"""The official algorithm against ours: the same data, seed, networks and training time, compared by `stargan evaluate`.

Both recipes train for as many updates as fit the same budget: processor time of one thread, or time on a GPU. Finished
runs are not repeated and interrupted ones are resumed, so several calls may share the work. Then both are evaluated on
images that neither was trained on.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import budget
from options import Parser, above_zero, at_least_one, command

from stargan import cli
from stargan.config.architecture import parse_size
from stargan.config.recipes import recipe
from stargan.model import run_folder

RECIPES = ("official", "modern")
GOALS = {"error": 0.5, "kid": 0.6}  # maximum ratio of ours to the official
METRICS = (
    "error", "real_error", "kept", "real_kept", "kid", "baseline_kid", "real_kid", "rec_psnr", "rec_perceptual",
    "identity", "other_person", "background", "sharpness",
)  # fmt: skip


def main() -> int:
    """Trains the runs that are not finished, evaluates them and prints the table."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the runs and the report")
    parser.add_argument("--data", required=True, help="as for stargan train")
    parser.add_argument("--minutes", type=above_zero, default=60, help="training time of each, see above")
    parser.add_argument("--recipes", nargs="+", default=RECIPES, choices=RECIPES, help="train only these")
    parser.add_argument("--image-size", type=parse_size, default=(64, 64))
    parser.add_argument("--width", type=int, default=32, help="channels of the first layers")
    parser.add_argument("--d-layers", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=at_least_one, default=300, help="maximum number of test images")
    parser.add_argument("--skip", type=int, default=0, help="number of test images to leave out first")
    parser.add_argument("--protocol", default="celeba")
    parser.add_argument("--train-only", action="store_true", help="do not evaluate")
    options = parser.parse_args()

    sizes = {name: getattr(options, name) for name in ("image_size", "width", "d_layers", "device", "seed")}
    runs = {name: options.out / name for name in RECIPES}
    same = {name: getattr(recipe("official"), name) for name in ("attributes", "exclusive", "crop")}
    for name in options.recipes:
        config = replace(recipe(name), data=(options.data,), **same, **sizes)
        budget.train(config, 60 * options.minutes, runs[name])
    if options.train_only:
        return 0
    report = options.out / "report"
    arguments = ["--data", options.data, "--protocol", options.protocol]
    arguments += ["--limit", str(options.limit), "--skip", str(options.skip)]
    code = cli.main(["evaluate", *map(str, runs.values()), *arguments, "--out", str(report), "--overwrite"])
    if not code:
        table(json.loads((report / "report.json").read_text(encoding="utf-8")), runs)
    return code


def table(report: dict[str, Any], runs: dict[str, Path]) -> None:
    """Prints both, the ratio of ours to the official, and the difference with its interval."""
    theirs, ours = (report["models"][name]["figures"]["all"] for name in RECIPES)
    differences = report["difference_to_first"]["modern"]
    print(f"| figure | {' | '.join(RECIPES)} | ratio | difference, 95 % interval |", "|" + "---|" * 5, sep="\n")
    for name in (name for name in METRICS if name in theirs and name in ours):
        left, right = theirs[name]["value"], ours[name]["value"]
        inner = "{value:.3g} ({low:.3g} to {high:.3g})".format(**differences[name]) if name in differences else "-"
        goal = f" (goal: {GOALS[name]})" if name in GOALS else ""
        print(f"| {name} | {left:.3g} | {right:.3g} | {right / left:.2f}{goal} | {inner} |")
    for name, run in runs.items():
        print(f"{name}: {run_folder.saved_config(run).steps} updates of D")


if __name__ == "__main__":
    sys.exit(command(main))
