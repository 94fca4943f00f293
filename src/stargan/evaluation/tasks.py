"""The translations that a protocol requests, and how classifiers' predictions about them are scored."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stargan.domains import Domains
from stargan.domains.protocols import Protocol
from stargan.errors import DataError
from stargan.evaluation.evaluation_set import EvaluationSet

ALL = "all"


@dataclass(frozen=True)
class RequestedTranslations:
    """All M translations that a protocol requests of an evaluation set.

    Attributes:
        tasks: (M,) names of the tasks.
        rows: (M,) indices of the source images within the evaluation set's test images.
        target_values: (M, C) the values that the translations should have.
        datasets: (M,) the model's data set that the values belong to.
        changed: (M, number of groups) bool: label groups in which the target differs from the source.
        unchanged: (M, number of groups) bool: the other label groups of the same data set.
        task_names: The tasks that occur, in the protocol's order.
    """

    tasks: np.ndarray
    rows: np.ndarray
    target_values: np.ndarray
    datasets: np.ndarray
    changed: np.ndarray
    unchanged: np.ndarray
    task_names: tuple[str, ...]

    def by_task(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields each task with the indices of its translations; first `all` with all of them."""
        yield ALL, np.arange(len(self.tasks))
        for task in self.task_names:
            yield task, np.flatnonzero(self.tasks == task)


def request_translations(evaluation_set: EvaluationSet, protocol: Protocol, domains: Domains) -> RequestedTranslations:
    """Lists every task of every test image, except tasks that change labels which are not known of the image.

    Raises:
        DataError: The protocol requests no translation, for example because no image is neutral.
    """
    requests = [
        (task, row, target_values, dataset)
        for row, values in enumerate(evaluation_set.source_values)
        for task, target_values, dataset in protocol.targets(values)
        if dataset in evaluation_set.datasets and _is_known(domains, values, target_values)
    ]
    if not requests:
        raise DataError(f"{evaluation_set.name}: --protocol {protocol.name} does not apply to any of these images")
    tasks, rows, target_values, datasets = (np.array(part) for part in zip(*requests, strict=True))
    own = domains.labelled_groups(datasets) & domains.known(evaluation_set.source_values[rows])
    changed = own & ~domains.agree(target_values, evaluation_set.source_values[rows])
    return RequestedTranslations(
        tasks,
        rows,
        target_values.astype(np.float32),
        datasets,
        changed,
        own & ~changed,
        tuple(task for task in protocol.tasks if task in tasks),
    )


def _is_known(domains: Domains, values: np.ndarray, target_values: np.ndarray) -> bool:
    """Whether all label groups that the target changes are known of the image."""
    changed = ~domains.agree(target_values[None], values[None])
    return bool(domains.known(values[None])[changed].all())


@dataclass(frozen=True)
class Predictions:
    """The labels that a classifier finds in M images, each (M, C) of 0 and 1.

    Attributes:
        natural: The most probable labels if they are as frequent as in the training images.
        balanced: The most probable labels if all values of a label group are equally frequent.
    """

    natural: np.ndarray
    balanced: np.ndarray

    def of(self, rows: np.ndarray) -> "Predictions":
        """Those of some images, repeated as often as `rows` has them."""
        return Predictions(self.natural[rows], self.balanced[rows])


def score_predictions(
    domains: Domains,
    requested: RequestedTranslations,
    predictions: Predictions,
    source_predictions: Predictions,
    source_values: np.ndarray,
) -> dict[str, np.ndarray]:
    """Scores a classifier's predictions for translations and for their unchanged sources.

    Requests are as frequent for rare labels as for common ones, so whether one is fulfilled is decided by balanced
    predictions. A classifier that expects the frequencies of its training images misses half of all old people where
    most are young. Labels to keep are as frequent as in the source images, so they are compared as they are.

    Args:
        domains: The label layout.
        requested: The requested translations.
        predictions: For the translations, (M, C).
        source_predictions: For their source images, (M, C).
        source_values: (M, C) labels of the source images.

    Returns:
        By metric, (M,) in [0, 1]; NaN where there are no other labels to keep.
    """
    right = domains.agree(predictions.balanced, requested.target_values)
    real = domains.agree(source_predictions.balanced, source_values)
    return {
        "error": (requested.changed & ~right).any(1).astype(float),
        "real_error": (requested.changed & ~real).any(1).astype(float),
        "hit": _share(right, requested.changed),
        "kept": _share(domains.agree(predictions.natural, requested.target_values), requested.unchanged),
        "real_kept": _share(domains.agree(source_predictions.natural, source_values), requested.unchanged),
    }


def in_target_domain(
    domains: Domains, requested: RequestedTranslations, translations: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Finds real images of the target domain of some translations.

    Args:
        domains: The label layout.
        requested: The requested translations.
        translations: Indices of translations of one task.
        values: (R, C) labels of real images.

    Returns:
        Rows of `values` that equal the target of one of the translations in all label groups that the task changes.
    """
    columns = domains.group_columns(requested.changed[translations].any(0))
    targets = {tuple(row) for row in requested.target_values[translations][:, columns].tolist()}
    return np.array([i for i, row in enumerate(values[:, columns].tolist()) if tuple(row) in targets], int)


def _share(true: np.ndarray, among: np.ndarray) -> np.ndarray:
    count = among.sum(1)
    return np.divide((among & true).sum(1), count, out=np.full(len(count), np.nan), where=count > 0)
