"""One StarGAN for k domains against a CycleGAN for each pair of them, on drawn faces whose true translations are known.

    python benchmarks/contrast.py /tmp/contrast --domains 4 --steps 600 --plot contrast.png

The domains are hair colours, with eight domains also glasses. All methods get the same images, width and image size.
StarGAN trains for `--steps` updates. Each CycleGAN gets the processor time of the StarGAN, and in another row a share
of it, so that all CycleGANs together take as long as the one StarGAN. `--pix2pix` adds a pix2pix for each ordered pair,
trained on the same faces drawn in both domains: what the others could reach with paired images. Finished runs are kept.

PSNR: of the translations, to the true ones. error: the share of the translations that are nearer to the true image of
another domain than to that of the requested one. KID: between translations and true images of the same domain, in the
features of EfficientNet-lite0, if it is installed. Intervals are 95 %, over faces; they do not contain the spread
between trainings. parameters and disk: of all generators, and of all generators and discriminators.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import Parser, at_least_one, command
from PIL import Image

import stargan
from stargan import engine as engines
from stargan import images, training
from stargan.config import Config, recipes
from stargan.config.training import Direction
from stargan.data import cartoons, configured
from stargan.evaluation import distances, features, intervals, metrics
from stargan.inference.translator import Translator
from stargan.model import run_folder
from stargan.model.figure import Figure
from stargan.progress import Progress

SIZE = 32
TRAIN_SEED, TEST_SEED = 11, 12
WARM_UPS, TIMED = 2, 5


@dataclass
class Row:
    """A line of the table: its models by the domains that they translate between, in order, and what they took."""

    name: str
    models: dict[tuple[str, ...], Translator] = field(default_factory=dict)
    seconds: float = 0.0
    parameters: int = 0
    with_d: int = 0

    def translator(self, source: str, target: str) -> Translator:
        return next(self.models[key] for key in ((source, target), (target, source), ()) if key in self.models)


def domains_of(count: int) -> dict[str, dict[str, int]]:
    """The labels of a drawn face that each domain fixes."""
    hair = {name: {other: int(other == name) for other in cartoons.EXCLUSIVE} for name in cartoons.EXCLUSIVE}
    if count <= len(hair):
        return dict(itertools.islice(hair.items(), count))
    both = [(f"{name}-{word}", {**on, "Eyeglasses": state}) for name, on in hair.items() for state, word in
            enumerate(("plain", "glasses"))]  # fmt: skip
    return dict(both[:count])


def drawn(index: int, seed: int, fixed: dict[str, int]) -> Image.Image:
    face, labels = cartoons.sample(seed, index)
    changed = dict(zip(cartoons.ATTRIBUTES, labels.tolist(), strict=True)) | fixed
    return cartoons.draw(face, changed, SIZE)


def draw(folder: Path, domains: dict[str, dict[str, int]], count: int) -> Path:
    """Draws a folder for each domain, no face twice, and for each pair of domains a folder with links to both."""
    if folder.exists():
        return folder / "all"
    with Progress("draw", count * len(domains), "faces") as progress:
        for place, (name, fixed) in enumerate(domains.items()):
            (folder / "all" / name).mkdir(parents=True)
            for index in range(count):
                path = folder / "all" / name / f"{place * count + index:05}.png"
                drawn(place * count + index, TRAIN_SEED, fixed).save(path)
                progress.update(place * count + index + 1)
    for pair in itertools.combinations(domains, 2):
        for name in pair:
            (folder / "-and-".join(pair) / name).mkdir(parents=True)
            for path in (folder / "all" / name).iterdir():
                os.link(path, folder / "-and-".join(pair) / name / path.name)
    return folder / "all"


def settings(method: str, data: Path, width: int, steps: int) -> Config:
    """The settings of `stargan demo`, and those of the papers with as many images in a batch.

    The paper's reconstruction weight replaces that of the demo, with which G would remain the identity in short runs.
    """
    common: dict[str, Any] = {
        "data": (str(data),),
        "width": width,
        "blocks": 3,
        "image_size": (SIZE, SIZE),
        "steps": steps,
    }
    quiet: dict[str, Any] = {"sample_every": 10**6, "checkpoint_every": 10**6, "device": "cpu", "precision": "fp32"}
    if method == "stargan":
        return replace(recipes.recipe("demo"), **common, **quiet, lambda_rec=10.0)
    if method == "pix2pix":
        unet = common | {"blocks": 5, "batch_size": 8, "lr": 1e-3, "d_layers": 2, "ema": 0.99}
        return replace(recipes.recipe("pix2pix"), **unet, **quiet)
    return replace(recipes.recipe("cyclegan"), **common, **quiet, batch_size=4, lr=1e-3, d_layers=2, ema=0.99)


def step_seconds(config: Config) -> float:
    """Processor time of one step, the median of a few."""
    _, domains = configured.find(config)
    engine = engines.create(config, domains)
    rng = np.random.default_rng(0)
    half = config.batch_size // (2 if config.method == "stargan" else 1)
    pixels = rng.integers(0, 256, (2 * half, SIZE, SIZE, 3), np.uint8)
    labels = np.repeat(np.eye(2, domains.num_classes, dtype=np.float32), half, axis=0)
    took = []
    for step in range(WARM_UPS + TIMED):
        began = time.process_time()
        engine.d_step(pixels, labels, labels[::-1].copy(), 0, step=step, lr=config.lr)
        engine.g_step(pixels, labels, labels[::-1].copy(), 0, step=step, lr=config.lr)
        took.append(time.process_time() - began)
    return float(np.median(took[WARM_UPS:]))


def trained(row: Row, pair: tuple[str, ...], config: Config, run: Path) -> None:
    """Trains a run unless it is finished, and adds it to a row."""
    note = run / "seconds.json"
    if not note.exists():
        began = time.process_time()
        training.train(config, run, say=lambda line: None)
        note.write_text(json.dumps(time.process_time() - began))
    row.models[pair] = stargan.load(run_folder.checkpoints(run)[-1])
    engine = engines.create(config, row.models[pair].domains)
    row.seconds += json.loads(note.read_text())
    row.parameters += engine.num_parameters["generator"]
    row.with_d += engine.num_parameters["generator"] + engine.num_parameters["discriminator"]


def rows_of(
    out: Path, names: Sequence[str], data: Path, width: int, steps: int, of_cyclegan: int | None
) -> Iterator[Row]:
    """Trains the models of each row."""
    star = settings("stargan", data, width, steps)
    one = Row("StarGAN")
    trained(one, (), star, out / "stargan")
    yield one
    pairs = list(itertools.combinations(names, 2))
    first = settings("cyclegan", data.parent / "-and-".join(pairs[0]), width, steps)
    equal = of_cyclegan or max(1, round(steps * step_seconds(star) / step_seconds(first)))
    for name, many in (("equal together", max(1, equal // len(pairs))), ("equal each", equal)):
        row = Row(f"CycleGAN, {name} ({many} steps)")
        for pair in pairs:
            joined = "-and-".join(pair)
            config = settings("cyclegan", data.parent / joined, width, many)
            trained(row, pair, config, out / f"cyclegan-{many}-{joined}")
        yield row


def pix2pix(out: Path, domains: dict[str, dict[str, int]], images_each: int, width: int, seconds: float) -> Row:
    """Trains a pix2pix for each ordered pair, all together for some seconds of processor time."""
    ordered = list(itertools.permutations(domains, 2))
    folders = {pair: out / "paired" / "-to-".join(pair) for pair in ordered}
    for (source, target), folder in folders.items():
        for name in (source, target) if not folder.exists() else ():
            (folder / name).mkdir(parents=True)
            for index in range(images_each):
                face = list(domains).index(source) * images_each + index
                drawn(face, TRAIN_SEED, domains[name]).save(folder / name / f"{index:05}.png")

    def config(pair: tuple[str, str], steps: int) -> Config:
        direction: Direction = "AtoB" if pair[0] < pair[1] else "BtoA"
        return replace(settings("pix2pix", folders[pair], width, steps), direction=direction)

    steps = max(1, round(seconds / len(ordered) / step_seconds(config(ordered[0], 1))))
    row = Row(f"pix2pix, equal together ({steps} steps)")
    for pair in ordered:
        trained(row, pair, config(pair, steps), out / f"pix2pix-{steps}-{'-to-'.join(pair)}")
    return row


def measure(row: Row, domains: dict[str, dict[str, int]], count: int) -> dict[str, Any]:
    """Translates drawn faces from every domain to every other one, and compares with the true images."""
    truths = {
        name: images.to_array([drawn(i, TEST_SEED, fixed) for i in range(count)]) for name, fixed in domains.items()
    }
    with_kid = features.installed()
    true_features = {name: features.pooled(truth) for name, truth in truths.items() if with_kid}
    psnr, wrong, kids = [], [], []
    for source, target in itertools.permutations(domains, 2):
        made = translated(row.translator(source, target), truths[source], target)
        psnr.append(metrics.psnr(made, truths[target]))
        distance = np.stack([np.square(made - truth).mean((1, 2, 3)) for truth in truths.values()])
        wrong.append(distance.argmin(0) != list(domains).index(target))
        if with_kid:
            kids.append(distances.kid(features.pooled(made), true_features[target]))
    faces = np.tile(np.arange(count), len(psnr))
    return {
        "method": row.name,
        "models": len(row.models),
        "parameters of G": f"{row.parameters / 1e6:.2f} M",
        "disk": f"{4 * row.with_d / 1e6:.1f} MB",
        "processor time": f"{row.seconds:.0f} s",
        "PSNR": text(intervals.mean(np.concatenate(psnr), faces, 0), "{:.2f}"),
        "error": text(intervals.mean(np.concatenate(wrong).astype(float), faces, 0, intervals.SHARE), "{:.1%}"),
        "KID": f"{np.mean(kids):.3f}" if kids else "-",
    }


def translated(model: Translator, source: np.ndarray, target: str) -> np.ndarray:
    values = np.zeros((len(source), model.domains.num_classes), np.float32)
    values[:, model.domains.names.index(target)] = 1
    return model.generate(source, model.domains.labels(values, 0))


def text(figure: Figure, form: str) -> str:
    return f"{form.format(figure.value)} [{form.format(figure.low)}, {form.format(figure.high)}]"


def untouched(domains: dict[str, dict[str, int]], count: int) -> str:
    truths = [images.to_array([drawn(i, TEST_SEED, fixed) for i in range(count)]) for fixed in domains.values()]
    psnr = [metrics.psnr(first, second) for first, second in itertools.permutations(truths, 2)]
    return text(intervals.mean(np.concatenate(psnr), np.tile(np.arange(count), len(psnr)), 0), "{:.2f}")


def picture(rows: Sequence[Row], domains: dict[str, dict[str, int]], path: Path) -> None:
    """Two faces: the true images of all domains, and below them the translations of each row, from the first domain."""
    first, titles, cells = next(iter(domains)), ["", *domains], []
    for index in (0, 1):
        truths = {name: images.to_array([drawn(index, TEST_SEED, fixed)]) for name, fixed in domains.items()}
        cells += [np.ones_like(truths[first]), *truths.values()]
        for row in rows:
            cells.append(truths[first])
            cells += [truths[first] if name == first else translated(row.translator(first, name), truths[first], name)
                      for name in domains]  # fmt: skip
    pixels = images.to_pixels(np.concatenate(cells)).repeat(3, axis=1).repeat(3, axis=2)
    images.grid(pixels, len(titles), titles=titles).save(path)


def main() -> int:
    """Trains, measures and prints the table."""
    parser = Parser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the data and the runs; finished runs are kept")
    parser.add_argument("--domains", type=int, default=4, choices=range(3, 9), help="k")
    parser.add_argument("--images", type=at_least_one, default=300, help="training images of each domain")
    parser.add_argument("--steps", type=at_least_one, default=600, help="updates of StarGAN")
    parser.add_argument(
        "--cyclegan-steps", type=at_least_one, help="updates of each CycleGAN; by default, a few are timed"
    )
    parser.add_argument("--width", type=at_least_one, default=16)
    parser.add_argument("--faces", type=at_least_one, default=60, help="test faces")
    parser.add_argument("--pix2pix", action="store_true", help="also train pix2pix on pairs")
    parser.add_argument("--plot", type=Path, help="the picture to write")
    options = parser.parse_args()
    domains = domains_of(options.domains)
    data = draw(options.out / f"data-{options.domains}", domains, options.images)
    runs = options.out / f"runs-{options.domains}"
    rows = list(rows_of(runs, list(domains), data, options.width, options.steps, options.cyclegan_steps))
    if options.pix2pix:
        rows.append(pix2pix(runs, domains, options.images, options.width, rows[0].seconds))
    table = [measure(row, domains, options.faces) for row in rows]
    (options.out / f"contrast-{options.domains}.json").write_text(json.dumps(table, indent=1))
    heads = list(table[0])
    print("| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), sep="\n")
    for line in table:
        print("| " + " | ".join(map(str, line.values())) + " |")
    print(f"untouched images: PSNR {untouched(domains, options.faces)}")
    if options.plot:
        picture(rows, domains, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
