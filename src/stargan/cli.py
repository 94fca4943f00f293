"""The command line: one function a subcommand. Everything heavy is imported when it is needed."""

import contextlib
import dataclasses
import io
import re
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from stargan.errors import ConfigError, StarganError

INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
BAD_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 2 bad input (one line says what), 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from stargan import __version__

        print(f"stargan {__version__}")
        return 0
    try:
        return _command(arguments[0])(arguments[1:])
    except StarganError as error:
        print(f"stargan: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("stargan: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `stargan ... | head`
        sys.stderr.close()
        return BAD_INPUT


def _command(name: str) -> Callable[[list[str]], int]:
    if name not in COMMANDS:
        from stargan.words import suggest

        raise ConfigError(f"unknown command {name!r}{suggest(name, list(COMMANDS))}")
    return COMMANDS[name]


def _overview() -> str:
    lines = ["usage: stargan COMMAND [OPTIONS]; stargan COMMAND --help says more", ""]
    for name, function in COMMANDS.items():
        lines.append(f"  {name:10} {(function.__doc__ or '').splitlines()[0].rstrip('.')}")
    return "\n".join(lines)


# ---------------------------------------------------------------- reading options


def _parse(options: Any, arguments: list[str], command: str, *, default: Any = None) -> Any:
    """Reads options into a dataclass; a mistake becomes one ConfigError line instead of tyro's box."""
    import tyro

    said = io.StringIO()
    extra = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(options, args=arguments, prog=f"stargan {command}", **extra)
    except SystemExit as end:
        if not end.code:
            raise
        raise ConfigError(_one_line(said.getvalue()) + f" (see stargan {command} --help)") from None


def _one_line(box: str) -> str:
    """The message inside a box that tyro drew, with its suggestion, if it has one."""
    rows = [re.sub(r"^[│╭╰─\s]+|[│╮╯─\s]+$", "", row) for row in box.splitlines()[1:]]
    message, _, rest = "\n".join(rows).partition("\n\n")
    near = re.search(r"Perhaps you meant:?\n(.*)", rest)
    return " ".join(message.split()) + (f"; did you mean {near[1].split()[0]}?" if near else "")


def _signed(arguments: Sequence[str]) -> list[str]:
    """Spells `-Male` behind --to or --from as `Male=0`, which no option parser takes for an option."""
    spelled, inside = [], False
    for word in arguments:
        if word.startswith("--"):
            inside = word in ("--to", "--from")
        off = inside and re.fullmatch(r"-[^-].+", word)
        spelled.append(f"{word[1:]}=0" if off else word)
    return spelled


# ---------------------------------------------------------------- commands


def data(arguments: list[str]) -> int:
    """Show what is in a data set: labels per domain and split, unreadable files, a contact sheet."""
    import tyro

    @dataclasses.dataclass(frozen=True)
    class Options:
        """Show what is in a data set: labels per domain and split, unreadable files, a contact sheet.

        Attributes:
            path: Folder in CelebA format, folder of folders, or table.
            attributes: Which labels to look at; all of them if none are named.
            exclusive: Attributes that exclude each other, as A,B,C; say it again for another group.
            sheet: Where to write a contact sheet.
            max_bad: How many unreadable pictures are tolerated; --max-bad -1 tolerates all.
        """

        path: tyro.conf.Positional[Path]
        attributes: tuple[str, ...] = ()
        exclusive: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
        sheet: Path = Path("contact-sheet.png")
        max_bad: int = -1

    options = _parse(Options, arguments, "data")
    from stargan import images
    from stargan.data import cache, sources, summary
    from stargan.progress import Progress

    source = sources.find(options.path, options.attributes, options.exclusive)
    total = len(source.files)
    with Progress(f"read {source.name}", total, "pictures") as progress:
        pictures = cache.load(
            source,
            (128, 128),
            max_bad=total if options.max_bad < 0 else options.max_bad,
            report=lambda done, total: progress.update(done),
        )
    print(summary.table(source, pictures))
    images.save(summary.contact_sheet(source, pictures), options.sheet)
    print(f"contact sheet: {options.sheet}")
    return 0


def train(arguments: list[str]) -> int:
    """Train a model, or go on with a run."""
    import tyro

    from stargan import config as configs

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

    from stargan.recipes import recipe
    from stargan.training import loop

    chosen = {name: _value_of(name, arguments) for name in ("--resume", "--recipe")}
    base = recipe(chosen["--recipe"] or "default")
    saved = loop.saved_config(Path(chosen["--resume"])) if chosen["--resume"] else None
    # What is not said on the command line comes from the run that is resumed, else from the recipe. A repeatable
    # option adds to its default, so these two start empty and are filled afterwards.
    start = saved or base
    empty = dict.fromkeys(repeatable, ())
    options = _parse(options_class, arguments, "train", default=options_class(**{**start.to_json(), **empty}))
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
    loop.check_new(options.run)
    return _run(config, options.run, start_from=options.start_from)


def _dry_run(config: Any) -> int:
    import json

    from stargan.progress import clock
    from stargan.training.plan import plan

    planned = plan(config)
    print(json.dumps(config.to_json(), indent=1))
    print(f"labels: {planned.domains.num_labels} ({', '.join(planned.domains.names)})")
    for name, count in planned.parameters.items():
        print(f"{name}: {count:,} parameters, {planned.macs[name] / 1e9:.2f} GMAC a picture")
    print(f"one update of D {planned.d_seconds:.3f} s, of G {planned.g_seconds:.3f} s, measured here")
    print(f"{config.steps:,} steps: {clock(planned.seconds)} without data, samples and checkpoints")
    print(f"peak memory: {planned.peak_memory / 2**30:.2f} GiB")
    return 0


def _value_of(option: str, arguments: Sequence[str]) -> str | None:
    for index, word in enumerate(arguments):
        if word == option and index + 1 < len(arguments):
            return arguments[index + 1]
        if word.startswith(option + "="):
            return word.partition("=")[2]
    return None


def _run(config: Any, run: Path, **how: Any) -> int:
    from stargan.interop.export import export
    from stargan.training import loop

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


def translate(arguments: list[str]) -> int:
    """Translate pictures, or whole folders of them."""
    import tyro

    @dataclasses.dataclass(frozen=True)
    class Options:
        """Translate pictures, or whole folders of them.

        Attributes:
            model: An .onnx or .safetensors file, or a run folder.
            images: Pictures or folders of pictures.
            out: Folder for the translations, one PNG for each picture and target.
            to: What to change, for example --to Blond_Hair Male=0; say it again for another target.
            known: What the pictures show, where you know it, for example --from Black_Hair Male; the rest is estimated.
            all: Every domain, and a labelled grid of them, instead of --to.
            overwrite: Replace files that exist.
        """

        model: tyro.conf.Positional[Path]
        images: tyro.conf.Positional[tuple[Path, ...]]
        out: Path
        to: tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]] = ()
        known: Annotated[tuple[str, ...], tyro.conf.arg(name="from")] = ()
        all: bool = False
        overwrite: bool = False

    options = _parse(Options, _signed(arguments), "translate")
    if bool(options.to) == options.all or not all(options.to):
        raise ConfigError("say either --to WORDS or --all")
    if not options.images:
        raise ConfigError("say which pictures or folders to translate")
    from stargan import files
    from stargan.translate import load

    jobs = files.find(options.images)
    model = load(options.model)
    report = files.translate(model, jobs, options.to, options.out, known=options.known, overwrite=options.overwrite)
    for line in report.failed:
        print(f"stargan: left out: {line}", file=sys.stderr)
    print(f"{len(report.written)} files in {options.out}")
    return BAD_INPUT if report.failed else 0


def export(arguments: list[str]) -> int:
    """Write a model as another kind of file."""
    import tyro

    @dataclasses.dataclass(frozen=True)
    class Options:
        """Write a model as another kind of file.

        Attributes:
            model: A run folder or a .safetensors file.
            out: The file to write, .onnx or .safetensors.
            overwrite: Replace a file that exists.
        """

        model: tyro.conf.Positional[Path]
        out: tyro.conf.Positional[Path]
        overwrite: bool = False

    options = _parse(Options, arguments, "export")
    from stargan.interop.export import export as write

    write(options.model, options.out, overwrite=options.overwrite)
    print(options.out)
    return 0


def cartoons(arguments: list[str]) -> int:
    """Draw a data set of cartoon faces, in CelebA format."""
    import tyro

    @dataclasses.dataclass(frozen=True)
    class Options:
        """Draw a data set of cartoon faces, in CelebA format.

        Attributes:
            out: Folder to write.
            count: How many faces.
            size: Width and height in pixels.
            seed: Another seed draws other faces.
        """

        out: tyro.conf.Positional[Path]
        count: int = 2000
        size: int = 128
        seed: int = 0

    options = _parse(Options, arguments, "cartoons")
    for name, low in (("count", 1), ("size", 8), ("seed", 0)):
        if getattr(options, name) < low:
            raise ConfigError(f"--{name} {getattr(options, name)}: must be at least {low}")
    from stargan.data import cartoons as drawn
    from stargan.progress import Progress

    with Progress("draw", options.count, "faces") as progress:
        drawn.write(options.out, options.count, seed=options.seed, size=options.size, progress=progress.update)
    print(f"{options.count} faces in {options.out}")
    return 0


def demo(arguments: list[str]) -> int:
    """Draw faces, train a small model on them, translate faces it never saw."""
    import tyro

    @dataclasses.dataclass(frozen=True)
    class Options:
        """Draw faces, train a small model on them, translate faces it never saw. Takes some minutes.

        Attributes:
            out: Folder for all that it makes; the picture is translations.png in it.
            steps: Updates of D; fewer are faster and worse.
        """

        out: Path = Path("demo")
        steps: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None

    options = _parse(Options, arguments, "demo")
    from stargan import demo as demonstration

    return demonstration.run(options.out, options.steps)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "demo": demo,
    "data": data,
    "train": train,
    "translate": translate,
    "export": export,
    "cartoons": cartoons,
}

if __name__ == "__main__":
    sys.exit(main())
