"""The labels of methods that translate between two domains: a group of two values, or one attribute that is on or off.

The last value tells them apart: it is 0 in the first domain, A, and 1 in the second, B.
"""

from typing import Any

from stargan.domains.space import Domains
from stargan.errors import ConfigError


def check(domains: Domains, method: str) -> None:
    """Checks that there are two domains.

    Raises:
        ConfigError: There are more, or several data sets; the line says how to choose two.
    """
    if len(domains.sets) > 1:
        raise ConfigError(f"--method {method}: trains on one data set; say --data once")
    (head, *more) = domains.all_heads()
    if more or domains.num_classes != (2 if head.categorical else 1):
        raise ConfigError(
            f"--method {method}: needs two domains, and the data have the labels {', '.join(domains.names)}; name one "
            "that is on or off with --attributes, or use a folder for each of two domains"
        )


def second(labels: Any) -> Any:
    """Returns which labels or values, (N, L) or (N, C), an array or a tensor, are of the second domain: (N,) bool."""
    return labels[:, -1] > 0.5


def names(domains: Domains) -> tuple[str, str]:
    """Returns the requests for the two domains, such as `apple` and `orange`, or `Male=0` and `Male`."""
    if domains.num_classes == 2:
        return domains.names[0], domains.names[1]
    return domains.word(0, 0), domains.word(0, 1)
