"""Adam, and its memory as arrays by name."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stargan.config import Config
from stargan.errors import CheckpointError

SLOTS = ("step", "exp_avg", "exp_avg_sq")


def adam(network: nn.Module, config: Config) -> torch.optim.Adam:
    """Adam as the configuration has it, fused into one kernel for all weights.

    On a GPU its rate and step count lie there too, so that an update can be recorded as a graph.
    """
    device = next(network.parameters()).device
    on_gpu = device.type == "cuda"
    rate = torch.tensor(config.lr, device=device) if on_gpu else config.lr
    betas = (config.beta1, config.beta2)
    return torch.optim.Adam(network.parameters(), rate, betas, fused=True, capturable=on_gpu)


def set_rate(optimizer: torch.optim.Adam, rate: float) -> None:
    """Sets the learning rate of the next update."""
    group = optimizer.param_groups[0]
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def to_arrays(optimizer: torch.optim.Adam, network: nn.Module) -> dict[str, np.ndarray]:
    """Its memory, `weight/slot`, copied; empty before the first update."""
    return {
        f"{key}/{slot}": value.detach().cpu().numpy().copy()
        for key, parameter in network.named_parameters()
        for slot, value in optimizer.state.get(parameter, {}).items()
    }


def from_arrays(optimizer: torch.optim.Adam, network: nn.Module, arrays: Mapping[str, np.ndarray], what: str) -> None:
    """The inverse of `to_arrays`; `what` names the optimizer in errors.

    Raises:
        CheckpointError: An array is missing, left over or of the wrong shape.
    """
    parameters = dict(network.named_parameters())
    state: dict[Any, dict[str, Tensor]] = {}
    for key, array in arrays.items():
        owner, _, slot = key.rpartition("/")
        if owner not in parameters or slot not in SLOTS:
            raise CheckpointError(f"{what}/{key} does not belong there")
        shape = () if slot == "step" else tuple(parameters[owner].shape)
        if array.shape != shape:
            raise CheckpointError(f"{what}/{key} has shape {array.shape}, not {shape}")
        values = torch.from_numpy(np.array(array, np.float32))
        # The fused kernel walks weights and slots alike, so these lie in memory as the weight does.
        like = values.to(parameters[owner].device) if slot == "step" else torch.empty_like(parameters[owner])
        state.setdefault(parameters[owner], {})[slot] = like.detach().copy_(values)
    for key, slot in itertools.product(parameters, SLOTS):
        if arrays and f"{key}/{slot}" not in arrays:  # a network that was never updated has none at all
            raise CheckpointError(f"{what}/{key}/{slot} is missing")
    optimizer.state.clear()
    optimizer.state.update(state)
