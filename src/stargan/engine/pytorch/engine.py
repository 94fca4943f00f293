"""The engine on PyTorch: arrays in and out."""

import sys
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stargan.config import schedules
from stargan.engine.pytorch import networks, optimizer
from stargan.engine.pytorch.device_dataset import DeviceBatch, DeviceDataset, fits
from stargan.engine.pytorch.updates import Updates
from stargan.errors import CheckpointError, ModelError
from stargan.images import scale
from stargan.model.safetensors_file import under

Pixels = np.ndarray | DeviceBatch
G_UPDATES = "training/g_updates"
GENERATE_BATCH = 32  # bounds the memory of `generate`


class PytorchEngine(Updates):
    """`stargan.engine.Engine` on PyTorch; made as `Updates` is."""

    # ---------------------------------------------------------------- updates

    def upload(self, pixels: np.ndarray) -> DeviceDataset | None:
        """Copies the images to the GPU, if there is one with enough memory; see `Engine.upload`."""
        if self.config.plain or not fits(pixels, self.device):
            return None
        return DeviceDataset(pixels, self.device)

    def d_step(
        self,
        images: np.ndarray | DeviceBatch,
        labels: np.ndarray,
        targets: np.ndarray,
        dataset: int,
        *,
        step: int,
        lr: float,
    ) -> None:
        """One update of D; see `Engine.d_step`."""
        self._at(step)
        self.update_d(self._images(images), self._tensor(labels), self._tensor(targets), dataset, lr)

    def g_step(
        self,
        images: np.ndarray | DeviceBatch,
        labels: np.ndarray,
        targets: np.ndarray,
        dataset: int,
        *,
        step: int,
        lr: float,
    ) -> None:
        """One update of G, its running mean and the attribute classifier; see `Engine.g_step`."""
        self._at(step)
        self.update_g(self._images(images), self._tensor(labels), self._tensor(targets), dataset, lr)

    def losses(self) -> dict[str, float]:
        """The terms of the last updates; see `Engine.losses`."""
        if not self.terms:
            return {}
        stacked = torch.stack(list(self.terms.values()))  # one transfer, not one a term
        return dict(zip(self.terms, stacked.tolist(), strict=True))

    # ---------------------------------------------------------------- inference

    @torch.no_grad()
    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Translates with the running mean of G's weights; see `Engine.generate`."""
        return self._chunks(self.ema_generator, images, labels)

    @torch.no_grad()
    def classify(self, images: np.ndarray) -> np.ndarray:
        """The attribute classifier's logits; see `Engine.classify`."""
        return self._chunks(self.classifier, images)

    def _chunks(self, network: nn.Module, *arrays: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(arrays[0]), GENERATE_BATCH):
            part = [self._tensor(array[start : start + GENERATE_BATCH]) for array in arrays]
            parts.append(network(*part).cpu().numpy())
        return np.concatenate(parts)

    # ---------------------------------------------------------------- cost

    @torch.no_grad()
    def macs(self) -> dict[str, int]:
        """Multiply-adds of one picture forward; see `Engine.macs`."""
        width, height = self.config.image_size
        image = torch.zeros(1, 3, height, width, device=self.device)
        labels = torch.zeros(1, self.domains.num_labels, device=self.device)
        counted = {}
        for name, network in self.networks.items():
            with FlopCounterMode(display=False) as counter:
                network(image, labels) if name == "generator" else network(image)
            counted[name] = counter.get_total_flops() // 2
        return counted

    def peak_memory(self) -> int:
        """The most memory used so far, in bytes; see `Engine.peak_memory`."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        import resource  # not on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    # ---------------------------------------------------------------- state

    def state(self) -> dict[str, np.ndarray]:
        """Everything an exact continuation needs; see `Engine.state`."""
        arrays = {G_UPDATES: np.array(self.g_updates, np.int64)}
        for name, network in self._stored().items():
            arrays |= {f"{name}/{key}": array for key, array in networks.to_arrays(network).items()}
        for name, network in self.networks.items():
            slots = optimizer.to_arrays(self.optimizers[name], network)
            arrays |= {f"training/adam/{name}/{key}": array for key, array in slots.items()}
        return arrays

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """The inverse of `state`; see `Engine.load_state`."""
        places = [*self._stored(), *(f"training/adam/{name}" for name in self.optimizers)]
        for name in arrays:
            if name != G_UPDATES and not name.startswith(tuple(f"{place}/" for place in places)):
                raise CheckpointError(f"{name} does not belong there")
        if G_UPDATES not in arrays or arrays[G_UPDATES].shape != ():
            raise CheckpointError(f"{G_UPDATES} is missing or not one number")
        self.g_updates = int(arrays[G_UPDATES])
        self._load(self._stored(), arrays)
        for name, network in self.networks.items():
            place = f"training/adam/{name}"
            optimizer.from_arrays(self.optimizers[name], network, under(arrays, place), place)
        if self.recorder:
            self.recorder.forget()

    def load_weights(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Starts from the weights of a model file; see `Engine.load_weights`.

        A file without a attribute classifier, as imported ones are, leaves the attribute classifier as it is.
        """
        known = {name: network for name, network in self.networks.items() if name != "classifier"}
        if under(arrays, "classifier"):
            known["classifier"] = self.classifier
        self._load(known, arrays)
        self._load({"generator": self.ema_generator}, arrays)
        self.g_updates = 0
        for adam in self.optimizers.values():
            adam.state.clear()
        if self.recorder:
            self.recorder.forget()

    def _load(self, known: Mapping[str, nn.Module], arrays: Mapping[str, np.ndarray]) -> None:
        try:
            for name, network in known.items():
                networks.from_arrays(network, under(arrays, name), name)
        except ModelError as error:
            raise CheckpointError(str(error)) from error

    def _stored(self) -> dict[str, nn.Module]:
        """The networks by their place in a file: `generator` there is the running mean."""
        return {
            "generator": self.ema_generator,
            "discriminator": self.discriminator,
            "classifier": self.classifier,
            "training/generator": self.generator,
        }

    # ---------------------------------------------------------------- arrays

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, non_blocking=True)

    def _images(self, pixels: Pixels) -> Tensor:
        there = pixels.pixels() if isinstance(pixels, DeviceBatch) else self._tensor(pixels)
        return scale(there.permute(0, 3, 1, 2).float()).contiguous(memory_format=self.layout)

    def _at(self, step: int) -> None:
        self.lambda_cls.fill_(schedules.class_weight(self.config, step))
        self.random.manual_seed(_mix(self.config.seed, step))


def _mix(seed: int, step: int) -> int:
    """One well-mixed 64-bit seed for each step, so that a resumed run draws what the first one would have."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
