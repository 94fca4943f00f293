"""Label groups as tensors: attributes, which are on or off, and groups of which at most one class is on."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from stargan.domains import Domains


def columns(domains: Domains) -> Iterator[Tensor]:
    """Yields the columns of each group of the only data set, as an index."""
    for row in np.eye(len(domains.group_names), dtype=bool):
        yield torch.from_numpy(np.flatnonzero(domains.group_columns(row)))


def signed(domains: Domains, labels: Tensor) -> Tensor:
    """Turns labels, (N, C), into -1 and 1 for attributes; in other groups, the class that is on has 1, the rest 0."""
    out = labels.clone()
    for index in columns(domains):
        if len(index) == 1:
            out[:, index] = 2 * labels[:, index] - 1
    return out
