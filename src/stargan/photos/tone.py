"""Photos of one tone, black and white or sepia: a change of such a photo gets its tone.

A photo is of one tone if each lightness has one colour in it, and these colours form a smooth curve. Black-and-white
photos of JPEG files and clipped sepia prints are only nearly so, and photos with pale colours are not far from it.
Between them the change keeps a share of its own colours, so that frames of a video do not jump from one to the other.
"""

import numpy as np

DEGREE = 3  # of the polynomial that is the curve of each channel
LUMA = (0.299, 0.587, 0.114)
EVERY = 3  # one of so many pixels decides, to save time
NEAR = 0.99  # the share of pixels whose distance from the curve counts; the others may be writing or dirt
TONED, COLOURED = 11 / 127.5, 17 / 127.5  # this near to the curve, a photo is of one tone; this far, it is in colour


def keep(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Gives changes of photos of one tone that tone.

    Args:
        before: (N, 3, H, W) float32 in [-1, 1], RGB, the photos.
        after: (N, 3, H, W) float32 in [-1, 1], the changed ones.

    Returns:
        (N, 3, H, W) float32 in [-1, 1]; `after` itself for photos in colour.
    """
    return np.stack([_kept(*pair) for pair in zip(before, after, strict=True)]) if len(before) else after


def _kept(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    some = before.reshape(3, -1)[:, ::EVERY]
    curve = Curve(some)
    distances = np.abs(some - curve.colours(some.mean(0))).max(0)
    last = int(NEAR * (len(distances) - 1))
    share = (np.partition(distances, last)[last] - TONED) / (COLOURED - TONED)
    if share >= 1:
        return after
    change, light = after - before, before.mean(0)
    toned = curve.colours(light + np.tensordot(LUMA, change, 1)) - curve.colours(light)
    made = before + toned + max(share, 0.0) * (change - toned)
    return np.clip(made, -1, 1).astype(np.float32)


class Curve:
    """The colour of each lightness, which is the mean of the channels: polynomials that are fitted as in Forsythe 1957.

    Args:
        colours: (3, P) float32, the colours of P pixels.
    """

    def __init__(self, colours: np.ndarray) -> None:
        light = colours.mean(0, dtype=np.float64)
        self.ends = float(light.min()), float(light.max())
        self.terms: list[tuple[float, float, np.ndarray]] = []  # two factors of the recurrence, and coefficients
        before, basis, size = np.zeros_like(light), np.ones_like(light), 0.0
        for _ in range(DEGREE + 1):
            power = float((basis * basis).sum())
            if power < 1e-9 * light.size:  # fewer kinds of lightness than terms
                break
            shift = float((light * basis * basis).sum()) / power
            scale = power / size if size else 0.0
            self.terms.append((shift, scale, colours @ basis / power))
            before, basis, size = basis, (light - shift) * basis - scale * before, power

    def colours(self, light: np.ndarray) -> np.ndarray:
        """(3, ...) float64, the colours of lightness (...); beyond the ends, they get lighter and darker evenly."""
        light = np.asarray(light, np.float64)
        inside = np.clip(light, *self.ends)
        before, basis = np.zeros_like(light), np.ones_like(light)
        found = np.zeros((3, *light.shape))
        for shift, scale, coefficients in self.terms:
            found += np.multiply.outer(coefficients, basis)
            before, basis = basis, (inside - shift) * basis - scale * before
        return found + (light - inside)
