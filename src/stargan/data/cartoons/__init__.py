"""Cartoon faces: labelled images whose true translations are known.

An image is a pure function of a `Face` (everything that a translation must keep), its labels and its size. Drawing the
same face with one label changed therefore gives exactly the image that a translation should produce.
"""

from stargan.data.cartoons.data_set import IMAGES, LIST, Pair, pairs, write
from stargan.data.cartoons.drawing import draw
from stargan.data.cartoons.faces import ATTRIBUTES, EXCLUSIVE, Face, Labels, sample

__all__ = ["ATTRIBUTES", "EXCLUSIVE", "IMAGES", "LIST", "Face", "Labels", "Pair", "draw", "pairs", "sample", "write"]
