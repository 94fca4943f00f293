"""Similarity transforms: a turn, a scale and a shift, as (2, 3) matrices."""

import numpy as np


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The turn, scale and shift that bring points nearest to others (least squares, without reflection).

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991, in two
    dimensions, where turn and scale are one complex number.

    Args:
        source: (N, 2), not all the same.
        target: (N, 2).

    Returns:
        (2, 3) float64: the target is `matrix[:, :2] @ source + matrix[:, 2]`.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    centre, goal = source.mean(0), target.mean(0)
    z = (source - centre) @ (1, 1j)
    w = (target - goal) @ (1, 1j)
    factor = np.vdot(z, w) / np.vdot(z, z).real
    linear = np.array(((factor.real, -factor.imag), (factor.imag, factor.real)))
    return np.column_stack((linear, goal - linear @ centre))


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse of an affine map; (2, 3) to (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack((linear, -linear @ matrix[:, 2]))
