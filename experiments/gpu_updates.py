"""Updates of the edit generator and its discriminator as CUDA graphs, in bf16, with views drawn on the GPU."""

import math
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from spare import Spare
from torch import Tensor, nn

from stargan.config import Config
from stargan.data.batches import Batch
from stargan.domains import Domains
from stargan.engine import edit_constants as constants
from stargan.engine.pytorch.edit import losses
from stargan.engine.pytorch.edit.discriminator import EditDiscriminator
from stargan.engine.pytorch.edit.features import Features
from stargan.engine.pytorch.edit.generator import EditGenerator
from stargan.engine.pytorch.edit.updates import Made
from stargan.errors import CheckpointError, ModelError, TrainingError
from stargan.model.safetensors_file import Arrays

EAGER = 4  # updates before recording: libraries select kernels, and Adam allocates its state
NEW = ("refine.", "palette.", "paint.", "gray.")  # parts of G that older models do not have
Terms = dict[str, Tensor]
Stream = Generator[Batch, None, None]


class Views:
    """As `stargan.engine.pytorch.edit.views.Views`, but drawn on the device, with the same work for all draws.

    Args:
        count: N, the number of images.
        places: (size,) float32, the numbers of the rows of an image; on the device.
    """

    def __init__(self, count: int, places: Tensor) -> None:
        self.places, self.size = places, len(places)
        self.shift = self._shift(count)
        self.brightness = self._spread(count, constants.BRIGHTNESS)
        self.saturation = 1 + self._spread(count, constants.SATURATION)
        self.contrast = 1 + self._spread(count, constants.CONTRAST)
        self.kept = self._kept(count)
        self.grid = self._grid(count)

    def crisp(self, images: Tensor) -> Tensor:
        """Changes colours, shifts by whole pixels and cuts holes, so that pixels stay as they were drawn."""
        return _channels_last(
            F.grid_sample(
                self._coloured(images), self.shift, mode="nearest", padding_mode="border", align_corners=False
            )
        )

    def turned(self, images: Tensor) -> Tensor:
        """Changes colours, cuts holes, turns, moves and scales: (N, 3, H, W) to (N, 3, INNER, INNER)."""
        return _channels_last(
            F.grid_sample(
                self._coloured(images), self.grid, mode="bilinear", padding_mode="reflection", align_corners=False
            )
        )

    def _coloured(self, images: Tensor) -> Tensor:
        images = torch.lerp(images.mean(1, keepdim=True), images, self.saturation)
        means = images.mean((1, 2, 3), keepdim=True)
        return (torch.lerp(means, images, self.contrast) + self.brightness) * self.kept

    def _random(self, *shape: int) -> Tensor:
        return torch.rand(*shape, device=self.places.device)

    def _spread(self, count: int, most: float) -> Tensor:
        """Draws (N, 1, 1, 1) numbers between -most and most."""
        return (2 * self._random(count, 1, 1, 1) - 1) * most

    def _shift(self, count: int) -> Tensor:
        """The places that crisp views show, (N, H, W, 2): those of other pixels, for which `nearest` is exact."""
        size, reach = self.size, int(constants.SHIFT * self.size)
        by = torch.floor(self._random(count, 2) * (2 * reach + 1)) - reach
        y, x = ((2 * (self.places[None] + by[:, axis : axis + 1]) + 1) / size - 1 for axis in (0, 1))
        shape = count, size, size
        return torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], -1)

    def _kept(self, count: int) -> Tensor:
        """0 in a square hole that some images have, 1 elsewhere, (N, 1, H, W)."""
        draw, share, down, right = (self._random(count, 1, 1) for _ in range(4))
        side = torch.floor(self.size * (constants.HOLE + constants.HOLE_SPREAD * share))
        top, left = (torch.floor(place * self.size) - torch.floor(side / 2) for place in (down, right))
        y, x = self.places[None, :, None], self.places[None, None]
        hole = (y >= top) & (y < top + side) & (x >= left) & (x < left + side) & (draw < constants.HOLES)
        return (~hole).float()[:, None]

    def _grid(self, count: int) -> Tensor:
        """The places that turned views show, (N, INNER, INNER, 2)."""
        angle = (2 * self._random(count) - 1) * constants.ANGLE
        zoom = 1 + constants.FAR - self._random(count) * (constants.FAR + constants.NEAR)
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        move = (2 * self._random(count, 2) - 1) * (1 - zoom).clamp(min=constants.FAR)[:, None]
        rows = [torch.stack([cos, -sin, move[:, 0]], 1), torch.stack([sin, cos, move[:, 1]], 1)]
        inner = constants.INNER
        return F.affine_grid(torch.stack(rows, 1), [count, 3, inner, inner], align_corners=False)


class Trainer:
    """The networks, their optimizers, and one update of each.

    An update reads its batch and all that changes from tensors that stay where they are, so that it can be recorded.

    Args:
        config: Settings of the recipe `edit`.
        domains: The label layout.
        device: Where to train.
        wider: How many times as many channels as usual D has.
        spare: See `Spare`.
    """

    def __init__(self, config: Config, domains: Domains, device: torch.device, *, wider: int, spare: float) -> None:
        self.config, self.domains, self.device = config, domains, device
        self.on_gpu = device.type == "cuda"
        count, size = config.batch_size, config.image_size[0]
        self.generator = EditGenerator(config.architecture, domains.num_labels)
        self.discriminator = EditDiscriminator(config.architecture, domains, wider)
        self.slower = wider**-0.5  # a wider critic moves further at the same rate; spectral norms limit the heads
        self.averaged = EditGenerator(config.architecture, domains.num_labels).requires_grad_(False)
        self.frozen = Features()
        for network in (self.generator, self.discriminator, self.averaged, self.frozen):
            network.to(device)
        for part in (self.generator, self.discriminator.critic, self.frozen):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizers = self._optimizers()
        self.pixels = torch.zeros(count, size, size, 3, dtype=torch.uint8, device=device)
        self.labels = torch.zeros(count, domains.num_labels, device=device)
        self.targets = self.labels.clone()
        self.places = torch.arange(size, device=device, dtype=torch.float32)
        self.spare = Spare(spare, domains, self.places / size)
        self.recorded: dict[bool, tuple[torch.cuda.CUDAGraph, Terms]] = {}

    def _optimizers(self) -> dict[str, torch.optim.Adam]:
        parts: dict[str, list[nn.Module]] = {
            "generator": [self.generator],
            "discriminator": [self.discriminator.critic, self.discriminator.projected],
        }
        options: dict[str, Any] = {"betas": (self.config.beta1, self.config.beta2)}
        if self.on_gpu:
            options |= {"fused": True, "capturable": True}
        made = {}
        for name, networks in parts.items():
            groups = [{"params": list(network.parameters()), "lr": self._rate(0.0)} for network in networks]
            made[name] = torch.optim.Adam(groups, **options)
        return made

    def _rate(self, value: float) -> Any:
        """A learning rate for an optimizer: on a GPU a tensor, since a graph would repeat a number for ever."""
        return torch.tensor(value, device=self.device) if self.on_gpu else value

    def set_rates(self, generator: float, discriminator: float) -> None:
        """Sets the learning rates, those of D relative to `discriminator`."""
        rates = {
            "generator": [generator],
            "discriminator": [
                self.slower * constants.CRITIC_RATE * discriminator,
                constants.PROJECTED_RATE * discriminator,
            ],
        }
        for name, optimizer in self.optimizers.items():
            for group, value in zip(optimizer.param_groups, rates[name], strict=True):
                if self.on_gpu:
                    group["lr"].fill_(value)
                else:
                    group["lr"] = value

    def put(self, batch: Batch) -> None:
        """Takes a batch for the next update."""
        self.pixels.copy_(batch.images.pixels())
        self.labels.copy_(torch.from_numpy(batch.labels))
        self.targets.copy_(torch.from_numpy(batch.targets))

    # ---------------------------------------------------------------- updates

    @torch.no_grad()
    def calibrate(self, batch: Batch) -> None:
        """Scales the features for D, once."""
        self.put(batch)
        images = self._images()
        with self._bf16():
            found = self.frozen(Views(len(images), self.places).turned(images))
        self.discriminator.projected.calibrate(_floats(found), lambda features: features)

    def update(self, *, penalty: bool) -> Terms:
        """Updates D, with R1 if `penalty`, then G and its EMA. Returns the terms of the losses."""
        made = self._make()
        self._clear("discriminator")
        terms = self._apply("discriminator", self._d_terms(made, penalty=penalty))
        self._clear("generator")
        self.discriminator.requires_grad_(False)  # gradients flow through D; those of its weights are not needed
        terms |= self._apply("generator", self._g_terms(made))
        self.discriminator.requires_grad_(True)
        with torch.no_grad():
            for mean, own in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(own, 1 - self.config.ema)
        return terms

    def _clear(self, name: str) -> None:
        self.optimizers[name].zero_grad(set_to_none=True)

    def _apply(self, name: str, terms: Terms) -> Terms:
        torch.stack(list(terms.values())).sum().backward()
        self.optimizers[name].step()
        return {key: term.detach() for key, term in terms.items()}

    def _bf16(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.on_gpu)

    def _images(self) -> Tensor:
        return _channels_last(self.pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)

    def _make(self) -> Made:
        images = self._images()
        views = Views(len(images), self.places)
        with self._bf16():
            parts = self.generator.edit(images, self.targets - self.labels)
        edited, mask, drawn = _floats(parts)
        crisp, turned = ((view(images), view(edited)) for view in (views.crisp, views.turned))
        with torch.no_grad():
            with self._bf16():
                real = self.frozen(turned[0])
            change, turned_change = ((a - b).abs().mean(1, keepdim=True) for a, b in (crisp, turned))
        with self._bf16():
            fake = self.frozen(turned[1])
        features = _floats(real), _floats(fake)  # D's heads are in float32: spectral norms need it
        changes = change, turned_change
        return Made(images, self.labels, self.targets, edited, mask, drawn, crisp, features, changes)

    def _d_terms(self, made: Made, *, penalty: bool) -> Terms:
        count, critic, projected = len(made.images), self.discriminator.critic, self.discriminator.projected
        own, others = torch.cat([made.labels, made.targets]), torch.cat([made.targets, made.targets])
        with self._bf16():
            scores, logits = critic(torch.cat([part.detach() for part in made.crisp]), own, others)
        joined = [torch.cat([a, b.detach()]) for a, b in zip(*made.features, strict=True)]
        projected_scores, projected_logits = projected(joined, own, others)
        both = logits.float(), projected_logits
        terms: Terms = {"d_mismatch": torch.zeros((), device=self.device)}
        requested = (made.labels != made.targets).any(1)
        parts = ("d_critic", map(_floats, scores)), ("d_projected", projected_scores)
        for (name, (right, wrong)), change in zip(parts, made.changes, strict=True):
            weights = losses.patch_weights(change, [each[:count] for each in right])
            terms[name] = losses.d_adversarial(right, weights)
            terms["d_mismatch"] = terms["d_mismatch"] + constants.MISMATCH * losses.mismatch(wrong, weights, requested)
        changed = losses.of_changes(self.domains, made.labels, made.targets)
        edited = [losses.classification(self.domains, each[count:], changed) for each in both]
        terms["d_edited_cls"] = constants.EDITED * (edited[0] + edited[1])
        for name, confidence, each in zip(
            ("d_cls", "d_projected_cls"), self.discriminator.confidences, both, strict=True
        ):
            confidence.observe(each[:count].detach(), made.labels)
            terms[name] = losses.classification(self.domains, each[:count], made.labels)
        if penalty:
            r1 = losses.r1(lambda images: critic(images, made.labels)[0][0], made.crisp[0])
            terms["d_r1"] = 0.5 * constants.R1 * constants.R1_EVERY * r1
        return terms

    def _g_terms(self, made: Made) -> Terms:
        critic, projected = self.discriminator.critic, self.discriminator.projected
        with self._bf16():
            (scores,), logits = critic(made.crisp[1], made.targets)
            with torch.no_grad():
                source = critic(made.crisp[0])[1]
        with torch.no_grad():
            sources = [source.float(), projected(made.features[0])[1]]
        (projected_scores,), projected_logits = projected(made.features[1], made.targets)
        scores = _floats(scores)
        classes = [
            confidence.shortfall(each, source, made.labels, made.targets)
            for confidence, each, source in zip(
                self.discriminator.confidences, (logits.float(), projected_logits), sources, strict=True
            )
        ]
        nothing = (made.labels == made.targets).all(1)
        weights, projected_weights = map(losses.patch_weights, made.changes, (scores, projected_scores))
        return {
            "g_critic": losses.g_adversarial(scores, weights),
            "g_projected": losses.g_adversarial(projected_scores, projected_weights),
            "g_cls": self.config.lambda_cls * (classes[0] + classes[1]) / 2,
            "g_rec": self.config.lambda_rec * losses.unchanged(made.images, made.edited, nothing),
            "g_change": self.config.lambda_change * (made.edited - made.images).abs().mean(),
            "g_spare": self.spare(made),
            "g_mask": constants.MASK * made.mask.mean(),
            "g_bounds": constants.BOUNDS * losses.bounds(made.drawn),
        }

    # ---------------------------------------------------------------- graphs

    def record(self, stream: Stream) -> None:
        """Records an update with R1 and one without it."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        self.set_rates(0, self.config.lr)
        with torch.cuda.stream(side):
            for step in range(EAGER):
                self.put(next(stream))
                self.update(penalty=step % 2 == 0)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        pool = torch.cuda.graph_pool_handle()
        for penalty in (True, False):
            graph = torch.cuda.CUDAGraph()
            for name in self.optimizers:
                self._clear(name)
            with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
                terms = self.update(penalty=penalty)
            self.recorded[penalty] = graph, terms
        torch.cuda.synchronize()

    def replay(self, *, penalty: bool) -> Terms:
        """An update as recorded, or eagerly if none is. The terms are valid until the next one."""
        if not self.recorded:
            return self.update(penalty=penalty)
        graph, terms = self.recorded[penalty]
        graph.replay()
        return terms

    # ---------------------------------------------------------------- weights

    def start(self, path: Path, arrays: Arrays) -> None:
        """Takes the weights of a model's G; if it has no details or palette, these parts start fresh.

        Raises:
            ModelError: They do not fit.
        """
        found = {name: torch.from_numpy(array.astype("float32")) for name, array in arrays.items()}
        try:
            missing, unexpected = self.generator.load_state_dict(found, strict=False)
        except RuntimeError as error:
            raise ModelError(f"{path}: its weights do not fit its description") from error
        if unexpected or not all(name.startswith(NEW) for name in missing):
            raise ModelError(f"{path}: its weights are not those of its description")
        self.averaged.load_state_dict(self.generator.state_dict())

    def state(self, steps: int) -> dict[str, Any]:
        """Everything from which training can go on."""
        return {"steps": steps, **{name: part.state_dict() for name, part in self._parts().items()}}

    def resume(self, path: Path) -> int:
        """Goes on from a saved state; returns its number of updates.

        Raises:
            CheckpointError: It cannot be read, or is of other networks.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            steps = int(state["steps"])
        except Exception as error:  # PyTorch raises unrelated classes
            raise CheckpointError(f"--resume {path}: cannot be read, or not of this training ({error})") from error
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group.update(lr=self._rate(0.0), fused=self.on_gpu or None, capturable=self.on_gpu)  # of this device
        return steps

    def _parts(self) -> dict[str, Any]:
        networks = {"G": self.generator, "D": self.discriminator, "EMA": self.averaged}
        return {**networks, **{f"optimizer of {name}": each for name, each in self.optimizers.items()}}


def report(what: str, terms: Terms) -> None:
    """Prints losses.

    Raises:
        TrainingError: One is not finite.
    """
    values = {name: float(term) for name, term in terms.items()}
    print(f"{what}:", ", ".join(f"{name} {value:.3f}" for name, value in values.items()), flush=True)
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise TrainingError(f"{what}: {bad[0]} is {values[bad[0]]}; try a lower --lr")


def _floats(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [tensor.float() for tensor in tensors]


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
