"""Random views of images for D, the same for a translation and its source."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stargan.engine.edit_constants import (
    ANGLE,
    BRIGHTNESS,
    CONTRAST,
    FAR,
    HOLE,
    HOLE_SPREAD,
    HOLES,
    INNER,
    NEAR,
    SATURATION,
    SHIFT,
)


class Views:
    """One random change of colours and place for each image of a batch.

    Args:
        count: N, the number of images.
        size: The side of the images in pixels.
        random: Where the random numbers are from; on the CPU, so that they are the same for every device.
        own: The images of the batch that this process has.
    """

    def __init__(self, count: int, size: int, random: torch.Generator, own: slice = slice(None)) -> None:
        self.size, self.reach = size, int(SHIFT * size)
        self.random, self.own = random, own
        self.shifts = torch.randint(0, 2 * self.reach + 1, (count, 2), generator=random)[own].tolist()
        self.brightness = self._spread(count, BRIGHTNESS)[own]
        self.saturation, self.contrast = (1 + self._spread(count, most)[own] for most in (SATURATION, CONTRAST))
        draws = torch.stack([torch.rand(4, generator=random) for _ in range(count)])[own].tolist()
        self.holes = torch.ones(len(draws), 1, size, size)
        for row, draw in enumerate(draws):
            self._cut(row, *draw)
        self.grid = self._grid(count)

    def crisp(self, images: Tensor) -> Tensor:
        """Changes colours, shifts by whole pixels and cuts holes, so that pixels stay as they were drawn."""
        reach, size = self.reach, self.size
        padded = F.pad(self._coloured(images), (reach,) * 4, mode="replicate")
        return torch.stack(
            [image[:, y : y + size, x : x + size] for image, (y, x) in zip(padded, self.shifts, strict=True)]
        )

    def turned(self, images: Tensor) -> Tensor:
        """Changes colours, cuts holes, turns, moves and scales: (N, 3, H, W) to (N, 3, INNER, INNER)."""
        grid = self.grid.to(images.device)
        return F.grid_sample(
            self._coloured(images), grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )

    def _coloured(self, images: Tensor) -> Tensor:
        brightness, saturation, contrast, holes = (
            part.to(images.device) for part in (self.brightness, self.saturation, self.contrast, self.holes)
        )
        images = torch.lerp(images.mean(1, keepdim=True), images, saturation)
        return (torch.lerp(images.mean((1, 2, 3), keepdim=True), images, contrast) + brightness) * holes

    def _spread(self, count: int, most: float) -> Tensor:
        """Draws (N, 1, 1, 1) numbers between -most and most."""
        return (2 * torch.rand(count, 1, 1, 1, generator=self.random) - 1) * most

    def _cut(self, row: int, draw: float, share: float, down: float, right: float) -> None:
        """Cuts a square hole into an image, or none; the numbers are in [0, 1)."""
        if draw < HOLES:
            side = int(self.size * (HOLE + HOLE_SPREAD * share))
            top, left = (int(place * self.size) - side // 2 for place in (down, right))
            self.holes[row, :, max(top, 0) : top + side, max(left, 0) : left + side] = 0

    def _grid(self, count: int) -> Tensor:
        """The places that turned views of the process's images show, (N, INNER, INNER, 2)."""
        angle = self._spread(count, ANGLE).flatten()
        zoom = 1 + FAR - torch.rand(count, generator=self.random) * (FAR + NEAR)
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        move = (2 * torch.rand(count, 2, generator=self.random) - 1) * (1 - zoom).clamp(min=FAR)[:, None]
        rows = [torch.stack([cos, -sin, move[:, 0]], 1), torch.stack([sin, cos, move[:, 1]], 1)]
        theta = torch.stack(rows, 1)[self.own]
        return F.affine_grid(theta, [len(theta), 3, INNER, INNER], align_corners=False)
