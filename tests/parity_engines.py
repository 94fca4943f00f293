"""What the comparisons need of an engine beyond its interface, in numpy: images are (N, 3, H, W)."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

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
        if network == "discriminator":
            updates.update_d(*tensors, dataset, lr, drawn)
            return
        own, updates._views = updates._views, lambda count: drawn
        try:
            updates.update_g(*tensors, dataset, lr)
        finally:
            updates._views = own


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


def _last(array: np.ndarray) -> np.ndarray:
    """(N, 3, H, W) to (N, H, W, 3); anything else stays."""
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def _first(array: np.ndarray) -> np.ndarray:
    return array.transpose(0, 3, 1, 2)


def _tensor(array: np.ndarray) -> Any:
    import tensorflow

    return tensorflow.constant(array, tensorflow.float32)
