"""Recognises the names of splits: `train`, `Training`, `val_set`, `seg_test`, `trainA`."""

import re
from collections.abc import Iterable, Mapping

SPLITS = ("train", "val", "test")

_WORDS = {
    "train": "train", "training": "train", "trn": "train", "trainset": "train", "traindata": "train",
    "val": "val", "valid": "val", "validation": "val", "validate": "val", "valset": "val", "dev": "val",
    "devel": "val", "development": "val", "devset": "val",
    "eval": "eval", "evaluation": "eval", "evalset": "eval",
    "test": "test", "testing": "test", "tst": "test", "testset": "test", "testdata": "test", "holdout": "test",
    "heldout": "test",
}  # fmt: skip
_FILLERS = frozenset({
    "set", "sets", "seg", "segmented", "data", "dataset", "split", "splits", "image", "images", "img", "imgs", "photo",
    "photos", "picture", "pictures", "part", "subset", "fold", "folder", "public", "private", "final", "full", "small",
    "jpg", "png", "jpeg", "samples", "dir", "for", "is", "in", "the", "my",
})  # fmt: skip
COLUMN_NAMES = frozenset({"split", "splits", "partition", "subset", "usage", "phase", "fold", "set", "stage"})
"""What a table's column with the splits may be called."""


def split_of(name: str) -> str | None:
    """The split that a name stands for, `train`, `val`, `eval` or `test`; None if it is no split's name."""
    found = [_WORDS.get(word) for word in _words(name) if word not in _FILLERS and not word.isdigit()]
    return found[0] if len(found) == 1 else None


def split_of_part(name: str) -> str | None:
    """The split that the name of a part stands for, such as `train-00000-of-00002` or `val-000001`."""
    return split_of(re.sub(r"-\d{5}-of-\d{5}.*", "", name))


def split_and_rest(name: str) -> tuple[str, str] | None:
    """The split that a name begins or ends with and the rest of it, as in CycleGAN's `trainA`; or None."""
    words = _words(name, fold=False)
    for at, rest in ((0, words[1:]), (-1, words[:-1])):
        if rest and words[at].lower() in _WORDS:
            return _WORDS[words[at].lower()], "_".join(rest)
    return None


def indices(found: Iterable[str]) -> Mapping[str, int]:
    """The index into `SPLITS` of each of these splits; `eval` is `test` where there is a `val`, and else `val`."""
    found = set(found)
    eval_index = 2 if "val" in found else 1
    return {split: eval_index if split == "eval" else SPLITS.index(split) for split in found}


def _words(name: str, *, fold: bool = True) -> list[str]:
    """The words of a name: cut at what is no letter or digit, between the two, and before a capital letter."""
    name = re.sub(r"(?i)(hold|held)[-_ ]?out", "holdout", name)
    words = re.findall(r"[^\W\d_]+|\d+", re.sub(r"([^\W\d_A-Z])([A-Z])", r"\1 \2", name))
    return [word.lower() for word in words] if fold else words
