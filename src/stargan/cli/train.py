"""`stargan train`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from stargan import training
from stargan.cli.options import check_output, parse, value_of
from stargan.config import Architecture, Config
from stargan.config.architecture import parse_size
from stargan.config.recipes import recipe
from stargan.config.training import DataSettings, LossSettings, OptimizerSettings, RunSettings
from stargan.errors import INTERRUPTED, ConfigError
from stargan.interop.export import export
from stargan.model import run_folder
from stargan.progress import clock
from stargan.training import prepare
from stargan.training.dry_run import plan

_SIZE = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="N|WxH",
    instance_from_str=lambda words: parse_size(words[0]),
    is_instance=lambda value: isinstance(value, tuple) and all(isinstance(side, int) for side in value),
    str_from_instance=lambda value: ["x".join(map(str, value))],
)


@dataclasses.dataclass(frozen=True)
class _Data(DataSettings):
    """The training data."""

    data: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    exclusive: tyro.conf.UseAppendAction[tuple[str, ...]] = ()


@dataclasses.dataclass(frozen=True)
class _Networks(Architecture):
    """The sizes of the networks."""

    image_size: Annotated[tuple[int, int], _SIZE] = Architecture.image_size


@dataclasses.dataclass(frozen=True)
class Options:
    """Train a model, or go on with a run.

    Attributes:
        run: Folder of a new run; it is made.
        resume: Run folder to go on with, with its own settings; --steps may be raised.
        start_from: Model file or run whose weights a new run starts from.
        dry_run: Say what the training would be and cost, and train nothing.
    """

    data: tyro.conf.OmitArgPrefixes[_Data]
    networks: tyro.conf.OmitArgPrefixes[_Networks]
    losses: tyro.conf.OmitArgPrefixes[LossSettings]
    updates: tyro.conf.OmitArgPrefixes[OptimizerSettings]
    settings: tyro.conf.OmitArgPrefixes[RunSettings]
    run: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    resume: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    start_from: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    dry_run: bool = False

    def config(self) -> Config:
        """All settings, side by side."""
        groups = (self.data, self.networks, self.losses, self.updates, self.settings)
        return Config(**{name: value for group in groups for name, value in vars(group).items()})


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    # What is not given on the command line comes from the run that is resumed, else from the recipe; so these two
    # options are read first.
    resumed = value_of("--resume", arguments)
    saved = run_folder.saved_config(Path(resumed)) if resumed else None
    base = saved or recipe(value_of("--recipe", arguments) or "default")
    options = parse(Options, arguments, "train", default=_defaults(base))
    config = options.config()
    # A repeatable option adds to its default, so it starts empty and gets its default here.
    config = dataclasses.replace(config, **{name: getattr(config, name) or getattr(base, name) for name in _REPEATABLE})

    if saved:
        if options.run or options.start_from:
            raise ConfigError("--resume goes on in its own folder; leave out --run and --start-from")
        prepare.check_changes(saved, config)
        return _train(config, options.resume, resume=True)
    if options.dry_run:
        return _dry_run(config)
    if not options.run or not config.data:
        raise ConfigError("say --data PATH and --run FOLDER for a new run, or --resume FOLDER")
    check_output("--run", options.run, folder=True)
    prepare.check_new(options.run)
    return _train(config, options.run, start_from=options.start_from)


_REPEATABLE = ("data", "exclusive")
T = TypeVar("T")


def _defaults(config: Config) -> Options:
    """The options that say what a configuration says, repeatable ones aside."""
    plain = {**config.to_json(), **dict.fromkeys(_REPEATABLE, ())}

    def group(kind: type[T]) -> T:
        return kind(**{field.name: plain[field.name] for field in dataclasses.fields(kind)})  # type: ignore[arg-type]

    return Options(group(_Data), group(_Networks), group(LossSettings), group(OptimizerSettings), group(RunSettings))


def _dry_run(config: Config) -> int:
    planned = plan(config)
    print(json.dumps(config.to_json(), indent=1))
    print(f"labels: {planned.domains.num_labels} ({', '.join(planned.domains.names)})")
    for name, count in planned.parameters.items():
        print(f"{name}: {count:,} parameters, {planned.macs[name] / 1e9:.2f} GMAC an image")
    print(f"one update of D {planned.d_seconds:.3f} s, of G {planned.g_seconds:.3f} s, measured here")
    print(f"{config.steps:,} steps: {clock(planned.seconds)} without data, samples and checkpoints")
    print(f"peak memory: {planned.peak_memory / 2**30:.2f} GiB")
    return 0


def _train(config: Config, run: Path, **how: Any) -> int:
    result = training.train(config, run, **how)
    if not result.finished:
        print(f"stopped after step {result.step}, with a checkpoint; go on with: stargan train --resume {run}")
        return INTERRUPTED
    for name in ("model.safetensors", "model.onnx"):
        export(run, run / name, overwrite=True)
    for name, value in result.figures.items():
        print(f"{name} {value:.4f}")
    print(f"model: {run / 'model.onnx'}")
    return 0
