"""Adam, and its state as arrays by name."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from stargan.config import Config
from stargan.engine.pytorch.fast.convolution import StridedConv
from stargan.errors import CheckpointError

ROWS = 32  # rows of a gradient computed at a time: 2 MB for D's last layer
SLOTS = ("step", "exp_avg", "exp_avg_sq")


class Adam(torch.optim.Adam):
    """Adam with the configuration's settings, fused into one kernel for all weights.

    On a GPU the learning rate and the step count are in GPU memory, so that an update can be recorded as a CUDA graph.
    On a CPU, gradients kept as factors (`StridedConv`) are multiplied out a few rows at a time and used while they are
    in the cache. D's last layer alone would need 134 MB for the whole gradient.

    Args:
        network: The network to update.
        config: The learning rate and the betas.
        parts: The parts of the network that have learning rates of their own; by default, all of it has one.
    """

    def __init__(self, network: nn.Module, config: Config, parts: Sequence[nn.Module] = ()) -> None:
        device = next(network.parameters()).device
        on_gpu = device.type == "cuda"
        groups = [
            {
                "params": list(part.parameters()),
                "lr": torch.tensor(config.lr, device=device) if on_gpu else config.lr,
            }
            for part in parts or [network]
        ]
        super().__init__(groups, betas=(config.beta1, config.beta2), fused=True, capturable=on_gpu)
        self.factored = [layer for layer in network.modules() if isinstance(layer, StridedConv)]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Discards gradients and factors of gradients."""
        super().zero_grad(set_to_none)
        for layer in self.factored:
            layer.factors.clear()

    def fold(self) -> None:
        """Multiplies out all factors into gradients."""
        for layer in self.factored:
            layer.fold()

    def gradients(self) -> list[Tensor]:
        """Returns the gradients of all weights that have one, with factors multiplied out."""
        self.fold()
        weights = (weight for group in self.param_groups for weight in group["params"])
        return [weight.grad for weight in weights if weight.grad is not None]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Updates the weights that have a gradient."""
        for layer in self.factored:
            if layer.weight.grad is not None:  # only some of the passes left factors
                layer.fold()
        loss = super().step(closure)
        for layer in self.factored:
            if layer.factors:
                self._step(layer)
        return loss

    def _step(self, layer: StridedConv) -> None:
        """Updates a layer whose whole gradient is kept as factors."""
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
            count = state["step"].clone()  # the call below adds one to it
            adam(
                [weight[part].flatten(1)], [left[:, part].t() @ right], [mean], [square], [], [count],
                fused=True, amsgrad=False, maximize=False, lr=group["lr"], beta1=group["betas"][0],
                beta2=group["betas"][1], eps=group["eps"], weight_decay=0.0,
            )  # fmt: skip
        state["step"] += 1


def set_rate(optimizer: torch.optim.Adam, *rates: float) -> None:
    """Sets the learning rate of the next update, one for each part of the network."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def to_arrays(optimizer: torch.optim.Adam, network: nn.Module) -> dict[str, np.ndarray]:
    """Returns a copy of the optimizer's state as arrays named `weight/slot`; empty before the first update."""
    return {
        f"{key}/{slot}": value.detach().cpu().numpy().copy()
        for key, parameter in network.named_parameters()
        for slot, value in optimizer.state.get(parameter, {}).items()
    }


def from_arrays(optimizer: torch.optim.Adam, network: nn.Module, arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Restores what `to_arrays` returned; `what` names the optimizer in error messages.

    Raises:
        CheckpointError: An array is missing, unexpected or of the wrong shape.
    """
    parameters = dict(network.named_parameters())
    state: dict[Any, dict[str, Tensor]] = {}
    for key, array in arrays.items():
        owner, _, slot = key.rpartition("/")
        if owner not in parameters or slot not in SLOTS:
            raise CheckpointError(f"unexpected array {what}/{key}")
        shape = () if slot == "step" else tuple(parameters[owner].shape)
        if array.shape != shape:
            raise CheckpointError(f"{what}/{key} has shape {array.shape}, not {shape}")
        values = torch.from_numpy(np.array(array, np.float32))
        # The fused kernel traverses weights and slots together, so a slot needs the weight's memory layout.
        like = values.to(parameters[owner].device) if slot == "step" else torch.empty_like(parameters[owner])
        state.setdefault(parameters[owner], {})[slot] = like.detach().copy_(values)
    updated = {key.rpartition("/")[0] for key in arrays}  # a weight that never had a gradient has no state at all
    for key, slot in itertools.product(parameters.keys() & updated, SLOTS):
        if f"{key}/{slot}" not in arrays:
            raise CheckpointError(f"{what}/{key}/{slot} is missing")
    optimizer.state.clear()
    optimizer.state.update(state)
