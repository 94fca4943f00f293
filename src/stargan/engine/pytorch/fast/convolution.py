"""Convolutions that are fast and take little memory on a CPU; they compute the same sums in another order."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def applies(x: Tensor) -> bool:
    """Returns whether this module helps with an input: it does on a CPU in float32."""
    return x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


class StridedConv(nn.Conv2d):
    """A 4x4 convolution of stride 2 with bias, which halves both sides.

    D's last layers have far more weights than positions: at 128 px the last one has 33.5 million weights for 4
    positions. There a CPU's convolution spends most of its time reordering the weights. One matrix product gives the
    same sums and reads the weights once.

    Args:
        before: Input channels.
        after: Output channels.
        plain: Always compute it as a convolution.

    Attributes:
        factors: Factors of the part of the weights' gradient that is not in `weight.grad`. Each is a pair of matrices,
            (M, after) and (M, before * 16); the gradient is the sum of the products of the first, transposed, with the
            second. With few positions the factors are much smaller than the product, of which `optimizer.Adam` needs
            only a few rows at a time.
    """

    def __init__(self, before: int, after: int, plain: bool = False) -> None:
        super().__init__(before, after, 4, 2, 1)
        self.plain = plain
        self.factors: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, before, H, W) to (N, after, H / 2, W / 2)."""
        if self.plain:  # checked before the batch size is read, which would fix it in an exported graph
            return super().forward(x)
        height, width = x.shape[2] // 2, x.shape[3] // 2
        few = 2 * len(x) * height * width <= self.in_channels  # a product is then up to 4 times faster (measured)
        if not few or x.device.type != "cpu":
            return super().forward(x)
        rows = F.unfold(x, 4, padding=1, stride=2).transpose(1, 2).flatten(0, 1)
        out: Tensor = _Product.apply(rows, self.weight, self)
        assert self.bias is not None  # for the type checker
        return (out + self.bias).view(len(x), height, width, -1).permute(0, 3, 1, 2)

    def joined(self) -> tuple[Tensor, Tensor]:
        """Concatenates all factors into one pair."""
        left, right = (torch.cat(parts) for parts in zip(*self.factors, strict=True))
        return left, right

    def fold(self) -> None:
        """Multiplies out the factors, adds the product to `weight.grad` and discards them."""
        if not self.factors:
            return
        left, right = self.joined()
        if self.weight.grad is None:
            self.weight.grad = torch.zeros_like(self.weight)
        self.weight.grad.flatten(1).addmm_(left.t(), right)
        self.factors.clear()


class _Product(torch.autograd.Function):
    """Computes rows @ W.T, where W is the kernel as a matrix, and stores the factors of W's gradient in the layer.

    PyTorch would compute each part of that gradient as a full matrix before adding them up: 134 MB each for D's last
    layer. An update needs only the parts from its final backward pass. The gradient inside a penalty, which is
    differentiated again, does not include W; PyTorch has gradients enabled while it computes that one.
    The product always has the weights' precision, because converting them to bf16 takes longer than the product.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, rows: Tensor, kernel: Tensor, layer: StridedConv) -> Tensor:
        """Maps rows, (M, K), and a kernel, (N, ...), to (M, N)."""
        ctx.save_for_backward(rows, kernel)
        ctx.layer = layer
        return _forward(rows, kernel)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        """Computes the gradient of the rows, which can be differentiated again."""
        rows, kernel = ctx.saved_tensors
        if ctx.needs_input_grad[1] and not torch.is_grad_enabled():
            ctx.layer.factors.append((gradient.detach(), rows.detach()))
        back = _Back.apply(gradient, kernel, ctx.layer) if ctx.needs_input_grad[0] else None
        return back, None, None


class _Back(torch.autograd.Function):
    """Computes gradient @ W, the backward pass of `_Product`, which is itself differentiable."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, kernel: Tensor, layer: StridedConv) -> Tensor:
        """Maps a gradient, (M, N), and a kernel, (N, ...), to (M, K)."""
        ctx.save_for_backward(gradient, kernel)
        ctx.layer = layer
        return _backward(gradient, kernel)

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor | None, None, None]:
        """Computes the gradient of `gradient`."""
        gradient, kernel = ctx.saved_tensors
        if ctx.needs_input_grad[1] and not torch.is_grad_enabled():
            ctx.layer.factors.append((gradient.detach(), second.detach()))
        return _forward(second, kernel) if ctx.needs_input_grad[0] else None, None, None


# The same product is up to three times as fast with the large matrix on the left, except with very few rows (measured
# with 1024 x 16 weights for each of 2048 channels and 4 to 64 rows).


def _forward(rows: Tensor, kernel: Tensor) -> Tensor:
    return kernel.flatten(1).mm(rows.t()).t()


def _backward(gradient: Tensor, kernel: Tensor) -> Tensor:
    matrix = kernel.flatten(1)
    return gradient.mm(matrix) if len(gradient) < 16 else matrix.t().mm(gradient.t()).t()


def norm_relu_conv(x: Tensor, norm: nn.InstanceNorm2d, conv: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    """Computes conv(ReLU(IN(x))), keeping only x for the backward pass, which recomputes the intermediate results.

    Such intermediate results are half of the memory that an update of G would need; recomputing them adds a few per
    cent to its time. The result can be differentiated once.

    Args:
        x: (N, C, H, W).
        norm: Affine, using the instance's own statistics.
        conv: A convolution without bias.
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
        needed = [True, ctx.needs_input_grad[3], False]
        back, kernel_gradient, _ = torch.ops.aten.convolution_backward(gradient, y, kernel, None, *ctx.geometry, needed)
        back = torch.ops.aten.threshold_backward(back, y, 0)
        del y
        count, channels = x.shape[:2]
        # Instance norm equals batch norm of a single image that has the channels of all images.
        image_gradient, scales, shifts = torch.ops.aten.native_batch_norm_backward(
            back.view(1, -1, *x.shape[2:]), x.view(1, -1, *x.shape[2:]), scale.repeat(count), None, None,
            mean.flatten(), inverse.flatten(), True, 0.0, [ctx.needs_input_grad[0], True, True],
        )  # fmt: skip
        sums = (part.view(count, channels).sum(0) for part in (scales, shifts))
        return image_gradient.view_as(x), *sums, kernel_gradient, None, None, None, None


def _normalised(x: Tensor, mean: Tensor, inverse: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    factor = inverse * scale[:, None, None]
    return torch.addcmul(shift[:, None, None] - mean * factor, x, factor)
