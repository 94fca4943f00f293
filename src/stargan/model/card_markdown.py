"""A model card as Markdown."""

from stargan.errors import one_line
from stargan.model.card import ALL, Card
from stargan.model.figure import FigureTable
from stargan.model.info import ModelInfo


def markdown(name: str, info: ModelInfo, card: Card) -> str:
    """Formats a model card for people.

    Args:
        name: The model's name.
        info: The model's description.
        card: Its card.
    """
    width, height = info.image_size
    data = ", ".join(
        f"{part.get('shards', part.get('training_images', '?'))} {'shards' if 'shards' in part else 'images'} of "
        f"{part.get('name', '?')}"
        for part in info.data
    )
    conditions = ", ".join(f"{key} {value}" for key, value in card.measured.items())
    lines = [
        f"# Model card: {name}",
        "",
        f"- Domains: {', '.join(info.domains.names)}",
        f"- Image size: {width}x{height} pixels",
        f"- Trained on: {data}; recipe {info.recipe}, {info.steps} updates of D",
        f"- Licence of the data: {info.licence or 'unknown'}",
        f"- Limits: {card.limits or 'not stated'}",
        "",
        "| request | also |",
        "|---|---|",
        *(f"| {word} | {', '.join(also)} |" for word, also in info.domains.words().items()),
        "",
        f"Measured with `stargan evaluate` ({conditions}).",
        "Intervals are 95 % confidence intervals. docs/evaluation.md explains the metrics.",
        "",
        *_overall(card),
        "",
        *_table("task", card.tasks),
    ]
    if card.groups:
        lines += ["", *_table("source images with", card.groups)]
    return "\n".join(map(one_line, lines)) + "\n"


def _overall(card: Card) -> list[str]:
    figures = card.tasks.get(ALL, {})
    rows = [f"| {name} | {f.value:.3g} | {f.low:.3g} to {f.high:.3g} | {f.count} |" for name, f in figures.items()]
    return ["| metric, all tasks | value | interval | count |", "|---|---|---|---|", *rows]


def _table(title: str, table: FigureTable) -> list[str]:
    rows = []
    for name, figures in table.items():
        if name == ALL or "error" not in figures:
            continue
        error = figures["error"]
        kept = f"{figures['kept'].value:.0%}" if "kept" in figures else "-"
        rows.append(f"| {name} | {error.value:.0%} ({error.low:.0%} to {error.high:.0%}) | {kept} | {error.count} |")
    return [f"| {title} | error | kept | count |", "|---|---|---|---|", *rows]
