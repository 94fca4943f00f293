"""The labels of one data set: groups of classes, and the words for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stargan.domains.names import check_name, key, printable
from stargan.domains.presets import synonyms
from stargan.errors import DomainError


@dataclass(frozen=True)
class Group:
    """One binary attribute, or several classes of which at most one is on.

    Attributes:
        names: The classes, in label order. One name is a binary attribute.
        categorical: Exactly one class is on in every image (an expression, a season): classified by softmax. Otherwise
            each class is classified independently (CelebA's hair colours, of which an image may have none).
        name: Name of the group, for requests like `season=winter`; may be empty.
        one_way: Of one attribute: translations turn it on and never off, as with pix2pix.
    """

    names: tuple[str, ...]
    categorical: bool = False
    name: str = ""
    one_way: bool = False

    def __post_init__(self) -> None:
        if not self.names:
            raise DomainError("a group of labels needs at least one name")
        if self.one_way and len(self.names) > 1:
            raise DomainError(f"{self.names[0]}: only a single attribute can have one direction")
        for name in self.names:
            check_name(name)
        if self.categorical and len(self.names) < 2:
            raise DomainError(f"{self.names[0]}: a one-of-n group needs at least two values")


@dataclass(frozen=True)
class LabelSet:
    """The labels of one data set.

    Attributes:
        name: The data set's name.
        groups: Its groups in label order.
        synonyms: Words for people with the labels that they mean: ("female", "Male=0"), ("blonde", "Blond_Hair"). By
            default those of `presets` for labels of these names. They do not affect equality.
        shared: Those of its labels that are one with those of an earlier data set; all of a group or none.
    """

    name: str
    groups: tuple[Group, ...]
    synonyms: tuple[tuple[str, str], ...] = field(default=None, compare=False, repr=False)  # type: ignore[arg-type]
    shared: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.name, *(group.name for group in self.groups)):
            if not printable(name):  # from an oddly encoded folder; no UTF-8 file could contain it
                raise DomainError(f"{name!r} contains characters that cannot be printed; give it another name")
        seen: set[str] = set()
        for name in self.names:
            if key(name) in seen:
                raise DomainError(f"{self.name}: {name} is named twice; each label needs a name of its own")
            seen.add(key(name))
        if not seen:
            raise DomainError(f"{self.name}: no labels; at least one attribute or two domains are needed")
        if self.synonyms is None:
            object.__setattr__(self, "synonyms", self._preset_synonyms())
        _ = self.meanings  # checks the synonyms

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The classes of this set, in label order."""
        return tuple(name for group in self.groups for name in group.names)

    @cached_property
    def own_words(self) -> dict[str, int]:
        """By `key`, the column of each class: its name and, in a named group, also `group=name`."""
        named = [(group.name, name) for group in self.groups for name in group.names]
        words = {key(f"{group}={name}"): column for column, (group, name) in enumerate(named) if group}
        return words | {key(name): column for column, name in enumerate(self.names)}

    @cached_property
    def meanings(self) -> dict[str, tuple[int, int]]:
        """By `key`, what each synonym means: the column of a class, and 1 for on or 0 for off."""
        found: dict[str, tuple[int, int]] = {}
        for word, label in self.synonyms:
            check_name(word)
            if key(word) in self._taken:
                raise DomainError(f"{self.name}: the synonym {word!r} is also a label's own name; choose another word")
            meaning = self._meaning(label)
            if meaning is None:
                raise DomainError(
                    f"{self.name}: the synonym {word!r} stands for {label!r}, which is not a label; "
                    f"must be one of {', '.join(self.names)}, perhaps followed by =0"
                )
            if found.setdefault(key(word), meaning) != meaning:
                raise DomainError(f"{self.name}: the synonym {word!r} has two meanings; choose one of them")
        return found

    @property
    def _taken(self) -> set[str]:
        """The words that cannot be synonyms."""
        return {*self.own_words, *(key(group.name) for group in self.groups)}

    def _meaning(self, label: str) -> tuple[int, int] | None:
        if key(label) in self.own_words:
            return self.own_words[key(label)], 1
        name, _, state = label.rpartition("=")
        if state.strip() in ("0", "1") and key(name) in self.own_words:
            return self.own_words[key(name)], int(state)
        return None

    def _preset_synonyms(self) -> tuple[tuple[str, str], ...]:
        """The usual words for these labels, except those that are names here."""
        found: dict[str, tuple[str, str]] = {}
        for group in self.groups:
            for name in group.names:
                on, off = synonyms(name)
                found |= {key(word): (word, name) for word in on}
                # Among several values, "not this one" has no word of its own.
                found |= {key(word): (word, f"{name}=0") for word in off if len(group.names) == 1}
        return tuple(pair for word, pair in found.items() if word not in self._taken)

    # ---------------------------------------------------------------- JSON

    def to_json(self) -> dict[str, Any]:
        """The set as lists and dicts, for a model file."""
        return {**self.layout, "synonyms": dict(self.synonyms)}

    @property
    def layout(self) -> dict[str, Any]:
        """The same without synonyms."""
        shared = {"shared": list(self.shared)} if self.shared else {}
        return {"name": self.name, "groups": [_layout(group) for group in self.groups], **shared}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "LabelSet":
        """The inverse of `to_json`. Files of earlier versions have no synonyms, so that the usual ones apply.

        Raises:
            DomainError: The labels or synonyms contradict each other.
            KeyError, TypeError: `data` does not have that form.
        """
        groups = tuple(_group(group) for group in _typed(list, data["groups"]))
        shared = tuple(_typed(str, name) for name in _typed(list, data.get("shared", [])))
        if "synonyms" not in data:
            return cls(_typed(str, data["name"]), groups, shared=shared)
        words = _typed(dict, data["synonyms"]).items()
        synonyms = tuple((word, _typed(str, label)) for word, label in words)
        return cls(_typed(str, data["name"]), groups, synonyms, shared)


def _layout(group: Group) -> dict[str, Any]:
    one_way = {"one_way": True} if group.one_way else {}
    return {"names": list(group.names), "categorical": group.categorical, "name": group.name, **one_way}


def _group(data: Any) -> Group:
    names = tuple(_typed(str, name) for name in _typed(list, data["names"]))
    one_way = _typed(bool, data.get("one_way", False))
    return Group(names, _typed(bool, data["categorical"]), _typed(str, data["name"]), one_way)


def _typed(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} is expected")
    return value
