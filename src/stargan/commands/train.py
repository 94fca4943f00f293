"""`stargan train`."""

import dataclasses
import json
import typing
from pathlib import Path
from typing import Annotated, Any

import tyro

from stargan import config as configs
from stargan.errors import INTERRUPTED, ConfigError
from stargan.interop.export import export
from stargan.options import check_output, parse, value_of
from stargan.progress import clock
from stargan.recipes import recipe
from stargan.training import loop
from stargan.training.plan import plan


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    hints: dict[str, Any] = typing.get_type_hints(configs.Config)
    repeatable: dict[str, Any] = {
        name: Annotated[hints[name], tyro.conf.UseAppendAction] for name in ("data", "exclusive")
    }
    size = tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="N|WxH",
        instance_from_str=lambda words: configs.parse_size(words[0]),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: ["x".join(map(str, value))],
    )
    special = {**repeatable, "image_size": Annotated[tuple[int, int], size]}
    fields: list[Any] = [(f.name, special.get(f.name, hints[f.name]), f) for f in dataclasses.fields(configs.Config)]
    paths = {
        "run": "Folder of the run, which a new run makes.",
        "resume": "Run folder to go on with, with its own settings; --steps may be raised.",
        "start_from": "Model file or run whose weights a new run starts from.",
    }
    fields += [(name, Annotated[Path | None, tyro.conf.arg(help=text)], dataclasses.field(default=None))
               for name, text in paths.items()]  # fmt: skip
    dry = Annotated[bool, tyro.conf.arg(help="Say what it would be and cost, and train nothing.")]
    fields.append(("dry_run", dry, dataclasses.field(default=False)))
    options_class = dataclasses.make_dataclass("Options", fields, frozen=True)
    options_class.__doc__ = (configs.Config.__doc__ or "").replace(
        "Everything that decides a training run.", "Train a model, or go on with a run."
    )

    chosen = {name: value_of(name, arguments) for name in ("--resume", "--recipe")}
    base = recipe(chosen["--recipe"] or "default")
    saved = loop.saved_config(Path(chosen["--resume"])) if chosen["--resume"] else None
    # What is not said on the command line comes from the run that is resumed, else from the recipe. A repeatable
    # option adds to its default, so these two start empty and are filled afterwards.
    start = saved or base
    empty = dict.fromkeys(repeatable, ())
    options = parse(options_class, arguments, "train", default=options_class(**{**start.to_json(), **empty}))
    said = {f.name: getattr(options, f.name) for f in dataclasses.fields(configs.Config)}
    config = configs.Config(**{**said, **{name: said[name] or getattr(start, name) for name in repeatable}})

    if saved:
        if options.run or options.start_from:
            raise ConfigError("--resume goes on in its own folder; leave out --run and --start-from")
        loop.check_changes(saved, config)
        return _run(config, options.resume, resume=True)
    if options.dry_run:
        return _dry_run(config)
    if not options.run or not config.data:
        raise ConfigError("say --data PATH and --run FOLDER for a new run, or --resume FOLDER")
    check_output("--run", options.run, folder=True)
    loop.check_new(options.run)
    return _run(config, options.run, start_from=options.start_from)


def _dry_run(config: Any) -> int:
    planned = plan(config)
    print(json.dumps(config.to_json(), indent=1))
    print(f"labels: {planned.domains.num_labels} ({', '.join(planned.domains.names)})")
    for name, count in planned.parameters.items():
        print(f"{name}: {count:,} parameters, {planned.macs[name] / 1e9:.2f} GMAC a picture")
    print(f"one update of D {planned.d_seconds:.3f} s, of G {planned.g_seconds:.3f} s, measured here")
    print(f"{config.steps:,} steps: {clock(planned.seconds)} without data, samples and checkpoints")
    print(f"peak memory: {planned.peak_memory / 2**30:.2f} GiB")
    return 0


def _run(config: Any, run: Path, **how: Any) -> int:
    result = loop.train(config, run, **how)
    if not result.finished:
        print(f"stopped after step {result.step}, with a checkpoint; go on with: stargan train --resume {run}")
        return INTERRUPTED
    for name in ("model.safetensors", "model.onnx"):
        export(run, run / name, overwrite=True)
    for name, value in result.figures.items():
        print(f"{name} {value:.4f}")
    print(f"model: {run / 'model.onnx'}")
    return 0
