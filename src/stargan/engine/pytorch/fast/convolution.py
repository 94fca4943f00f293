"""Convolutions as a CPU does them fast and with little memory; the same sums, in another order."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def applies(x: Tensor) -> bool:
    """Whether what this module holds is of use: on a CPU, in float32."""
    return x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


class StridedConv(nn.Conv2d):
    """Convolution 4x4 of stride 2 with bias, which halves both sides.

    D's last layers have far more weights than positions: at 128 px the last one has 33.5 million weights for 4
    positions. There a CPU's convolution spends its time on sorting the weights, so the same sums are taken as one
    matrix product, which reads them once.

    Args:
        before: Channels in.
        after: Channels out.
        plain: Always as a convolution.

    Attributes:
        factors: Of the part of the weights' gradient that is not in `weight.grad`: pairs (M, after) and
            (M, before * 16), to be summed, the first transposed times the second. With few positions they are much
            smaller than their product, which `optimizer.Adam` needs but a few rows at a time.
    """

    def __init__(self, before: int, after: int, plain: bool = False) -> None:
        super().__init__(before, after, 4, 2, 1)
        self.plain = plain
        self.factors: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) to (N, after, H / 2, W / 2)."""
        if self.plain:  # before the batch is looked at, which would fix its size in an exported graph
            return super().forward(x)
        height, width = x.shape[2] // 2, x.shape[3] // 2
        few = 2 * len(x) * height * width <= self.in_channels  # then a product is faster, up to 4 times (measured)
        if not few or x.device.type != "cpu":
            return super().forward(x)
        rows = F.unfold(x, 4, padding=1, stride=2).transpose(1, 2).flatten(0, 1)
        out: Tensor = _Product.apply(rows, self.weight, self)
        assert self.bias is not None  # for the type checker
        return (out + self.bias).view(len(x), height, width, -1).permute(0, 3, 1, 2)

    def joined(self) -> tuple[Tensor, Tensor]:
        """All factors as one pair."""
        left, right = (torch.cat(parts) for parts in zip(*self.factors, strict=True))
        return left, right

    def fold(self) -> None:
        """Adds what the factors stand for to `weight.grad`, and forgets them."""
        if not self.factors:
            return
        left, right = self.joined()
        if self.weight.grad is None:
            self.weight.grad = torch.zeros_like(self.weight)
        self.weight.grad.flatten(1).addmm_(left.t(), right)
        self.factors.clear()


class _Product(torch.autograd.Function):
    """rows @ W.T, for W the kernel as a matrix; gives the layer the factors of W's gradient.

    PyTorch would make a matrix of each part of that gradient before it adds them, for D's last layer 134 MB each. The
    parts that an update needs are those of its one backward pass. While a penalty's gradient is taken, which is
    differentiated again, no gradient of W is asked for; PyTorch then has gradients enabled.
    Always in the weights' own precision: to turn them into bf16 takes longer than the product.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, rows: Tensor, kernel: Tensor, layer: StridedConv) -> Tensor:
        """(M, K) and (N, ...) to (M, N)."""
        ctx.save_for_backward(rows, kernel)
        ctx.layer = layer
        return _forward(rows, kernel)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        """The gradient of rows, which can be differentiated again."""
        rows, kernel = ctx.saved_tensors
        if ctx.needs_input_grad[1] and not torch.is_grad_enabled():
            ctx.layer.factors.append((gradient.detach(), rows.detach()))
        back = _Back.apply(gradient, kernel, ctx.layer) if ctx.needs_input_grad[0] else None
        return back, None, None


class _Back(torch.autograd.Function):
    """gradient @ W: the way back through `_Product`, which has a way back of its own."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, kernel: Tensor, layer: StridedConv) -> Tensor:
        """(M, N) and (N, ...) to (M, K)."""
        ctx.save_for_backward(gradient, kernel)
        ctx.layer = layer
        return _backward(gradient, kernel)

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor | None, None, None]:
        """The gradient of `gradient`."""
        gradient, kernel = ctx.saved_tensors
        if ctx.needs_input_grad[1] and not torch.is_grad_enabled():
            ctx.layer.factors.append((gradient.detach(), second.detach()))
        return _forward(second, kernel) if ctx.needs_input_grad[0] else None, None, None


# The same product goes up to three times as fast with the long matrix on the left, except with very few rows (measured
# with 1024 x 16 weights for each of 2048 channels and 4 to 64 rows).


def _forward(rows: Tensor, kernel: Tensor) -> Tensor:
    return kernel.flatten(1).mm(rows.t()).t()


def _backward(gradient: Tensor, kernel: Tensor) -> Tensor:
    matrix = kernel.flatten(1)
    return gradient.mm(matrix) if len(gradient) < 16 else matrix.t().mm(gradient.t()).t()


def norm_relu_conv(x: Tensor, norm: nn.InstanceNorm2d, conv: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    """conv(ReLU(IN(x))) that keeps only x for the way back, and computes what lies between once more there.

    Half of what G's update would have to remember is such outputs; computing them again takes a few per cent of its
    time. It can be differentiated once.

    Args:
        x: (N, C, H, W).
        norm: Affine, of the instance's own statistics.
        conv: Without bias.
    """
    out: Tensor = _NormReluConv.apply(
        x,
        norm.weight,
        norm.bias,
        conv.weight,
        norm.eps,
        conv.stride,
        conv.padding,
        isinstance(conv, nn.ConvTranspose2d),
    )
    return out


class _NormReluConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        kernel: Tensor,
        eps: float,
        stride: tuple[int, int],
        padding: tuple[int, int],
        transposed: bool,
    ) -> Tensor:
        variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
        inverse = (variance + eps).rsqrt()
        ctx.save_for_backward(x, scale, shift, kernel, mean, inverse)
        ctx.geometry = ([*stride], [*padding], [1, 1], transposed, [0, 0], 1)
        y = _normalised(x, mean, inverse, scale, shift).relu_()
        return torch.ops.aten.convolution(y, kernel, None, *ctx.geometry)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, kernel, mean, inverse = ctx.saved_tensors
        y = _normalised(x, mean, inverse, scale, shift).relu_()
        wanted = [True, ctx.needs_input_grad[3], False]
        back, kernel_gradient, _ = torch.ops.aten.convolution_backward(gradient, y, kernel, None, *ctx.geometry, wanted)
        back = torch.ops.aten.threshold_backward(back, y, 0)
        del y
        count, channels = x.shape[:2]
        # Instance norm is batch norm over one image, whose channels are those of all images.
        image_gradient, scales, shifts = torch.ops.aten.native_batch_norm_backward(
            back.view(1, -1, *x.shape[2:]), x.view(1, -1, *x.shape[2:]), scale.repeat(count), None, None,
            mean.flatten(), inverse.flatten(), True, 0.0, [ctx.needs_input_grad[0], True, True],
        )  # fmt: skip
        sums = (part.view(count, channels).sum(0) for part in (scales, shifts))
        return image_gradient.view_as(x), *sums, kernel_gradient, None, None, None, None


def _normalised(x: Tensor, mean: Tensor, inverse: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    factor = inverse * scale[:, None, None]
    return torch.addcmul(shift[:, None, None] - mean * factor, x, factor)
