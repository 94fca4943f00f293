"""Numbers of the edit generator, and of what trains it, that are the same in every engine and that are no settings."""

# ---------------------------------------------------------------- the generator

GRID = 32
"""Cells a side into which an image of any size is folded."""
MAPS = 64
"""Pixels a side at which the mask, the gains and the offsets are drawn."""
EMBEDDING = 64
"""Length of the vector that represents the change of the labels."""
GROUPS = 16
"""Groups of the group norms."""
SLOPE = 0.2
"""Slope of the leaky ReLUs."""
