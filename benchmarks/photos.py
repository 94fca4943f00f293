"""How a model does on whole photographs: faces found, changes found, identity, and the time of each stage.

    python benchmarks/photos.py FOLDER --model celeba --data CELEBA [--json figures.json]
    python benchmarks/photos.py FOLDER --sheet sheet.jpg [--changes Male Eyeglasses]

Each photograph is translated as by `stargan translate`, to every single change. Then its faces are looked for again in
the result. A classifier that took no part in training the model (that of `stargan evaluate`, trained on --data) says
whether it finds the change in them; dlib's networks, if they are installed, compare the persons. The labels of the
photographs are not known, so it also says how often it found the requested label before.
"""

import argparse
import io
import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measure import machine, table
from PIL import Image

import stargan
from stargan import faces, images
from stargan.data import image_files
from stargan.domains import requests
from stargan.evaluation import evaluation_set, identity
from stargan.evaluation.classifier import Classifier, evaluation_classifiers
from stargan.inference import views
from stargan.inference.steps import Step
from stargan.inference.translator import Translator
from stargan.inference.views import View

CELL = 320  # pixels, the side of an image on the sheet
COLUMNS = 5
HEAD = 2.0  # the side of what the sheet shows, in sides of the face


class Clock:
    """Adds up the seconds of stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def time(self, stage: str, start: float) -> float:
        """Ends a stage that began at `start`; returns the present time."""
        now = time.perf_counter()
        self.seconds[stage].append(now - start)
        return now


def translations(model: Translator, path: Path, clock: Clock) -> tuple[View, Iterator[tuple[str, Image.Image]]] | None:
    """One photograph as the model sees it, and the whole photograph after each single change; None without a face."""
    start = time.perf_counter()
    photo = images.read_photo(path)
    start = clock.time("decode", start)
    regions = views.regions(photo.image, model.info)
    start = clock.time("find and align", start)
    if not regions:
        return None
    view = model.view(photo, regions)
    clock.time("estimate labels", start)
    targets = [dict(requests.every_target(model.domains, values)) for values in view.values]

    def changed() -> Iterator[tuple[str, Image.Image]]:
        for word in requests.every_word(model.domains):
            if not any(word in own for own in targets):
                continue
            start = time.perf_counter()
            plans = [
                (Step(1.0, own[word], values),) if word in own else ()
                for own, values in zip(targets, view.values, strict=True)
            ]
            results = model.edit(view.images, plans)
            start = clock.time("translate", start)
            painted = view.paint(results)
            start = clock.time("put back", start)
            images.write(painted, io.BytesIO(), photo.format, photo)
            clock.time("encode", start)
            yield word, painted

    return view, changed()


def again(model: Translator, painted: Image.Image, view: View) -> list[np.ndarray | None]:
    """For each face of a view, the aligned face that is found at the same place after a change, (3, H, W)."""
    assert model.info.face_crop is not None
    found = faces.find(painted)
    aligned: list[np.ndarray | None] = []
    for region in view.regions:
        assert region.face is not None
        middle = region.face.landmarks.mean(0)
        near = [face for face in found if np.linalg.norm(face.landmarks.mean(0) - middle) < 0.3 * region.face.size]
        part = faces.align(painted, near[0], model.info.face_crop, model.image_size) if near else None
        aligned.append(images.to_array([part.image])[0] if part else None)
    return aligned


def measured(model: Translator, paths: Sequence[Path], classifier: Classifier | None) -> tuple[dict[str, Any], Clock]:
    """The figures over all photographs."""
    clock = Clock()
    recogniser = identity.FaceRecogniser() if identity.installed() else None
    counts: dict[str, int] = defaultdict(int)
    found: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    distances: dict[str, list[float]] = defaultdict(list)
    for path in paths:
        seen = translations(model, path, clock)
        counts["photographs"] += 1
        if seen is None:
            counts["without a face"] += 1
            continue
        view, changed = seen
        counts["faces"] += len(view.regions)
        before = classifier.decide(classifier.logits(view.images)).balanced if classifier else None
        for word, painted in changed:
            index, state = next(iter(requests.parse(model.domains, [word]).items()))
            for number, face in enumerate(again(model, painted, view)):
                counts["translated faces"] += 1
                counts["found again"] += face is not None
                if face is None:
                    continue
                if classifier and before is not None:
                    after = classifier.decide(classifier.logits(face[None])).balanced[0]
                    found[word].append((after[index] == state, before[number][index] == state))
                if recogniser:
                    distances[word].append(_distance(recogniser, view, number, painted))
        print(f"{path.name}: {len(view.regions)} faces", flush=True)
    figures: dict[str, Any] = dict(counts)
    figures["changes"] = {
        word: {
            "count": len(found[word]),
            "found": _mean([after for after, _ in found[word]]),
            "found before": _mean([before for _, before in found[word]]),
            "identity": _mean(distances[word]),
        }
        for word in sorted({*found, *distances})
    }
    return figures, clock


def _distance(recogniser: identity.FaceRecogniser, view: View, number: int, painted: Image.Image) -> float:
    """Between the descriptors of a face in the photograph and after a change, around the face."""
    face = view.regions[number].face
    assert face is not None
    left, top, right, bottom = face.box
    wide = (right - left) / 2
    box = (left - wide, top - wide, right + wide, bottom + wide)
    before, after = (np.asarray(image.crop(box)) for image in (view.photo.image, painted))
    landmarks = recogniser.landmarks(before)
    first, second = recogniser.descriptors(np.stack([before, after]), [landmarks] * 2)
    return float(np.linalg.norm(first - second))


def _mean(values: Sequence[float]) -> float | None:
    known = [float(value) for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else None


def sheet(model: Translator, paths: Sequence[Path], known: Sequence[str], words: Sequence[str]) -> Image.Image:
    """Each face of the photographs, and what the changes `words` (all if empty) make of it, cut out of whole photos."""
    cells: list[Image.Image] = []
    captions: list[str] = []
    if unknown := sorted({*words} - {*requests.every_word(model.domains)}):
        raise SystemExit(f"--changes {unknown[0]}: must be one of {', '.join(requests.every_word(model.domains))}")
    for path in paths:
        photo = images.decode(path)
        if not (found := faces.find(photo)):
            continue
        row = {"photo": photo, **dict(model.translate_all(photo, known=known))}
        row = {word: image for word, image in row.items() if word in ("photo", *words) or not words}
        for face in found:
            left, top, right, bottom = face.box
            half = min(HEAD / 2 * max(right - left, bottom - top), *(side / 2 for side in photo.size))
            middle = ((left + right) / 2, (top + bottom) / 2)
            x, y = (min(max(at, half), side - half) for at, side in zip(middle, photo.size, strict=True))
            head = (x - half, y - half, x + half, y + half)
            cells += [image.resize((CELL, CELL), Image.Resampling.LANCZOS, head) for image in row.values()]
            captions += row
            while len(cells) % COLUMNS:
                cells.append(Image.new("RGB", (CELL, CELL), "white"))
                captions.append("")
    if not cells:
        raise SystemExit("no face was found in any of the photographs")
    return images.grid(np.stack([np.asarray(image) for image in cells]), COLUMNS, captions=captions)


def _classifier(model: Translator, data: str | None) -> Classifier | None:
    if data is None:
        return None
    loaded = evaluation_set.load(data, model.info, split=None, limit=1, seed=0)
    return evaluation_classifiers(model.domains, loaded, 1, 0)[0]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", default="celeba")
    parser.add_argument("--data", help="labelled data to train the classifier on")
    parser.add_argument("--known", nargs="*", default=[], help="labels of all photographs on the sheet, see --from")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet instead")
    parser.add_argument("--changes", nargs="*", default=[], help="those on the sheet, for example Male; all by default")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = stargan.load(options.model)
    names = [options.folder] if options.folder.is_file() else None
    paths = names or [options.folder / name for name in image_files.find(options.folder).files]
    if options.sheet:
        images.save(sheet(model, paths, options.known, options.changes), options.sheet)
        return
    figures, clock = measured(model, paths, _classifier(model, options.data))
    print(machine())
    print({name: value for name, value in figures.items() if name != "changes"})
    print(table([{"change": word, **found} for word, found in figures["changes"].items()]))
    stages = {stage: median(seconds) for stage, seconds in clock.seconds.items()}
    print(
        table(
            [
                {"stage": stage, "median s": seconds, "times": len(clock.seconds[stage])}
                for stage, seconds in stages.items()
            ]
        )
    )
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), **figures, "seconds": stages}, indent=1), "utf-8")


if __name__ == "__main__":
    main()
