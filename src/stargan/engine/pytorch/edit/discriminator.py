"""D for the edit generator: a small convolutional part, and heads on the features of a network with fixed weights.

Heads on mixed features of a pretrained network are from Sauer et al. 2021, Projected GAN. Alone they miss what is wrong
in single pixels; the convolutional part sees that.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from stargan.config import Architecture
from stargan.domains import Domains
from stargan.engine.edit_constants import CHANNELS, GAIN, HEAD_WIDTH, SLOPE
from stargan.engine.pytorch.edit.confidence import Confidence
from stargan.engine.pytorch.edit.generator import active, convolution
from stargan.engine.pytorch.edit.groups import signed


class EditDiscriminator(nn.Module):
    """Both parts.

    Args:
        architecture: The sizes of the networks.
        domains: The label layout.
        wider: How many times as many channels as usual both parts have.
    """

    critic: "Critic"
    projected: "Projected"

    def __init__(self, architecture: Architecture, domains: Domains, wider: int = 1) -> None:
        super().__init__()
        self.critic = Critic(architecture, domains, wider)
        self.projected = Projected(domains, wider)

    @property
    def confidences(self) -> tuple[Confidence, Confidence]:
        """How sure each part is of the classes of real images."""
        return self.critic.confidence, self.projected.confidence

    def forward(self, images: Tensor) -> tuple[list[list[Tensor]], Tensor]:
        """Applies the convolutional part alone, which needs no features, without conditions; see `Critic`."""
        out: tuple[list[list[Tensor]], Tensor] = self.critic(images)
        return out


class Critic(nn.Module):
    """4x4 convolutions of stride 2 down to 4x4 pixels: scores of patches at the last two sizes, and classes.

    Args:
        architecture: Its sizes: the layer at 32x32 pixels has three quarters of `width`.
        domains: The label layout.
        wider: How many times as many channels it has.
    """

    confidence: Confidence

    def __init__(self, architecture: Architecture, domains: Domains, wider: int = 1) -> None:
        super().__init__()
        self.domains = domains
        width = wider * architecture.width * 3 // 4
        before = architecture.image_size[0].bit_length() - 7  # layers down to 64x64 pixels
        widths = [width // 2] * before + [width, 2 * width, 4 * width, 8 * width]
        pairs = zip([3, *widths], widths, strict=False)
        self.layers = nn.ModuleList(convolution(inputs, outputs, 4, 2) for inputs, outputs in pairs)
        self.fine, self.coarse = (convolution(count, 1 + domains.num_classes) for count in widths[-2:])
        self.labels = nn.Linear(widths[-1], domains.num_classes)
        self.confidence = Confidence(domains)

    def forward(self, images: Tensor, *conditions: Tensor) -> tuple[list[list[Tensor]], Tensor]:
        """Scores images by how real they are as images with some labels, and classifies them.

        Args:
            images: (N, 3, H, W).
            conditions: (N, C), the labels they should have; any number of them, which share the work.

        Returns:
            For each of the conditions, the scores of patches, (N, P) for each of two scales; and class logits, (N, C).
        """
        x, finer = images, images
        for layer in self.layers:
            finer, x = x, active(layer(x))
        maps = [self.fine(finer).flatten(2), self.coarse(x).flatten(2)]
        signs = (signed(self.domains, condition)[:, :, None] for condition in conditions)
        scores = [[each[:, 0] + (each[:, 1:] * sign).sum(1) for each in maps] for sign in signs]
        return scores, self.labels(x.mean((2, 3)))


class Projected(nn.Module):
    """Heads on the features: scores of patches at each scale, given labels, and classes.

    A fixed random matrix mixes the channels of each scale, so that a head cannot rely on a few of them.

    Args:
        domains: The label layout.
        wider: How many times as many channels the heads have.
    """

    confidence: Confidence

    def __init__(self, domains: Domains, wider: int = 1) -> None:
        super().__init__()
        self.domains = domains
        width = wider * HEAD_WIDTH
        for index, count in enumerate(CHANNELS):
            mixing = torch.linalg.qr(torch.randn(count, count))[0]
            self.register_buffer(f"mixing{index}", mixing[:, :, None, None])
            self.register_buffer(f"scale{index}", torch.zeros(count)[:, None, None])  # zero until `calibrate`
        self.heads = nn.ModuleList(_head(count, width) for count in CHANNELS)
        self.plain = nn.ModuleList(spectral_norm(convolution(width, 1, 1)) for _ in CHANNELS)
        linear = (nn.Linear(domains.num_classes, width, bias=False) for _ in CHANNELS)
        self.matching = nn.ModuleList(map(spectral_norm, linear))
        self.coarse = nn.Sequential(convolution(CHANNELS[2], 96), nn.LeakyReLU(SLOPE))
        self.fine = nn.Sequential(convolution(CHANNELS[1], 64, 3, 2), nn.LeakyReLU(SLOPE))
        self.join = nn.Sequential(convolution(160, 128, 3, 2), nn.LeakyReLU(SLOPE))
        self.labels = nn.Linear(128, domains.num_classes)
        self.confidence = Confidence(domains)

    @torch.no_grad()
    def calibrate(self, found: Sequence[Tensor], gathered: Callable[[Tensor], Tensor]) -> None:
        """Scales mixed features to unit deviation over the features of some real images, unless that was done.

        Args:
            found: The features of N images, for each of four scales.
            gathered: Maps features of these images to those of the whole batch.
        """
        for index, each in enumerate(found):
            scale = getattr(self, f"scale{index}")
            if not scale.any():
                mixed = gathered(F.conv2d(each, getattr(self, f"mixing{index}")))
                scale.copy_(1 / mixed.std((0, 2, 3))[:, None, None].clamp(min=1e-3))

    def forward(self, found: Sequence[Tensor], *conditions: Tensor) -> tuple[list[list[Tensor]], Tensor]:
        """Scores images by how real they are as images with some labels, and classifies them.

        Args:
            found: The features of N images, for each of four scales.
            conditions: (N, C), the labels they should have; any number of them, which share the work.

        Returns:
            For each of the conditions, the scores of patches, (N, P) for each scale; and class logits, (N, C).
        """
        mixed = [
            F.conv2d(each, getattr(self, f"mixing{index}")) * getattr(self, f"scale{index}")
            for index, each in enumerate(found)
        ]
        scores: list[list[Tensor]] = [[] for _ in conditions]
        for head, plain, matching, each in zip(self.heads, self.plain, self.matching, mixed, strict=True):
            x = GAIN * head(each)
            score = plain(x).flatten(1)
            for own, condition in zip(scores, conditions, strict=True):
                direction = matching(signed(self.domains, condition))
                own.append(score + torch.einsum("nchw,nc->nhw", x, direction).flatten(1))
        joined = torch.cat([self.fine(mixed[1]), self.coarse(mixed[2])], 1)
        return scores, self.labels(self.join(joined).mean((2, 3)))


def _head(channels: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (channels, width):
        layers += [spectral_norm(convolution(inputs, width)), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)
