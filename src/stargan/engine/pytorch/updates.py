"""One update of D, one update of G."""

import contextlib
import copy
import functools
import importlib.util
import math
import os
import shutil
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stargan.config.training import Config, Precision
from stargan.domains import Domains
from stargan.engine.pytorch import losses, networks, optimizer
from stargan.engine.pytorch.augment import augment
from stargan.engine.pytorch.cuda_graphs import Recorder, Tensors
from stargan.engine.pytorch.fast import rewrite, winograd
from stargan.errors import ConfigError

CLASSIFIER_LR = 1e-3  # plain supervised learning of a small network; falls with the schedule of the others
PART_SIDE = 256
"""Sum of the sides of the pictures that G takes together on a CPU: two of 128 px, four of 64. Eight of 64 px, as many
pixels, gain 3 % of speed for 4 % more memory."""
COMPILED_FROM = 2000  # steps: fewer do not earn back the minute that compiling takes


class Updates:
    """The networks, their optimizers, and what one update of each does.

    Args:
        config: Network sizes, losses, optimizer, device and seed.
        domains: The label layout.

    Raises:
        ConfigError: The device or the precision is not to be had.
    """

    def __init__(self, config: Config, domains: Domains) -> None:
        self.config = config
        self.domains = domains
        self.device = _device(config)
        self.bf16 = _bf16(config, self.device)
        self.precision: Precision = "bf16" if self.bf16 else "fp32"
        self.heads = [domains.heads(index) for index in range(len(domains.sets))]
        # Drawn on the CPU: the same weights for every device, and the caller's random numbers stay as they are.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(config.seed)
            self.networks = {
                name: networks.build(name, config.architecture, domains, config.plain) for name in networks.NAMES
            }
            if config.init == "xavier":
                networks.initialise_xavier(self.networks["generator"])
                networks.initialise_xavier(self.networks["discriminator"])
        for network in self.networks.values():
            network.to(self.device)
        self.generator = self.networks["generator"]
        self.discriminator = self.networks["discriminator"]
        self.classifier = self.networks["classifier"]
        self.layout = torch.contiguous_format
        self.compiled_generator: Callable[[Tensor, Tensor], Tensor] = self.generator
        self.rewritten: tuple[int, nn.Module] | None = None  # see `_translator`
        self.recorder: Recorder | None = None
        if self.device.type == "cuda" and not config.plain:
            self._use_gpu()
        self.ema_generator = self.generator
        if config.ema:
            self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimizers = {name: optimizer.Adam(network, config) for name, network in self.networks.items()}
        self.random = torch.Generator(self.device)
        # A tensor, which a recorded update reads anew each time.
        self.lambda_cls = torch.tensor(config.lambda_cls, device=self.device)
        self.g_updates = 0
        self.terms: dict[str, Tensor] = {}
        self.num_parameters = {
            name: sum(p.numel() for p in network.parameters()) for name, network in self.networks.items()
        }

    # ---------------------------------------------------------------- updates

    def update_d(
        self, real: Tensor, values: Tensor, wanted: Tensor, dataset: int, lr: float, draws: Tensors | None = None
    ) -> None:
        """`d_step` on tensors.

        Args:
            real: (N, 3, H, W) in [-1, 1].
            values: (N, L) what the pictures show.
            wanted: (N, L) what they are translated to.
            dataset: Which data set they are from.
            lr: The learning rate.
            draws: Some of the random numbers, fixed; see `d_terms`.
        """
        optimizer.set_rate(self.optimizers["discriminator"], lr)
        drawn = {**self._d_draws(real), **(draws or {})}
        self._do(self._d_update, dataset, {"real": real, "values": values, "wanted": wanted, **drawn})

    def _d_update(self, dataset: int, tensors: Tensors) -> dict[str, Tensor]:
        self._forget_gradients()
        real, wanted = tensors["real"], tensors["wanted"]
        with torch.no_grad(), self._autocast():
            translate = self._translator()
            fake = torch.cat([translate(real[p], wanted[p]) for p in self._parts(real)]).float()
        terms = self.d_terms(real, fake, tensors["values"], dataset, tensors)
        total = (
            terms["d_real"]
            + terms["d_fake"]
            + self.lambda_cls * terms["d_cls"]
            + self.config.lambda_gp * terms.get("d_gp", 0)
            + self.config.lambda_cls_gp * terms.get("d_slope", 0)
        )
        total.backward()
        self.optimizers["discriminator"].step()
        return _detached({**terms, "d_total": total})

    def d_terms(
        self,
        real: Tensor,
        fake: Tensor,
        values: Tensor,
        dataset: int,
        draws: Tensors,
    ) -> dict[str, Tensor]:
        """The unweighted terms of D's loss (eq. 8 and eq. 5).

        Args:
            real: (N, 3, H, W) in [-1, 1].
            fake: (N, 3, H, W) their translations, which pass no gradient on.
            values: (N, L) what the pictures show.
            dataset: Which data set they are from.
            draws: Random numbers in [0, 1): `alpha`, (N, 1, 1, 1), for the penalty, which DRAGAN stretches to [-1, 1];
                `noise`, (N, 3, H, W), for DRAGAN; `views`, (2N, 5), for `augment`.
        """
        # Real and translated pictures go through D together: D has no batch statistics.
        both = self._shown(torch.cat([real, fake]), draws)
        real, fake = both.chunk(2)
        with self._autocast():
            src, cls = self.discriminator(both)
        src_real, src_fake = src.float().chunk(2)
        d_real, d_fake = losses.d_adversarial(self.config.objective, src_real, src_fake)
        d_cls = losses.classification(cls[: len(real)].float(), values, self.heads[dataset])
        terms = {"d_real": d_real, "d_fake": d_fake, "d_cls": d_cls}
        if self.config.objective in losses.PENALISED:
            # In float32 whatever the precision: a gradient of gradients overflows or drowns in fewer bits.
            terms["d_gp"] = losses.gradient_penalty(
                lambda points: self.discriminator(points)[0],
                self._penalty_points(real, fake, draws),
                one_sided=self.config.objective == "wgan-lp",
            )
        if self.config.lambda_cls_gp:
            some = slice((len(real) + 1) // 2)  # half of the pictures tell it in half of the time
            terms["d_slope"] = losses.slope_penalty(
                lambda points: losses.classification(self.discriminator(points)[1], values[some], self.heads[dataset]),
                real[some],
            )
        return terms

    def update_g(self, real: Tensor, values: Tensor, wanted: Tensor, dataset: int, lr: float) -> None:
        """`g_step` on tensors; the arguments are those of `update_d`."""
        optimizer.set_rate(self.optimizers["generator"], lr)
        optimizer.set_rate(self.optimizers["classifier"], CLASSIFIER_LR * lr / self.config.lr)
        drawn = self._views(len(real))
        self._do(self._g_update, dataset, {"real": real, "values": values, "wanted": wanted, **drawn})
        self._update_ema()

    def _g_update(self, dataset: int, tensors: Tensors) -> dict[str, Tensor]:
        self._forget_gradients()
        self.rewritten = None  # its memory is of use here
        self.discriminator.requires_grad_(False)  # D only passes gradients on here; its own are not computed
        sums: dict[str, Tensor] = {}
        for part in self._parts(tensors["real"]):
            some = {name: tensor[part] for name, tensor in tensors.items()}
            share = len(some["real"]) / len(tensors["real"])
            terms = self.g_terms(some["real"], some["values"], some["wanted"], dataset, some)
            total = terms["g_fake"] + self.lambda_cls * terms["g_cls"] + self.config.lambda_rec * terms["g_rec"]
            (share * total).backward()
            for name, term in {**terms, "g_total": total}.items():
                sums[name] = sums.get(name, 0) + share * term.detach()
        self.optimizers["generator"].step()
        self.discriminator.requires_grad_(True)

        with self._autocast():
            logits = self.classifier(tensors["real"])
        label_loss = losses.classification(logits.float(), tensors["values"], self.heads[dataset])
        label_loss.backward()
        self.optimizers["classifier"].step()
        return _detached({**sums, "classifier": label_loss})

    def g_terms(self, real: Tensor, values: Tensor, wanted: Tensor, dataset: int, draws: Tensors) -> dict[str, Tensor]:
        """The unweighted terms of G's loss (eqs. 8, 6 and 7); `draws` may hold `views`, (N, 5), for `augment`."""
        with self._autocast():
            fake = self.compiled_generator(real, wanted)
            src, cls = self.discriminator(self._shown(fake, draws))
            back = self.compiled_generator(fake, values)
        return {
            "g_fake": losses.g_adversarial(self.config.objective, src.float()),
            "g_cls": losses.classification(cls.float(), wanted, self.heads[dataset]),
            "g_rec": losses.reconstruction(real, back.float()),
        }

    def _do(self, update: Callable[[int, Tensors], dict[str, Tensor]], dataset: int, tensors: Tensors) -> None:
        """One update, on a GPU as a recording of itself; remembers its terms."""
        if self.recorder:
            terms = self.recorder(f"{update.__name__} {dataset}", functools.partial(update, dataset), tensors)
        else:
            terms = update(dataset, tensors)
        self.terms.update(terms)

    def _translator(self) -> Callable[[Tensor, Tensor], Tensor]:
        """What makes translations that pass no gradient on: G, which a CPU rewrites each time that it has changed."""
        if self.config.plain or self.bf16 or self.device.type != "cpu" or not winograd.pays(self.config.architecture):
            return self.compiled_generator
        changes = sum(weight._version for weight in self.generator.parameters())
        if self.rewritten is None or self.rewritten[0] != changes:
            generator = copy.deepcopy(self.generator).requires_grad_(False)
            rewrite.rewrite(generator, self.config.architecture)
            self.rewritten = changes, generator
        return self.rewritten[1]

    def _random(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.random, device=self.device)

    def _d_draws(self, real: Tensor) -> dict[str, Tensor]:
        draws = {}
        if self.config.objective in losses.PENALISED:
            draws["alpha"] = self._random(len(real), 1, 1, 1)
        if self.config.objective == "dragan":
            draws["noise"] = self._random(*real.shape)
        return draws | self._views(2 * len(real))

    def _views(self, count: int) -> dict[str, Tensor]:
        return {"views": self._random(count, 5)} if self.config.augment else {}

    def _shown(self, images: Tensor, draws: Tensors) -> Tensor:
        """What D is shown of pictures."""
        return augment(images, draws["views"]) if self.config.augment else images

    def _forget_gradients(self) -> None:
        """All of them, since those of the networks that are not updated would only take memory."""
        for adam in self.optimizers.values():
            adam.zero_grad(set_to_none=True)

    def _parts(self, images: Tensor) -> list[slice]:
        """The batch in parts that go through G, and back, one after the other, on a CPU, where that is faster.

        No picture's results depend on another's, and every term of G's loss is a mean over pictures, so the
        gradients of the parts add up to those of the batch; only what is to be remembered becomes less, and feature
        maps stay in the cache.
        """
        count = len(images)
        whole = self.config.plain or self.device.type != "cpu"
        size = count if whole else max(1, PART_SIDE // max(images.shape[2:]))
        return [slice(start, start + size) for start in range(0, count, size)]

    @torch.no_grad()
    def _update_ema(self) -> None:
        self.g_updates += 1
        if self.ema_generator is self.generator:
            return
        # Early on the mean follows quickly, so that short trainings are not held back by the first weights.
        decay = min(self.config.ema, self.g_updates / (9 + self.g_updates))
        means: list[Tensor] = list(self.ema_generator.parameters())
        weights: list[Tensor] = list(self.generator.parameters())
        torch._foreach_lerp_(means, weights, 1 - decay)

    def _penalty_points(self, real: Tensor, fake: Tensor, draws: Tensors) -> Tensor:
        if self.config.objective == "dragan":
            return losses.around(real, 2 * draws["alpha"] - 1, draws["noise"])
        return losses.between(real, fake, draws["alpha"])

    # ---------------------------------------------------------------- devices

    def _use_gpu(self) -> None:
        torch.backends.cudnn.benchmark = True  # shapes never change
        self.recorder = Recorder()
        if self.config.steps >= COMPILED_FROM and _compiles():
            # Compiled, norms and activations are one pass over memory, and then this layout is the convolutions' own;
            # PyTorch's instance norm alone would turn each feature map around and back.
            self.layout = torch.channels_last
            for network in self.networks.values():
                network.to(memory_format=self.layout)  # type: ignore[call-overload]  # its stub lacks this form
            # Dynamo counts the compilations of all networks of a process; this one needs three: without gradients, with
            # those of its weights, and with those of its pictures too.
            torch._dynamo.config.recompile_limit = 64
            self.compiled_generator = torch.compile(self.generator, dynamic=False)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else contextlib.nullcontext()


def _detached(terms: Tensors) -> dict[str, Tensor]:
    """Without their graphs, which a recording would keep for good."""
    return {name: term.detach() for name, term in terms.items()}


def _device(config: Config) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: this PyTorch sees no GPU; use --device cpu")
    use_gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if use_gpu else "cpu")


def _bf16(config: Config, device: torch.device) -> bool:
    if config.precision != "auto":
        return config.precision == "bf16"
    if config.plain:
        return False
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return _faster_in_bf16()


@functools.cache
def _faster_in_bf16() -> bool:
    """Whether this CPU is faster in bf16, by one of G's convolutions of two pictures: a tenth of a second, once.

    That it has instructions for bf16 does not tell: with the same ones (AVX-512) an AMD EPYC takes half of the time
    that float32 takes, an Intel Xeon without AMX 1.7 times of it (measured). So nothing lies near the threshold; but
    convolutions of a millisecond, in place of ten, are now and then mismeasured.
    """
    # Without oneDNN's own bf16 kernels a convolution takes a hundred times as long, and so would measuring it.
    if not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    best = {torch.float32: math.inf, torch.bfloat16: math.inf}
    for _ in range(4):  # in turns, so that whatever else runs slows both
        for dtype in best:
            images, kernel = torch.ones(2, 256, 32, 32, dtype=dtype), torch.ones(256, 256, 3, 3, dtype=dtype)
            began = time.perf_counter()
            torch.nn.functional.conv2d(images, kernel, padding=1)
            best[dtype] = min(best[dtype], time.perf_counter() - began)
    return best[torch.bfloat16] < 0.8 * best[torch.float32]


def _compiles() -> bool:
    """Whether `torch.compile` finds what it needs for a GPU: Triton, which compiles C with Python's headers."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    headers = Path(sysconfig.get_paths()["include"], "Python.h").is_file()
    triton = importlib.util.find_spec("triton") is not None
    return compiler is not None and headers and triton and torch.cuda.get_device_capability() >= (7, 0)
