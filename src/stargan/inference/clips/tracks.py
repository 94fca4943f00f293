"""Faces through time: each found in its frames, followed from frame to frame, and steadied."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from stargan import faces
from stargan.faces import Face

SEARCH_EVERY = 10  # frames between two searches of a whole frame; in between, known faces are followed
SAME = 0.5  # how far a face may move between two frames, in sides of the face
BLINK = 3  # frames for which a face may be lost
STEADY = 1.5  # frames; the standard deviation of the smoothing of landmarks
SHORTEST = 5  # frames below which a track is a false find


@dataclass
class Track:
    """One face in successive frames.

    Attributes:
        start: The first frame.
        found: The face in each frame from there on; None in a frame in which it was lost.
    """

    start: int
    found: list[Face | None] = field(default_factory=list)

    @property
    def last(self) -> Face:
        """The face where it was seen last."""
        return next(face for face in reversed(self.found) if face is not None)

    @property
    def lost(self) -> int:
        """For how many frames it has been lost."""
        return next(count for count, face in enumerate(reversed(self.found)) if face is not None)

    def steadied(self) -> list[Face]:
        """The face in each frame up to the last one in which it was seen, with landmarks smoothed over time."""
        seen = len(self.found) - self.lost
        frames = np.array([index for index, face in enumerate(self.found) if face is not None])
        points = np.stack([face.landmarks for face in self.found if face is not None])
        boxes = np.array([face.box for face in self.found if face is not None])
        steady = []
        for frame in range(seen):
            weights = np.exp(-(((frames - frame) / STEADY) ** 2) / 2)
            weights /= weights.sum()
            landmarks = _line(frames, points.reshape(len(frames), -1), weights, frame).reshape(points.shape[1:])
            box = _line(frames, boxes, weights, frame)
            steady.append(Face(tuple(box.tolist()), landmarks.astype(np.float32), self.last.score))
        return steady


def _line(frames: np.ndarray, values: np.ndarray, weights: np.ndarray, at: int) -> np.ndarray:
    """Local linear regression of values, (N, K), at one frame: unlike a mean, it does not lag at the ends."""
    middle = weights @ frames
    mean = weights @ values
    spread = weights @ (frames - middle) ** 2
    slope = (weights * (frames - middle)) @ (values - mean) / spread if spread > 1e-9 else 0
    return np.asarray(mean + slope * (at - middle))


def follow(frames: Iterator[Image.Image]) -> Iterator[list[Track]]:
    """Follows all faces; yields after each frame, and the last list has all tracks."""
    tracks: list[Track] = []
    active: list[Track] = []
    for index, frame in enumerate(frames):
        again = [faces.find_again(frame, track.last) for track in active]
        found = list(filter(None, again))
        if index % SEARCH_EVERY == 0 or len(found) < len(active):
            found = _with_new(found, faces.find(frame))
        for track in active:
            match = min(found, key=lambda face: _distance(face, track.last), default=None)
            near = match is not None and _distance(match, track.last) < SAME
            track.found.append(match if near else None)
            found = [face for face in found if face is not match or not near]
        new = [Track(index, [face]) for face in found]
        tracks += new
        active = [track for track in [*active, *new] if track.lost <= BLINK]
        yield tracks


def _with_new(found: list[Face], searched: list[Face]) -> list[Face]:
    return [*found, *(face for face in searched if all(_distance(face, other) >= SAME for other in found))]


def _distance(one: Face, other: Face) -> float:
    """Between the middles of two faces, in sides of the second."""
    return float(np.linalg.norm(one.landmarks.mean(0) - other.landmarks.mean(0))) / max(other.size, 1.0)
