"""One update of D, one update of G."""

import contextlib
import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.pytorch import device as devices
from stargan.engine.pytorch import losses, networks, optimizer
from stargan.engine.pytorch.augment import augment
from stargan.engine.pytorch.cuda_graphs import Recorder, Tensors
from stargan.engine.pytorch.fast import rewrite, winograd

CLASSIFIER_LR = 1e-3  # plain supervised learning of a small network; follows the schedule of the other two
PART_SIDE = 256
"""Sum of the sides of the images that G takes at once on a CPU: two of 128 px, four of 64. Eight of 64 px, as many
pixels, gain 3 % of speed for 4 % more memory."""
COMPILED_FROM = 2000  # steps: fewer do not earn back the minute that compiling takes


class Updates:
    """The networks, their optimizers, and one update of each.

    Args:
        config: Network sizes, losses, optimizer, device and seed.
        domains: The label layout.

    Raises:
        ConfigError: The device or the precision is not available.
    """

    def __init__(self, config: Config, domains: Domains) -> None:
        self.config = config
        self.domains = domains
        self.device = devices.choose(config)
        self.bf16 = devices.bf16(config, self.device)
        self.heads = [domains.heads(index) for index in range(len(domains.sets))]
        self.networks = _networks(config, domains)
        for network in self.networks.values():
            network.to(self.device)
        self.generator = self.networks["generator"]
        self.discriminator = self.networks["discriminator"]
        self.classifier = self.networks["classifier"]
        self.layout = torch.contiguous_format
        self.compiled_generator: Callable[[Tensor, Tensor], Tensor] = self.generator
        self.rewritten: tuple[int, nn.Module] | None = None  # see `_generator_without_gradients`
        self.recorder: Recorder | None = None
        if self.device.type == "cuda" and not config.plain:
            self._use_gpu()
        self.ema_generator = self.generator
        if config.ema:
            self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimizers = {name: optimizer.Adam(network, config) for name, network in self.networks.items()}
        self.random = torch.Generator(self.device)
        # A tensor: a recorded update reads it anew each time.
        self.lambda_cls = torch.tensor(config.lambda_cls, device=self.device)
        self.g_updates = 0
        self.terms: dict[str, Tensor] = {}

    # ---------------------------------------------------------------- D

    def update_d(
        self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float, draws: Tensors | None = None
    ) -> None:
        """One update of D.

        Args:
            real: (N, 3, H, W) in [-1, 1].
            labels: (N, L) of the images.
            targets: (N, L) that they are translated to.
            dataset: The data set that they are from.
            lr: The learning rate.
            draws: Some of the random numbers, fixed; see `d_terms`.
        """
        optimizer.set_rate(self.optimizers["discriminator"], lr)
        drawn = {**self._d_draws(real), **(draws or {})}
        self._do(self._d_update, dataset, {"real": real, "labels": labels, "targets": targets, **drawn})

    def _d_update(self, dataset: int, tensors: Tensors) -> dict[str, Tensor]:
        self._clear_gradients()
        real, targets = tensors["real"], tensors["targets"]
        with torch.no_grad(), self._autocast():
            translate = self._generator_without_gradients()
            fake = torch.cat([translate(real[part], targets[part]) for part in self._parts(real)]).float()
        terms = self.d_terms(real, fake, tensors["labels"], dataset, tensors)
        total = (
            terms["d_real"]
            + terms["d_fake"]
            + self.lambda_cls * terms["d_cls"]
            + self.config.lambda_gp * terms.get("d_gp", 0)
            + self.config.lambda_cls_gp * terms.get("d_cls_gp", 0)
        )
        total.backward()
        self.optimizers["discriminator"].step()
        return _detached({**terms, "d_total": total})

    def d_terms(
        self,
        real: Tensor,
        fake: Tensor,
        labels: Tensor,
        dataset: int,
        draws: Tensors,
    ) -> dict[str, Tensor]:
        """The unweighted terms of D's loss (eq. 8 and eq. 5).

        Args:
            real: (N, 3, H, W) in [-1, 1].
            fake: (N, 3, H, W) their translations, which pass no gradient on.
            labels: (N, L) of the real images.
            dataset: The data set that they are from.
            draws: Random numbers in [0, 1): `alpha`, (N, 1, 1, 1), for the penalty, which DRAGAN stretches to [-1, 1];
                `noise`, (N, 3, H, W), for DRAGAN; `views`, (2N, 5), for `augment`.
        """
        # Real and translated images go through D together: D has no batch statistics.
        both = self._augmented(torch.cat([real, fake]), draws)
        real, fake = both.chunk(2)
        with self._autocast():
            src, cls = self.discriminator(both)
        src_real, src_fake = src.float().chunk(2)
        d_real, d_fake = losses.d_adversarial(self.config.objective, src_real, src_fake)
        d_cls = losses.classification(cls[: len(real)].float(), labels, self.heads[dataset])
        terms = {"d_real": d_real, "d_fake": d_fake, "d_cls": d_cls}
        if self.config.objective in losses.PENALISED:
            # In float32 whatever the precision: a gradient of gradients overflows or drowns in fewer bits.
            terms["d_gp"] = losses.gradient_penalty(
                lambda points: self.discriminator(points)[0],
                self._penalty_points(real, fake, draws),
                one_sided=self.config.objective == "wgan-lp",
            )
        if self.config.lambda_cls_gp:
            some = slice((len(real) + 1) // 2)  # half of the images: half of the cost
            terms["d_cls_gp"] = losses.classification_gradient_penalty(
                lambda points: losses.classification(self.discriminator(points)[1], labels[some], self.heads[dataset]),
                real[some],
            )
        return terms

    def _penalty_points(self, real: Tensor, fake: Tensor, draws: Tensors) -> Tensor:
        if self.config.objective == "dragan":
            return losses.around(real, 2 * draws["alpha"] - 1, draws["noise"])
        return losses.between(real, fake, draws["alpha"])

    def _generator_without_gradients(self) -> Callable[[Tensor, Tensor], Tensor]:
        """G for translations that pass no gradient on. On a CPU it is rewritten each time its weights have changed."""
        if self.config.plain or self.bf16 or self.device.type != "cpu" or not winograd.pays(self.config.architecture):
            return self.compiled_generator
        changes = sum(weight._version for weight in self.generator.parameters())
        if self.rewritten is None or self.rewritten[0] != changes:
            generator = copy.deepcopy(self.generator).requires_grad_(False)
            rewrite.rewrite(generator, self.config.architecture)
            self.rewritten = changes, generator
        return self.rewritten[1]

    # ---------------------------------------------------------------- G

    def update_g(self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float) -> None:
        """One update of G, its EMA and the attribute classifier; the arguments are those of `update_d`."""
        optimizer.set_rate(self.optimizers["generator"], lr)
        optimizer.set_rate(self.optimizers["classifier"], CLASSIFIER_LR * lr / self.config.lr)
        drawn = self._views(len(real))
        self._do(self._g_update, dataset, {"real": real, "labels": labels, "targets": targets, **drawn})
        self._update_ema()

    def _g_update(self, dataset: int, tensors: Tensors) -> dict[str, Tensor]:
        self._clear_gradients()
        self.rewritten = None  # G needs its memory now
        self.discriminator.requires_grad_(False)  # D only passes gradients on; its own are not computed
        sums: dict[str, Tensor] = {}
        for part in self._parts(tensors["real"]):
            some = {name: tensor[part] for name, tensor in tensors.items()}
            share = len(some["real"]) / len(tensors["real"])
            terms = self.g_terms(some["real"], some["labels"], some["targets"], dataset, some)
            total = terms["g_fake"] + self.lambda_cls * terms["g_cls"] + self.config.lambda_rec * terms["g_rec"]
            (share * total).backward()
            for name, term in {**terms, "g_total": total}.items():
                sums[name] = sums.get(name, 0) + share * term.detach()
        self.optimizers["generator"].step()
        self.discriminator.requires_grad_(True)
        return _detached({**sums, "classifier": self._update_classifier(dataset, tensors)})

    def _update_classifier(self, dataset: int, tensors: Tensors) -> Tensor:
        with self._autocast():
            logits = self.classifier(tensors["real"])
        loss = losses.classification(logits.float(), tensors["labels"], self.heads[dataset])
        loss.backward()
        self.optimizers["classifier"].step()
        return loss

    def g_terms(self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, draws: Tensors) -> dict[str, Tensor]:
        """The unweighted terms of G's loss (eqs. 8, 6 and 7); `draws` may hold `views`, (N, 5), for `augment`."""
        with self._autocast():
            fake = self.compiled_generator(real, targets)
            src, cls = self.discriminator(self._augmented(fake, draws))
            back = self.compiled_generator(fake, labels)
        return {
            "g_fake": losses.g_adversarial(self.config.objective, src.float()),
            "g_cls": losses.classification(cls.float(), targets, self.heads[dataset]),
            "g_rec": losses.reconstruction(real, back.float()),
        }

    @torch.no_grad()
    def _update_ema(self) -> None:
        self.g_updates += 1
        if self.ema_generator is self.generator:
            return
        # Early on the average follows quickly, so that the first weights do not hold short trainings back.
        decay = min(self.config.ema, self.g_updates / (9 + self.g_updates))
        averages: list[Tensor] = list(self.ema_generator.parameters())
        weights: list[Tensor] = list(self.generator.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay)

    # ---------------------------------------------------------------- both

    def _do(self, update: Callable[[int, Tensors], dict[str, Tensor]], dataset: int, tensors: Tensors) -> None:
        """One update, on a GPU as a CUDA graph; keeps its terms."""
        if self.recorder:
            terms = self.recorder(f"{update.__name__} {dataset}", functools.partial(update, dataset), tensors)
        else:
            terms = update(dataset, tensors)
        self.terms.update(terms)

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

    def _augmented(self, images: Tensor, draws: Tensors) -> Tensor:
        """Images as D sees them."""
        return augment(images, draws["views"]) if self.config.augment else images

    def _clear_gradients(self) -> None:
        """Of all networks: gradients of those that are not updated would only take memory."""
        for adam in self.optimizers.values():
            adam.zero_grad(set_to_none=True)

    def _parts(self, images: Tensor) -> list[slice]:
        """The parts of a batch that go through G, and back, one after the other, on a CPU, where that is faster.

        The results of an image do not depend on the others, and every term of G's loss is a mean over images, so the
        gradients of the parts add up to those of the batch. There are fewer activations to keep, and feature maps stay
        in the cache.
        """
        count = len(images)
        whole = self.config.plain or self.device.type != "cpu"
        size = count if whole else max(1, PART_SIDE // max(images.shape[2:]))
        return [slice(start, start + size) for start in range(0, count, size)]

    def _use_gpu(self) -> None:
        torch.backends.cudnn.benchmark = True  # shapes never change
        self.recorder = Recorder()
        if self.config.steps >= COMPILED_FROM and devices.can_compile():
            # Compiled, norms and activations are one pass over memory, and then this layout is the convolutions' own;
            # PyTorch's instance norm alone would turn each feature map around and back.
            self.layout = torch.channels_last
            for network in self.networks.values():
                network.to(memory_format=self.layout)  # type: ignore[call-overload]  # its stub lacks this form
            # Dynamo counts the compilations of all networks of a process. This one needs three: without gradients,
            # with those of its weights, and with those of its images too.
            torch._dynamo.config.recompile_limit = 64
            self.compiled_generator = torch.compile(self.generator, dynamic=False)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else contextlib.nullcontext()


def _networks(config: Config, domains: Domains) -> dict[str, nn.Module]:
    # Drawn on the CPU: the weights are the same on every device, and the caller's random numbers stay as they are.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        built = {name: networks.build(name, config.architecture, domains, config.plain) for name in networks.NAMES}
        if config.init == "xavier":
            networks.initialise_xavier(built["generator"])
            networks.initialise_xavier(built["discriminator"])
    return built


def _detached(terms: Tensors) -> dict[str, Tensor]:
    """Without their graphs, which a recorded update would keep for good."""
    return {name: term.detach() for name, term in terms.items()}
