"""Makes a shipped model from a training run: evaluates it, then writes its file and its card.

Writes src/stargan/model/shipped/NAME.onnx with float16 weights and the card, and the same card as docs/models/NAME.md.
Give NAME instead of a run to evaluate the shipped file again. The report goes to --out and replaces an existing one.
docs/models.md describes how the runs were trained.

With --calibrate it only measures the temperatures of the shipped file's attribute classifier, on images that the model
was not trained on, and writes them into the file, together with the synonyms of its labels.
"""

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import measure
import numpy as np

from stargan import cli
from stargan.domains import calibration
from stargan.evaluation import evaluation_set
from stargan.images import to_array
from stargan.inference import onnx
from stargan.model import locations, onnx_file
from stargan.model.info import ModelInfo
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
            "Trained on frontal photos of celebrities, most of them young and light-skinned; it does worse with other "
            "faces and poses. Black, blond and brown hair, smiles and glasses come out best; gray hair is patchy on "
            "many women and ages their faces, and the glasses that women get are mostly sunglasses. Its labels are "
            "what annotators saw; it cannot determine anybody's gender, age or natural hair colour, and must not be "
            "used for that, nor to depict people as what they are not without their consent."
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
    parser.add_argument("run", type=Path, nargs="?", help="run folder, or NAME for the shipped file")
    parser.add_argument("--data", help="as for stargan train; its test images are used")
    parser.add_argument("--out", type=Path, help="folder for the report")
    parser.add_argument("--limit", type=measure.at_least_one, default=500, help="maximum number of images")
    parser.add_argument("--skip", type=int, default=0, help="number of images to leave out first")
    parser.add_argument("--classifiers", type=measure.at_least_one, default=CLASSIFIERS)
    parser.add_argument("--calibrate", action="store_true", help="only measure temperatures, with validation images")
    options = parser.parse_args()

    model = MODELS[options.name]
    data = options.data or model.data
    if data is None:
        parser.error(f"{options.name} needs --data")
    if options.calibrate:
        calibrate(locations.SHIPPED / f"{options.name}.onnx", data, options.limit)
        return write_card(options.name)
    if not options.run or not options.out:
        parser.error("needs a run and --out, or --calibrate")
    groups = ["--groups", *model.groups] if model.groups else []
    arguments = ["--data", data, "--limit", str(options.limit), "--skip", str(options.skip), *groups]
    arguments += ["--classifiers", str(options.classifiers), "--out", str(options.out), "--overwrite"]
    if code := cli.main(["evaluate", str(options.run), *arguments]):
        return code
    report = options.out / "report.json"
    words = ["--report", str(report), "--licence", model.licence, "--limits", model.limits]
    path = locations.SHIPPED / f"{options.name}.onnx"
    half = [] if locations.locate(options.run).suffix == ".onnx" else ["--half"]
    if code := cli.main(["export", str(options.run), str(path), *half, *words, "--overwrite"]):
        return code
    return write_card(options.name)


def write_card(name: str) -> int:
    """Writes the page of a model's card; returns the exit code of `stargan card`."""
    card = io.StringIO()
    with contextlib.redirect_stdout(card):
        code = cli.main(["card", name])
    write_bytes(CARDS / f"{name}.md", card.getvalue().encode())
    return code


def calibrate(path: Path, data: str, limit: int) -> ModelInfo:
    """Measures the temperatures of a model file, prints how they change its estimates, and writes them into the file.

    For the printed figures, each half of the images gets the temperatures that fit the other half.

    Args:
        path: The .onnx file.
        data: As for `stargan train`; its validation images are used. Or `cartoons`.
        limit: Maximum number of images.

    Returns:
        The new description.
    """
    file = onnx_file.read(path)
    info, backend = file.info, onnx.OnnxBackend(file)
    split = None if data == evaluation_set.CARTOONS else "val"
    images = evaluation_set.load(data, info, split=split, limit=limit, seed=0)
    logits = np.concatenate([backend.classify(to_array(part)) for part in batched(images.source_images)])
    values, datasets = images.source_values, np.full(len(logits), images.datasets[0])
    found = calibration.temperatures(info.domains, logits, values, datasets)
    scaled = logits.copy()
    for half in (np.arange(len(logits)) % 2 == 0, np.arange(len(logits)) % 2 == 1):
        scaled[~half] /= calibration.temperatures(info.domains, logits[half], values[half], datasets[half])
    rows = [
        calibration.reliability(info.domains, info.domains.probabilities(part), values, datasets)
        for part in (logits, scaled)
    ]
    print(f"{len(logits)} images; temperatures {found}")
    for before, after in zip(*rows, strict=True):
        print(f"{before.name}: {before.accuracy:.1%} right")
        for when, row in (("before", before), ("after", after)):
            certain = f"{row.certain:.1%} are certain, {row.certain_accuracy:.1%} of these right"
            print(f"  {when:6} calibration error {row.error:.3f}; {certain}")
    return onnx_file.describe(path, path, lambda old: replace(old, temperatures=found))


def batched(pixels: np.ndarray, size: int = 32) -> Iterator[np.ndarray]:
    """Splits images into batches."""
    return (pixels[start : start + size] for start in range(0, len(pixels), size))


if __name__ == "__main__":
    sys.exit(measure.command(main))
