"""Domains: what a model can be asked for, and where each label sits in the vector.

A *class* is one attribute or one value of an exclusive group; a data set shows some classes. The classes of all
data sets stand side by side in one vector of *values*, shape (C,), which is also what a discriminator or a
classifier classifies. A generator takes *labels*, shape (L,): the values of one data set, zeros for the
classes of the others, and, when there are several data sets, the paper's mask vector behind them, one-hot over
the data sets (section 3.2, `c~ = [c1, ..., cn, m]`). No other module knows this layout.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from stargan.domains.names import check_name, key
from stargan.errors import DomainError


@dataclass(frozen=True)
class Group:
    """One binary attribute, or several classes of which at most one is on.

    Attributes:
        names: The classes, in label order. One name is a binary attribute.
        categorical: Exactly one class is on in every picture (an expression, a season): classified by softmax.
            Otherwise each class is classified on its own (CelebA's hair colours, of which a picture may show none).
        name: What the group is called, for requests like `season=winter`; may be empty.
    """

    names: tuple[str, ...]
    categorical: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if not self.names:
            raise DomainError("a group of labels needs at least one name")
        for name in self.names:
            check_name(name)
        if self.categorical and len(self.names) < 2:
            raise DomainError(f"{self.names[0]}: a one-of-n group needs at least two values")


@dataclass(frozen=True)
class LabelSet:
    """The labels that one data set knows: its name and its groups in label order."""

    name: str
    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        for name in (self.name, *(group.name for group in self.groups)):
            if not name.isprintable():  # an oddly encoded folder, of which no UTF-8 file could tell
                raise DomainError(f"{name!r} holds characters that cannot be shown; give it another name")
        seen: set[str] = set()
        for name in self.names:
            if key(name) in seen:
                raise DomainError(f"{self.name}: {name} is named twice; each label needs a name of its own")
            seen.add(key(name))
        if not seen:
            raise DomainError(f"{self.name}: no labels; at least one attribute or two domains are needed")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The classes of this set, in label order."""
        return tuple(name for group in self.groups for name in group.names)


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


@dataclass(frozen=True)
class Domains:
    """Everything a model can be asked for; see the module's docstring for the layout it owns."""

    sets: tuple[LabelSet, ...]

    def __post_init__(self) -> None:
        if not self.sets:
            raise DomainError("a model needs at least one set of labels")
        if len({key(label_set.name) for label_set in self.sets}) < len(self.sets):
            raise DomainError("two data sets have the same name; give their folders different names")
        for label_set in self.sets if len(self.sets) > 1 else ():  # a request may have to say `set/name`
            check_name(label_set.name)

    # ---------------------------------------------------------------- layout

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The C classes in order; a name that two data sets share is written `set/name`."""
        plain = [name for label_set in self.sets for name in label_set.names]
        times = Counter(map(key, plain))
        owners = [label_set.name for label_set in self.sets for _ in label_set.names]
        return tuple(
            f"{owner}/{name}" if times[key(name)] > 1 else name for owner, name in zip(owners, plain, strict=True)
        )

    @property
    def num_classes(self) -> int:
        """C: how many classes there are, over all data sets."""
        return len(self.names)

    @property
    def num_labels(self) -> int:
        """L: the length of the generator's label vector, the mask included."""
        return self.num_classes + (len(self.sets) if len(self.sets) > 1 else 0)

    @property
    def mask(self) -> slice:
        """The columns of the generator's labels that are the mask vector; none with one data set."""
        return slice(self.num_classes, self.num_labels)

    def block(self, dataset: int) -> slice:
        """The columns of the values that belong to one data set."""
        start = sum(len(label_set.names) for label_set in self.sets[:dataset])
        return slice(start, start + len(self.sets[dataset].names))

    def groups(self) -> Iterator[tuple[int, range, Group]]:
        """Yields (data set, columns of the values, group) in order."""
        start = 0
        for dataset, label_set in enumerate(self.sets):
            for group in label_set.groups:
                yield dataset, range(start, start + len(group.names)), group
                start += len(group.names)

    def heads(self, dataset: int) -> tuple[Head, ...]:
        """How the classes of one data set are classified; binary neighbours are joined to one head."""
        heads: list[Head] = []
        for owner, columns, group in self.groups():
            if owner != dataset:
                continue
            if heads and not heads[-1].categorical and not group.categorical:
                heads[-1] = Head(heads[-1].start, columns.stop, False)
            else:
                heads.append(Head(columns.start, columns.stop, group.categorical))
        return tuple(heads)

    # ---------------------------------------------------------------- labels

    def labels(self, values: np.ndarray, dataset: int | np.ndarray) -> np.ndarray:
        """The generator's labels: the values of one data set, the rest zero, the mask behind them.

        Args:
            values: (N, C), numbers in [0, 1]; columns of other data sets are ignored.
            dataset: Which data set speaks: one index, or (N,) indices.

        Returns:
            (N, L) float32.
        """
        datasets = np.broadcast_to(np.asarray(dataset), (len(values),))
        labels = np.zeros((len(values), self.num_labels), np.float32)
        for index in range(len(self.sets)):
            rows = np.flatnonzero(datasets == index)
            block = self.block(index)
            labels[rows, block] = values[rows, block]
            if len(self.sets) > 1:
                labels[rows, self.mask.start + index] = 1
        return labels

    def place(self, known: np.ndarray, dataset: int) -> np.ndarray:
        """Puts the labels of one data set, (N, K), where they belong: (N, C) float32, zero elsewhere."""
        values = np.zeros((len(known), self.num_classes), np.float32)
        values[:, self.block(dataset)] = known
        return values

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Turns a classifier's (N, C) logits into probabilities: softmax in one-of-n groups, else sigmoid."""
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
        """The likeliest values, (N, C) float32 of 0 and 1, that respect every exclusive group."""
        values = (probabilities > 0.5).astype(np.float32)
        for _, columns, group in self.groups():
            best = np.eye(len(group.names), dtype=np.float32)[probabilities[:, columns].argmax(axis=1)]
            values[:, columns] = best if group.categorical else best * values[:, columns]
        return values

    def agree(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Where two (N, C) arrays of 0 and 1 say the same, group by group: (N, number of groups) bool."""
        same = np.asarray(first) == np.asarray(second)
        parts = [same[:, columns].all(axis=1) for _, columns, _ in self.groups()]
        return np.stack(parts, axis=1)

    def random_values(self, rng: "np.random.Generator", count: int) -> np.ndarray:  # quoted: loading it takes time
        """Draws (count, C) float32 values: each attribute with chance one half, each group one value."""
        values = np.zeros((count, self.num_classes), np.float32)
        for _, columns, group in self.groups():
            if len(group.names) == 1:
                values[:, columns.start] = rng.integers(0, 2, count)
            else:
                values[np.arange(count), columns.start + rng.integers(0, len(group.names), count)] = 1
        return values

    # ---------------------------------------------------------------- JSON

    def to_json(self) -> list[dict[str, Any]]:
        """As plain lists and dicts, for a model file."""
        return [{"name": s.name, "groups": [{**vars(g), "names": list(g.names)} for g in s.groups]} for s in self.sets]

    @classmethod
    def from_json(cls, data: Any) -> "Domains":
        """The inverse of `to_json`, checked.

        Raises:
            DomainError: `data` does not have that form.
        """
        try:
            return cls(tuple(_label_set(item) for item in _typed(list, data)))
        except (KeyError, TypeError) as error:
            raise DomainError(f"domains are not in the expected form: {error!r}") from error


def _label_set(data: Any) -> LabelSet:
    return LabelSet(_typed(str, data["name"]), tuple(_group(group) for group in _typed(list, data["groups"])))


def _group(data: Any) -> Group:
    names = tuple(_typed(str, name) for name in _typed(list, data["names"]))
    return Group(names, _typed(bool, data["categorical"]), _typed(str, data["name"]))


def _typed(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} is meant")
    return value
