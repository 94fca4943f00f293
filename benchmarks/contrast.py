"""One StarGAN for k domains against a CycleGAN for each pair of them, on drawn faces or on CelebA's hair colours.

    python benchmarks/contrast.py OUT --domains 4 --steps 600 --pix2pix --seeds 3 --plot contrast.png
    python benchmarks/contrast.py OUT --domains 8 --pairs 2 --pix2pix
    python benchmarks/contrast.py OUT --data celeba

All methods get the same images, width and image size. StarGAN trains for `--steps` updates. In the rows `equal total`,
the models for all pairs together train for as long as the one StarGAN; in the rows `equal each`, each of them does.
StarGAN's generator has an attention mask; `--paper` adds the paper's, which has none. `--diat` adds a DIAT for both
directions of each pair. `--pix2pix` adds a pix2pix for each ordered pair, trained on the same drawn faces in both
domains: an upper bound, since the others get no pairs. With `--pairs N`, each seed trains and measures N random pairs
of domains only, with the share of the time that each has among all pairs. OUT keeps each trained model and each
measurement, so after Ctrl-C the same command goes on; `--table` prints what there is and trains nothing.

PSNR: to the true translation. error: the share of translations that show another domain than the requested one; of
drawn faces, those that are nearest to the true image of another domain; of photos, those that an evaluation classifier
puts into another domain. kept: the share of the other labels that the classifier finds again. KID: x 1000, to training
images of the requested domain, in the features of EfficientNet-lite0, if it is installed. Intervals are 95 %, from a
bootstrap that draws test images and seeds together. Times are processor time; those of all models follow from those
that are trained.
"""

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from contrast_faces import SIZE, CelebAHair, DrawnFaces, Faces
from measure import Parser, at_least_one, command, machine, table, write_json

import stargan
from stargan import engine as engines
from stargan import images, training
from stargan.config import Config, recipes
from stargan.config.training import Direction
from stargan.data import configured
from stargan.evaluation import distances, features
from stargan.inference.translator import Translator
from stargan.model import run_folder
from stargan.progress import about, counted
from stargan.storage import atomic_write, write_bytes

WARM_UPS, TIMED = 2, 7  # steps
TO_START, TO_MEASURE = 2.0, 3.0  # seconds for each training and each measurement, for the forecast
HALF_SAMPLES, DRAWS = 100, 2000
KID = "KID"
METHODS = {
    "stargan": "StarGAN",
    "paper": "StarGAN without mask",
    "cyclegan": "CycleGAN",
    "diat": "DIAT",
    "pix2pix": "pix2pix",
}

Task = tuple[str, str]
"""The domain of the images to translate, and the requested one."""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: Its name.
        method: A key of `METHODS`; empty for images that no model made.
        models: Number of models for all domains.
        steps: Updates of each.
    """

    name: str
    method: str
    models: int = 0
    steps: int = 0


UNCHANGED, REAL = Row("unchanged images", ""), Row("real images", "")


@dataclass(frozen=True)
class Job:
    """A model to train and to measure, or images to measure.

    Attributes:
        row: The row that it belongs to.
        seed: The seed of its training.
        tasks: What it is measured on.
        folder: Its folder.
        config: The settings of its training; None for images that no model made.
    """

    row: Row
    seed: int
    tasks: tuple[Task, ...]
    folder: Path
    config: Config | None = None

    def note(self) -> dict[str, Any]:
        """What is known of the training: its seconds so far, and at its end the sizes of the networks."""
        path = self.folder / "trained.json"
        return json.loads(path.read_text()) if path.exists() else {"seconds": 0.0}

    def measurement(self, task: Task, faces: Faces) -> Path:
        """The file with the scores of a task."""
        return self.folder / "measured" / f"{task[0]}-to-{task[1]}-{faces.tests}.npz"

    def forecast(self, faces: Faces, step_seconds: dict[str, float]) -> float:
        """Seconds that are still to be spent."""
        left = sum(TO_MEASURE for task in self.tasks if not self.measurement(task, faces).exists())
        if self.config and "parameters" not in self.note():
            left += TO_START + self.config.steps * step_seconds[self.row.method]
        return left


# ---------------------------------------------------------------- plan


def settings(method: str, data: Path, options: argparse.Namespace, steps: int, seed: int = 0) -> Config:
    """The settings of `stargan demo`, and those of the papers with as many images in a batch.

    The paper's reconstruction weight replaces that of the demo, with which G would remain the identity in short runs.

    Args:
        method: A key of `METHODS`.
        data: The training images.
        options: The command line.
        steps: The number of updates.
        seed: The seed.
    """
    common: dict[str, Any] = {
        "data": (str(data),),
        "width": options.width,
        "image_size": (SIZE, SIZE),
        "steps": steps,
        "seed": seed,
        "lr": 1e-3,
        "ema": 0.99,
        "sample_every": 10**6,
        "checkpoint_every": 10**6,
        "device": "cpu",
        "precision": "fp32",
    }
    if method in ("stargan", "paper"):
        return replace(recipes.recipe("demo"), **common, attention_mask=method == "stargan", lambda_rec=10.0)
    if method == "pix2pix":
        return replace(recipes.recipe("pix2pix"), **common, blocks=5, batch_size=8, d_layers=2)
    return replace(recipes.recipe(method), **common, blocks=3, batch_size=4, d_layers=2)


def examples(faces: Faces, options: argparse.Namespace) -> dict[str, Config]:
    """By method, the settings of one model."""
    first, second = faces.names[:2]
    data = {"stargan": faces.training(), "cyclegan": faces.training(first, second)}
    if options.paper:
        data["paper"] = faces.training()
    if options.diat:
        data["diat"] = faces.training(first, second)
    if options.pix2pix:
        data["pix2pix"] = faces.pairs(first, second)
    return {method: settings(method, folder, options, options.steps) for method, folder in data.items()}


def step_seconds(faces: Faces, options: argparse.Namespace) -> dict[str, float]:
    """By method, processor time of one step: the median of a few, in turns. What was measured before is kept."""
    path = faces.folder / f"step-seconds-{options.width}.json"
    known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    configs = examples(faces, options)
    if not set(configs) <= set(known):
        steps = {method: _steps(config) for method, config in configs.items() if method not in known}
        steps["stargan"] = _steps(configs["stargan"])
        took = [{method: next(each) for method, each in steps.items()} for _ in range(WARM_UPS + TIMED)][WARM_UPS:]
        found = {method: float(np.median([seconds[method] for seconds in took])) for method in steps}
        speed = known.get("stargan", found["stargan"]) / found["stargan"]  # the machine may be busier now
        known = {method: speed * seconds for method, seconds in found.items()} | known
        write_bytes(path, json.dumps(known).encode())
    return known


def _steps(config: Config) -> Iterator[float]:
    """Does steps on random images, and yields the processor time of each."""
    _, domains = configured.find(config)
    engine = engines.create(config, domains)
    half = config.batch_size // (2 if config.method == "stargan" else 1)
    pixels = np.random.default_rng(0).integers(0, 256, (2 * half, SIZE, SIZE, 3), np.uint8)
    labels = np.repeat(np.eye(2, domains.num_classes, dtype=np.float32), half, axis=0)
    for step in itertools.count():
        began = time.process_time()
        engine.d_step(pixels, labels, labels[::-1].copy(), 0, step=step, lr=config.lr)
        engine.g_step(pixels, labels, labels[::-1].copy(), 0, step=step, lr=config.lr)
        yield time.process_time() - began


def rows_of(faces: Faces, options: argparse.Namespace, seconds: dict[str, float]) -> list[Row]:
    """The rows of the table."""
    rows, pairs = [], math.comb(len(faces.names), 2)
    for method in (method for method in METHODS if method in examples(faces, options)):
        name, models = METHODS[method], {"pix2pix": 2 * pairs}.get(method, pairs)
        if method in ("stargan", "paper"):
            rows.append(Row(name, method, 1, options.steps))
            continue
        equal = options.steps * seconds["stargan"] / seconds[method]
        rows.append(Row(f"{name}, equal total", method, models, max(1, round(equal / models))))
        rows.append(Row(f"{name}, equal each", method, models, max(1, round(equal))))
    return [*rows, UNCHANGED, REAL]


def plan(faces: Faces, options: argparse.Namespace, rows: Sequence[Row], seed: int) -> Iterator[Job]:
    """All jobs of a seed; the seed chooses the pairs of domains that are measured."""
    pairs = list(itertools.combinations(faces.names, 2))
    chosen = np.random.default_rng(seed).permutation(len(pairs))[: options.pairs]
    pairs = [pairs[index] for index in sorted(chosen)]
    tasks = tuple(task for pair in pairs for task in (pair, pair[::-1]))
    for row in rows:
        folder = faces.folder / f"seed-{seed}" / f"{row.method or row.name.replace(' ', '-')}-{row.steps}"
        if row.method in ("stargan", "paper"):
            yield Job(row, seed, tasks, folder, settings(row.method, faces.training(), options, row.steps, seed))
        elif row.method in ("cyclegan", "diat"):
            for pair in pairs:
                config = settings(row.method, faces.training(*pair), options, row.steps, seed)
                yield Job(row, seed, (pair, pair[::-1]), folder / "-and-".join(pair), config)
        elif row.method == "pix2pix":
            for task in tasks:
                config = settings(row.method, faces.pairs(*task), options, row.steps, seed)
                direction: Direction = "AtoB" if task[0] < task[1] else "BtoA"
                yield Job(row, seed, (task,), folder / "-to-".join(task), replace(config, direction=direction))
        else:
            yield Job(row, seed, tasks, folder)


# ---------------------------------------------------------------- work


def do(job: Job, faces: Faces) -> None:
    """Trains and measures, unless that is done.

    Raises:
        KeyboardInterrupt: Ctrl-C stopped the training, which goes on from there the next time.
    """
    if job.config:
        train(job, job.config)
    model = None
    for task in job.tasks:
        path = job.measurement(task, faces)
        if not path.exists():
            model = model or (stargan.load(run_folder.checkpoints(job.folder)[-1]) if job.config else None)
            measured = measure(job.row, model, task, faces)
            with atomic_write(path, sync=False) as temporary, temporary.open("wb") as file:
                np.savez(file, **measured)  # type: ignore[arg-type]  # numpy 2.5's stub takes no names from a dict


def train(job: Job, config: Config) -> None:
    note = job.note()
    if "parameters" in note:
        return
    began = time.process_time()
    resume = (job.folder / run_folder.CONFIG).exists()
    result = training.train(config, job.folder, resume=resume, say=lambda line: None)
    note["seconds"] += time.process_time() - began
    if result.finished:
        _, domains = configured.find(config)
        note["parameters"] = engines.create(config, domains).num_parameters
    write_bytes(job.folder / "trained.json", json.dumps(note).encode())
    if not result.finished:
        raise KeyboardInterrupt


def measure(row: Row, model: Translator | None, task: Task, faces: Faces) -> dict[str, np.ndarray]:
    """By metric, (N,) scores of the test images; of KID the distance of all images, and those of half samples."""
    source, target = task
    made = faces.test_images(target if row is REAL else source)
    made = translated(model, made, target) if model else made
    values = faces.scores(source, target, made)
    if row is REAL:
        values.pop("kept", None)  # on photos, these are other people
    if features.installed():
        real, pooled = faces.training_features(target), features.pooled(made)
        rng = np.random.default_rng(0)  # the same halves for all rows and tasks
        halves = zip(*(distances.half_samples(len(x), HALF_SAMPLES, rng) for x in (pooled, real)), strict=True)
        of_halves = [distances.kid(pooled[one], real[other]) for one, other in halves]
        values[KID] = 1000 * np.array([distances.kid(pooled, real), *of_halves])
    return values


def translated(model: Translator, source: np.ndarray, target: str) -> np.ndarray:
    """Translates images to a domain."""
    values = np.zeros((len(source), model.domains.num_classes), np.float32)
    values[:, model.domains.names.index(target)] = 1
    return model.generate(source, model.domains.labels(values, 0))


def work(faces: Faces, jobs: Sequence[Job], seconds: dict[str, float]) -> None:
    """Does all jobs, and prints how long they will take."""
    left = [job.forecast(faces, seconds) for job in jobs]
    print(f"{sum(x > 0 for x in left)} of {len(jobs)} models to do: {about(sum(left))} of processor time", flush=True)
    began, done = time.monotonic(), 0.0
    for number, (job, own) in enumerate(zip(jobs, left, strict=True), 1):
        if not own:
            continue
        do(job, faces)
        done += own
        rest = (time.monotonic() - began) / done * sum(left[number:])
        name = " and ".join(dict.fromkeys(itertools.chain(*job.tasks))) if len(job.tasks) <= 2 else "all domains"
        print(f"[{number}/{len(jobs)}] seed {job.seed}, {job.row.name}, {name}: {about(rest)} left", flush=True)


# ---------------------------------------------------------------- table


def line(row: Row, jobs: Sequence[Job], faces: Faces) -> dict[str, Any]:
    """A row of the table, from its jobs of all seeds."""
    found: dict[str, Any] = {"method": row.name, "seeds": len(_by_seed(jobs))}
    if row.method:
        notes = [job.note() for job in jobs]
        parameters = notes[0]["parameters"]
        found["models"], found["steps each"] = row.models, row.steps
        found["parameters of G"] = f"{row.models * parameters['generator'] / 1e6:.2f} M"
        both = parameters["generator"] + parameters["discriminator"]
        found["disk, G and D"] = f"{4 * row.models * both / 1e6:.1f} MB"
        found["training"] = f"{row.models * np.mean([note['seconds'] for note in notes]):.0f} s"
    by_seed = [[np.load(job.measurement(task, faces)) for job in each for task in job.tasks] for each in _by_seed(jobs)]
    for name in (*faces.metrics, KID):
        if name in by_seed[0][0]:
            values = np.stack([np.mean([task[name] for task in tasks], axis=0) for tasks in by_seed])
            found[name] = text(*interval(values, name), "{:.1%}" if name in ("error", "kept") else "{:.1f}")
    return found


def _by_seed(jobs: Sequence[Job]) -> list[list[Job]]:
    return [list(each) for _, each in itertools.groupby(jobs, key=lambda job: job.seed)]


def interval(values: np.ndarray, name: str) -> tuple[float, float, float]:
    """A mean over seeds and test images with its 95 % interval.

    Args:
        values: (S, N), means over tasks by seed and test image; of KID (S, 1 + H), of all images and of half samples.
        name: The metric.

    Returns:
        The mean and the ends of the interval.
    """
    rng = np.random.default_rng(0)
    seeds = rng.integers(len(values), size=(DRAWS, len(values)))
    if name == KID:  # a bootstrap would put equal images into a sample, which biases it
        value = values[:, 0].mean()
        draws = values[seeds, rng.integers(1, values.shape[1], size=(DRAWS, 1))].mean(1)
        draws += value - draws.mean()
    else:
        value = values.mean()
        rows = rng.integers(values.shape[1], size=(DRAWS, values.shape[1]))
        draws = np.array([values[seed].mean(0)[row].mean() for seed, row in zip(seeds, rows, strict=True)])
    low, high = np.percentile(draws, (2.5, 97.5))
    return float(value), float(low), float(high)


def text(value: float, low: float, high: float, form: str) -> str:
    """A figure with its interval."""
    return f"{form.format(value)} [{form.format(low)}, {form.format(high)}]"


def report(faces: Faces, jobs: Sequence[Job], rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Prints the table, in which each row has the seeds that are finished, and writes it to OUT."""
    finished = [job for job in jobs if not job.forecast(faces, dict.fromkeys(METHODS, 1.0))]
    every = {(row, seed): [job for job in jobs if (job.row, job.seed) == (row, seed)] for row, seed in _parts(jobs)}
    ready = {part: own for part, own in every.items() if all(job in finished for job in own)}
    shown = [row for row in rows if any(row is own for own, _ in ready)]
    if not shown:
        print("no row is finished yet")
        return
    lines = [line(row, [job for part, own in ready.items() if part[0] is row for job in own], faces) for row in shown]
    pairs = math.comb(len(faces.names), 2)
    measured = f"{min(options.pairs or pairs, pairs)} of {counted(pairs, 'pair')} of domains for each seed"
    print(f"{measured}, {counted(faces.tests, 'test image')} of each domain")
    print(table(lines))
    write_json(faces.folder / "table.json", lines, machine())
    if options.plot:
        picture(faces, [job for (_, seed), own in ready.items() if seed == 0 for job in own], options.plot)


def _parts(jobs: Sequence[Job]) -> list[tuple[Row, int]]:
    return list(dict.fromkeys((job.row, job.seed) for job in jobs))


def picture(faces: Faces, jobs: Sequence[Job], path: Path) -> None:
    """Two faces: for each task of the first pair, the image, each row's translation and the real image."""
    rows = list(dict.fromkeys(job.row for job in jobs if job.config))
    tasks = jobs[0].tasks[:2] if len(jobs[0].tasks) > 2 else jobs[0].tasks
    cells, captions = [], []
    for (source, target), index in itertools.product(tasks, (0, 1)):
        cells.append(faces.test_images(source)[index])
        captions.append(source)
        for row in rows:
            job = next(job for job in jobs if job.row is row and (source, target) in job.tasks)
            model = stargan.load(run_folder.checkpoints(job.folder)[-1])
            cells.append(translated(model, faces.test_images(source)[index : index + 1], target)[0])
            captions.append(target)
        cells.append(faces.test_images(target)[index])
        captions.append(target)
    pixels = images.to_pixels(np.stack(cells)).repeat(5, axis=1).repeat(5, axis=2)
    titles = ("image", *(row.name for row in rows), "real")
    images.grid(pixels, len(titles), titles=titles, captions=captions).save(path)


# ---------------------------------------------------------------- command line


def options_of() -> argparse.Namespace:
    """Parses the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for data, models and measurements; what is there is kept")
    parser.add_argument("--data", help="folder of CelebA, for its hair colours; by default, faces are drawn")
    parser.add_argument("--domains", type=int, default=4, choices=range(3, 9), help="k, of drawn faces")
    parser.add_argument("--images", type=at_least_one, default=300, help="training images of each domain")
    parser.add_argument("--faces", type=at_least_one, default=60, help="test images of each domain")
    parser.add_argument("--steps", type=at_least_one, default=600, help="updates of StarGAN")
    parser.add_argument("--width", type=at_least_one, default=16)
    parser.add_argument("--seeds", type=at_least_one, default=1, help="number of trainings of everything")
    parser.add_argument("--pairs", type=at_least_one, help="pairs of domains to train and measure for each seed")
    parser.add_argument("--pix2pix", action="store_true", help="also train pix2pix on pairs of drawn faces")
    parser.add_argument("--paper", action="store_true", help="also train StarGAN with the paper's generator")
    parser.add_argument("--diat", action="store_true", help="also train a DIAT for both directions of each pair")
    parser.add_argument("--table", action="store_true", help="only print the table of what is finished")
    parser.add_argument("--plot", type=Path, help="the picture to write")
    options = parser.parse_args()
    if options.data and options.pix2pix:
        parser.error("--pix2pix: needs true translations, which photos do not have; leave it out with --data")
    return options


def faces_of(options: argparse.Namespace) -> Faces:
    """The images that the command line names."""
    counts = options.images, options.faces
    if options.data:
        return CelebAHair(options.out / f"celeba-{options.images}", options.data, *counts)
    return DrawnFaces(options.out / f"drawn-{options.domains}-{options.images}", options.domains, *counts)


def main() -> int:
    """Trains, measures and prints the table."""
    options = options_of()
    faces = faces_of(options)
    seconds = step_seconds(faces, options)
    rows = rows_of(faces, options, seconds)
    jobs = [job for seed in range(options.seeds) for job in plan(faces, options, rows, seed)]
    try:
        if not options.table:
            work(faces, jobs, seconds)
    except KeyboardInterrupt:
        print("stopped; the same command goes on")
        raise
    report(faces, jobs, rows, options)
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
