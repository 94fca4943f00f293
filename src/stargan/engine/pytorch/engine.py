"""The PyTorch engine: it takes and returns numpy arrays."""

import math
import sys
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stargan.config import Config, schedules
from stargan.config.training import Precision
from stargan.domains import Domains
from stargan.engine import state as states
from stargan.engine.constants import generate_batch
from stargan.engine.pytorch import device as devices
from stargan.engine.pytorch import networks, optimizer
from stargan.engine.pytorch.device_dataset import DeviceBatch, DeviceDataset, fits
from stargan.engine.pytorch.edit.updates import EditUpdates
from stargan.engine.pytorch.memory import check
from stargan.engine.pytorch.student import StudentUpdates
from stargan.engine.pytorch.two_domains.cyclegan import CycleUpdates
from stargan.engine.pytorch.two_domains.pix2pix import PairUpdates
from stargan.engine.pytorch.updates import Updates
from stargan.errors import CheckpointError, ModelError
from stargan.images import scale
from stargan.model.safetensors_file import under

Pixels = np.ndarray | DeviceBatch


class PytorchEngine:
    """See `stargan.engine.Engine`.

    Args:
        config: All settings.
        domains: The label layout.

    Raises:
        ConfigError: The device or the precision is not available, or there is not enough memory.
    """

    def __init__(self, config: Config, domains: Domains) -> None:
        check(config, domains, devices.choose(config))
        self.updates = _updates(config, domains)
        self.rank, self.world_size = self.updates.processes.rank, self.updates.processes.world_size
        self.precision: Precision = "bf16" if self.updates.bf16 else "fp32"
        self.num_parameters = {
            name: sum(p.numel() for p in network.parameters()) for name, network in self.updates.networks.items()
        }

    # ---------------------------------------------------------------- updates

    def upload(self, pixels: np.ndarray) -> DeviceDataset | None:
        """Copies the images to the GPU if there is one and they fit; see `Engine.upload`."""
        if self.updates.config.plain or not fits(pixels, self.updates.device):
            return None
        return DeviceDataset(pixels, self.updates.device)

    def d_step(
        self,
        images: np.ndarray | DeviceBatch,
        labels: np.ndarray,
        targets: np.ndarray,
        dataset: int,
        *,
        step: int,
        lr: float,
        lambda_cls: float | None = None,
    ) -> None:
        """Updates D once; see `Engine.d_step`."""
        self._set_step(step, lambda_cls)
        self.updates.update_d(self._images(images), self._tensor(labels), self._tensor(targets), dataset, lr)

    def g_step(
        self,
        images: np.ndarray | DeviceBatch,
        labels: np.ndarray,
        targets: np.ndarray,
        dataset: int,
        *,
        step: int,
        lr: float,
        lambda_cls: float | None = None,
    ) -> None:
        """Updates G, its EMA and the attribute classifier once; see `Engine.g_step`."""
        self._set_step(step, lambda_cls)
        self.updates.update_g(self._images(images), self._tensor(labels), self._tensor(targets), dataset, lr)

    def losses(self) -> dict[str, float]:
        """Returns the loss terms of the last updates; see `Engine.losses`."""
        if not self.updates.terms:
            return {}
        stacked = torch.stack(list(self.updates.terms.values()))  # one transfer instead of one per term
        return dict(zip(self.updates.terms, stacked.tolist(), strict=True))

    # ---------------------------------------------------------------- inference

    @torch.no_grad()
    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Translates with G's EMA weights; see `Engine.generate`."""
        return self._chunks(self.updates.ema_generator, images, labels)

    @torch.no_grad()
    def classify(self, images: np.ndarray) -> np.ndarray:
        """Returns the attribute classifier's logits; see `Engine.classify`."""
        return self._chunks(self.updates.classifier, images)

    def _chunks(self, network: nn.Module, *arrays: np.ndarray) -> np.ndarray:
        parts, size = [], generate_batch(math.prod(arrays[0].shape[2:]))
        for start in range(0, len(arrays[0]), size):
            part = [self._tensor(array[start : start + size]) for array in arrays]
            parts.append(network(*part).cpu().numpy())
        return np.concatenate(parts)

    # ---------------------------------------------------------------- cost

    @torch.no_grad()
    def macs(self) -> dict[str, int]:
        """Returns the multiply-adds of one image's forward pass; see `Engine.macs`."""
        width, height = self.updates.config.image_size
        image = torch.zeros(1, 3, height, width, device=self.updates.device)
        labels = torch.zeros(1, self.updates.domains.num_labels, device=self.updates.device)
        counted = {}
        for name, network in self.updates.networks.items():
            with FlopCounterMode(display=False) as counter:
                network(image, labels) if name == "generator" else network(image)
            counted[name] = counter.get_total_flops() // 2
        return counted

    def peak_memory(self) -> int:
        """Returns the peak memory so far in bytes; see `Engine.peak_memory`."""
        if self.updates.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.updates.device)
        import resource  # does not exist on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    # ---------------------------------------------------------------- state

    def state(self) -> dict[str, np.ndarray]:
        """Returns everything needed to continue exactly; see `Engine.state`."""
        return states.State(
            {name: networks.to_arrays(network) for name, network in self._stored().items()},
            {
                name: optimizer.to_arrays(adam, self.updates.networks[name])
                for name, adam in self.updates.optimizers.items()
            },
            self.updates.g_updates,
            self.losses(),
        ).to_arrays()

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restores what `state` returned; see `Engine.load_state`."""
        found = states.from_arrays(arrays, self._stored(), self.updates.optimizers)
        self.updates.g_updates = found.g_updates
        self._load(self._stored(), arrays)
        for name, adam in self.updates.optimizers.items():
            optimizer.from_arrays(adam, self.updates.networks[name], found.adam[name], f"{states.ADAM}/{name}")
        device = self.updates.device
        self.updates.terms = {name: torch.tensor(loss, device=device) for name, loss in found.losses.items()}
        if self.updates.recorder:
            self.updates.recorder.forget()

    def load_weights(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Starts from the weights of a model file; see `Engine.load_weights`.

        If the file has no attribute classifier (imported files have none), the engine keeps its own.
        """
        loaded = {name: network for name, network in self.updates.networks.items() if name != "classifier"}
        if under(arrays, "classifier"):
            loaded["classifier"] = self.updates.classifier
        self._load(loaded, arrays)
        self._load({"generator": self.updates.ema_generator}, arrays)
        self.updates.g_updates = 0
        for adam in self.updates.optimizers.values():
            adam.state.clear()
        if self.updates.recorder:
            self.updates.recorder.forget()

    def _load(self, modules: Mapping[str, nn.Module], arrays: Mapping[str, np.ndarray]) -> None:
        try:
            for name, network in modules.items():
                networks.from_arrays(network, under(arrays, name), name)
        except ModelError as error:
            raise CheckpointError(str(error)) from error

    def _stored(self) -> dict[str, nn.Module]:
        """Returns the networks by their names in a file, where `generator` has the EMA weights."""
        return {
            "generator": self.updates.ema_generator,
            "discriminator": self.updates.discriminator,
            "classifier": self.updates.classifier,
            "training/generator": self.updates.generator,
            **{f"training/{name}": module for name, module in self.updates.kept.items()},
        }

    # ---------------------------------------------------------------- arrays

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.updates.device, non_blocking=True)

    def _images(self, pixels: Pixels) -> Tensor:
        uploaded = pixels.pixels() if isinstance(pixels, DeviceBatch) else self._tensor(pixels)
        return scale(uploaded.permute(0, 3, 1, 2).float()).contiguous(memory_format=self.updates.layout)

    def _set_step(self, step: int, lambda_cls: float | None = None) -> None:
        """Sets the weight of the classification loss and the random seed for a step."""
        self.updates.step = step
        scheduled = schedules.class_weight(self.updates.config, step) if lambda_cls is None else lambda_cls
        self.updates.lambda_cls.fill_(scheduled)
        self.updates.random.manual_seed(_mix(self.updates.config.seed, step))


def _updates(config: Config, domains: Domains) -> Updates:
    """Creates the updates for the method and the discriminator that a configuration names.

    Raises:
        ConfigError, MissingExtraError: As `Updates` and those of the methods.
    """
    if config.method != "stargan":
        return {"cyclegan": CycleUpdates, "pix2pix": PairUpdates}[config.method](config, domains)
    if config.teacher:
        return StudentUpdates(config, domains)
    return EditUpdates(config, domains) if config.discriminator == "projected" else Updates(config, domains)


def _mix(seed: int, step: int) -> int:
    """Returns a well-mixed seed for a step, so that a resumed run draws the same numbers as an uninterrupted one."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
