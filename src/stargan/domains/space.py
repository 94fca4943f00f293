"""The labels of a model and their layout as vectors.

A *class* is one binary attribute or one value of a group. The classes of all data sets, in order, make a vector of
*values*, (C,), which is also what the discriminator and the attribute classifier predict. A generator takes *labels*,
(L,): the values of one data set, zeros for the classes of the others and, with several data sets, the paper's mask
vector at the end, one-hot over the data sets (section 3.2, `c~ = [c1, ..., cn, m]`). Where nobody knows a group of an
image, its values are equal and between 0 and 1: G is told nothing, and no loss counts them. No other module knows this
layout.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from stargan.domains.labels import Group, LabelSet
from stargan.domains.names import check_name, key
from stargan.domains.placement import Place, place
from stargan.errors import DomainError

UNKNOWN = 255
"""In the labels of a data set, (N, K) uint8: nobody knows."""

SEVERAL = 0.3  # probability of each further change in `Domains.random_changes`


@dataclass(frozen=True)
class Head:
    """Neighbouring classes that share one classification loss: columns `start:stop` of the values."""

    start: int
    stop: int
    categorical: bool

    @property
    def columns(self) -> slice:
        """The columns as a slice."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, repr=False)
class Domains:
    """The labels of a model; the module's docstring describes their layout. Its text is what people can request."""

    sets: tuple[LabelSet, ...]

    def __post_init__(self) -> None:
        if not self.sets:
            raise DomainError("a model needs at least one set of labels")
        if len({key(label_set.name) for label_set in self.sets}) < len(self.sets):
            raise DomainError("two data sets have the same name; give their folders different names")
        _ = self._places  # checks what is shared
        for label_set in self.sets if len(self.sets) > 1 else ():  # a request may have to say `set/name`
            check_name(label_set.name)

    def __repr__(self) -> str:
        return "\n".join(f"{word}: {', '.join(also)}" if also else word for word, also in self.words().items())

    # ---------------------------------------------------------------- words

    def word(self, index: int, state: int) -> str:
        """The request that turns a class on (1) or off (0): `Male` or `Male=0`."""
        return self.names[index] if state else f"{self.names[index]}=0"

    def words(self) -> dict[str, tuple[str, ...]]:
        """The requests for all classes in order, `Male` and `Male=0`, `winter`, and the synonyms of each."""
        synonyms: dict[tuple[int, int], list[str]] = {}
        times = Counter(
            word
            for dataset, label_set in enumerate(self.sets)
            for word, column in (*label_set.own_words.items(), *((w, c) for w, (c, _) in label_set.meanings.items()))
            if label_set.names[column] not in label_set.shared
        )
        for dataset, label_set in enumerate(self.sets):
            for word, _ in label_set.synonyms:
                column, state = label_set.meanings[key(word)]
                if label_set.names[column] in label_set.shared:
                    continue
                shown = word if times[key(word)] == 1 else f"{label_set.name}/{word}"
                synonyms.setdefault((int(self.columns(dataset)[column]), state), []).append(shown)
        return {
            self.word(index, state): tuple(synonyms.get((index, state), ()))
            for _, columns, group in self.groups()
            for index in columns
            for state in (1, 0)
            if state or (index, 0) in synonyms or len(group.names) == 1
        }

    # ---------------------------------------------------------------- layout

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The C classes in order; a name that two data sets share is written `set/name`."""
        plain = [name for _, _, group in self.groups() for name in group.names]
        times = Counter(map(key, plain))
        owners = [self.sets[dataset].name for dataset, _, group in self.groups() for _ in group.names]
        return tuple(
            f"{owner}/{name}" if times[key(name)] > 1 else name for owner, name in zip(owners, plain, strict=True)
        )

    @property
    def num_classes(self) -> int:
        """C, the number of classes of all data sets."""
        return len(self.names)

    @property
    def num_labels(self) -> int:
        """L, the length of the generator's label vector with the domain mask."""
        return self.num_classes + (len(self.sets) if len(self.sets) > 1 else 0)

    @property
    def domain_mask(self) -> slice:
        """The columns of the generator's labels that are the paper's mask vector; none with one data set."""
        return slice(self.num_classes, self.num_labels)

    @cached_property
    def _places(self) -> tuple[Place, ...]:
        return tuple(place(self.sets))

    def columns(self, dataset: int) -> np.ndarray:
        """The columns of the values that are the classes of one data set, in its order: (K,) int."""
        return np.array([column for at in self._places if at.dataset == dataset for column in at.own], int)

    def groups(self) -> Iterator[tuple[int, range, Group]]:
        """Yields (first data set, columns, group) in order. For this room: others use the methods below it."""
        for at in self._places:
            if at.first:
                yield at.dataset, at.columns, at.group

    @cached_property
    def owners(self) -> np.ndarray:
        """Which data sets have labels for which groups: (number of data sets, number of groups) bool."""
        starts = [columns.start for _, columns, _ in self.groups()]
        has = np.zeros((len(self.sets), len(starts)), bool)
        for at in self._places:
            has[at.dataset, starts.index(at.columns.start)] = True
        return has

    def heads(self, dataset: int) -> tuple[Head, ...]:
        """The classification losses of one data set; neighbouring binary classes share a head."""
        heads: list[Head] = []
        for owner, columns, group, *_ in self._places:
            if owner != dataset:
                continue
            if heads and not heads[-1].categorical and not group.categorical and heads[-1].stop == columns.start:
                heads[-1] = Head(heads[-1].start, columns.stop, False)
            else:
                heads.append(Head(columns.start, columns.stop, group.categorical))
        return tuple(heads)

    def all_heads(self) -> tuple[Head, ...]:
        """The groups of all data sets in order, as the columns that make one softmax or sigmoids."""
        return tuple(Head(columns.start, columns.stop, group.categorical) for _, columns, group in self.groups())

    @cached_property
    def group_names(self) -> tuple[str, ...]:
        """The groups for people: the names of their classes, joined by commas."""
        return tuple(", ".join(self.names[column] for column in columns) for _, columns, _ in self.groups())

    @cached_property
    def group_datasets(self) -> np.ndarray:
        """The first data set of each group, (number of groups,) int."""
        return np.array([dataset for dataset, _, _ in self.groups()])

    def labelled_groups(self, datasets: np.ndarray) -> np.ndarray:
        """The groups that images of these data sets, (N,), have labels for: (N, number of groups) bool."""
        labelled: np.ndarray = self.owners[np.asarray(datasets, int)]
        return labelled

    def group_columns(self, groups: np.ndarray) -> np.ndarray:
        """The columns of the values that belong to `groups`, (number of groups,) bool: (C,) bool."""
        return np.repeat(groups, [len(columns) for _, columns, _ in self.groups()])

    def same_layout(self, other: "Domains") -> bool:
        """Whether each label has the same meaning in both; what data sets and groups are called does not matter."""
        mine, theirs = (
            [([(g.names, g.categorical) for g in s.groups], s.shared) for s in d.sets] for d in (self, other)
        )
        return mine == theirs

    @property
    def layout(self) -> list[dict[str, Any]]:
        """What `to_json` returns, without the synonyms: it identifies the labels."""
        return [label_set.layout for label_set in self.sets]

    # ---------------------------------------------------------------- labels and values

    def labels(self, values: np.ndarray, dataset: int | np.ndarray) -> np.ndarray:
        """The generator's labels: the values of one data set, zeros for the others, and the domain mask.

        Args:
            values: (N, C), in [0, 1]; columns of other data sets are ignored.
            dataset: Index of the data set, or (N,) indices.

        Returns:
            (N, L) float32.
        """
        datasets = np.broadcast_to(np.asarray(dataset), (len(values),))
        labels = np.zeros((len(values), self.num_labels), np.float32)
        for index in range(len(self.sets)):
            rows = np.flatnonzero(datasets == index)
            columns = self.columns(index)
            labels[np.ix_(rows, columns)] = values[np.ix_(rows, columns)]
            if len(self.sets) > 1:
                labels[rows, self.domain_mask.start + index] = 1
        return labels

    def change(self, labels: np.ndarray, source_values: np.ndarray) -> np.ndarray:
        """The change from the labels of images to target labels.

        Args:
            labels: (N, L), the target labels.
            source_values: (N, C), the values of the images; columns of other data sets than the target's are ignored.

        Returns:
            (N, L) float32; zero where nothing changes, and in the domain mask.
        """
        datasets = labels[:, self.domain_mask].argmax(1) if len(self.sets) > 1 else 0
        return labels - self.labels(source_values, datasets)

    def pad(self, labels: np.ndarray, dataset: int) -> np.ndarray:
        """Pads the labels of one data set, (N, K) with `UNKNOWN`, with zeros for the others: (N, C) float32."""
        values = np.zeros((len(labels), self.num_classes), np.float32)
        values[:, self.columns(dataset)] = labels
        return self._without_unknown(values)

    def _without_unknown(self, values: np.ndarray) -> np.ndarray:
        """Makes all values of a group equal where one of them is `UNKNOWN`."""
        for _, columns, group in self.groups():
            rows = (values[:, columns] == UNKNOWN).any(axis=1)
            values[np.ix_(rows, columns)] = 1 / len(columns) if group.categorical else 0.5
        return values

    def known(self, values: np.ndarray) -> np.ndarray:
        """The groups that are known of images, by their values or labels: (N, number of groups) bool."""
        sure = (values == 0) | (values == 1)
        return np.stack([sure[:, columns].all(axis=1) for _, columns, _ in self.groups()], axis=1)

    def keep_unknown(self, labels: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The target labels of images, (N, L), but their own labels in groups that are unknown in one of the two."""
        known = self.known(labels) & self.known(targets)
        if known.all():
            return targets
        columns = np.repeat(known, [len(columns) for _, columns, _ in self.groups()], axis=1)
        kept = labels.copy()
        kept[:, : self.num_classes][columns] = targets[:, : self.num_classes][columns]
        return kept

    def match(self, names: Sequence[str], labels: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
        """Finds this model's classes among the labels of any data set.

        Args:
            names: (K,) names of labels.
            labels: (N, K), with `UNKNOWN`.

        Returns:
            The data sets of the model all of whose classes are among `names`, and the values, (N, C) float32, zero for
            the other data sets.
        """
        known = {key(name): column for column, name in enumerate(names)}
        values = np.zeros((len(labels), self.num_classes), np.float32)
        datasets = []
        for index, label_set in enumerate(self.sets):
            if all(key(name) in known for name in label_set.names):
                datasets.append(index)
                values[:, self.columns(index)] = labels[:, [known[key(name)] for name in label_set.names]]
        return tuple(datasets), self._without_unknown(values)

    def frequencies(self, values: Sequence[np.ndarray]) -> tuple[float, ...]:
        """The share of images in which each class is on, (C,), among those of which it is known.

        Args:
            values: The (N, C) values of the images of each data set.
        """
        shares: list[float] = []
        known = [self.known(part) for part in values]
        for index, (_, columns, _) in enumerate(self.groups()):
            owners = np.flatnonzero(self.owners[:, index]).tolist()
            part = np.concatenate([values[owner][known[owner][:, index]][:, columns] for owner in owners])
            shares += part.mean(axis=0).tolist() if len(part) else [0.0] * len(columns)
        return tuple(shares)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Turns a classifier's logits, (N, C), into probabilities: softmax in one-of-n groups, else sigmoid."""
        out = np.empty(logits.shape, np.float32)
        for _, columns, group in self.groups():
            part = logits[:, columns].astype(np.float64)
            if group.categorical:
                part = np.exp(part - part.max(axis=1, keepdims=True))
                out[:, columns] = part / part.sum(axis=1, keepdims=True)
            else:
                out[:, columns] = 1 / (1 + np.exp(-np.clip(part, -60, 60)))
        return out

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """The most probable values, (N, C) float32 of 0 and 1, with at most one class on in each group."""
        values = (probabilities > 0.5).astype(np.float32)
        for _, columns, group in self.groups():
            best = np.eye(len(group.names), dtype=np.float32)[probabilities[:, columns].argmax(axis=1)]
            values[:, columns] = best if group.categorical else best * values[:, columns]
        return values

    def agree(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Where two arrays of values, (N, C) of 0 and 1, are equal, group by group: (N, number of groups) bool."""
        same = np.asarray(first) == np.asarray(second)
        parts = [same[:, columns].all(axis=1) for _, columns, _ in self.groups()]
        return np.stack(parts, axis=1)

    def valid(self, values: np.ndarray, datasets: Sequence[int]) -> np.ndarray:
        """Where values, (N, C), have exactly one class on in each known one-of-n group of some data sets: (N,) bool."""
        right, known = np.ones(len(values), bool), self.known(values)
        has = np.any(self.owners[list(datasets)], axis=0).tolist()
        for index, (_, columns, group) in enumerate(self.groups()):
            if group.categorical and has[index]:
                right &= (values[:, columns].sum(axis=1) == 1) | ~known[:, index]
        return right

    def random_values(self, rng: "np.random.Generator", count: int) -> np.ndarray:  # quoted: numpy.random loads slowly
        """Draws values, (count, C) float32: each attribute with probability one half, one class of each group."""
        values = np.zeros((count, self.num_classes), np.float32)
        for _, columns, group in self.groups():
            if len(group.names) == 1:
                values[:, columns.start] = rng.integers(0, 2, count)
            else:
                values[np.arange(count), columns.start + rng.integers(0, len(group.names), count)] = 1
        return values

    def random_changes(self, rng: "np.random.Generator", values: np.ndarray, dataset: int) -> np.ndarray:
        """Draws target values that differ in one group, or with probability `SEVERAL` each time in one more.

        A group of several classes is drawn twice as often as an attribute, and gets another of its classes.

        Args:
            rng: The source of random numbers.
            values: (N, C), the values of images.
            dataset: Index of the data set whose groups are changed.

        Returns:
            (N, C) float32.
        """
        groups = [at.columns for at in self._places if at.dataset == dataset]
        weights = np.array([min(len(columns), 2) for columns in groups], float)
        targets = np.array(values, np.float32)
        for row in targets:
            number = min(len(groups), int(rng.geometric(1 - SEVERAL)))
            for index in rng.choice(len(groups), number, replace=False, p=weights / weights.sum()):
                columns = groups[index]
                others = [column for column in columns if row[column] != 1]
                if len(columns) == 1:
                    row[columns] = 1 - row[columns]
                else:
                    row[columns] = 0
                    row[rng.choice(others)] = 1
        return targets

    # ---------------------------------------------------------------- JSON

    def to_json(self) -> list[dict[str, Any]]:
        """The domains as lists and dicts, for a model file."""
        return [label_set.to_json() for label_set in self.sets]

    @classmethod
    def from_json(cls, data: Any) -> "Domains":
        """The inverse of `to_json`, checked.

        Raises:
            DomainError: `data` does not have that form.
        """
        try:
            if not isinstance(data, list):
                raise TypeError(f"{type(data).__name__} where list is expected")
            return cls(tuple(map(LabelSet.from_json, data)))
        except (KeyError, TypeError) as error:
            raise DomainError(f"domains are not in the expected form: {error!r}") from error
