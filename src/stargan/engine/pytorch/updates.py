"""The updates of D and of G."""

import contextlib
import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.constants import CLASSIFIER_LR, PENALISED
from stargan.engine.pytorch import device as devices
from stargan.engine.pytorch import losses, networks, optimizer, processes
from stargan.engine.pytorch.augment import augment
from stargan.engine.pytorch.cuda_graphs import Recorder, Tensors
from stargan.engine.pytorch.fast import rewrite, winograd
from stargan.engine.pytorch.processes import Part

PART_SIDE = 256
"""Sum of the sides of the images that the paper's G processes at once on a CPU: two images of 128 px, four of 64 px.
Eight of 64 px, which have as many pixels as two of 128 px, are 3 % faster but take 4 % more memory."""
EDIT_WHOLE = 128
"""Side up to which the edit generator processes the whole batch at once, since most of its feature maps are small. For
larger images this saves no time and takes more memory."""
COMPILED_FROM = 2000  # steps from which a run compiles G; shorter runs do not make up for the minute it takes


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
        self.processes = processes.current()
        self.bf16 = devices.bf16(config, self.device)
        self.heads = [domains.heads(index) for index in range(len(domains.sets))]
        self.networks = self._build()
        for network in self.networks.values():
            network.to(self.device)
        self.generator = self.networks["generator"]
        self.discriminator = self.networks["discriminator"]
        self.classifier = self.networks["classifier"]
        if isinstance(self.generator, networks.Generator):
            self.generator.checkpointing = config.gradient_checkpointing
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
        # A tensor, so that a recorded update reads its current value.
        self.lambda_cls = torch.tensor(config.lambda_cls, device=self.device)
        self.step = 0
        self.g_updates = 0
        self.terms: dict[str, Tensor] = {}
        self.kept: dict[str, nn.Module] = {}  # what a checkpoint contains besides, as `training/NAME`

    def _build(self) -> dict[str, nn.Module]:
        # Drawn on the CPU, so that the weights are the same on every device. The caller's random state stays unchanged.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.config.seed)
            built = {name: self._network(name) for name in networks.NAMES}
            for name in ("generator", "discriminator"):
                networks.initialise(built[name], self.config.init)
        return built

    def _network(self, name: str) -> nn.Module:
        return networks.build(name, self.config.architecture, self.domains, self.config.plain)

    # ---------------------------------------------------------------- D

    def update_d(
        self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float, draws: Tensors | None = None
    ) -> None:
        """Updates D once.

        Args:
            real: (N, 3, H, W) in [-1, 1], the images; of several processes, each has its own.
            labels: (N, L), the labels of the images.
            targets: (N, L), the target labels of their translations.
            dataset: The index of the data set that the images come from.
            lr: The learning rate.
            draws: Values to use instead of random numbers, by the names in `d_terms`.
        """
        optimizer.set_rate(self.optimizers["discriminator"], lr)
        drawn = {**self._d_draws(real), **(draws or {})}
        self._run(self._d_update, dataset, {"real": real, "labels": labels, "targets": targets, **drawn})

    def _d_update(self, dataset: int, tensors: Tensors) -> dict[str, Tensor]:
        self._clear_gradients()
        sums: dict[str, Tensor] = {}
        parts = self._accumulated({**tensors, **self._deviation(tensors)})
        for part, own in parts:
            terms = self.d_terms(own["real"], self._translations(own), own["labels"], dataset, own, part)
            total = (
                terms["d_real"]
                + terms["d_fake"]
                + self.lambda_cls * terms["d_cls"]
                + self.config.lambda_gp * terms.get("d_gp", 0)
                + self.config.lambda_cls_gp * terms.get("d_cls_gp", 0)
            )
            (total / len(parts)).backward()
            _add(sums, {**terms, "d_total": total}, 1 / len(parts))
        return self._apply("discriminator", sums)

    @torch.no_grad()
    def _translations(self, tensors: Tensors) -> Tensor:
        """Translates the images to their targets, without gradients."""
        real, condition = tensors["real"], self._condition(tensors["targets"], tensors["labels"])
        with self._autocast():
            translate = self._generator_without_gradients()
            return torch.cat([translate(real[rows], condition[rows]) for rows in self._slices(real)]).float()

    def _deviation(self, tensors: Tensors) -> dict[str, Tensor]:
        """The deviation of all real images of the whole batch, as D sees them, where DRAGAN needs it."""
        if self.config.objective != "dragan":
            return {}
        real = tensors["real"]
        views = {name: tensor[: len(real)] for name, tensor in tensors.items() if name == "views"}
        return {"deviation": self.processes.gathered(self._augmented(real, views)).std(correction=0)}

    def d_terms(
        self,
        real: Tensor,
        fake: Tensor,
        labels: Tensor,
        dataset: int,
        draws: Tensors,
        part: Part | None = None,
    ) -> dict[str, Tensor]:
        """Computes the unweighted terms of D's loss (eq. 8 and eq. 5).

        Args:
            real: (N, 3, H, W) in [-1, 1], the real images.
            fake: (N, 3, H, W), their translations, without gradients.
            labels: (N, L), the labels of the real images.
            dataset: The index of the data set that they come from.
            draws: Random numbers in [0, 1): `alpha`, (N, 1, 1, 1), for the penalty (DRAGAN scales it to [-1, 1]);
                `noise`, (N, 3, H, W), for DRAGAN; `views`, (2N, 5), for `augment`;
                and for DRAGAN also `deviation`, see `_deviation`.
            part: Which part of the batch this is; by default, all that this process has.
        """
        # One pass for real and translated images: D has no batch statistics, so they do not affect each other.
        both = self._augmented(torch.cat([real, fake]), draws)
        real, fake = both.chunk(2)
        with self._autocast():
            src, cls = self.discriminator(both)
        src_real, src_fake = src.float().chunk(2)
        d_real, d_fake = losses.d_adversarial(self.config.objective, src_real, src_fake)
        d_cls = losses.classification(cls[: len(real)].float(), labels, self.heads[dataset])
        terms = {"d_real": d_real, "d_fake": d_fake, "d_cls": d_cls}
        if self.config.objective in PENALISED:
            # Always in float32: second-order gradients overflow or get lost in rounding errors in shorter formats.
            terms["d_gp"] = losses.gradient_penalty(
                lambda points: self.discriminator(points)[0],
                self._penalty_points(real, fake, draws),
                one_sided=self.config.objective == "wgan-lp",
            )
        if self.config.lambda_cls_gp:
            terms["d_cls_gp"] = self._classification_penalty(real, labels, dataset, part or self.processes.parts(1)[0])
        return terms

    def _classification_penalty(self, real: Tensor, labels: Tensor, dataset: int, part: Part) -> Tensor:
        """Computes the penalty on the first half of the whole batch, at half of the cost."""
        half = (len(real) * part.count + 1) // 2
        own = len(range(half)[part.own])
        if not own:
            return real.new_zeros(())
        penalty = losses.classification_gradient_penalty(
            lambda points: losses.classification(self.discriminator(points)[1], labels[:own], self.heads[dataset]),
            real[:own],
        )
        return penalty * (own * part.count / half)  # so that the mean over all parts is that of the half

    def _penalty_points(self, real: Tensor, fake: Tensor, draws: Tensors) -> Tensor:
        if self.config.objective == "dragan":
            return losses.around(real, 2 * draws["alpha"] - 1, draws["noise"], draws.get("deviation"))
        return losses.between(real, fake, draws["alpha"])

    def _generator_without_gradients(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Returns G for translations without gradients. On a CPU, G is rewritten again after its weights change."""
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
        """Updates G, its EMA and the attribute classifier once; the arguments are those of `update_d`."""
        optimizer.set_rate(self.optimizers["generator"], lr)
        optimizer.set_rate(self.optimizers["classifier"], self._classifier_rate(lr))
        drawn = self._g_draws(real)
        self._run(self._g_update, dataset, {"real": real, "labels": labels, "targets": targets, **drawn})
        self._update_ema()

    def _g_update(self, dataset: int, tensors: Tensors) -> dict[str, Tensor]:
        self._clear_gradients()
        self.rewritten = None  # frees memory that this update needs
        self.discriminator.requires_grad_(False)  # gradients flow through D, but those of its weights are not needed
        sums: dict[str, Tensor] = {}
        for rows in self._slices(tensors["real"]):
            part = {name: tensor[rows] for name, tensor in tensors.items()}
            share = len(part["real"]) / len(tensors["real"])
            terms = self.g_terms(part["real"], part["labels"], part["targets"], dataset, part)
            total = terms["g_fake"] + self.lambda_cls * terms["g_cls"] + self.config.lambda_rec * terms["g_rec"]
            (share * total).backward()
            _add(sums, {**terms, "g_total": total}, share)
        self.discriminator.requires_grad_(True)
        return {**self._apply("generator", sums), **self._update_classifier(dataset, tensors)}

    def _classifier_rate(self, lr: float) -> float:
        return CLASSIFIER_LR * lr / self.config.lr

    def _update_classifier(self, dataset: int, tensors: Tensors) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        parts = self._accumulated({name: tensors[name] for name in ("real", "labels")})
        for _, own in parts:
            with self._autocast():
                logits = self.classifier(own["real"])
            loss = losses.classification(logits.float(), own["labels"], self.heads[dataset])
            (loss / len(parts)).backward()
            _add(sums, {"classifier": loss}, 1 / len(parts))
        return self._apply("classifier", sums)

    def g_terms(self, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, draws: Tensors) -> dict[str, Tensor]:
        """Computes the unweighted terms of G's loss (eqs. 8, 6 and 7).

        The arguments are those of `d_terms`, except `targets`, (N, L), the target labels. Of `draws`, only `views`,
        (N, 5), is used.
        """
        with self._autocast():
            fake = self.compiled_generator(real, self._condition(targets, labels))
            src, cls = self.discriminator(self._augmented(fake, draws))
            back = self.compiled_generator(fake, self._condition(labels, targets))
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
        # The decay starts low, so that the initial weights are soon forgotten; otherwise short runs would suffer.
        decay = min(self.config.ema, self.g_updates / (9 + self.g_updates))
        averages: list[Tensor] = list(self.ema_generator.parameters())
        weights: list[Tensor] = list(self.generator.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay)

    # ---------------------------------------------------------------- both

    def _run(self, update: Callable[[int, Tensors], dict[str, Tensor]], dataset: int, tensors: Tensors) -> None:
        """Runs an update, on a GPU as a CUDA graph, and stores its terms."""
        if self.recorder:
            terms = self.recorder(f"{update.__name__} {dataset}", functools.partial(update, dataset), tensors)
        else:
            terms = update(dataset, tensors)
        self.terms.update(terms)

    def _apply(self, name: str, terms: Tensors) -> dict[str, Tensor]:
        """Updates a network with the mean gradients of all processes; returns the means of their terms.

        The terms are detached from their autograd graphs, which a recorded update would otherwise keep alive.
        """
        terms, adam = {key: term.detach() for key, term in terms.items()}, self.optimizers[name]
        if self.processes.world_size > 1:
            values = torch.stack(list(terms.values()))
            self.processes.average([*adam.gradients(), values])
            terms = dict(zip(terms, values, strict=True))
        adam.step()
        return terms

    def _random(self, count: int, *shape: int) -> Tensor:
        """Draws (count, ...) numbers: those of this process, of as many for each."""
        every = count * self.processes.world_size
        return torch.rand((every, *shape), generator=self.random, device=self.device)[self.processes.own]

    def _d_draws(self, real: Tensor) -> dict[str, Tensor]:
        draws = {}
        if self.config.objective in PENALISED:
            draws["alpha"] = self._random(len(real), 1, 1, 1)
        if self.config.objective == "dragan":
            draws["noise"] = self._random(*real.shape)
        return draws | self._views(2 * len(real))

    def _g_draws(self, real: Tensor) -> dict[str, Tensor]:
        return self._views(len(real))

    def _views(self, count: int) -> dict[str, Tensor]:
        return {"views": self._random(count, 5)} if self.config.augment else {}

    def _augmented(self, images: Tensor, draws: Tensors) -> Tensor:
        """Returns the images as D sees them."""
        return augment(images, draws["views"]) if self.config.augment else images

    def _clear_gradients(self) -> None:
        """Clears the gradients of all networks, since those of networks that are not updated would waste memory."""
        for adam in self.optimizers.values():
            adam.zero_grad(set_to_none=True)

    def _condition(self, targets: Tensor, labels: Tensor) -> Tensor:
        """Returns G's second input, as `Architecture.condition` does, to translate from labels to targets."""
        return targets - labels if self.config.generator == "edit" else targets

    def _accumulated(self, tensors: Tensors) -> list[tuple[Part, dict[str, Tensor]]]:
        """Divides a batch into the parts of `--accumulate`.

        Each takes every Nth image, and what belongs to it of the other tensors, which have one or more rows for each
        image, first one for each, then the next. Single numbers belong to all parts.
        """
        images = len(tensors["real"])
        count = self.config.accumulate if images % self.config.accumulate == 0 else 1  # fewer images are only measured

        def of(part: Part, tensor: Tensor) -> Tensor:
            return tensor.unflatten(0, (-1, images))[:, part.rows].flatten(0, 1) if tensor.ndim else tensor

        parts = self.processes.parts(count)
        if count == 1:
            return [(parts[0], dict(tensors))]
        return [(part, {name: of(part, tensor) for name, tensor in tensors.items()}) for part in parts]

    def _slices(self, images: Tensor) -> list[slice]:
        """Splits a batch into parts that go forward and backward through G one at a time, which is faster on a CPU.

        The result of an image does not depend on the others, and every term of G's loss is a mean over images, so the
        gradients of the parts add up to those of the batch. Fewer activations have to be kept, and feature maps stay
        in the cache. Where that gains nothing, there are as many parts as `--accumulate` says; see `images_at_once`.
        """
        count = len(images)
        size = images_at_once(self.config, count, on_gpu=self.device.type != "cpu")
        return [slice(start, start + size) for start in range(0, count, size)]

    def _use_gpu(self) -> None:
        torch.backends.cudnn.benchmark = True  # worthwhile because shapes never change
        # Several processes exchange gradients within an update, which is not recorded.
        self.recorder = Recorder() if self.processes.world_size == 1 else None
        if self.config.steps >= COMPILED_FROM and devices.can_compile():
            # Compiled norms and activations take one pass over memory and work in the layout that convolutions prefer.
            # PyTorch's own instance norm would convert each feature map to the other layout and back.
            self.layout = torch.channels_last
            for network in self.networks.values():
                network.to(memory_format=self.layout)  # type: ignore[call-overload]  # its stub lacks this form
            # Dynamo's limit counts all compilations in a process. G alone needs three: without gradients, with
            # gradients of its weights, and with gradients of its images as well.
            torch._dynamo.config.recompile_limit = 64
            self.compiled_generator = torch.compile(self.generator, dynamic=False)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else contextlib.nullcontext()


def images_at_once(config: Config, count: int, *, on_gpu: bool) -> int:
    """How many images of a batch of `count` go forward and backward through G at once."""
    side, share = max(config.image_size), -(-count // config.accumulate)
    if on_gpu or config.plain or (config.generator == "edit" and side <= EDIT_WHOLE):
        return share
    return min(share, max(1, PART_SIDE // side))


def _add(sums: dict[str, Tensor], terms: Tensors, share: float) -> None:
    """Adds the terms of a part of a batch, which is a share of it, to those of the parts before."""
    for name, term in terms.items():
        sums[name] = sums.get(name, 0) + share * term.detach()
