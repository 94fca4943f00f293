"""A data set in the memory of a GPU, where batches are gathered and mirrored."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SHARE = 0.5  # of the memory that is free, at most
CHUNK = 1024  # images copied at a time


def fits(pixels: np.ndarray, device: torch.device) -> bool:
    """Whether (N, H, W, 3) uint8 images fit the memory of a GPU; False on other devices."""
    return device.type == "cuda" and pixels.nbytes <= SHARE * torch.cuda.mem_get_info(device)[0]


class DeviceDataset:
    """Images on a device.

    Args:
        pixels: (N, H, W, 3) uint8; may be mapped from a file.
        device: The device.
    """

    def __init__(self, pixels: np.ndarray, device: torch.device) -> None:
        self.pixels = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
        for start in range(0, len(pixels), CHUNK):
            part = slice(start, start + CHUNK)
            self.pixels[part] = torch.from_numpy(np.array(pixels[part]))

    def take(self, rows: np.ndarray, mirrored: np.ndarray) -> "DeviceBatch":
        """A batch, gathered only when it is needed: the loader's threads leave the device alone."""
        return DeviceBatch(self, rows, mirrored)


@dataclass(frozen=True)
class DeviceBatch:
    """Some images of a data set: rows (B,) int, and mirrored (B,) bool."""

    dataset: DeviceDataset
    rows: np.ndarray
    mirrored: np.ndarray

    def pixels(self) -> Tensor:
        """(B, H, W, 3) uint8, on the device."""
        device = self.dataset.pixels.device
        chosen = self.dataset.pixels[torch.from_numpy(self.rows).to(device, non_blocking=True)]
        mirrored = torch.from_numpy(self.mirrored).to(device, non_blocking=True)
        return torch.where(mirrored[:, None, None, None], chosen.flip(2), chosen)
