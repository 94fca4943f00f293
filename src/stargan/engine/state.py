"""The state of a training, which every engine keeps as the same arrays; `interface` lists their names."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from stargan.engine.interface import Arrays
from stargan.errors import CheckpointError
from stargan.model.safetensors_file import under

ADAM, G_UPDATES, LOSSES = "training/adam", "training/g_updates", "training/losses"


@dataclass(frozen=True)
class State:
    """What a training needs to continue exactly.

    Attributes:
        networks: The weights of each network, by its name in a file.
        adam: The optimizer's state for each network, as arrays named `weight/slot`.
        g_updates: The number of updates of G.
        losses: The latest losses: a resumed run logs those of G before its next update of G.
    """

    networks: Mapping[str, Arrays]
    adam: Mapping[str, Arrays]
    g_updates: int
    losses: Mapping[str, float]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns all of it by name."""
        parts = {**self.networks, **{f"{ADAM}/{name}": slots for name, slots in self.adam.items()}}
        arrays = {f"{prefix}/{key}": array for prefix, part in parts.items() for key, array in part.items()}
        losses = {f"{LOSSES}/{name}": np.array(loss, np.float32) for name, loss in self.losses.items()}
        return {G_UPDATES: np.array(self.g_updates, np.int64), **arrays, **losses}


def from_arrays(arrays: Arrays, networks: Collection[str], optimized: Collection[str]) -> State:
    """Reads what `State.to_arrays` returned.

    Args:
        arrays: The arrays by name.
        networks: The names of the stored networks in a file.
        optimized: The names of the networks that have an optimizer.

    Raises:
        CheckpointError: An array is unexpected, or a number is missing or not one.
    """
    prefixes = (*networks, *(f"{ADAM}/{name}" for name in optimized), LOSSES)
    for name in arrays:
        if name != G_UPDATES and not name.startswith(tuple(f"{prefix}/" for prefix in prefixes)):
            raise CheckpointError(f"unexpected array {name}")
    if G_UPDATES not in arrays or arrays[G_UPDATES].shape != ():
        raise CheckpointError(f"{G_UPDATES} is missing or not a single number")
    losses = under(arrays, LOSSES)
    if any(loss.shape != () or loss.dtype.kind != "f" for loss in losses.values()):
        raise CheckpointError(f"an array in {LOSSES} is not a single number")
    return State(
        {name: under(arrays, name) for name in networks},
        {name: under(arrays, f"{ADAM}/{name}") for name in optimized},
        int(arrays[G_UPDATES]),
        {name: float(loss) for name, loss in losses.items()},
    )
