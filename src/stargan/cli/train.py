"""`stargan train`."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from stargan import runs
from stargan.cli.options import (
    Bins,
    Command,
    Crop,
    Flag,
    LabelGroups,
    Labels,
    OptionalFolder,
    OptionalInt,
    Range,
    Shared,
    check_output,
    option,
    value_of,
)
from stargan.config import Architecture, Config
from stargan.config.architecture import NOT_OF_EDIT, fitting, in_range, parse_size
from stargan.config.recipes import DEFAULT, SUMMARIES, layers_for, why_not_default
from stargan.config.recipes import base as base_settings
from stargan.config.training import DataSettings, LossSettings, OptimizerSettings, RunSettings
from stargan.errors import INTERRUPTED, ConfigError
from stargan.machine import place
from stargan.model import run_folder
from stargan.runs import Run
from stargan.training.forecast import forecast

_SIZE = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="N|WxH",
    instance_from_str=lambda words: parse_size(words[0]),
    is_instance=lambda value: isinstance(value, tuple) and all(isinstance(side, int) for side in value),
    str_from_instance=lambda value: ["x".join(map(str, value))],
)
_RECIPE = tyro.conf.arg(
    metavar="NAME",
    help="\n".join(["The settings to start from:", *(f"  {name:10} {text}" for name, text in SUMMARIES.items())]),
    help_behavior_hint=lambda value: f"\n(default: {value})",
)
_REPEATABLE = ("data", "exclusive", "bins")
"""Options that add to their default; so they start empty and get their default when all are parsed."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class _Data(DataSettings):
    """What to train on."""

    data: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="DATA")] = ()
    attributes: Labels = ()
    exclusive: LabelGroups = ()
    bins: Bins = ()
    share: Labels = ()
    window: OptionalInt = None
    crop: Crop = None
    range: Range = None
    allow_empty: Flag = False


@dataclasses.dataclass(frozen=True)
class _Networks(Architecture):
    """The sizes of the generator G and the discriminator D."""

    image_size: Annotated[tuple[int, int], _SIZE] = Architecture.image_size


@dataclasses.dataclass(frozen=True)
class _Losses(LossSettings):
    """What the networks are trained for."""


@dataclasses.dataclass(frozen=True)
class _Optimization(OptimizerSettings):
    """How, and how long, the networks are updated."""

    minutes: Annotated[float | None, option("MINUTES")] = None


@dataclasses.dataclass(frozen=True)
class _Run(RunSettings):
    """Where the training computes, and what it writes."""

    recipe: Annotated[str, _RECIPE] = DEFAULT
    engine: Annotated[str, option("NAME")] = "pytorch"


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Train a model, or resume a run.

    For example: stargan train --data faces --run runs/faces --minutes 60

    Attributes:
        run: Folder for a new run.
        resume: Folder of a run to resume with its own settings; --steps may be raised.
        start_from: Model file or run folder with the weights to start from.
        allow_changes: Resume although images of the run have changed.
        dry_run: Print the settings, the networks and the time that the training would take, and train nothing.
    """

    data: tyro.conf.OmitArgPrefixes[_Data]
    network: tyro.conf.OmitArgPrefixes[_Networks]
    loss: tyro.conf.OmitArgPrefixes[_Losses]
    optimization: tyro.conf.OmitArgPrefixes[_Optimization]
    settings: Annotated[tyro.conf.OmitArgPrefixes[_Run], tyro.conf.arg(name="run")]
    run: OptionalFolder = None
    resume: OptionalFolder = None
    start_from: Annotated[Path | None, option("MODEL")] = None
    allow_changes: Flag = False
    dry_run: Flag = False

    def config(self, base: Config) -> Config:
        """All settings, side by side; `base` has those of repeatable options that are not given."""
        groups = (self.data, self.network, self.loss, self.optimization, self.settings)
        given = {name: value for group in groups for name, value in vars(group).items()}
        return Config(**{**given, **{name: given[name] or getattr(base, name) for name in _REPEATABLE}})


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    config = options.config(_base(options.resume, options.settings.recipe, {"method": options.network.method}))
    if options.resume:
        if options.run or options.start_from:
            raise ConfigError("--resume uses the folder of its run; leave out --run and --start-from")
        return tell(runs.resumed(options.resume, config, allow_changes=options.allow_changes))
    if options.dry_run:
        if place().world_size > 1:
            raise ConfigError("--dry-run: measures one process; leave out torchrun")
        return _dry_run(config)
    if options.run:
        check_output("--run", options.run, folder=True)
    return tell(runs.started(config, options.run, start_from=options.start_from))


def _base(resume: Path | None, name: str | None, others: dict[str, Any]) -> Config:
    """The settings that are not given: those of the run to resume, or else of the recipe."""
    return run_folder.saved_config(resume) if resume else base_settings(name, **others)


def _defaults(arguments: Sequence[str]) -> Options:
    """What the help shows as defaults. They depend on some of the options, which are hence parsed first."""
    resume = value_of("--resume", arguments)
    base = _base(Path(resume) if resume else None, value_of("--recipe", arguments), _others(arguments))
    plain = {**base.to_json(), **dict.fromkeys(_REPEATABLE, ())}

    def group(kind: type[T]) -> T:
        return kind(**{field.name: plain[field.name] for field in dataclasses.fields(kind)})  # type: ignore[arg-type]

    return Options(group(_Data), group(_Networks), group(_Losses), group(_Optimization), group(_Run))


def _others(arguments: Sequence[str]) -> dict[str, Any]:
    """The options that decide which recipe is the default, as `recipes.base` takes them."""
    size = value_of("--image-size", arguments)
    return {
        "method": value_of("--method", arguments),
        "size": parse_size(size) if size else None,
        "generator": value_of("--generator", arguments),
        "discriminator": value_of("--discriminator", arguments),
        "sets": max(1, sum(word.partition("=")[0] == "--data" for word in arguments)),
    }


def _dry_run(config: Config) -> int:
    found = forecast(config)
    print(found)
    print(f"labels: {found.domains.num_labels} ({', '.join(found.domains.names)})")
    for name, count in found.parameters.items():
        print(f"{name}: {count:,} parameters, {found.macs[name] / 1e9:.2f} GMAC an image")
    print(f"one update of D {found.d_seconds:.3f} s, of G {found.g_seconds:.3f} s, measured here")
    print(f"settings: {json.dumps(config.to_json(), indent=1)}")
    return 0


def tell(done: Run) -> int:
    """Prints how a run ended; returns the exit code."""
    if done.config.warm_up and done.step <= done.config.warm_up:
        print(f"G is not trained yet: its training begins after {done.config.warm_up} steps (--warm-up)")
    if not done.finished:
        print(f"stopped after step {done.step}, with a checkpoint; continue with: stargan train --resume {done.folder}")
        return INTERRUPTED
    for name, value in done.figures.items():
        print(f"{name} {value:.4f}")
    print(f"model: {done.model}")
    return 0


def _fitted(arguments: Sequence[str]) -> list[str]:
    """Adds what follows from other options: an image size that G can take, the layers of D that fit it, one mask."""
    given = list(arguments)
    if value_of("--resume", arguments):
        return given
    name, others = value_of("--recipe", arguments), _others(arguments)
    base, size = base_settings(name, **others), others["size"]
    generator = value_of("--generator", arguments) or base.generator
    if generator == "edit":  # it has a mask of its own; the options of other generators count only where they are given
        given = [*(f"--no-{name.replace('_', '-')}" for name in NOT_OF_EDIT if getattr(base, name)), *given]
    said = why_not_default(name, base, (others["generator"], others["discriminator"]))
    if said and (size is None or in_range(size)):
        print(said)
    if size is None:
        return given
    size, layers, told = fitting(size, generator)
    if told:
        print(told)
        given += ["--image-size", "x".join(map(str, size))]  # the last one counts
    return given if value_of("--d-layers", arguments) else [*given, "--d-layers", str(layers_for(base, layers))]


COMMAND = Command(Options, run, rewrite=_fitted, defaults=_defaults)
