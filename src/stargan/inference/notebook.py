"""A model's description as HTML, for notebooks."""

from html import escape

from stargan.model.card import ALL
from stargan.model.info import ModelInfo


def html(info: ModelInfo) -> str:
    """A table of what a model changes and how often it succeeds, as far as that was measured."""
    width, height = info.image_size
    tasks = info.card.tasks if info.card else {}
    rows = []
    for name in info.domains.group_names:
        words = [word for label in name.split(", ") for word in (label, f"{label}=0") if word in tasks]
        found = [f"{escape(word)} {1 - tasks[word]['error'].value:.0%}" for word in words if "error" in tasks[word]]
        rows.append(f"<tr><td>{escape(name)}</td><td>{', '.join(found) or 'not measured'}</td></tr>")
    about = "faces in photos" if info.face_crop else "images"
    total = tasks.get(ALL, {}).get("error")
    measured = f"; {1 - total.value:.0%} of all requests succeed" if total else ""
    return (
        f"<p><b>stargan model</b> for {about}, {width}x{height} pixels{measured}</p>"
        "<table><thead><tr><th>changes</th><th>succeeds</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
