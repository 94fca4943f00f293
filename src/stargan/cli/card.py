"""`stargan card`."""

import dataclasses

from stargan.cli.options import Command, Model
from stargan.errors import ModelError
from stargan.inference.load import load
from stargan.model.card import ALL, Card, Scores
from stargan.model.info import ModelInfo


@dataclasses.dataclass(frozen=True)
class Options:
    """Print what a model says about itself: what it is for, how well it does that, and for whom.

    Attributes:
        model: A shipped model's name, an .onnx or .safetensors file, or a run folder.
    """

    model: Model


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    info = load(options.model).info
    if info.card is None:
        raise ModelError(f"{options.model}: has no card; `stargan export --report` gives it one")
    print(render(options.model.stem, info, info.card), end="")
    return 0


def render(name: str, info: ModelInfo, card: Card) -> str:
    """The card as Markdown.

    Args:
        name: The model's.
        info: What it says about itself.
        card: Its card.
    """
    width, height = info.image_size
    sets = ", ".join(f"{part.get('training_images', '?')} pictures of {part.get('name', '?')}" for part in info.data)
    said = ", ".join(f"{what} {value}" for what, value in card.measured.items())
    lines = [
        f"# Model card: {name}",
        "",
        f"- Can be asked for: {', '.join(info.domains.names)}",
        f"- Pictures: {width}x{height} pixels",
        f"- Trained on: {sets}; recipe {info.recipe}, {info.steps} updates of D",
        f"- Licence of the data: {info.licence or 'not said'}",
        f"- Limits: {card.limits or 'not said'}",
        "",
        f"Measured by `stargan evaluate` ({said}).",
        "Intervals hold 95 %; docs/evaluation.md says what the figures mean.",
        "",
        *_figures(card),
        "",
        *_table("asked for", card.tasks),
    ]
    if card.groups:
        lines += ["", *_table("sources that show", card.groups)]
    return "\n".join(lines) + "\n"


def _figures(card: Card) -> list[str]:
    overall = card.tasks.get(ALL, {})
    rows = [f"| {name} | {s.value:.3g} | {s.low:.3g} to {s.high:.3g} | {s.count} |" for name, s in overall.items()]
    return ["| figure over all | value | interval | count |", "|---|---|---|---|", *rows]


def _table(head: str, scores: Scores) -> list[str]:
    rows = []
    for name, row in scores.items():
        if name == ALL or "error" not in row:
            continue
        error, kept = row["error"], row.get("kept")
        cells = [name, f"{error.value:.0%} ({error.low:.0%} to {error.high:.0%})"]
        cells += [f"{kept.value:.0%}" if kept else "-", str(error.count)]
        rows.append("| " + " | ".join(cells) + " |")
    return [f"| {head} | error | kept | count |", "|---|---|---|---|", *rows]


COMMAND = Command(Options, run)
