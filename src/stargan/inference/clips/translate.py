"""Translating a clip: first its faces are followed and their labels estimated, then each frame is changed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from stargan import faces
from stargan.domains.estimates import estimates
from stargan.domains.requests import Request
from stargan.errors import ImageError
from stargan.faces import Face
from stargan.images import to_array
from stargan.inference import views
from stargan.inference.clips.files import Clip, check_output, open_clip
from stargan.inference.clips.tracks import SHORTEST, Track, follow
from stargan.inference.steps import steps
from stargan.inference.translator import Translator
from stargan.inference.views import Choice, Region
from stargan.photos import put_back
from stargan.progress import Progress
from stargan.storage import atomic_write

LOOKS = 24  # frames, spread over a track, from which its labels are estimated

Steady = Sequence[tuple[int, Sequence[Face]]]
"""For each face, the first frame in which it is seen, and where it is from there on."""


def translate(
    model: Translator,
    path: Path,
    out: Path,
    request: Request,
    *,
    known: Request = (),
    strength: float = 1.0,
    choice: Choice = "all",
    align: bool = True,
) -> list[str]:
    """Translates a video or an animated image.

    Faces are followed through time and their positions smoothed, so that they do not tremble. The labels of a face are
    estimated once, from several frames. Sound is kept as it is.

    Args:
        model: Translates.
        path: The clip, see `files.is_clip`.
        out: The file to write; replaced if it exists.
        request: As in `Translator.translate`.
        known: As in `Translator.translate`.
        strength: As in `Translator.translate`.
        choice: Which faces, numbered by their first frame, then from left to right.
        align: As in `Translator.translate`.

    Returns:
        What the model saw, one line for each face.

    Raises:
        ImageError: The clip cannot be read or has no face, or `out` is of another kind.
        MissingExtraError: PyAV is needed and not installed.
    """
    clip = open_clip(path)
    check_output(clip, out)
    tracked = _tracks(clip, choice) if model.info.face_crop and align else None
    with Progress("translate", clip.count, "frames") as progress:
        frames = _changed(model, clip, tracked, request, known, strength)
        first = next(frames)  # before a file is begun
        lines = first if isinstance(first, list) else []
        with atomic_write(out, sync=False, ending=out.suffix) as temporary:
            clip.write(_counted(frames, progress), temporary)
    return lines


def _counted(frames: Iterator[Image.Image | list[str]], progress: Progress) -> Iterator[Image.Image]:
    for done, frame in enumerate(frames, 1):
        assert isinstance(frame, Image.Image)
        progress.total = max(progress.total, done)
        progress.update(done)
        yield frame


def _tracks(clip: Clip, choice: Choice) -> list[Track]:
    views.check(choice)
    found: list[Track] = []
    with Progress("find faces", clip.count, "frames") as progress:
        for done, tracks in enumerate(follow(clip.frames()), 1):
            found = tracks
            progress.total = max(progress.total, done)
            progress.update(done)
    shortest = min(SHORTEST, max((len(track.found) - track.lost for track in found), default=0))
    found = [track for track in found if len(track.found) - track.lost >= shortest]
    found.sort(key=lambda track: (track.start, track.found[0].box[0] if track.found[0] else 0))
    return _chosen(found, choice, clip.path)


def _chosen(tracks: list[Track], choice: Choice, path: Path) -> list[Track]:
    if not tracks:
        raise ImageError(f"{path}: no face found; if it shows one face, cut and aligned already, say --no-align")
    if choice == "all":
        return tracks
    if choice == "largest":
        return [max(tracks, key=lambda track: track.last.size)]
    numbers = {choice} if isinstance(choice, int) else {int(number) for number in choice}
    missing = sorted(numbers - set(range(1, len(tracks) + 1)))
    if missing:
        raise ImageError(f"{path}: no face {missing[0]}; the faces are numbered 1 to {len(tracks)}")
    return [track for number, track in enumerate(tracks, 1) if number in numbers]


def _changed(
    model: Translator,
    clip: Clip,
    tracks: Sequence[Track] | None,
    request: Request,
    known: Request,
    strength: float,
) -> Iterator[Image.Image | list[str]]:
    """Yields what the model saw, in lines, and then the changed frames."""
    placed = None if tracks is None else [(track.start, track.steadied()) for track in tracks]
    probabilities = _estimates(model, clip, placed, known)
    values = model.domains.decide(probabilities)
    plans = [steps(model.domains, row, request, strength) for row in values]
    told = [views.told(estimates(model.domains, row)) for row in probabilities]
    yield told if placed is None else [f"face {number}: {line}" for number, line in enumerate(told, 1)]
    for index, frame in enumerate(clip.frames()):
        seen = _regions(model, frame, placed, index)
        if not seen:
            yield frame
            continue
        prepared = to_array([region.part.image for _, region in seen])
        results = model.edit(prepared, [plans[face] for face, _ in seen])
        yield put_back(frame, prepared, results, [region.part for _, region in seen])


def _estimates(model: Translator, clip: Clip, placed: Steady | None, known: Request) -> np.ndarray:
    """The mean probabilities, (F, C), of the labels of each face over some of its frames."""
    images: dict[int, list[np.ndarray]] = {}
    wanted: dict[int, set[int]] = {}
    spans = [(0, max(clip.count, 1))] if placed is None else [(start, len(found)) for start, found in placed]
    for face, (start, length) in enumerate(spans):
        for frame in np.linspace(start, start + length - 1, LOOKS).astype(int):
            wanted.setdefault(int(frame), set()).add(face)
    for index, frame in enumerate(clip.frames() if wanted else ()):
        if index > max(wanted):
            break
        for face, region in _regions(model, frame, placed, index) if index in wanted else ():
            if face in wanted[index]:
                images.setdefault(face, []).append(to_array([region.part.image])[0])
    return np.stack([model.probabilities(np.stack(images[face]), known).mean(0) for face in sorted(images)])


def _regions(model: Translator, frame: Image.Image, placed: Steady | None, index: int) -> list[tuple[int, Region]]:
    """The regions of a frame, each with the index of its face."""
    if placed is None:
        return [(0, region) for region in views.regions(frame, model.info, align=False)]
    assert model.info.face_crop is not None
    return [
        (face, Region(faces.align(frame, found[index - start], model.info.face_crop, model.image_size), None, face + 1))
        for face, (start, found) in enumerate(placed)
        if start <= index < start + len(found)
    ]
