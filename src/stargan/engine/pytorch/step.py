"""One update of D, one update of G."""

import contextlib
import copy
import itertools
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.pytorch import losses, networks
from stargan.engine.pytorch.augment import augment
from stargan.errors import CheckpointError, ConfigError, ModelError
from stargan.images import scale
from stargan.modelfile import under

LABELLER_LR = 1e-3  # plain supervised learning of a small network; falls with the schedule of the others
G_UPDATES = "training/g_updates"
ADAM_SLOTS = ("step", "exp_avg", "exp_avg_sq")
PART_PIXELS = 2 * 128 * 128  # of the pictures that G's update takes together on a CPU
GENERATE_BATCH = 32  # bounds the memory of `generate`


class PytorchEngine:
    """`stargan.engine.Engine` on PyTorch.

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
        self.heads = [domains.heads(index) for index in range(len(domains.sets))]
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
            torch.manual_seed(config.seed)
            self.networks = {
                name: networks.build(name, domains, config, config.plain).to(self.device) for name in networks.NAMES
            }
            if config.init == "xavier":
                networks.initialise_xavier(self.networks["generator"])
                networks.initialise_xavier(self.networks["discriminator"])
        self.generator = self.networks["generator"]
        self.discriminator = self.networks["discriminator"]
        self.labeller = self.networks["labeller"]
        self.mean_generator = self.generator
        if config.ema:
            self.mean_generator = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), config.lr, (config.beta1, config.beta2), fused=True)
            for name, network in self.networks.items()
        }
        self.random = torch.Generator(self.device)
        self.random_views = torch.Generator()  # on the CPU: its draws say where pictures are cut
        self.g_updates = 0
        self.terms: dict[str, Tensor] = {}
        self.num_parameters = {
            name: sum(p.numel() for p in network.parameters()) for name, network in self.networks.items()
        }

    # ---------------------------------------------------------------- updates

    def d_step(
        self, images: np.ndarray, labels: np.ndarray, targets: np.ndarray, dataset: int, *, step: int, lr: float
    ) -> None:
        """One update of D; see `Engine.d_step`."""
        self._seed(step)
        self.update_d(self._images(images), self._tensor(labels), self._tensor(targets), dataset, lr)

    def update_d(
        self, real: Tensor, values: Tensor, wanted: Tensor, dataset: int, lr: float, alpha: Tensor | None = None
    ) -> None:
        """`d_step` on tensors.

        Args:
            real: (N, 3, H, W) in [-1, 1].
            values: (N, L) what the pictures show.
            wanted: (N, L) what they are translated to.
            dataset: Which data set they are from.
            lr: The learning rate.
            alpha: (N, 1, 1, 1) in [0, 1] fixes the penalty's draw.
        """
        self._forget_gradients()
        with torch.no_grad(), self._autocast():
            fake = self.generator(real, wanted).float()
        terms = self.d_terms(real, fake, values, dataset, alpha)
        total = (
            terms["d_real"]
            + terms["d_fake"]
            + self.config.lambda_cls * terms["d_cls"]
            + self.config.lambda_gp * terms.get("d_gp", 0)
        )
        total.backward()
        self._step("discriminator", lr)
        self._record(terms, d_total=total)

    def d_terms(
        self,
        real: Tensor,
        fake: Tensor,
        values: Tensor,
        dataset: int,
        alpha: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The unweighted terms of D's loss (eq. 8 and eq. 5).

        Args:
            real: (N, 3, H, W) in [-1, 1].
            fake: (N, 3, H, W) their translations, which pass no gradient on.
            values: (N, L) what the pictures show.
            dataset: Which data set they are from.
            alpha: (N, 1, 1, 1) in [0, 1] fixes the penalty's draw; DRAGAN stretches it to [-1, 1].
            noise: (N, 3, H, W) in [0, 1] fixes DRAGAN's other draw.
        """
        # Real and translated pictures go through D together: D has no batch statistics.
        both = self._shown(torch.cat([real, fake]))
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
                self._penalty_points(real, fake, alpha, noise),
                one_sided=self.config.objective == "wgan-lp",
            )
        return terms

    def g_step(
        self, images: np.ndarray, labels: np.ndarray, targets: np.ndarray, dataset: int, *, step: int, lr: float
    ) -> None:
        """One update of G, its running mean and the labeller; see `Engine.g_step`."""
        self._seed(step)
        self.update_g(self._images(images), self._tensor(labels), self._tensor(targets), dataset, lr)

    def update_g(self, real: Tensor, values: Tensor, wanted: Tensor, dataset: int, lr: float) -> None:
        """`g_step` on tensors; the arguments are those of `update_d`."""
        self._forget_gradients()
        self.discriminator.requires_grad_(False)  # D only passes gradients on here; its own are not computed
        sums: dict[str, Tensor] = {}
        for part in self._parts(real):
            share = len(real[part]) / len(real)
            terms = self.g_terms(real[part], values[part], wanted[part], dataset)
            total = terms["g_fake"] + self.config.lambda_cls * terms["g_cls"] + self.config.lambda_rec * terms["g_rec"]
            (share * total).backward()
            for name, term in {**terms, "g_total": total}.items():
                sums[name] = sums.get(name, 0) + share * term.detach()
        self._step("generator", lr)
        self.discriminator.requires_grad_(True)
        self._update_mean()

        with self._autocast():
            logits = self.labeller(real)
        label_loss = losses.classification(logits.float(), values, self.heads[dataset])
        label_loss.backward()
        self._step("labeller", LABELLER_LR * lr / self.config.lr)
        self._record(sums, labeller=label_loss)

    def g_terms(self, real: Tensor, values: Tensor, wanted: Tensor, dataset: int) -> dict[str, Tensor]:
        """The unweighted terms of G's loss (eqs. 8, 6 and 7)."""
        with self._autocast():
            fake = self.generator(real, wanted)
            src, cls = self.discriminator(self._shown(fake))
            back = self.generator(fake, values)
        return {
            "g_fake": losses.g_adversarial(self.config.objective, src.float()),
            "g_cls": losses.classification(cls.float(), wanted, self.heads[dataset]),
            "g_rec": losses.reconstruction(real, back.float()),
        }

    def _seed(self, step: int) -> None:
        for generator in (self.random, self.random_views):
            generator.manual_seed(_mix(self.config.seed, step))

    def _shown(self, images: Tensor) -> Tensor:
        """What D is shown of pictures."""
        return augment(images, self.random_views) if self.config.augment else images

    def losses(self) -> dict[str, float]:
        """The terms of the last updates; see `Engine.losses`."""
        if not self.terms:
            return {}
        stacked = torch.stack(list(self.terms.values()))  # one transfer, not one a term
        return dict(zip(self.terms, stacked.tolist(), strict=True))

    def _forget_gradients(self) -> None:
        """All of them, since those of the networks that are not updated would only take memory."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def _step(self, name: str, lr: float) -> None:
        self.optimizers[name].param_groups[0]["lr"] = lr
        self.optimizers[name].step()

    def _parts(self, images: Tensor) -> list[slice]:
        """The batch in parts whose ways back are taken one after the other, on a CPU, where it costs nothing.

        No picture's results depend on another's, and every term of G's loss is a mean over pictures, so the
        gradients of the parts add up to those of the batch; only what is to be remembered becomes less.
        """
        count = len(images)
        whole = self.config.plain or self.device.type != "cpu"
        size = count if whole else max(1, PART_PIXELS // (images.shape[2] * images.shape[3]))
        return [slice(start, start + size) for start in range(0, count, size)]

    @torch.no_grad()
    def _update_mean(self) -> None:
        self.g_updates += 1
        if self.mean_generator is self.generator:
            return
        # Early on the mean follows quickly, so that short trainings are not held back by the first weights.
        decay = min(self.config.ema, self.g_updates / (9 + self.g_updates))
        means: list[Tensor] = list(self.mean_generator.parameters())
        weights: list[Tensor] = list(self.generator.parameters())
        torch._foreach_lerp_(means, weights, 1 - decay)

    def _record(self, terms: Mapping[str, Tensor], **more: Tensor) -> None:
        self.terms.update({name: term.detach() for name, term in {**terms, **more}.items()})

    def _penalty_points(self, real: Tensor, fake: Tensor, alpha: Tensor | None, noise: Tensor | None) -> Tensor:
        if alpha is None:
            alpha = torch.rand((len(real), 1, 1, 1), generator=self.random, device=self.device)
        if self.config.objective != "dragan":
            return losses.between(real, fake, alpha)
        if noise is None:
            noise = torch.rand(real.shape, generator=self.random, device=self.device)
        return losses.around(real, 2 * alpha - 1, noise)

    # ---------------------------------------------------------------- inference

    @torch.no_grad()
    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Translates with the running mean of G's weights; see `Engine.generate`."""
        return self._chunks(self.mean_generator, images, labels)

    @torch.no_grad()
    def classify(self, images: np.ndarray) -> np.ndarray:
        """The labeller's logits; see `Engine.classify`."""
        return self._chunks(self.labeller, images)

    # ---------------------------------------------------------------- cost

    @torch.no_grad()
    def macs(self) -> dict[str, int]:
        """Multiply-adds of one picture forward; see `Engine.macs`."""
        width, height = self.config.image_size
        image = torch.zeros(1, 3, height, width, device=self.device)
        labels = torch.zeros(1, self.domains.num_labels, device=self.device)
        counted = {}
        for name, network in self.networks.items():
            with FlopCounterMode(display=False) as counter:
                network(image, labels) if name == "generator" else network(image)
            counted[name] = counter.get_total_flops() // 2
        return counted

    def peak_memory(self) -> int:
        """The most memory used so far, in bytes; see `Engine.peak_memory`."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        import resource  # not on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def _chunks(self, network: nn.Module, *arrays: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(arrays[0]), GENERATE_BATCH):
            part = [self._tensor(array[start : start + GENERATE_BATCH]) for array in arrays]
            parts.append(network(*part).cpu().numpy())
        return np.concatenate(parts)

    # ---------------------------------------------------------------- state

    def state(self) -> dict[str, np.ndarray]:
        """Everything an exact continuation needs; see `Engine.state`."""
        arrays = {G_UPDATES: np.array(self.g_updates, np.int64)}
        for name, network in self._stored().items():
            arrays |= {f"{name}/{key}": array for key, array in networks.to_arrays(network).items()}
        for name, optimizer in self.optimizers.items():
            for key, parameter in self.networks[name].named_parameters():
                for slot, value in optimizer.state.get(parameter, {}).items():
                    arrays[f"training/adam/{name}/{key}/{slot}"] = value.detach().cpu().numpy().copy()
        return arrays

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """The inverse of `state`; see `Engine.load_state`."""
        places = [*self._stored(), *(f"training/adam/{name}" for name in self.optimizers)]
        for name in arrays:
            if name != G_UPDATES and not name.startswith(tuple(f"{place}/" for place in places)):
                raise CheckpointError(f"{name} does not belong there")
        if G_UPDATES not in arrays or arrays[G_UPDATES].shape != ():
            raise CheckpointError(f"{G_UPDATES} is missing or not one number")
        self.g_updates = int(arrays[G_UPDATES])
        self._load(self._stored(), arrays)
        for name in self.optimizers:
            self._load_adam(name, under(arrays, f"training/adam/{name}"))

    def load_weights(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Starts from the weights of a model file; see `Engine.load_weights`.

        A file without a labeller, as imported ones are, leaves the labeller as it is.
        """
        known = {name: network for name, network in self.networks.items() if name != "labeller"}
        if under(arrays, "labeller"):
            known["labeller"] = self.labeller
        self._load(known, arrays)
        self._load({"generator": self.mean_generator}, arrays)
        self.g_updates = 0
        for optimizer in self.optimizers.values():
            optimizer.state.clear()

    def _load(self, known: Mapping[str, nn.Module], arrays: Mapping[str, np.ndarray]) -> None:
        try:
            for name, network in known.items():
                networks.from_arrays(network, under(arrays, name), name)
        except ModelError as error:
            raise CheckpointError(str(error)) from error

    def _stored(self) -> dict[str, nn.Module]:
        """The networks by their place in a file: `generator` there is the running mean."""
        return {
            "generator": self.mean_generator,
            "discriminator": self.discriminator,
            "labeller": self.labeller,
            "training/generator": self.generator,
        }

    def _load_adam(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        parameters = dict(self.networks[name].named_parameters())
        state: dict[Any, dict[str, Tensor]] = {}
        for key, array in arrays.items():
            owner, _, slot = key.rpartition("/")
            if owner not in parameters or slot not in ADAM_SLOTS:
                raise CheckpointError(f"training/adam/{name}/{key} does not belong there")
            shape = () if slot == "step" else tuple(parameters[owner].shape)
            if array.shape != shape:
                raise CheckpointError(f"training/adam/{name}/{key} has shape {array.shape}, not {shape}")
            tensor = torch.from_numpy(np.array(array, np.float32)).to(self.device)
            state.setdefault(parameters[owner], {})[slot] = tensor
        for key, slot in itertools.product(parameters, ADAM_SLOTS):
            if arrays and f"{key}/{slot}" not in arrays:  # a network that was never updated has none at all
                raise CheckpointError(f"training/adam/{name}/{key}/{slot} is missing")
        self.optimizers[name].state.clear()
        self.optimizers[name].state.update(state)

    # ---------------------------------------------------------------- arrays

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, non_blocking=True)

    def _images(self, pixels: np.ndarray) -> Tensor:
        return scale(self._tensor(pixels).permute(0, 3, 1, 2).float()).contiguous()

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else contextlib.nullcontext()


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
        return torch.cuda.is_bf16_supported()
    # PyTorch computes bf16 on any CPU, but only where the CPU has instructions for it is that faster: twice (measured).
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())


def _mix(seed: int, step: int) -> int:
    """One well-mixed 64-bit seed for each step, so that a resumed run draws what the first one would have."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
