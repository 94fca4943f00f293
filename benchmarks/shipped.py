"""Makes a model that comes with stargan out of a trained run: measures it, writes the file and its card.

In the place of a run it takes the file that comes along (its name again), to measure that anew. Writes
src/stargan/models/NAME.onnx, with weights in float16 and the card inside, and docs/models/NAME.md, the same card to
read. The report, with pictures, goes to --out, in the place of one that is there. docs/models.md says how the runs
were trained.
"""

import argparse
import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import measure

from stargan import cli
from stargan.model import locations, safetensors_file

JUDGES = 5  # more than `stargan evaluate` takes by itself, for narrower intervals
CARDS = Path(__file__).parent.parent / "docs" / "models"


@dataclass(frozen=True)
class Shipped:
    """What is said about a model besides its figures.

    Attributes:
        data: What it is measured on, where nothing else is said.
        groups: Labels by which it is measured whether it serves everybody alike.
        licence: Of the data it was trained on.
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
            "Made for small pictures of aligned, frontal faces of celebrities, most of them young and light-skinned; "
            "it does worse with other faces, poses and crops. Its labels are what annotators saw; it knows nobody's "
            "gender, age or natural hair colour, and must not be used to tell them, nor to show people as what they "
            "are not without their consent."
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
    """Measures, exports, writes the card; the exit code is that of the command that failed, if one did."""
    parser = measure.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=list(MODELS))
    parser.add_argument("run", type=Path, help="the run folder, or NAME again")
    parser.add_argument("--data", help="as for stargan train; held-out pictures of it are used")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--limit", type=measure.at_least_one, default=500, help="pictures that it is measured on")
    parser.add_argument("--skip", type=int, default=0, help="pictures that are passed over first")
    options = parser.parse_args()

    said = MODELS[options.name]
    data = options.data or said.data
    if data is None:
        parser.error(f"{options.name} needs --data")
    groups = ["--groups", *said.groups] if said.groups else []
    asked = ["--data", data, "--limit", str(options.limit), "--skip", str(options.skip), *groups]
    asked += ["--judges", str(JUDGES), "--out", str(options.out), "--overwrite"]
    if code := cli.main(["evaluate", str(options.run), *asked]):
        return code
    report = options.out / "report.json"
    words = ["--report", str(report), "--licence", said.licence, "--limits", said.limits]
    model = locations.SHIPPED / f"{options.name}.onnx"
    half = [] if locations.locate(options.run).suffix == ".onnx" else ["--half"]
    if code := cli.main(["export", str(options.run), str(model), *half, *words, "--overwrite"]):
        return code
    card = io.StringIO()
    with contextlib.redirect_stdout(card):
        code = cli.main(["card", options.name])
    safetensors_file.write_bytes(CARDS / f"{options.name}.md", card.getvalue().encode())
    return code


if __name__ == "__main__":
    sys.exit(measure.command(main))
