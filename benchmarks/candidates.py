"""What might make a better recipe and is not in the package: each an engine, or a network, with one thing changed.

`trials.py` tries them. What won there moved into the package; what is here did not win, or not yet.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from stargan.engine.pytorch import networks
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.engine.pytorch.networks import Discriminator, Generator, Labeller

_build = networks.build


@dataclass(frozen=True)
class Candidate:
    """What takes the place of the package's own while a model is trained and exported.

    Attributes:
        engine: The updates.
        build: As `networks.build`.
    """

    engine: type[PytorchEngine] = PytorchEngine
    build: Callable[..., nn.Module] = _build

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Puts both where the package looks for them."""
        with mock.patch.object(networks, "build", self.build), mock.patch("stargan.engine.create", self.engine):
            yield


# ---------------------------------------------------------------- generators


class _Skipping(Generator):
    """G whose way up gets, added, what the way down saw at the same size (after Ronneberger et al. 2015)."""

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        planes = labels[:, :, None, None].expand(-1, -1, images.shape[2], images.shape[3])
        x = torch.cat([images, planes], 1)
        seen: list[Tensor] = []
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
                seen.append(x)
            x = layer(x)
            if isinstance(layer, nn.ConvTranspose2d):
                x = x + seen.pop()
        if not self.mask:
            return x.tanh()
        share = networks.MASK_FLOOR + (1 - networks.MASK_FLOOR) * x[:, 3:].sigmoid()
        return torch.lerp(images, x[:, :3].tanh(), share)


def skips(name: str, domains: Any, sizes: Any, plain: bool = False) -> nn.Module:
    """See `_Skipping`."""
    if name == "generator":
        return _Skipping(domains.num_labels, sizes.width, sizes.blocks, sizes.mask, plain=True)
    return _build(name, domains, sizes, plain)


class _Relative(Generator):
    """G that is told what is to change: target less source labels (Liu et al. 2019, STGAN).

    Where nobody tells what the source shows, a labeller of its own does; the engine trains that one.
    """

    def __init__(self, teller: Labeller, *args: Any) -> None:
        super().__init__(*args)
        self.teller = teller.requires_grad_(False)
        self.shown: Tensor | None = None

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        shown = (self.teller(images) > 0).float() if self.shown is None else self.shown
        return super().forward(images, labels - shown)


def relative(name: str, domains: Any, sizes: Any, plain: bool = False) -> nn.Module:
    """See `_Relative`."""
    if name == "generator":
        teller = Labeller(domains.num_classes, sizes.d_layers)
        return _Relative(teller, domains.num_labels, sizes.width, sizes.blocks, sizes.mask, sizes.resize, plain)
    return _build(name, domains, sizes, plain)


class RelativeEngine(PytorchEngine):
    """Tells `_Relative` what pictures show."""

    generator: Any

    def update_d(self, real: Tensor, values: Tensor, *args: Any, **more: Any) -> None:
        self.generator.shown = values
        super().update_d(real, values, *args, **more)
        self.generator.shown = None

    def g_terms(self, real: Tensor, values: Tensor, *args: Any) -> dict[str, Tensor]:
        (wanted, *_) = args
        tellers = (self.generator.teller.parameters(), self.labeller.parameters())
        with torch.no_grad():
            for own, trained in zip(*tellers, strict=True):
                own.copy_(trained)
        told = _Told(self.generator, [values, wanted])
        with mock.patch.object(self, "compiled_generator", told):
            return super().g_terms(real, values, *args)


class _Told:
    """Calls G, telling it what the pictures of the first call show, then of the second."""

    def __init__(self, generator: Any, shown: list[Tensor]) -> None:
        self.generator, self.shown = generator, shown

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        self.generator.shown = self.shown.pop(0)
        out: Tensor = self.generator(images, labels)
        self.generator.shown = None
        return out


# ---------------------------------------------------------------- discriminators


def spectral(name: str, domains: Any, sizes: Any, plain: bool = False) -> nn.Module:
    """D's convolutions with spectral normalisation (Miyato et al. 2018)."""
    if name != "discriminator":
        return _build(name, domains, sizes, plain)
    # Without fast paths: one of them adds to a weight's gradient itself, and here the weight is derived.
    network = _build(name, domains, sizes, plain=True)
    for place, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d) and place != "cls":
            spectral_norm(layer)
    return network


class _Down(nn.Module):
    """Residual block that halves both sides."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv2d(before, before, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(before, after, 4, 2, 1)
        )
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        return (self.layers(x) + self.shortcut(F.avg_pool2d(x, 2))) / math.sqrt(2)


class _Residual(Discriminator):
    """D of residual blocks, at most 8 times as wide as the first layer (after Karras et al. 2020)."""

    def __init__(self, num_classes: int, image_size: tuple[int, int], width: int, layers: int) -> None:
        super().__init__(num_classes, image_size, 1, layers)
        widths = [min(width * 2**i, 8 * width) for i in range(layers)]
        blocks = [_Down(before, after) for before, after in itertools.pairwise(widths)]
        self.layers = nn.Sequential(nn.Conv2d(3, widths[0], 4, 2, 1), *blocks, nn.LeakyReLU(0.2))
        self.src = nn.Conv2d(widths[-1], 1, 3, 1, 1, bias=False)
        left = (image_size[1] >> layers, image_size[0] >> layers)
        self.cls = nn.Conv2d(widths[-1], num_classes, left, bias=False)


def residual(name: str, domains: Any, sizes: Any, plain: bool = False) -> nn.Module:
    """See `_Residual`."""
    if name == "discriminator":
        return _Residual(domains.num_classes, sizes.image_size, sizes.width, sizes.d_layers)
    return _build(name, domains, sizes, plain)


class _Blurred(Discriminator):
    """D that does not see the finest detail: pictures are averaged over 3x3 places first, on both sides alike."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(F.avg_pool2d(images, 3, 1, 1, count_include_pad=False))


def blurred(name: str, domains: Any, sizes: Any, plain: bool = False) -> nn.Module:
    """See `_Blurred`."""
    if name == "discriminator":
        return _Blurred(domains.num_classes, sizes.image_size, sizes.width, sizes.d_layers, plain)
    return _build(name, domains, sizes, plain)


class _Matching(Discriminator):
    """D that also tells how well a picture fits each label, after its classes: (N, 2C) in place of (N, C)."""

    def __init__(self, num_classes: int, *args: Any) -> None:
        super().__init__(2 * num_classes, *args)


def matching(name: str, domains: Any, sizes: Any, plain: bool = False) -> nn.Module:
    """See `Matching`."""
    if name == "discriminator":
        return _Matching(domains.num_classes, sizes.image_size, sizes.width, sizes.d_layers, plain)
    return _build(name, domains, sizes, plain)


# ---------------------------------------------------------------- losses and rates


class Matching(PytorchEngine):
    """D's realness is that of a picture as one of its labels (a projection, after Miyato & Koyama 2018).

    A translation that shows what was asked for by a pattern no real picture has is told from those that do show it.
    """

    @contextlib.contextmanager
    def _judging(self, *labels: Tensor) -> Iterator[None]:
        """D's calls, one after the other, judge pictures as showing these labels, (N, L)."""
        called = list(labels)
        classes = self.domains.num_classes

        def judge(layer: nn.Module, args: Any, out: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            src, cls = out
            shown = 2 * called.pop(0)[:, :classes] - 1
            fits = (shown * cls[:, classes:]).sum(1) / classes
            return src + fits[:, None, None, None], cls[:, :classes]

        hook = self.discriminator.register_forward_hook(judge)
        yield
        hook.remove()

    def d_terms(self, real: Tensor, fake: Tensor, values: Tensor, *args: Any, **more: Any) -> dict[str, Tensor]:
        wanted = self.asked
        mixed = torch.lerp(wanted, values, args[1]["alpha"].flatten(1))  # as the pictures of the penalty
        some = values[: (len(real) + 1) // 2]
        with self._judging(torch.cat([values, wanted]), mixed, some):
            return super().d_terms(real, fake, values, *args, **more)

    def _d_update(self, dataset: int, tensors: Any) -> dict[str, Tensor]:
        self.asked = tensors["wanted"]
        return super()._d_update(dataset, tensors)

    def g_terms(self, real: Tensor, values: Tensor, wanted: Tensor, *args: Any) -> dict[str, Tensor]:
        with self._judging(wanted):
            return super().g_terms(real, values, wanted, *args)


class Smooth(PytorchEngine):
    """D is told 0.95 and 0.05 in place of 1 and 0 (Szegedy et al. 2016)."""

    def d_terms(self, real: Tensor, fake: Tensor, values: Tensor, *args: Any, **more: Any) -> dict[str, Tensor]:
        return super().d_terms(real, fake, 0.05 + 0.9 * values, *args, **more)


class R1(PytorchEngine):
    """A penalty on D's gradient at real pictures, at every fourth update (Mescheder et al. 2018)."""

    every, weight, turn = 4, 1.0, 0

    def d_terms(self, real: Tensor, *args: Any, **more: Any) -> dict[str, Tensor]:
        terms = super().d_terms(real, *args, **more)
        self.turn += 1
        if self.turn % self.every == 0:
            points = real.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(
                self.discriminator(points)[0].mean((1, 2, 3)).sum(), points, create_graph=True
            )
            penalty = slope.square().sum((1, 2, 3)).mean() / 2
            terms["d_gp"] = penalty * self.every * self.weight / self.config.lambda_gp
        return terms


class Itself(PytorchEngine):
    """G, asked for what a picture shows, shall give it back: as much weight as half of the reconstruction."""

    def g_terms(self, real: Tensor, values: Tensor, *args: Any) -> dict[str, Tensor]:
        terms = super().g_terms(real, values, *args)
        with self._autocast():
            itself = self.generator(real, values)
        return {**terms, "g_rec": terms["g_rec"] + (itself.float() - real).abs().mean() / 2}


class Near(PytorchEngine):
    """A translation shall differ little from its source: a fifth of the weight of the reconstruction."""

    def g_terms(self, real: Tensor, *args: Any) -> dict[str, Tensor]:
        made: list[Tensor] = []
        hook = self.generator.register_forward_hook(lambda *call: made.append(call[2]))
        terms = super().g_terms(real, *args)
        hook.remove()
        return {**terms, "g_rec": terms["g_rec"] + self.cost(made[0].float() - real) / 5}

    def cost(self, change: Tensor) -> Tensor:
        """Of a change, (N, 3, H, W)."""
        return change.abs().mean()


class Even(Near):
    """What is changed shall be changed evenly: the change's total variation (after Pumarola et al. 2018)."""

    def cost(self, change: Tensor) -> Tensor:
        return 2 * (change.diff(dim=2).abs().mean() + change.diff(dim=3).abs().mean())


class Features(PytorchEngine):
    """G shall keep what D's third layer sees, averaged over 4x4 places: a coarse likeness before and after."""

    def g_terms(self, real: Tensor, values: Tensor, *args: Any) -> dict[str, Tensor]:
        fakes: list[Tensor] = []
        third = self.discriminator.get_submodule("layers.5")
        hook = third.register_forward_hook(lambda *call: fakes.append(call[2]))
        terms = super().g_terms(real, values, *args)
        with torch.no_grad(), self._autocast():
            self.discriminator(real)
        hook.remove()
        made, seen = (F.adaptive_avg_pool2d(x.float(), 4) for x in fakes)
        far = (made - seen).abs().mean() / seen.abs().mean()
        return {**terms, "g_rec": terms["g_rec"] + 0.02 * far}


class Rare(PytorchEngine):
    """G's classification loss counts each label's two values alike, however rare one of them is asked for."""

    asked: Tensor | None = None

    def update_g(self, real: Tensor, values: Tensor, wanted: Tensor, *args: Any) -> None:
        mean = wanted.mean(0)
        self.asked = mean.new_full(mean.shape, 0.5) if self.asked is None else self.asked
        self.asked = torch.lerp(self.asked, mean, 0.01)
        super().update_g(real, values, wanted, *args)

    def g_terms(self, real: Tensor, values: Tensor, wanted: Tensor, *args: Any) -> dict[str, Tensor]:
        judged: list[Any] = []
        hook = self.discriminator.register_forward_hook(lambda *call: judged.append(call[2]))
        terms = super().g_terms(real, values, wanted, *args)
        hook.remove()
        assert self.asked is not None
        weights = 0.5 / torch.lerp(1 - self.asked, self.asked, wanted).clamp(min=0.1)
        loss = F.binary_cross_entropy_with_logits(judged[0][1].float(), wanted, weights, reduction="sum") / len(wanted)
        return {**terms, "g_cls": loss}


class FasterD(PytorchEngine):
    """Twice G's learning rate for D (Heusel et al. 2017)."""

    def d_step(self, *args: Any, step: int, lr: float) -> None:
        super().d_step(*args, step=step, lr=2 * lr)


class SlowerD(PytorchEngine):
    """Half of G's learning rate for D."""

    def d_step(self, *args: Any, step: int, lr: float) -> None:
        super().d_step(*args, step=step, lr=lr / 2)


class Cosine(PytorchEngine):
    """The learning rate falls along half a cosine from the first step on (Loshchilov & Hutter 2017)."""

    def d_step(self, *args: Any, step: int, lr: float) -> None:
        super().d_step(*args, step=step, lr=self._rate(step))

    def g_step(self, *args: Any, step: int, lr: float) -> None:
        super().g_step(*args, step=step, lr=self._rate(step))

    def _rate(self, step: int) -> float:
        return self.config.lr * (1 + math.cos(math.pi * step / self.config.steps)) / 2
