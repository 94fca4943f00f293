"""Domains: what a model can be asked for, and where each label sits in the vector.

A *class* is one attribute or one value of an exclusive group; a data set shows some classes. The classes of all
data sets stand side by side in one vector of *values*, shape (C,), which is also what a discriminator or a
labeller classifies. A generator takes *labels*, shape (L,): the values of one data set, zeros for the
classes of the others, and, when there are several data sets, the paper's mask vector behind them, one-hot over
the data sets (section 3.2, `c~ = [c1, ..., cn, m]`). No other module knows this layout.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from stargan.errors import DomainError
from stargan.words import Words, check_name, key, split, suggest


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

    # ---------------------------------------------------------------- words

    def parse(self, words: Words) -> dict[int, int]:
        """Turns words into {class index: 0 or 1}; case, spaces and hyphens within a name do not matter.

        Args:
            words: `Blond_Hair`, `+Blond_Hair` and `Blond_Hair=1` turn on, `-Male` and `Male=0` turn off,
                `season=winter` picks a group's value, `celeba/Smiling` names the data set where two share a name.

        Raises:
            DomainError: A word is unknown (the nearest known one is suggested), or two words contradict.
        """
        words = [words] if isinstance(words, str) else words
        items = list(words.items()) if isinstance(words, Mapping) else [split(word) for word in words]
        if not items:
            raise DomainError(f"nothing was asked for; say one or more of {', '.join(self.names)}")
        request: dict[int, int] = {}
        for word, value in items:
            index, state = self._find(word, value)
            if request.setdefault(index, state) != state:
                raise DomainError(f"{self.names[index]} is asked to be both on and off; say one of them")
        self._check_groups(request)
        return request

    def target(self, values: np.ndarray, words: Words) -> np.ndarray:
        """The labels that ask for `words` and keep everything else of a picture.

        Args:
            values: (C,) what the picture shows now, 0 or 1.
            words: What is asked for, see `parse`.

        Returns:
            (L,) float32.

        Raises:
            DomainError: As `parse`, and for words that belong to different data sets.
        """
        wanted, dataset = self.apply(values, words)
        return self.labels(wanted[None], dataset)[0]

    def settled(self, words: Words) -> bool:
        """Whether `words`, see `parse`, name what a picture shows of each group, so that nothing is to be estimated."""
        request = self.parse(words)
        said = [[request.get(index) for index in columns] for _, columns, _ in self.groups()]
        return all(1 in states or None not in states for states in said)

    def apply(self, values: np.ndarray, words: Words) -> tuple[np.ndarray, int]:
        """The (C,) values of a picture after `words`, and the data set that `words` belong to."""
        request = self.parse(words)
        wanted = np.array(values, np.float32)
        owners = set()
        for dataset, columns, group in self.groups():
            asked = {index: request[index] for index in columns if index in request}
            if not asked:
                continue
            owners.add(dataset)
            if 1 in asked.values():
                wanted[columns] = 0
            for index, state in asked.items():
                wanted[index] = state
            if group.categorical and 1 not in asked.values():
                self._turn_off(wanted, columns, asked)
        if len(owners) > 1:
            told = ", ".join(self.names[index] for index in sorted(request))
            raise DomainError(f"{told}: these come from different data sets; ask for those of one at a time")
        return wanted, owners.pop()

    def every(self, values: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """All domains of a picture: each attribute flipped, each group value set, all else kept.

        Args:
            values: (C,) what the picture shows now.

        Returns:
            Pairs of a word that `parse` understands and the labels, (L,) float32.
        """
        words = []
        for _, columns, group in self.groups():
            if len(group.names) == 1:
                words.append(self.names[columns.start] + ("=0" if values[columns.start] > 0.5 else ""))
            else:
                words.extend(self.names[index] for index in columns)
        return [(word, self.target(values, [word])) for word in words]

    def changes(self, values: np.ndarray, dataset: int | None = None) -> list[tuple[str, np.ndarray, int]]:
        """The single changes of `every` that change something, as (word, (C,) values afterwards, data set).

        Args:
            values: (C,) what the picture shows now.
            dataset: Only the changes that this data set's labels allow.
        """
        found = []
        for word, _ in self.every(values):
            wanted, owner = self.apply(values, [word])
            if (dataset is None or owner == dataset) and not np.array_equal(wanted, values):
                found.append((word, wanted, owner))
        return found

    @cached_property
    def _meanings(self) -> dict[str, list[int]]:
        """The classes that a key can mean: `name` and, in a named group, `group=name`; each with `set/` or without."""
        found: dict[str, list[int]] = {}
        for dataset, columns, group in self.groups():
            for index, name in zip(columns, group.names, strict=True):
                words = [name, f"{group.name}={name}"] if group.name else [name]
                for word in words:
                    found.setdefault(key(word), []).append(index)
                    found.setdefault(key(f"{self.sets[dataset].name}/{word}"), []).append(index)
        return found

    def _find(self, word: str, value: int | str) -> tuple[int, int]:
        """The class and state that one word means; a class goes before a group of the same name."""
        if value in (0, 1, "0", "1") and key(word) in self._meanings:
            return self._only(word), int(value)
        if isinstance(value, str) and key(f"{word}={value}") in self._meanings:
            return self._only(f"{word}={value}"), 1
        if key(word) in self._meanings:
            raise DomainError(f"{word}={value}: a label is 1 (on) or 0 (off)")
        named = [(self.sets[dataset].name, group) for dataset, _, group in self.groups() if group.name]
        meant = [group for owner, group in named if key(word) in (key(group.name), key(f"{owner}/{group.name}"))]
        if not meant:
            raise DomainError(f"unknown domain {word!r}{suggest(word, [*self.names, *(g.name for _, g in named)])}")
        if isinstance(value, str):
            choice = ", ".join(name for group in meant for name in group.names)
            raise DomainError(f"{word}={value}: {meant[0].name} is one of {choice}")
        raise DomainError(f"{word} is a group; say which value, for example {word}={meant[0].names[0]}")

    def _only(self, word: str) -> int:
        found = self._meanings[key(word)]
        if len(found) > 1:
            choice = ", ".join(self.names[index] for index in found)
            raise DomainError(f"{word} stands in several data sets; say one of {choice}")
        return found[0]

    def _check_groups(self, request: Mapping[int, int]) -> None:
        for _, columns, group in self.groups():
            told = [self.names[index] for index in columns if request.get(index) == 1]
            if len(told) > 1:
                raise DomainError(f"{' and '.join(told)} exclude each other; ask for one of them")
            if group.categorical and all(request.get(index) == 0 for index in columns):
                raise DomainError(f"one of {', '.join(group.names)} must stay on")

    def _turn_off(self, wanted: np.ndarray, columns: range, asked: Mapping[int, int]) -> None:
        """Fills a one-of-n group of which values were only turned off; just one may be left."""
        if any(wanted[index] for index in columns):
            return
        left = [index for index in columns if index not in asked]
        if len(left) > 1:
            off = next(iter(asked))
            choice = ", ".join(self.names[index] for index in left)
            raise DomainError(f"{self.names[off]}=0 leaves it open what comes instead; say one of {choice}")
        wanted[left[0]] = 1

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
