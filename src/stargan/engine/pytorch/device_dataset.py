"""A data set in GPU memory, from which batches are gathered and mirrored on the GPU."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SHARE = 0.5  # largest fraction of the free GPU memory that a data set may take
CHUNK = 1024  # images per copy


def fits(pixels: np.ndarray, device: torch.device) -> bool:
    """Returns whether images, (N, H, W, 3) uint8, fit into the GPU's memory; False on other devices."""
    return device.type == "cuda" and pixels.nbytes <= SHARE * torch.cuda.mem_get_info(device)[0]


class DeviceDataset:
    """The images of a data set on a device.

    Args:
        pixels: (N, H, W, 3) uint8; may be a memory-mapped file.
        device: The device.
    """

    def __init__(self, pixels: np.ndarray, device: torch.device) -> None:
        self.pixels = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
        for start in range(0, len(pixels), CHUNK):
            part = slice(start, start + CHUNK)
            self.pixels[part] = torch.from_numpy(np.array(pixels[part]))

    def take(self, rows: np.ndarray, mirrored: np.ndarray) -> "DeviceBatch":
        """Returns a batch that is gathered only on use, so that the loader's threads do not touch the device."""
        return DeviceBatch(self, rows, mirrored)


@dataclass(frozen=True)
class DeviceBatch:
    """Some images of a data set.

    Attributes:
        dataset: The data set.
        rows: (B,) int, the rows of the images.
        mirrored: (B,) bool, which of them are mirrored.
    """

    dataset: DeviceDataset
    rows: np.ndarray
    mirrored: np.ndarray

    def pixels(self) -> Tensor:
        """Gathers the images: (B, H, W, 3) uint8, on the device."""
        device = self.dataset.pixels.device
        chosen = self.dataset.pixels[torch.from_numpy(self.rows).to(device, non_blocking=True)]
        mirrored = torch.from_numpy(self.mirrored).to(device, non_blocking=True)
        return torch.where(mirrored[:, None, None, None], chosen.flip(2), chosen)
