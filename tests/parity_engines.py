"""What the comparisons need of an engine beyond its interface, in numpy: images are (N, 3, H, W)."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pytest

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine import registry

Arrays = Mapping[str, np.ndarray]


class Side(Protocol):
    """An engine in a comparison."""

    engine: Any

    def translate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """G's translations, by its weights in training."""
        ...

    def discriminate(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """D's scores, (N, 1, h, w), and logits, (N, C)."""
        ...

    def d_terms(self, real: np.ndarray, fake: np.ndarray, labels: np.ndarray, draws: Arrays) -> dict[str, float]:
        """The unweighted terms of D's loss."""
        ...

    def g_terms(self, real: np.ndarray, labels: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """The unweighted terms of G's loss."""
        ...

    def update(self, network: str, batch: Arrays, dataset: int, lr: float, draws: Arrays) -> None:
        """Updates `discriminator` or `generator` with the `images`, `labels` and `targets` of a batch."""
        ...


def side(config: Config, domains: Domains) -> Side:
    """An engine with fresh weights."""
    engine = registry.create(config, domains)
    return PytorchSide(engine) if config.engine == "pytorch" else TensorflowSide(engine)


class PytorchSide:
    """See `Side`."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def _tensors(self, arrays: Arrays) -> dict[str, Any]:
        import torch

        device = self.engine.updates.device
        return {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}

    def _run(self, network: str, **arrays: np.ndarray) -> Any:
        import torch

        with torch.no_grad():
            return getattr(self.engine.updates, network)(*self._tensors(arrays).values())

    def translate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        result: np.ndarray = self._run("generator", images=images, labels=labels).cpu().numpy()
        return result

    def discriminate(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        src, cls = self._run("discriminator", images=images)
        return src.cpu().numpy(), cls.cpu().numpy()

    def d_terms(self, real: np.ndarray, fake: np.ndarray, labels: np.ndarray, draws: Arrays) -> dict[str, float]:
        tensors = self._tensors({"real": real, "fake": fake, "labels": labels})
        terms = self.engine.updates.d_terms(*tensors.values(), 0, self._tensors(draws))
        return {name: term.item() for name, term in terms.items()}

    def g_terms(self, real: np.ndarray, labels: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        tensors = self._tensors({"real": real, "labels": labels, "targets": targets})
        terms = self.engine.updates.g_terms(*tensors.values(), 0, {})
        return {name: term.item() for name, term in terms.items()}

    def update(self, network: str, batch: Arrays, dataset: int, lr: float, draws: Arrays) -> None:
        tensors, drawn = self._tensors(batch).values(), self._tensors(draws)
        updates = self.engine.updates
        with pytest.MonkeyPatch.context() as patch:
            if self.engine.updates.config.discriminator == "projected":
                updates._made = None  # an update of G computes its translations again
                patch.setattr(updates, "_views_of", lambda images: _views(images, drawn))
            if network == "discriminator":
                updates.update_d(*tensors, dataset, lr, drawn)
                return
            patch.setattr(updates, "_views", lambda count: drawn, raising=False)
            updates.update_g(*tensors, dataset, lr)


class TensorflowSide:
    """See `Side`."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def translate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        result: np.ndarray = _first(self.engine.updates.generator(_last(images), labels).numpy())
        return result

    def discriminate(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        src, cls = self.engine.updates.discriminator(_last(images))
        return _first(src.numpy()), cls.numpy()

    def d_terms(self, real: np.ndarray, fake: np.ndarray, labels: np.ndarray, draws: Arrays) -> dict[str, float]:
        draws = {name: _last(array) for name, array in draws.items()}
        terms = self.engine.updates.d_terms(_tensor(_last(real)), _tensor(_last(fake)), labels, 0, draws)
        return {name: float(term) for name, term in terms.items()}

    def g_terms(self, real: np.ndarray, labels: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        terms = self.engine.updates.g_terms(_tensor(_last(real)), _tensor(labels), _tensor(targets), 0, {})
        return {name: float(term) for name, term in terms.items()}

    def update(self, network: str, batch: Arrays, dataset: int, lr: float, draws: Arrays) -> None:
        update = getattr(self.engine.updates, "update_d" if network == "discriminator" else "update_g")
        tensors = {name: np.asarray(_last(array), np.float32) for name, array in {**batch, **draws}.items()}
        update(tensors, dataset, lr, self.engine.config.lambda_cls)


def _views(images: Any, drawn: Mapping[str, Any]) -> Any:
    """The PyTorch engine's views, with the numbers that the TensorFlow engine has drawn."""
    import torch

    from stargan.engine.pytorch.edit.views import INNER, Views

    views = Views(len(images), images.shape[2], torch.Generator())
    views.shifts = drawn["shifts"].int().tolist()
    for name in ("brightness", "saturation", "contrast", "holes"):
        setattr(views, name, drawn[name])
    views.grid = drawn["grid"].reshape(len(images), INNER, INNER, 2)
    return views


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the largest value."""
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-6))


def differences(ours: Arrays, theirs: Arrays) -> dict[str, float]:
    """Those of the losses and of Adam's moments, in which the gradients are."""
    assert ours.keys() == theirs.keys()
    keys = [key for key in theirs if "/exp_avg" in key or key.startswith("training/losses/")]
    return {key: difference(ours[key], theirs[key]) for key in keys}


def random_batch(config: Config, domains: Domains, dataset: int = 0, seed: int = 1) -> dict[str, np.ndarray]:
    """Four images with labels and targets; an edit generator leaves some as they are."""
    random = np.random.default_rng(seed)
    width, height = config.image_size
    values, targets = (domains.random_values(random, 4) for _ in range(2))
    if config.generator == "edit":
        targets[0] = values[0]
    images = random.uniform(-1, 1, (4, 3, height, width)).astype(np.float32)
    return {"images": images, "labels": domains.labels(values, dataset), "targets": domains.labels(targets, dataset)}


def draws(ours: Side, config: Config, network: str, step: int = 0) -> dict[str, np.ndarray]:
    """The random numbers of the TensorFlow engine, for an update of either engine."""
    width, height = config.image_size
    found = ours.engine.updates.draws(step, (4, height, width, 3), of_d=network == "discriminator")
    return {name: _first(array) if array.ndim == 4 else array for name, array in found.items()}


def _last(array: np.ndarray) -> np.ndarray:
    """(N, 3, H, W) to (N, H, W, 3); anything else stays."""
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def _first(array: np.ndarray) -> np.ndarray:
    return array.transpose(0, 3, 1, 2)


def _tensor(array: np.ndarray) -> Any:
    import tensorflow

    return tensorflow.constant(array, tensorflow.float32)
