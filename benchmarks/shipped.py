"""Makes a shipped model from a training run: evaluates it, then writes its file and its card.

Writes src/stargan/model/shipped/NAME.onnx with float16 weights and the card, and the same card as docs/models/NAME.md.
Give NAME instead of a run to evaluate the shipped file again. The report goes to --out and replaces an existing one.
docs/models.md describes how the runs were trained.
"""

import argparse
import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import measure

from stargan import cli
from stargan.model import locations
from stargan.storage import write_bytes

CLASSIFIERS = 5  # more than the default of `stargan evaluate`, for narrower intervals
CARDS = Path(__file__).parent.parent / "docs" / "models"


@dataclass(frozen=True)
class Shipped:
    """A model's entries besides its figures.

    Attributes:
        data: The data it is evaluated on by default.
        groups: Labels of groups of people whose figures are compared.
        licence: Licence of the training data.
        limits: What it should not be used for.
    """

    data: str | None
    groups: tuple[str, ...]
    licence: str
    limits: str


MODELS = {
    "celeba": Shipped(
        data=None,
        groups=("Male", "Young", "Pale_Skin"),
        licence="CelebA: non-commercial research",
        limits=(
            "Made for small images of aligned, frontal faces of celebrities, most of them young and light-skinned; "
            "it does worse with other faces, poses and crops. Its labels are what annotators saw; it cannot "
            "determine anybody's gender, age or natural hair colour, and must not be used for that, nor to depict "
            "people as what they are not without their consent."
        ),
    ),
    "cartoons": Shipped(
        data="cartoons",
        groups=(),
        licence="MIT: the faces are drawn by stargan",
        limits="Faces drawn by `stargan cartoons` only; to show what training does.",
    ),
}


def main() -> int:
    """Evaluates, exports and writes the card; returns the exit code of the first command that fails."""
    parser = measure.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=list(MODELS))
    parser.add_argument("run", type=Path, help="run folder, or NAME for the shipped file")
    parser.add_argument("--data", help="as for stargan train; its test images are used")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--limit", type=measure.at_least_one, default=500, help="maximum number of images")
    parser.add_argument("--skip", type=int, default=0, help="number of images to leave out first")
    options = parser.parse_args()

    model = MODELS[options.name]
    data = options.data or model.data
    if data is None:
        parser.error(f"{options.name} needs --data")
    groups = ["--groups", *model.groups] if model.groups else []
    arguments = ["--data", data, "--limit", str(options.limit), "--skip", str(options.skip), *groups]
    arguments += ["--classifiers", str(CLASSIFIERS), "--out", str(options.out), "--overwrite"]
    if code := cli.main(["evaluate", str(options.run), *arguments]):
        return code
    report = options.out / "report.json"
    words = ["--report", str(report), "--licence", model.licence, "--limits", model.limits]
    path = locations.SHIPPED / f"{options.name}.onnx"
    half = [] if locations.locate(options.run).suffix == ".onnx" else ["--half"]
    if code := cli.main(["export", str(options.run), str(path), *half, *words, "--overwrite"]):
        return code
    card = io.StringIO()
    with contextlib.redirect_stdout(card):
        code = cli.main(["card", options.name])
    write_bytes(CARDS / f"{options.name}.md", card.getvalue().encode())
    return code


if __name__ == "__main__":
    sys.exit(measure.command(main))
