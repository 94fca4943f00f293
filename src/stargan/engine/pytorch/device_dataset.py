"""A data set that lies in the memory of the GPU, where batches are picked, mirrored and scaled."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SHARE = 0.5  # of the memory that is free, at most
CHUNK = 1024  # pictures that are moved at a time


def fits(pixels: np.ndarray, device: torch.device) -> bool:
    """Whether there is room enough for them."""
    return device.type == "cuda" and pixels.nbytes <= SHARE * torch.cuda.mem_get_info(device)[0]


class Resident:
    """Pictures on a device.

    Args:
        pixels: (N, H, W, 3) uint8; may be mapped from a file.
        device: Where to.
    """

    def __init__(self, pixels: np.ndarray, device: torch.device) -> None:
        self.pixels = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
        for start in range(0, len(pixels), CHUNK):
            part = slice(start, start + CHUNK)
            self.pixels[part] = torch.from_numpy(np.array(pixels[part]))

    def take(self, rows: np.ndarray, mirrored: np.ndarray) -> "Picked":
        """A batch, which is not picked before it is needed: the loader's threads leave the device alone."""
        return Picked(self, rows, mirrored)


@dataclass(frozen=True)
class Picked:
    """Which pictures of a resident set: rows (B,) int, and mirrored (B,) bool."""

    resident: Resident
    rows: np.ndarray
    mirrored: np.ndarray

    def pixels(self) -> Tensor:
        """(B, H, W, 3) uint8, on the device."""
        device = self.resident.pixels.device
        chosen = self.resident.pixels[torch.from_numpy(self.rows).to(device, non_blocking=True)]
        mirrored = torch.from_numpy(self.mirrored).to(device, non_blocking=True)
        return torch.where(mirrored[:, None, None, None], chosen.flip(2), chosen)
