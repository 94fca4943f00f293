"""The updates of a small generator that learns to make the translations of a larger one (`stargan distill`).

As in GAN Compression (Li et al. 2020, arXiv 2003.08936), the translations of the teacher are the real images of D, and
the student is pulled towards the one that the teacher makes of the same image, as pix2pix is towards the truth.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.pytorch import losses, networks
from stargan.engine.pytorch.cuda_graphs import Tensors
from stargan.engine.pytorch.processes import Part
from stargan.engine.pytorch.updates import Updates
from stargan.errors import ConfigError
from stargan.model import locations, onnx_file, safetensors_file
from stargan.model.info import ModelInfo
from stargan.model.onnx_session import session


class StudentUpdates(Updates):
    """The networks, their optimizers, and one update of each.

    Args:
        config: All settings.
        domains: The label layout, of one data set.

    Raises:
        ConfigError: The device is not available, or the teacher has other labels or another image size.
        ModelError: The teacher is missing or damaged.
    """

    def __init__(self, config: Config, domains: Domains) -> None:
        info, load = _teacher(Path(config.teacher))
        if not info.domains.same_layout(domains):
            theirs, ours = (", ".join(each.names) for each in (info.domains, domains))
            raise ConfigError(f"--teacher {config.teacher}: has the labels {theirs}; the data have {ours}")
        size = info.architecture.image_size
        if size != config.image_size:
            raise ConfigError(f"--teacher {config.teacher}: takes images of {size[0]}x{size[1]}; say --image-size")
        super().__init__(config, domains)
        self._info, self._teacher = info, load(self.device)
        self._taught: Tensor | None = None

    def update_d(
        self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float, draws: Tensors | None = None
    ) -> None:
        """Updates D once; keeps the teacher's translations for the update of G. See `Updates.update_d`."""
        self._taught = self._teach(real, labels, targets)
        super().update_d(real, labels, targets, dataset, lr, {"taught": self._taught, **(draws or {})})

    def update_g(self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float) -> None:
        """Updates G, its EMA and the attribute classifier once; see `Updates.update_g`."""
        # A forecast measures the two updates one after the other, with batches of different sizes.
        if self._taught is None or len(self._taught) != len(real):
            self._taught = self._teach(real, labels, targets)
        super().update_g(real, labels, targets, dataset, lr)
        self._taught = None

    def d_terms(
        self, real: Tensor, fake: Tensor, labels: Tensor, dataset: int, draws: Tensors, part: Part | None = None
    ) -> dict[str, Tensor]:
        """Computes the unweighted terms of D's loss, to which the teacher's translations are real images.

        The arguments are those of `Updates.d_terms`; `draws` also has `taught`, (N, 3, H, W), and `targets`, (N, L).
        """
        return super().d_terms(draws["taught"], fake, draws["targets"], dataset, draws, part)

    def g_terms(self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, draws: Tensors) -> dict[str, Tensor]:
        """Computes the unweighted terms of G's loss; the arguments are those of `d_terms`."""
        with self._autocast():
            fake = self.compiled_generator(real, self._condition(targets, labels))
            src, cls = self.discriminator(self._augmented(fake, draws))
        return {
            "g_fake": losses.g_adversarial(self.config.objective, src.float()),
            "g_cls": losses.classification(cls.float(), targets, self.heads[dataset]),
            "g_rec": losses.reconstruction(draws["taught"], fake.float()),
        }

    def _g_draws(self, real: Tensor) -> dict[str, Tensor]:
        assert self._taught is not None  # `update_g` sees to it
        return super()._g_draws(real) | {"taught": self._taught}

    def _teach(self, images: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        """The teacher's translations, (N, 3, H, W)."""
        wanted, own = (each.cpu().numpy() for each in (targets, labels))
        condition = self._info.architecture.condition(self.domains, wanted, own)  # with one data set, labels are values
        made = self._teacher(images, torch.from_numpy(condition).to(images.device))
        return made.to(images.device).contiguous(memory_format=self.layout)


Translate = Callable[[Tensor, Tensor], Tensor]
"""Translates images, (N, 3, H, W), given the second input of a generator, (N, L)."""


def _teacher(path: Path) -> tuple[ModelInfo, Callable[[torch.device], Translate]]:
    """The description of a model, and what loads its generator for a device."""
    file = locations.locate(path, locations.BEST_FOR_USE)
    if file.suffix == ".onnx":
        content = onnx_file.read(file)
        return content.info, lambda _: _graph(content)
    info, arrays, _ = safetensors_file.read(file, networks=("generator",))

    def restored(device: torch.device) -> Translate:
        network = networks.restore("generator", info.architecture, info.domains, arrays).to(device)
        return torch.no_grad()(network)

    return info, restored


def _graph(file: onnx_file.OnnxFile) -> Translate:
    graph = session(file.generator, threads=torch.get_num_threads())
    names = "images", file.info.architecture.condition_name

    def translate(*inputs: Tensor) -> Tensor:
        given = {name: np.ascontiguousarray(each.cpu().numpy()) for name, each in zip(names, inputs, strict=True)}
        return torch.from_numpy(graph.run(["translated"], given)[0])

    return translate
