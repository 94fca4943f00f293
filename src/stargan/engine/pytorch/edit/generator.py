"""The edit generator: it changes parts of an image by the difference between two labels; not in the paper."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stargan.config import Architecture
from stargan.config.architecture import DETAIL_CHANNELS
from stargan.engine.edit_constants import EMBEDDING, GRAY, GRID, GROUPS, MAPS, PALETTE, SLOPE


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """Builds a convolution, padded with zeros, with initial weights after He et al. 2015."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=bias)
    nn.init.kaiming_normal_(layer.weight, SLOPE)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def active(x: Tensor) -> Tensor:
    """Applies the leaky ReLU."""
    return F.leaky_relu(x, SLOPE)


class Modulation(nn.Module):
    """Group norm whose scale and shift depend on the embedded change; without a change, plain group norm."""

    def __init__(self, channels: int, groups: int = GROUPS) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.affine = nn.Linear(EMBEDDING, 2 * channels, bias=False)
        nn.init.normal_(self.affine.weight, std=0.5 * EMBEDDING**-0.5)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """Normalises (N, channels, H, W), given (N, EMBEDDING)."""
        scale, shift = self.affine(embedded)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(shift, self.norm(x).to(shift.dtype), scale + 1)


class Residual(nn.Module):
    """Adds to its input the output of two modulated norms, each followed by an activation and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (convolution(channels, channels, bias=False) for _ in range(2))
        self.norm1, self.norm2 = (Modulation(channels) for _ in range(2))
        with torch.no_grad():
            self.second.weight.mul_(0.3)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """Maps (N, channels, H, W) to the same shape."""
        inner = self.first(active(self.norm1(x, embedded)))
        return x + self.second(active(self.norm2(inner, embedded)))


class Up(nn.Module):
    """Doubles the size, and adds features of the encoder as far as a gate lets them through for this change.

    Gated skip connections are from Liu et al. 2019, STGAN ("selective transfer").
    """

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.reduce = convolution(inputs, outputs, 1, bias=False)
        self.gate = convolution(outputs + skip, skip, 1)
        self.label = nn.Linear(EMBEDDING, skip, bias=False)
        self.mix = convolution(outputs + skip, outputs, bias=False)
        self.norm = Modulation(outputs)

    def forward(self, x: Tensor, skip: Tensor, embedded: Tensor) -> Tensor:
        """Maps (N, inputs, H, W) and (N, skip, 2H, 2W) to (N, outputs, 2H, 2W)."""
        x = F.interpolate(self.reduce(x), scale_factor=2.0, mode="nearest")
        gate = self.gate(torch.cat([x, skip], 1)) + self.label(embedded)[:, :, None, None]
        mixed = self.mix(torch.cat([x, skip * gate.sigmoid()], 1))
        return active(self.norm(mixed, embedded))


class Details(nn.Module):
    """Draws details at the full size of the image, from the image itself; before training, nothing.

    Args:
        inputs: Channels of the generator's last features, on its grid.
        width: Its own channels.
        enlarge: How many times finer the image is than the maps of the generator.
        outputs: The maps that it adds to.
    """

    def __init__(self, inputs: int, width: int, enlarge: int, outputs: int) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.look = convolution(3 * enlarge**2, width)
        self.reduce = convolution(inputs, width, 1, bias=False)
        self.mix = convolution(2 * width, width, bias=False)
        self.norm = Modulation(width, DETAIL_CHANNELS)
        self.last = convolution(width, outputs * enlarge**2)
        nn.init.zeros_(self.last.weight)

    def forward(self, images: Tensor, x: Tensor, embedded: Tensor) -> Tensor:
        """Maps (N, 3, H, W) and (N, inputs, GRID, GRID) to (N, outputs, H, W)."""
        seen = active(self.look(F.pixel_unshuffle(images, self.enlarge)))
        known = F.interpolate(self.reduce(x), scale_factor=float(MAPS // GRID), mode="nearest")
        mixed = active(self.norm(self.mix(torch.cat([seen, known], 1)), embedded))
        return softened(F.pixel_shuffle(self.last(mixed), self.enlarge))


class Palette(nn.Module):
    """Offers each cell colours from elsewhere in the image, by attention (Vaswani et al. 2017, eq. 1) to its cells.

    Group norm removes the absolute colours from the features. Without them, G can only guess which colour the
    background has where it takes hair away.

    Args:
        inputs: Channels of the features that decide which cells belong together.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.query, self.key = (convolution(inputs, PALETTE, 1) for _ in range(2))

    def forward(self, images: Tensor, x: Tensor) -> Tensor:
        """Maps (N, 3, H, W) and (N, inputs, h, w) to colours, (N, 3, h, w)."""
        colours = F.avg_pool2d(images, images.shape[-1] // x.shape[-1])
        query, key = (layer(x).flatten(2) for layer in (self.query, self.key))
        weights = torch.softmax(query.transpose(1, 2) @ key * PALETTE**-0.5, 2)  # (N, hw, hw)
        return (colours.flatten(2) @ weights.transpose(1, 2)).reshape(colours.shape)


class EditGenerator(nn.Module):
    """Edits an image x by a change of its labels: y = x + m (tanh(g x + o) - x).

    The network works on a grid of 32x32 cells whatever the size of the image, which comes in by pixel unshuffle. It
    draws a mask m, and a gain g and an offset o for each colour, at 64 pixels a side; they are enlarged to the size of
    the image, where a few channels may add details. The gain keeps what the network has not drawn itself. With a
    palette, it also draws how much of the image's own gray, and of colours from elsewhere in the image, belongs to o.

    Args:
        architecture: Its sizes: the encoder has `width`, 2 `width` and 4 `width` channels at 32, 16 and 8 cells a side.
        num_labels: L, the length of the label vector.
    """

    def __init__(self, architecture: Architecture, num_labels: int) -> None:
        super().__init__()
        low, middle, high = (architecture.width * factor for factor in (1, 2, 4))
        size = architecture.image_size[0]
        self.fold, self.shuffle, self.enlarge = size // GRID, MAPS // GRID, size // MAPS
        self.embed = nn.Linear(num_labels, EMBEDDING, bias=False)
        nn.init.normal_(self.embed.weight)
        self.stem = convolution(3 * self.fold**2, low)
        self.down1 = convolution(low, middle, 4, 2, bias=False)
        self.norm1 = nn.GroupNorm(GROUPS, middle)
        self.down2 = convolution(middle, high, 4, 2, bias=False)
        self.blocks = nn.ModuleList(Residual(high) for _ in range(architecture.blocks))
        self.norm2 = Modulation(high)
        self.up1 = Up(high, middle, middle)
        self.middle = Residual(middle)
        self.up2 = Up(middle, low, low)
        self.last = convolution(low, 7 * self.shuffle**2)
        self.palette = Palette(middle) if architecture.palette else None
        if self.palette is not None:
            self.paint, self.gray = (convolution(low, self.shuffle**2) for _ in range(2))
            for layer in (self.paint, self.gray):
                nn.init.zeros_(layer.weight)
        details = architecture.details
        self.refine = Details(low, details, self.enlarge, 7) if details else None
        with torch.no_grad():  # the pixels of a cell start with the same weights, so that there is no checkerboard
            each = self.last.weight[:: self.shuffle**2].clone() * 0.3
            self.last.weight.copy_(each.repeat_interleave(self.shuffle**2, 0))

    def forward(self, images: Tensor, change: Tensor) -> Tensor:
        """Edits images.

        Args:
            images: (N, 3, H, W) in [-1, 1].
            change: (N, L), the target labels minus those of the images: -1, 0 or 1.

        Returns:
            (N, 3, H, W) in [-1, 1].
        """
        return self.edit(images, change)[0]

    def edit(self, images: Tensor, change: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`; also returns the mask m, (N, 1, H, W) in [0, 1], and g x + o, (N, 3, H, W)."""
        maps = self._maps(images, change).to(images.dtype)  # in full precision: unmasked pixels stay as they are
        mask, gain, offset = maps[:, :1].sigmoid(), maps[:, 1:4] + 1, maps[:, 4:7]
        if self.palette is not None:
            offset = torch.addcmul(offset, maps[:, 7:], grays(images))
        drawn = torch.addcmul(offset, gain, images)
        return torch.addcmul(images, mask, drawn.tanh() - images), mask, drawn

    def _maps(self, images: Tensor, change: Tensor) -> Tensor:
        """(N, 7, H, W): the mask before its sigmoid, gains less 1, offsets; (N, 8, H, W) with a palette: grays."""
        embedded = active(self.embed(change))
        first = active(self.stem(F.pixel_unshuffle(images, self.fold)))
        second = active(self.norm1(self.down1(first)))
        x = self.down2(second)
        for block in self.blocks:
            x = block(x, embedded)
        x = active(self.norm2(x, embedded))
        x = middle = self.middle(self.up1(x, second, embedded), embedded)
        x = self.up2(x, first, embedded)
        drawn = [self.last(x)] if self.palette is None else [self.last(x), self.gray(x), self.paint(x)]
        maps = softened(F.pixel_shuffle(torch.cat(drawn, 1), self.shuffle))
        if self.palette is not None:
            colours = enlarged(self.palette(images, middle), MAPS // middle.shape[-1])
            offset = torch.addcmul(maps[:, 4:7], maps[:, 8:], colours)
            maps = torch.cat([maps[:, :4], offset, maps[:, 7:8]], 1)
        if self.enlarge > 1:
            maps = enlarged(maps, self.enlarge)
        if self.refine is None:
            return maps
        return torch.cat([maps[:, :7] + self.refine(images, x, embedded), maps[:, 7:]], 1)


def enlarged(maps: Tensor, factor: int) -> Tensor:
    """Enlarges (N, C, H, W) linearly."""
    return F.interpolate(maps, scale_factor=float(factor), mode="bilinear", align_corners=False)


def grays(images: Tensor) -> Tensor:
    """The grays of colours: (N, 3, H, W) to (N, 1, H, W)."""
    red, green, blue = images.split(1, 1)
    return GRAY[0] * red + GRAY[1] * green + GRAY[2] * blue


def softened(maps: Tensor) -> Tensor:
    """Smooths (N, C, H, W) with weights 1, 2, 1 in each direction, which remove patterns of single pixels."""
    x = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    for _ in range(2):  # average pools that do the same take ONNX Runtime three times as long
        x = x[..., :-1] + x[..., 1:]
        x = x[..., :-1, :] + x[..., 1:, :]
    return x / 16
