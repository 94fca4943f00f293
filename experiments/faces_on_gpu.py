"""The last training of the shipped faces: the recipe `edit` with large batches, thousands of updates in minutes.

The losses are those of `stargan train --recipe edit`, with a price on what a change of hair changes in the face (see
`spare`), and D is wider, which a GPU hardly notices. The rest of what differs keeps the GPU busy (see `gpu_updates`):
each update, of D and then of G, is recorded once as a CUDA graph and replayed with one launch; networks compute in
bf16, except for D's heads on fixed features; images and their random views never leave the GPU. Training starts from
the weights of a model file, whose attribute classifier is kept. Without a GPU the same updates run one by one in
float32, to try the script.

Writes OUT/model.safetensors, for `stargan export`, `stargan evaluate` and `average.py`, and OUT/state.pt, for --resume.
"""

import argparse
import sys
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import average
import torch
from gpu_updates import Stream, Trainer, report
from options import Parser, above_zero, at_least_one, at_least_zero, command

from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data import cache, configured, crops, ranges
from stargan.data.batches import Batches, TrainingSet
from stargan.engine import edit_constants as constants
from stargan.engine.pytorch.device_dataset import DeviceDataset
from stargan.errors import ConfigError
from stargan.model import safetensors_file
from stargan.model.info import ModelInfo
from stargan.storage import atomic_write
from stargan.training.prepare import DataSet

RAMP = 300  # updates in which G's learning rate rises
SAVE_EVERY = 60  # seconds
LOG_EVERY = {"cuda": 500, "cpu": 5}  # updates; reading losses waits for the GPU


@dataclass(frozen=True)
class Schedule:
    """Learning rates by the share of the training that is done.

    Attributes:
        config: With the rates.
        alone: Updates of D alone at the beginning.
        seconds: How long to train, unless `updates` is set.
        updates: How many updates to do.
        began: When training began, as `time.monotonic` tells.
    """

    config: Config
    alone: int
    seconds: float
    updates: int | None
    began: float

    def share(self, done: int) -> float:
        """How much of the training is done after so many updates; 1 at its end."""
        share = done / self.updates if self.updates else (time.monotonic() - self.began) / self.seconds
        return min(share, 1.0)

    def set(self, trainer: Trainer, done: int, share: float) -> None:
        """Sets the rates."""
        start = self.config.decay_from
        falling = 1.0 if share <= start else max(self.config.final_lr, 1 - (share - start) / (1 - start))
        rate = self.config.lr * falling
        trainer.set_rates(rate * min(1.0, max(0, done - self.alone + 1) / RAMP), rate)


@dataclass(frozen=True)
class Output:
    """What the script writes.

    Attributes:
        folder: Where.
        info: The description of the model to start from, with the sizes of the new one.
        classifier: The arrays of its attribute classifier.
    """

    folder: Path
    info: ModelInfo
    classifier: safetensors_file.Arrays

    def save(self, trainer: Trainer, steps: int) -> None:
        """Writes the model file and the state after so many updates."""
        generator = trainer.averaged.state_dict()
        arrays = {f"generator/{name}": array.cpu().numpy() for name, array in generator.items()}
        arrays |= {f"classifier/{name}": array for name, array in self.classifier.items()}
        info = replace(self.info, steps=self.info.steps + steps)
        safetensors_file.write(self.folder / "model.safetensors", info, arrays, {})
        with atomic_write(self.folder / "state.pt") as path:
            torch.save(trainer.state(steps), path)


def train(trainer: Trainer, stream: Stream, schedule: Schedule, output: Output, steps: int) -> None:
    """Trains to the end of the schedule; `steps` updates have been done before."""
    done, began = 0, time.monotonic()
    saved = began
    while (share := schedule.share(done)) < 1 or not done:
        schedule.set(trainer, done, share)
        trainer.put(next(stream))
        terms = trainer.replay(penalty=(steps + done) % constants.R1_EVERY == 0)
        done += 1
        if done % LOG_EVERY[trainer.device.type] == 0:
            report(f"{steps + done} updates, {done / (time.monotonic() - began):.1f} a second", terms)
        if time.monotonic() - saved > SAVE_EVERY:
            report(f"{steps + done} updates, saved", terms)
            output.save(trainer, steps + done)
            saved = time.monotonic()
    report(f"{steps + done} updates, the end", terms)
    output.save(trainer, steps + done)


# ---------------------------------------------------------------- what to train, and on what


def read_start(path: Path) -> tuple[ModelInfo, safetensors_file.Arrays]:
    """Reads the model to start from.

    Raises:
        ConfigError: As `average.read`, or it has no attribute classifier.
    """
    info, arrays = average.read(path)
    if not info.classifier:
        raise ConfigError(f"--start {path}: must be a model with an attribute classifier")
    return info, arrays


def configured_as(info: ModelInfo, options: argparse.Namespace) -> Config:
    """The recipe with the labels and sizes of the model to start from."""
    base, sizes = recipe("edit"), info.architecture
    groups = [group.names for _, _, group in info.domains.groups()]
    return replace(
        base,
        data=(options.data,),
        attributes=tuple(name for names in groups for name in names),
        exclusive=tuple(",".join(names) for names in groups if len(names) > 1),
        **{name: getattr(sizes, name) for name in ("image_size", "width", "blocks", "d_layers")},
        details=sizes.details or base.details,
        batch_size=options.batch_size,
        lr=options.lr,
        lambda_cls=options.cls,
        lambda_change=options.change,
        ema=0.9995,
        decay_from=options.decay_from,
        final_lr=0.05,
        seed=options.seed,
    )


def read_data(config: Config, info: ModelInfo) -> tuple[DataSet, ModelInfo]:
    """Decodes the images; returns them and the description of a model that is trained on them.

    Raises:
        ConfigError: The data have other labels than the model to start from.
    """
    found, domains = configured.find(config)
    if not domains.same_layout(info.domains):
        raise ConfigError(f"--data {config.data[0]}: its labels are {domains}; must be {info.domains}")
    size, (source,) = config.image_size, found
    crop = crops.fraction(found, size, config.crop, print)
    data_range = ranges.of_sources(found, config.range, print)
    images = cache.load(source, size, crop, range=data_range, max_bad=config.max_bad)
    data = DataSet(source, images, domains.pad(source.labels, 0))
    rows = data.rows("train")
    return data, replace(
        info,
        architecture=config.architecture,
        crop=crops.described(found, size, crop),
        range=data_range,
        label_frequencies=domains.frequencies([data.values[rows]]),
        engine="pytorch",
        recipe=config.recipe,
        data=({"name": source.name, "kind": source.kind, "training_images": len(rows)},),
        quality={},
        card=None,
    )


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the model and the state")
    parser.add_argument("--data", required=True, help="as for stargan train, with the labels of the model")
    parser.add_argument(
        "--start", type=Path, default=Path("celeba"), help="model to start from: a file, a run or a name"
    )
    parser.add_argument("--resume", type=Path, metavar="STATE", help="go on from this state.pt, with the same --start")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=above_zero, default=335, help="time from when the images are in memory")
    length.add_argument("--updates", type=at_least_one, help="how many, instead of --seconds")
    parser.add_argument("--batch-size", type=at_least_one, default=32)
    parser.add_argument("--lr", type=above_zero, default=recipe("edit").lr, help="learning rate of G")
    parser.add_argument("--cls", type=above_zero, default=recipe("edit").lambda_cls, help="weight of the classes")
    parser.add_argument("--change", type=above_zero, default=recipe("edit").lambda_change, help="price of any change")
    parser.add_argument(
        "--spare", type=at_least_zero, default=3.0, help="price of what a change of hair alone changes in the face"
    )
    parser.add_argument("--wider", type=at_least_one, default=2, help="how many times as many channels as usual D has")
    parser.add_argument("--decay-from", type=float, default=0.6, help="share after which learning rates fall")
    parser.add_argument(
        "--alone", type=at_least_one, default=600, help="updates of D alone, so that a fresh one does not spoil G"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Trains and writes the model."""
    options = arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    info, arrays = read_start(options.start)
    config = configured_as(info, options)
    data, info = read_data(config, info)
    torch.manual_seed(config.seed)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # worthwhile because shapes never change
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    trainer = Trainer(config, info.domains, device, wider=options.wider, spare=options.spare)
    trainer.start(options.start, safetensors_file.under(arrays, "generator"))
    pixels = data.images.pixels
    rows = TrainingSet(pixels, data.values, data.rows("train"), DeviceDataset(pixels, device))
    batches = Batches(
        [rows], info.domains, batch_size=config.batch_size, seed=config.seed, targets=config.targets, rare=config.rare
    )
    steps = trainer.resume(options.resume) if options.resume else 0
    with closing(batches.stream(steps, workers=4)) as stream:
        if not steps:
            trainer.calibrate(next(stream))
        if trainer.on_gpu:
            trainer.record(stream)
        alone = 0 if steps else options.alone
        schedule = Schedule(config, alone, options.seconds, options.updates, time.monotonic())
        output = Output(options.out, info, safetensors_file.under(arrays, "classifier"))
        train(trainer, stream, schedule, output, steps)


if __name__ == "__main__":
    sys.exit(command(main))
