"""Real images with the very labels that translations should have: their distances are about the best to expect.

Sources differ from the target domain in more than what is requested. Where most images with glasses show men, women
with glasses, however real, are far from the target domain.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stargan.domains import Domains
from stargan.evaluation.evaluation_set import EvaluationSet
from stargan.evaluation.tasks import ALL, RequestedTranslations

MOST = 128  # images of a task, so that their features take less time than those of the translations
SHARE = 0.75  # of a task's translations for which there must be such an image


@dataclass(frozen=True)
class Matched:
    """For k translations of one task, a real image each; none twice.

    Attributes:
        numbers: (k,) indices of the translations.
        rows: (k,) rows of the images in the evaluation set.
    """

    numbers: np.ndarray
    rows: np.ndarray


def matched_images(
    evaluation_set: EvaluationSet, domains: Domains, requested: RequestedTranslations, excluded: np.ndarray, seed: int
) -> Mapping[str, Matched]:
    """Chooses training images whose labels are those that translations should have.

    Args:
        evaluation_set: The images.
        domains: The label layout.
        requested: The requested translations.
        excluded: (R,) rows of training images that must not be chosen.
        seed: Seed of the choice.

    Returns:
        By task; tasks that have too few such images are left out, because the rest would be easier translations.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.setdiff1d(evaluation_set.train_rows, excluded))
    own = requested.changed | requested.unchanged
    found: dict[tuple[bytes, bytes], list[int]] = {}
    chosen = {}
    for task, every in requested.by_task():
        if task == ALL:
            continue
        numbers = rng.permutation(every)[:MOST]
        used: set[int] = set()
        pairs = []
        for number in numbers:
            target, groups = requested.target_values[number], own[number]
            key = target.tobytes(), groups.tobytes()
            if key not in found:
                found[key] = rows[domains.agree(evaluation_set.values[rows], target[None])[:, groups].all(1)].tolist()
            row = next((row for row in found[key] if row not in used), None)
            if row is not None:
                pairs.append((number, row))
                used.add(row)
        if len(pairs) >= SHARE * len(numbers):
            chosen[task] = Matched(*np.array(pairs, int).reshape(-1, 2).T)
    return chosen
