"""The training loop."""

import contextlib
import hashlib
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stargan import engine as engines
from stargan.config import Config, schedules
from stargan.data import cache, sources
from stargan.data.batches import Batches, TrainingSet
from stargan.data.sources import Source
from stargan.domains import Domains
from stargan.errors import CheckpointError, ConfigError, DataError, TrainingError
from stargan.images import to_array
from stargan.model import locations, safetensors_file
from stargan.model.info import ModelInfo
from stargan.progress import Progress
from stargan.training import checkpoint
from stargan.training.log import Record
from stargan.training.validation import PICTURES, Validation

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        step: Updates of D that are done.
        finished: False where Ctrl-C or SIGTERM stopped it; it can be resumed.
        figures: The last look at the validation part, see `Validation.measure`.
    """

    step: int
    finished: bool
    figures: dict[str, float]


def train(
    config: Config, run: Path, *, resume: bool = False, start_from: Path | None = None, say: Say = print
) -> Result:
    """Trains in a run folder, from the beginning or from its newest checkpoint.

    On one CPU a resumed run gives bit for bit the weights of an uninterrupted one: all that is drawn at random
    follows from the seed and the step, and a checkpoint holds the rest.

    Args:
        config: All settings.
        run: The run folder; a new run makes it, a resumed one has it.
        resume: Whether to go on from the newest checkpoint.
        start_from: A model file whose weights a new run starts from.
        say: Takes lines for the user.

    Raises:
        StarganError: The data, the settings or the checkpoint cannot be used, or a loss became NaN.
    """
    # ---- data: files -> pixels and labels in memory-mapped arrays
    found, domains = sources.find_all(config.data, config.attributes, config.exclusive)
    pictures = [_pictures(source, config, say) for source in found]
    data = [_Data(s, p, domains.pad(s.labels, i)) for i, (s, p) in enumerate(zip(found, pictures, strict=True))]
    for part in data:
        if not len(part.rows("train")):
            raise DataError(f"{part.source.root}: no readable picture in the training part")
    validation = _validation(data, domains, "val") or _validation(data, domains, "train")
    data_key = _data_key(found)

    # ---- engine, fresh or as the checkpoint left it
    engine = engines.create(config, domains)
    info, step = _info(config, domains, data), 0
    if resume:
        saved, arrays = checkpoint.load(run, data_key=data_key)
        _check_same(saved, info)
        engine.load_state(arrays)
        info, step = saved, saved.steps
        del arrays
    else:
        if start_from is not None:
            _start_from(engine, start_from, info)
        # What was measured to be faster is kept: measured again at a resume, it might come out otherwise.
        _begin(run, replace(config, precision=engine.precision))
    say(_sizes(engine, data, domains, config, step))
    sets = [TrainingSet(d.pictures.pixels, d.values, d.rows("train"), engine.upload(d.pictures.pixels)) for d in data]
    batches, g_batches = (
        Batches(sets, domains, batch_size=config.batch_size, seed=seed, flip=config.flip, targets=config.targets)
        for seed in (config.seed, config.seed + 1)
    )

    # ---- the loop: one step is one update of D
    figures = dict(info.quality)
    began, counted = time.monotonic(), step
    stream = batches.stream(step, config.workers)
    with (
        contextlib.closing(stream),
        Record(run, step) as record,
        Progress("train", config.steps, "steps", step) as progress,
        _stop_signals() as stopped,
    ):
        while step < config.steps and not stopped():
            batch, lr = next(stream), schedules.learning_rate(config, step)
            engine.d_step(batch.images, batch.labels, batch.targets, batch.dataset, step=step, lr=lr)
            # Data sets take turns, so each one's own updates of D are counted.
            turn = step // len(sets) + (0 if config.g_first else 1)
            if turn % config.n_critic == 0:
                batch = g_batches.batch(step) if config.g_own_batch else batch
                engine.g_step(batch.images, batch.labels, batch.targets, batch.dataset, step=step, lr=lr)
            step += 1
            last = step == config.steps or stopped()

            # Reading the losses waits for the device, so this is not done at every step.
            if step % config.log_every == 0 or step % config.checkpoint_every == 0 or last:
                losses = engine.losses()
                _check_finite(losses, step, run)
                rate = (step - counted) / (time.monotonic() - began)
                record.scalars(step, {**losses, "lr": lr, "steps_per_second": rate})
                began, counted = time.monotonic(), step
                progress.update(step, " ".join(f"{k} {losses[k]:.3g}" for k in _SHOWN if k in losses))
            else:
                progress.update(step)

            if validation and (step % config.sample_every == 0 or step == config.steps):
                record.sample(step, validation.sheet(engine))
                figures = validation.measure(engine)
                record.scalars(step, figures)

            if step % config.checkpoint_every == 0 or last:
                info = _info(config, domains, data, step, figures)
                checkpoint.save(run, engine.state(), info, data_key=data_key, keep=config.keep_checkpoints)
    return Result(step, step >= config.steps, figures)


_SHOWN = ("g_cls", "g_rec")  # as much as fits a terminal of 80 columns beside the bar


# ---------------------------------------------------------------- data


@dataclass(frozen=True)
class _Data:
    """One data set, found and decoded; values (N, C)."""

    source: Source
    pictures: cache.CachedImages
    values: np.ndarray

    def rows(self, split: str) -> np.ndarray:
        rows = self.source.rows(split)
        return rows[~np.isin(rows, list(self.pictures.bad))]


def _pictures(source: Source, config: Config, say: Say) -> cache.CachedImages:
    with Progress(f"read {source.name}", len(source.files), "pictures") as progress:
        pictures = cache.load(
            source,
            config.image_size,
            config.crop,
            max_bad=config.max_bad,
            report=lambda done, total: progress.update(done),
        )
    for row, reason in pictures.bad.items():
        say(f"left out: {source.files[row]}: {reason}")
    return pictures


def _validation(data: Sequence[_Data], domains: Domains, split: str) -> Validation | None:
    """Some pictures of one split, spread evenly; None where there are none."""
    pixels, values, datasets = [], [], []
    for index, part in enumerate(data):
        rows = part.rows(split)
        rows = rows[np.linspace(0, len(rows) - 1, min(PICTURES // len(data), len(rows))).astype(int)]
        pixels.append(to_array(part.pictures.pixels[rows]))
        values.append(part.values[rows])
        datasets.append(np.full(len(rows), index))
    if not sum(map(len, values)):
        return None
    return Validation(domains, split, np.concatenate(pixels), np.concatenate(values), np.concatenate(datasets))


def _data_key(found: Sequence[Source]) -> str:
    """Stands for which pictures have which labels and which split, wherever they lie."""
    digest = hashlib.sha256()
    for source in found:
        digest.update(json.dumps([source.files, source.label_set.names]).encode())
        digest.update(np.ascontiguousarray(source.labels).tobytes() + source.split.tobytes())
    return digest.hexdigest()


# ---------------------------------------------------------------- beginning and going on


def _begin(run: Path, config: Config) -> None:
    safetensors_file.write_bytes(run / "config.json", (json.dumps(config.to_json(), indent=1) + "\n").encode())


def check_new(run: Path) -> None:
    """Refuses a folder that holds a run or anything else already.

    Raises:
        ConfigError: It does.
    """
    if (run / "config.json").exists():
        raise ConfigError(f"--run {run}: holds a run already; go on with --resume {run} or choose another name")
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise ConfigError(f"--run {run}: exists and is not an empty folder; choose another name")


def saved_config(run: Path) -> Config:
    """The settings of a run folder.

    Raises:
        CheckpointError: There are none, or they cannot be read.
    """
    path = run / "config.json"
    try:
        return Config.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise CheckpointError(f"{run}: not a run folder (no config.json in it)") from error
    except (ConfigError, ValueError, OSError) as error:
        raise CheckpointError(f"{path}: damaged ({error})") from error


CHANGEABLE = frozenset({
    "data", "steps", "device", "precision", "workers", "max_bad",
    "log_every", "sample_every", "checkpoint_every", "keep_checkpoints",
})  # fmt: skip
"""Settings that a resumed run may change: none of them decides a weight, except where training goes on for longer, or
on another device or in another precision, which round differently."""


def check_changes(saved: Config, config: Config) -> None:
    """Refuses to resume a run with other settings than it was begun with.

    Raises:
        ConfigError: A setting that is not in `CHANGEABLE` differs.
    """
    for name, value in config.to_json().items():
        if name not in CHANGEABLE and value != saved.to_json()[name]:
            option = "--" + name.replace("_", "-")
            raise ConfigError(f"{option}: a resumed run keeps {saved.to_json()[name]!r}; begin a new one for {value!r}")


def _check_same(saved: ModelInfo, now: ModelInfo) -> None:
    if saved.domains != now.domains:
        raise CheckpointError(
            f"the checkpoint knows {', '.join(saved.domains.names)}; the data now shows {', '.join(now.domains.names)}"
        )


def _start_from(engine: engines.Engine, path: Path, info: ModelInfo) -> None:
    file = locations.locate(path)
    if file.suffix == ".onnx":
        raise ConfigError(f"--start-from {path}: an .onnx file cannot be trained on; give a run or a .safetensors file")
    other, arrays, _ = safetensors_file.read(file)
    for name, size in vars(info.architecture).items():
        own = getattr(other.architecture, name)
        if own != size:
            raise ConfigError(f"--start-from {path}: its {name} is {own}, not {size}")
    if not other.domains.same_layout(info.domains):
        raise ConfigError(f"--start-from {path}: it knows {', '.join(other.domains.names)}, grouped as there")
    engine.load_weights(arrays)


def _info(
    config: Config,
    domains: Domains,
    data: Sequence[_Data],
    step: int = 0,
    figures: dict[str, float] | None = None,
) -> ModelInfo:
    return ModelInfo(
        domains=domains,
        architecture=config.architecture,
        crop=config.crop,
        label_frequencies=domains.frequencies([part.values[part.rows("train")] for part in data]),
        classifier=True,
        recipe=config.recipe,
        steps=step,
        data=tuple(
            {"name": d.source.name, "kind": d.source.kind, "training_images": len(d.rows("train"))} for d in data
        ),
        quality=figures or {},
    )


def _sizes(engine: engines.Engine, data: Sequence[_Data], domains: Domains, config: Config, step: int) -> str:
    pictures = " + ".join(f"{len(part.rows('train'))} of {part.source.name}" for part in data)
    networks = ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in engine.num_parameters.items())
    width, height = config.image_size
    return (
        f"{pictures} training pictures at {width}x{height}; {domains.num_classes} classes "
        f"({', '.join(domains.names)}); parameters: {networks}; steps {step} to {config.steps}"
    )


# ---------------------------------------------------------------- stopping


def _check_finite(losses: dict[str, float], step: int, run: Path) -> None:
    broken = [name for name, value in losses.items() if not math.isfinite(value)]
    if broken:
        kept = locations.checkpoints(run)
        rest = f"the last good checkpoint is {kept[-1]}" if kept else "there is no checkpoint yet"
        raise TrainingError(f"{broken[0]} is not finite at step {step}; {rest}; try a lower --lr")


@contextlib.contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Turns Ctrl-C and SIGTERM into a flag, so that the loop ends between two steps, with a checkpoint.

    A second Ctrl-C ends at once.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag.is_set  # signals reach only the main thread
        return

    def stop(number: int, frame: object) -> None:
        flag.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
