"""Faces in photos of one tone, black and white or sepia: their changes get that tone.

An image is of one tone if each lightness has one colour in it, and these colours form a smooth curve. Old photos are
only nearly so, because of noise, JPEG and filters that clip, and photos with pale colours are not far from it. In
between, a change keeps a share of its own colours, so that frames of a video do not jump from one to the other.
"""

import numpy as np

DEGREE = 3  # of the polynomial that is the curve of each channel
LUMA = (0.299, 0.587, 0.114)
EVERY = 3  # one of so many pixels decides, to save time
QUANTILE = 0.99  # of the distances of colours from the curve; what is beyond may be writing or dirt
EDGE = 0.01  # the share of pixels that are darker than the curve reaches, and of those that are lighter
RANGE = 64 / 127.5  # the least range of lightness that distances are compared with, because of noise
TONED = 0.06  # up to this distance, in ranges of lightness, an image is of one tone;
COLOURED = 0.09  # from this one on, it is in colour


def keep(before: np.ndarray, after: np.ndarray) -> None:
    """Gives the changes of images of one tone that tone.

    Args:
        before: (N, 3, H, W) float32 in [-1, 1], RGB, the images.
        after: (N, 3, H, W) float32 in [-1, 1], the changed ones; modified in place.
    """
    for old, new in zip(before, after, strict=True):
        some = old.reshape(3, -1)[:, ::EVERY]
        curve = Curve(some)
        share = (curve.distance(some) - TONED) / (COLOURED - TONED)
        if share < 1:
            change, light = new - old, _lightness(old)
            toned = curve.colours(light + np.tensordot(LUMA, change, 1)) - curve.colours(light)
            new[:] = np.clip(old + toned + max(share, 0.0) * (change - toned), -1, 1)


def _lightness(planes: np.ndarray) -> np.ndarray:
    return np.asarray(planes.mean(0, dtype=np.float64))


class Curve:
    """The colour of each lightness, which is the mean of the channels.

    These are polynomials, fitted by the recurrence of Forsythe, Generation and Use of Orthogonal Polynomials, 1957.

    Args:
        colours: (3, P) float32 in [-1, 1], the colours of P pixels.
    """

    def __init__(self, colours: np.ndarray) -> None:
        own = _lightness(colours)
        last, ordered = own.size - 1, np.sort(own)
        self.ends = float(ordered[int(EDGE * last)]), float(ordered[int((1 - EDGE) * last)])
        light = np.clip(own, *self.ends)
        self.terms: list[tuple[float, float, np.ndarray]] = []  # two factors of the recurrence, and coefficients
        before, basis, size = np.zeros_like(light), np.ones_like(light), 0.0
        shifted = colours + (light - own)  # the pixels beyond the ends as if they lay there
        for _ in range(DEGREE + 1):
            power = float((basis * basis).sum())
            if power < 1e-9 * light.size:  # fewer kinds of lightness than terms
                break
            shift = float((light * basis * basis).sum()) / power
            scale = power / size if size else 0.0
            self.terms.append((shift, scale, shifted @ basis / power))
            before, basis, size = basis, (light - shift) * basis - scale * before, power

    def colours(self, light: np.ndarray) -> np.ndarray:
        """(3, ...) float64, the colours of lightness (...) float64; beyond the ends, all channels change alike."""
        inside = np.clip(light, *self.ends)
        before, basis = np.zeros_like(light), np.ones_like(light)
        found = np.zeros((3, *light.shape))
        for shift, scale, coefficients in self.terms:
            found += np.multiply.outer(coefficients, basis)
            before, basis = basis, (inside - shift) * basis - scale * before
        return found + (light - inside)

    def distance(self, colours: np.ndarray) -> float:
        """How far pixels, (3, P) float32, are from the curve, in ranges of lightness."""
        distances = np.abs(colours - self.colours(_lightness(colours))).max(0)
        last = int(QUANTILE * (distances.size - 1))
        return float(np.partition(distances, last)[last]) / max(self.ends[1] - self.ends[0], RANGE)
