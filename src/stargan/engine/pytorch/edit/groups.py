"""Label groups as tensors: attributes, which are on or off, and groups of which at most one class is on."""

import functools

import numpy as np
import torch
from torch import Tensor

from stargan.domains import Domains

CPU = torch.device("cpu")


@functools.lru_cache(maxsize=16)
def columns(domains: Domains, device: torch.device = CPU) -> tuple[Tensor, ...]:
    """Returns the columns of each group of the only data set, as an index.

    They stay on the device: a CUDA graph cannot copy an index from the CPU while it is recorded.
    """
    rows = np.eye(len(domains.group_names), dtype=bool)
    return tuple(torch.from_numpy(np.flatnonzero(domains.group_columns(row))).to(device) for row in rows)


def signed(domains: Domains, labels: Tensor) -> Tensor:
    """Turns labels, (N, C), into -1 and 1 for attributes; in other groups, the class that is on has 1, the rest 0."""
    out = labels.clone()
    for index in columns(domains, labels.device):
        if len(index) == 1:
            out[:, index] = 2 * labels[:, index] - 1
    return out
