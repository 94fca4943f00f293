"""Label groups: attributes, which are on or off, and groups of which at most one class is on."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from stargan.domains import Domains


def columns(domains: Domains) -> Iterator[slice]:
    """Yields the columns of each group of the only data set."""
    for row in np.eye(len(domains.group_names), dtype=bool):
        found = np.flatnonzero(domains.group_columns(row))
        yield slice(int(found[0]), int(found[-1]) + 1)


def signed(domains: Domains, labels: tf.Tensor) -> tf.Tensor:
    """Turns labels, (N, C), into -1 and 1 for attributes; in other groups, the class that is on has 1, the rest 0."""
    alone = np.zeros(domains.num_classes, np.float32)
    for index in columns(domains):
        alone[index] = index.stop - index.start == 1
    return labels + alone * (labels - 1)
