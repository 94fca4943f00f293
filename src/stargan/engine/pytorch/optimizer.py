"""Adam, and its memory as arrays by name."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from stargan.config import Config
from stargan.engine.pytorch.fast.convolution import StridedConv
from stargan.errors import CheckpointError

ROWS = 32  # of a gradient that are computed together: 2 MB of D's last layer
SLOTS = ("step", "exp_avg", "exp_avg_sq")


class Adam(torch.optim.Adam):
    """Adam as the configuration has it, fused into one kernel for all weights.

    On a GPU its rate and step count lie there too, so that an update can be recorded as a graph. On a CPU, gradients
    that are left as factors (`StridedConv`) are multiplied a few rows at a time, each of which is used while it is in
    the cache: D's last layer alone would need 134 MB for all of them.

    Args:
        network: What it updates.
        config: The rate and the betas.
    """

    def __init__(self, network: nn.Module, config: Config) -> None:
        device = next(network.parameters()).device
        on_gpu = device.type == "cuda"
        rate = torch.tensor(config.lr, device=device) if on_gpu else config.lr
        super().__init__(network.parameters(), rate, (config.beta1, config.beta2), fused=True, capturable=on_gpu)
        self.factored = [layer for layer in network.modules() if isinstance(layer, StridedConv)]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets gradients, and factors of gradients."""
        super().zero_grad(set_to_none)
        for layer in self.factored:
            layer.factors.clear()

    def fold(self) -> None:
        """Makes gradients of all factors."""
        for layer in self.factored:
            layer.fold()

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of the weights that have a gradient."""
        for layer in self.factored:
            if layer.weight.grad is not None:  # some passes had few positions, others not
                layer.fold()
        loss = super().step(closure)
        for layer in self.factored:
            if layer.factors:
                self._step(layer)
        return loss

    def _step(self, layer: StridedConv) -> None:
        """One update of a layer whose gradient is all factors."""
        left, right = layer.joined()
        weight, state = layer.weight, self.state[layer.weight]
        if not state:
            state |= {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(weight),
                "exp_avg_sq": torch.zeros_like(weight),
            }
        group = self.param_groups[0]
        for start in range(0, len(weight), ROWS):
            part = slice(start, start + ROWS)
            mean, square = (state[slot][part].flatten(1) for slot in ("exp_avg", "exp_avg_sq"))
            count = state["step"].clone()  # to which the call adds one
            adam(
                [weight[part].flatten(1)], [left[:, part].t() @ right], [mean], [square], [], [count],
                fused=True, amsgrad=False, maximize=False, lr=group["lr"], beta1=group["betas"][0],
                beta2=group["betas"][1], eps=group["eps"], weight_decay=0.0,
            )  # fmt: skip
        state["step"] += 1


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
