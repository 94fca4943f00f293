"""What a protocol asks of a set of pictures, and how a judge's word about the results is counted."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stargan.domains import Domains
from stargan.domains.protocols import Protocol
from stargan.errors import DataError
from stargan.evaluation.test_set import Subject

ALL = "all"


@dataclass(frozen=True)
class Asked:
    """All translations that are asked of a subject, M of them.

    Attributes:
        tasks: (M,) names of tasks.
        rows: (M,) which of the subject's sources.
        wanted: (M, C) what the translation shall show.
        datasets: (M,) which data set that is of.
        changed: (M, number of groups) bool: the groups in which it shall differ from the source.
        others: (M, number of groups) bool: the groups of the same data set that it shall keep.
        order: The tasks that are asked of any picture, in the protocol's order.
    """

    tasks: np.ndarray
    rows: np.ndarray
    wanted: np.ndarray
    datasets: np.ndarray
    changed: np.ndarray
    others: np.ndarray
    order: tuple[str, ...]

    def each(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields each task with the numbers of its translations, after `all` with all of them."""
        yield ALL, np.arange(len(self.tasks))
        for task in self.order:
            yield task, np.flatnonzero(self.tasks == task)


def ask(subject: Subject, protocol: Protocol, domains: Domains) -> Asked:
    """Every task of every picture; tasks of data sets that the subject has no labels of are left out.

    Raises:
        DataError: Nothing is asked of any picture: none is neutral, for example.
    """
    found = [
        (task, row, wanted, dataset)
        for row, values in enumerate(subject.shown)
        for task, wanted, dataset in protocol.targets(values)
        if dataset in subject.datasets
    ]
    if not found:
        raise DataError(f"{subject.name}: --protocol {protocol.name} asks nothing of any of these pictures")
    tasks, rows, wanted, datasets = (np.array(part) for part in zip(*found, strict=True))
    own = domains.labelled_groups(datasets)
    changed = own & ~domains.agree(wanted, subject.shown[rows])
    order = tuple(task for task in protocol.tasks if task in tasks)
    return Asked(tasks, rows, wanted.astype(np.float32), datasets, changed, own & ~changed, order)


def judged(
    domains: Domains, asked: Asked, found: np.ndarray, seen: np.ndarray, shown: np.ndarray
) -> dict[str, np.ndarray]:
    """What a judge's word about translations, and about their untouched sources, comes to.

    Args:
        domains: The layout.
        asked: What was asked for.
        found: (M, C) what the judge sees in the translations.
        seen: (M, C) what it sees in their sources.
        shown: (M, C) what the sources show.

    Returns:
        By metric, (M,) in [0, 1]; NaN where there was nothing else to keep.
    """
    right, real = domains.agree(found, asked.wanted), domains.agree(seen, shown)
    return {
        "error": (asked.changed & ~right).any(1).astype(float),
        "real_error": (asked.changed & ~real).any(1).astype(float),
        "hit": _share(right, asked.changed),
        "kept": _share(right, asked.others),
        "real_kept": _share(real, asked.others),
    }


def alike(domains: Domains, asked: Asked, translations: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which real pictures are of the target domain of some translations.

    Args:
        domains: The layout.
        asked: What was asked for.
        translations: Numbers of the translations, of one task.
        values: (R, C) what the real pictures show.

    Returns:
        Rows of `values` that show, in the groups that the task changes, what one of its translations shall show.
    """
    columns = domains.group_columns(asked.changed[translations].any(0))
    combinations = {tuple(row) for row in asked.wanted[translations][:, columns].tolist()}
    return np.array([i for i, row in enumerate(values[:, columns].tolist()) if tuple(row) in combinations], int)


def _share(true: np.ndarray, among: np.ndarray) -> np.ndarray:
    count = among.sum(1)
    return np.divide((among & true).sum(1), count, out=np.full(len(count), np.nan), where=count > 0)
