"""The networks: the paper's G and D (tables 4 and 5), and a small attribute classifier."""

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from stargan.config import Architecture
from stargan.config.training import Init
from stargan.domains import Domains
from stargan.engine.constants import MASK_FLOOR
from stargan.engine.pytorch.edit.generator import EditGenerator
from stargan.engine.pytorch.fast.convolution import StridedConv, applies, norm_relu_conv
from stargan.engine.pytorch.two_domains.networks import CycleDiscriminator, CycleGenerator
from stargan.engine.pytorch.two_domains.unet import PairDiscriminator, PairGenerator
from stargan.errors import ModelError
from stargan.model.safetensors_file import under


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation with scale and shift that always uses the statistics of the instance itself."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (N, channels, H, W)."""
        if not torch.compiler.is_dynamo_compiling():  # so that exporters keep it as a single operation
            return super().forward(x)
        # Written out so that the compiler can fuse it with its neighbours, in any memory layout.
        full = x.to(self.weight.dtype)
        variance, mean = torch.var_mean(full, (2, 3), correction=0, keepdim=True)
        scale = (variance + self.eps).rsqrt() * self.weight[:, None, None]
        return torch.addcmul(self.bias[:, None, None] - mean * scale, full, scale).to(x.dtype)


LARGE = 2**18
"""Elements of a feature map from which saving memory is worth the extra time: 1 MB in float32."""


def run(layers: nn.Sequential, x: Tensor, plain: bool) -> Tensor:
    """Applies layers in sequence. Training on a CPU takes less memory this way; see `norm_relu_conv`.

    Args:
        layers: Any layers.
        x: The input of the first layer.
        plain: Apply the layers one by one, without saving memory.
    """
    if plain or not applies(x) or not torch.is_grad_enabled() or x.numel() < LARGE:
        return layers(x)
    ahead = list(layers)
    while ahead:
        match ahead:
            case [nn.InstanceNorm2d() as first, nn.ReLU(), (nn.Conv2d() | nn.ConvTranspose2d()) as conv, *rest]:
                x, ahead = norm_relu_conv(x, first, conv), rest
            case [layer, *rest]:
                x, ahead = layer(x), rest
    return x


class ResidualBlock(nn.Module):
    """Computes x + IN(conv(ReLU(IN(conv(x))))) with 3x3 convolutions and no activation after the sum."""

    def __init__(self, channels: int, plain: bool = False) -> None:
        super().__init__()
        self.plain = plain
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            InstanceNorm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            InstanceNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, channels, H, W) to the same shape."""
        return x + run(self.layers, x, self.plain)


class Generator(nn.Module):
    """G of table 4, for any image size whose sides are multiples of 4.

    All padding is with zeros. Labels enter as constant planes, and reflection padding followed by instance
    normalisation would erase them.

    Args:
        architecture: Its sizes. Two of them are not in the paper. With `attention_mask`, a fourth output channel
            selects where to repaint; elsewhere the source's pixels remain (after Pumarola et al. 2018, GANimation,
            eq. 1). With `resize_conv`, G enlarges by repeating pixels before a 3x3 convolution, because overlapping
            transposed convolutions cause checkerboard patterns (Odena et al. 2016).
        num_labels: L, the length of the label vector.
        plain: As in `run`.

    Attributes:
        checkpointing: Keep only what comes between its stages for the backward pass, which computes the rest again.
    """

    def __init__(self, architecture: Architecture, num_labels: int, plain: bool = False) -> None:
        super().__init__()
        width = architecture.width
        self.checkpointing = False
        self.attention_mask = architecture.attention_mask
        self.plain = plain
        layers: list[nn.Module] = [
            nn.Conv2d(3 + num_labels, width, 7, 1, 3, bias=False),
            InstanceNorm(width),
            nn.ReLU(inplace=True),
        ]
        for channels in (width, 2 * width):
            layers += [
                nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False),
                InstanceNorm(2 * channels),
                nn.ReLU(inplace=True),
            ]
        layers += [ResidualBlock(4 * width, plain) for _ in range(architecture.blocks)]
        for channels in (4 * width, 2 * width):
            half = channels // 2
            if architecture.resize_conv:
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(channels, half, 3, 1, 1, bias=False)]
            else:
                layers += [nn.ConvTranspose2d(channels, half, 4, 2, 1, bias=False)]
            layers += [InstanceNorm(half), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(width, 4 if self.attention_mask else 3, 7, 1, 3, bias=False)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Translates images to target labels.

        Args:
            images: (N, 3, H, W) in [-1, 1].
            labels: (N, L), the target labels.

        Returns:
            (N, 3, H, W) in [-1, 1].
        """
        planes = labels[:, :, None, None].expand(-1, -1, images.shape[2], images.shape[3])
        out = self._run(torch.cat([images, planes], 1))
        if not self.attention_mask:
            return out.tanh()
        out = out.to(images.dtype)  # in full precision, so that unmasked pixels are exactly those of the source
        mask = MASK_FLOOR + (1 - MASK_FLOOR) * out[:, 3:].sigmoid()
        return torch.lerp(images, out[:, :3].tanh(), mask)

    def _run(self, x: Tensor) -> Tensor:
        if not (self.checkpointing and torch.is_grad_enabled()):
            return run(self.layers, x, self.plain)
        for stage in self._stages():
            # There is no randomness in it. Not asking for its state allows recording as a CUDA graph.
            x = checkpoint(run, stage, x, self.plain, use_reentrant=False, preserve_rng_state=False)
        return x

    def _stages(self) -> list[nn.Sequential]:
        """G's layers in stages that have little between them: no images of full size with all channels."""
        places = [place for place, layer in enumerate(self.layers) if isinstance(layer, ResidualBlock)]
        start, end = 9, 9 + len(places)  # three times convolution, norm and activation are before the blocks
        half = end + (len(self.layers) - end) // 2
        cuts = [0, 6, *range(start, end + 1), half, len(self.layers)]
        layers = list(self.layers)
        return [nn.Sequential(*layers[before:after]) for before, after in itertools.pairwise(cuts)]


def strided(widths: list[int], plain: bool) -> nn.Sequential:
    """Builds 4x4 convolutions of stride 2 with bias, each followed by LeakyReLU with slope 0.01."""
    layers: list[nn.Module] = []
    for before, after in zip([3, *widths], widths, strict=False):
        layers += [StridedConv(before, after, plain), nn.LeakyReLU(0.01, inplace=True)]
    return nn.Sequential(*layers)


class Discriminator(nn.Module):
    """D of table 5, for one image size: its last kernel covers the whole image.

    Args:
        architecture: Its sizes; each layer halves the image, without a remaining row or column. With `cls_pooling`,
            which is not in the paper, D classifies each position and averages the logits, and so takes any image size.
        num_classes: C, the number of classes it predicts.
        plain: As in `StridedConv`.
    """

    def __init__(self, architecture: Architecture, num_classes: int, plain: bool = False) -> None:
        super().__init__()
        layers, (width, height) = architecture.d_layers, architecture.image_size
        widths = [architecture.width * 2**i for i in range(layers)]
        left = (1, 1) if architecture.cls_pooling else (height >> layers, width >> layers)
        self.layers = strided(widths, plain)
        self.src = nn.Conv2d(widths[-1], 1, 3, 1, 1, bias=False)
        self.cls = nn.Conv2d(widths[-1], num_classes, left, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps images, (N, 3, H, W), to a realness score per patch, (N, 1, h, w), and class logits, (N, C)."""
        features = self.layers(images)
        return self.src(features), self.cls(features).mean((2, 3))  # of one position, unless D pools


class AttributeClassifier(nn.Module):
    """Predicts the labels of an image; not in the paper.

    To keep the other attributes of an image, G needs their labels, which users do not have for their own photos. The
    classifier is trained on real images only, and G gets no gradient from it, so it also checks translations
    independently.

    Args:
        num_classes: C, the number of classes.
        layers: The number of stride-2 layers.
    """

    def __init__(self, num_classes: int, layers: int = 6) -> None:
        super().__init__()
        widths = [min(32 * 2**i, 128) for i in range(layers)]
        self.layers = strided(widths, plain=True)  # plain also because the classifier goes into .onnx files
        self.cls = nn.Linear(widths[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images, (N, 3, H, W), to logits, (N, C)."""
        return self.cls(self.layers(images).mean((2, 3)))


NAMES = ("generator", "discriminator", "classifier")
"""The names of the networks in model files."""


def generator(architecture: Architecture, num_labels: int, plain: bool = False) -> nn.Module:
    """Builds the generator that an architecture names, with fresh weights."""
    if architecture.method != "stargan":
        return {"cyclegan": CycleGenerator, "pix2pix": PairGenerator}[architecture.method](architecture)
    if architecture.generator == "edit":
        return EditGenerator(architecture, num_labels)
    return Generator(architecture, num_labels, plain)


def discriminator(architecture: Architecture, num_classes: int, plain: bool = False) -> nn.Module:
    """Builds the discriminator of an architecture's method, with fresh weights."""
    if architecture.method != "stargan":
        return {"cyclegan": CycleDiscriminator, "pix2pix": PairDiscriminator}[architecture.method](architecture)
    return Discriminator(architecture, num_classes, plain)


def build(name: str, architecture: Architecture, domains: Domains, plain: bool = False) -> nn.Module:
    """Builds a network, one of `NAMES`, with fresh weights."""
    if name == "generator":
        return generator(architecture, domains.num_labels, plain)
    if name == "discriminator":
        return discriminator(architecture, domains.num_classes, plain)
    return AttributeClassifier(domains.num_classes, architecture.classifier_layers)


def initialise(network: nn.Module, init: Init) -> None:
    """Redraws all kernels and sets biases to zero, unless `init` is `default`.

    Args:
        network: The network to change.
        init: `xavier`: Xavier's uniform distribution (Glorot & Bengio 2010); `normal`: deviation 0.02.
    """
    for layer in network.modules() if init != "default" else ():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            if init == "xavier":
                nn.init.xavier_uniform_(layer.weight)
            else:
                nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and init == "normal":
            nn.init.normal_(layer.weight, 1, std=0.02)


def restore(name: str, architecture: Architecture, domains: Domains, arrays: Mapping[str, np.ndarray]) -> nn.Module:
    """Builds a network, one of `NAMES`, for inference, with the weights of a model file.

    Raises:
        ModelError: As `from_arrays`.
    """
    with torch.device("meta"):  # takes no memory: a description may state any sizes
        network = build(name, architecture, domains, plain=True)
    arrays = under(arrays, name)
    check_arrays(network, arrays, name)
    weights = {key: torch.from_numpy(np.array(array, np.float32)) for key, array in arrays.items()}
    network.load_state_dict(weights, assign=True)
    return network.eval().requires_grad_(False)


def to_arrays(network: nn.Module) -> dict[str, np.ndarray]:
    """Returns copies of the weights as numpy arrays by name."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.state_dict().items()}


def from_arrays(network: nn.Module, arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Loads weights by name.

    Args:
        network: The network to load them into.
        arrays: The result of `to_arrays`.
        what: The network's name in error messages.

    Raises:
        ModelError: An array is missing, unexpected or of the wrong shape; the message names it.
    """
    check_arrays(network, arrays, what)
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})


def check_arrays(network: nn.Module, arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Checks that arrays have the names and shapes of a network's weights; see `from_arrays`."""
    own = network.state_dict()
    for name in sorted(own.keys() | arrays.keys()):
        if name not in arrays:
            raise ModelError(f"{what}/{name} is missing")
        if name not in own:
            raise ModelError(f"unexpected array {what}/{name}")
        if arrays[name].shape != tuple(own[name].shape):
            raise ModelError(f"{what}/{name} has shape {arrays[name].shape}, not {tuple(own[name].shape)}")
