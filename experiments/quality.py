"""The official algorithm against ours: the same data, seed and training time, compared by `stargan evaluate`.

All recipes train for as many updates as fit the same budget: processor time of one thread, or time on a GPU. Finished
runs are not repeated and interrupted ones are resumed, so several calls may share the work. Then they are evaluated on
images that none was trained on. The first recipe is the one that the others are compared with.
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
from stargan.config import Config
from stargan.config.architecture import parse_size
from stargan.config.recipes import recipe
from stargan.model import run_folder

RECIPES = ("official", "modern", "edit")
METRICS = (
    "error", "real_error", "kept", "real_kept", "kid", "baseline_kid", "real_kid", "matched_kid",
    "rec_psnr", "rec_perceptual", "identity", "other_person", "background", "sharpness",
)  # fmt: skip


def main() -> int:
    """Trains the runs that are not finished, evaluates them and prints the table."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the runs and the report")
    parser.add_argument("--data", required=True, help="as for stargan train")
    parser.add_argument("--minutes", type=above_zero, default=60, help="training time of each, see above")
    parser.add_argument("--recipes", nargs="+", default=RECIPES[:2], choices=RECIPES, help="the first is compared with")
    parser.add_argument("--image-size", type=parse_size, default=(64, 64))
    parser.add_argument("--width", type=int, default=32, help="channels of the first layers, except of the recipe edit")
    parser.add_argument("--d-layers", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=at_least_one, default=300, help="maximum number of test images")
    parser.add_argument("--skip", type=int, default=0, help="number of test images to leave out first")
    parser.add_argument(
        "--protocol", default="celeba", help="as for stargan evaluate; celeba learns the paper's labels"
    )
    parser.add_argument("--train-only", action="store_true", help="do not evaluate")
    options = parser.parse_args()

    for name in options.recipes:
        budget.train(config(name, options), 60 * options.minutes, options.out / name)
    if options.train_only:
        return 0
    runs = [options.out / name for name in options.recipes]
    report = options.out / "report"
    arguments = ["--data", options.data, "--protocol", options.protocol]
    arguments += ["--limit", str(options.limit), "--skip", str(options.skip)]
    code = cli.main(["evaluate", *map(str, runs), *arguments, "--out", str(report), "--overwrite"])
    if not code:
        found = json.loads((report / "report.json").read_text(encoding="utf-8"))
        for name in options.recipes[1:]:
            table(found, options.recipes[0], name)
        for run in runs:
            print(f"{run.name}: {run_folder.saved_config(run).steps} updates of D")
    return code


def config(name: str, options: argparse.Namespace) -> Config:
    """The settings of a run: those of the recipe, for the same data, size and seed."""
    same: dict[str, Any] = {key: getattr(options, key) for key in ("image_size", "d_layers", "device", "seed")}
    if options.protocol == "celeba":
        same |= {key: getattr(recipe("official"), key) for key in ("attributes", "exclusive", "crop")}
    else:
        same |= {"attributes": (), "exclusive": ()}
    if name != "edit":  # its width counts channels of 32x32 cells, not of pixels
        same["width"] = options.width
    return replace(recipe(name), data=(options.data,), **same)


def table(report: dict[str, Any], reference: str, name: str) -> None:
    """Prints two models, the ratio of the second to the first, and the difference with its interval."""
    theirs, ours = (report["models"][each]["figures"]["all"] for each in (reference, name))
    differences = report["difference_to_first"][name]
    print(f"| figure | {reference} | {name} | ratio | difference, 95 % interval |", "|" + "---|" * 5, sep="\n")
    for key in (key for key in METRICS if key in theirs and key in ours):
        left, right = theirs[key]["value"], ours[key]["value"]
        inner = "{value:.3g} ({low:.3g} to {high:.3g})".format(**differences[key]) if key in differences else "-"
        print(f"| {key} | {left:.3g} | {right:.3g} | {right / left:.2f} | {inner} |")


if __name__ == "__main__":
    sys.exit(command(main))
