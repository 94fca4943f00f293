"""Compares this package with numbers from other codes, which are stored in .npz files.

    python tests/parity.py FIXTURE.npz ... [--engine tensorflow]

There are several kinds of fixture, which differ in their keys. Those of the official PyTorch code contain weights,
inputs, outputs, losses, gradients, and the weights after one update of D and then one of G. Those of taki0112's
TensorFlow code contain variables, inputs, outputs, six objectives and three penalties. `parity_two_domains.py` compares
those of CycleGAN and pix2pix. The comparison uses the package's own importers,
label layout and updates. It prints one line per quantity; the exit status is 1 if any quantity differs by more than its
tolerance.

A ReLU whose input lies at rounding distance of zero passes a gradient on one machine and none on another. So where a
quantity differs, the comparison is repeated with such inputs on the other side of zero; tolerances stay the same.
"""

import argparse
import contextlib
import itertools
import json
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from parity_engines import Side, side
from torch import Tensor, nn

from stargan.config import Architecture
from stargan.config.training import Config, Objective
from stargan.domains import Domains, Group, LabelSet
from stargan.interop.official import Sizes, from_official, official_names
from stargan.interop.tensorflow1 import from_tensorflow1
from stargan.model.safetensors_file import Arrays, under

VALUE = 1e-4  # for outputs and losses, relative to the largest value
GRADIENT = 1e-3  # for the gradient of each tensor, relative, by Euclidean norm
WEIGHT = 0.1  # for weights after an update, in multiples of the learning rate, the size of Adam's first step

NEAR = 2e-5  # of the inputs of a ReLU, relative to their root mean square: rounding distance of zero
KINKS = 4  # such inputs, at most, that are moved to the other side; the nearest ones

Kink = tuple[tuple[int, ...], int]
"""An input of a ReLU: the shape of all inputs, and its index among them."""

Spoil = Callable[[Any], object]
"""Changes an engine before the comparison, to check that the comparison fails."""


@dataclass(frozen=True)
class Quantity:
    """One compared quantity."""

    name: str
    difference: float
    tolerance: float

    @property
    def passes(self) -> bool:
        return self.difference <= self.tolerance  # False for NaN

    def __str__(self) -> str:
        word = "pass" if self.passes else "FAIL"
        return f"{self.name:58} difference {self.difference:8.2e}  tolerance {self.tolerance:7.1e}  {word}"


def compare(path: Path, spoil: Spoil | None = None, **settings: Any) -> list[Quantity]:
    """Compares the package with one fixture.

    Args:
        path: The .npz file.
        spoil: Called with each engine before it is used.
        settings: Fields of `Config` that replace the fixture's.
    """
    with np.load(path) as file:
        fixture = {name: file[name] for name in file.files}
    kind = _kind(fixture)
    settings = {"device": "cpu", "precision": "fp32", **settings}
    near: dict[Kink, float] = {}

    def compared(moved: Collection[Kink]) -> list[Quantity]:
        with kinks(moved, near):
            return list(kind(fixture, spoil or (lambda engine: None), settings))

    first = compared(())
    nearest = sorted(near, key=near.__getitem__)[:KINKS]
    for count in range(len(nearest) + 1):
        for moved in itertools.combinations(nearest, count):
            quantities = compared(moved) if moved else first
            if all(quantity.passes for quantity in quantities):
                return quantities
    return first


def _kind(fixture: Arrays) -> Callable[[Arrays, Spoil, dict[str, Any]], Iterator[Quantity]]:
    if any(name.startswith("before/G_A/") for name in fixture):
        import parity_two_domains  # it imports this module

        return parity_two_domains.cyclegan
    if "before/G/model.model.0.weight" in fixture:
        import parity_two_domains

        return parity_two_domains.pix2pix
    return official if "before/G/main.0.weight" in fixture else tensorflow1


@contextlib.contextmanager
def kinks(moved: Collection[Kink], near: dict[Kink, float]) -> Iterator[None]:
    """Finds the inputs of ReLUs that are almost zero, and moves some of them to the other side of it.

    Args:
        moved: The inputs to move.
        near: Receives the distance from zero of each that is almost zero.
    """

    def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor] | None:
        if not isinstance(module, nn.ReLU | nn.LeakyReLU):
            return None
        (x,) = inputs
        values = x.detach().flatten()
        limit = NEAR * values.square().mean().sqrt()
        shift = torch.zeros_like(values)
        for index in (values.abs() <= limit).nonzero().flatten().tolist():
            kink, value = (tuple(x.shape), index), values[index]
            near[kink] = float(value.abs() * NEAR / limit)
            if kink in moved:
                shift[index] = -2 * value if value else limit
        return (x + shift.view_as(x),) if moved else None

    handle = nn.modules.module.register_module_forward_pre_hook(before)  # type: ignore[arg-type]  # its stub lacks this form
    try:
        yield
    finally:
        handle.remove()


# ---------------------------------------------------------------- the official PyTorch code


def official(fixture: Arrays, spoil: Spoil, settings: dict[str, Any]) -> Iterator[Quantity]:
    """Yields every quantity of a fixture of the official code."""
    meta = json.loads(str(fixture["meta"]))
    arrays, sizes = from_official(under(fixture, "before/G"), under(fixture, "before/D"))
    domains, dataset, (known_labels, target_labels) = layout(fixture, meta)
    betas = {"beta1": meta["betas"][0], "beta2": meta["betas"][1]}
    weights = {name: meta[name] for name in ("lambda_cls", "lambda_rec", "lambda_gp")}
    own = build(arrays, sizes, domains, {"lr": meta["lr"], **betas, **weights, **settings})
    spoil(own.engine)
    images = fixture["in/images"]

    yield Quantity("sizes", float(sizes != fixture_sizes(fixture, meta)), 0)
    yield exact("labels of the source", known_labels, fixture["in/c_org"])
    yield exact("labels of the target", target_labels, fixture["in/c_trg"])

    fake = own.translate(images, target_labels)
    src, cls = own.discriminate(images)
    yield close("G fake", fake, fixture["G/fake"])
    yield close("G fake, EMA", own.engine.generate(images, target_labels), fixture["G/fake"])
    yield close("G reconstruction", own.translate(fake, known_labels), fixture["G/reconstruction"])
    yield close("D src", src, fixture["D_real/src"])
    yield close("D cls", cls, fixture["D_real/cls"])

    batch = {"images": images, "labels": known_labels, "targets": target_labels}
    for network in ("discriminator", "generator"):
        own.update(network, batch, dataset, meta["lr"], {"alpha": fixture["in/alpha"]} if network[0] == "d" else {})
        yield from updated(own, fixture, sizes, network, meta)

    ours = own.engine.losses()
    names = {"d_real": "D_real", "d_fake": "D_fake", "d_cls": "D_cls", "d_gp": "D_gp", "d_total": "D_total"}
    names |= {"g_fake": "G_adv", "g_cls": "G_cls", "g_rec": "G_rec", "g_total": "G_total"}
    for name, theirs in names.items():
        yield close(f"loss {theirs}", ours.get(name, np.nan), fixture[f"loss/{theirs}"])


def layout(fixture: Arrays, meta: dict[str, Any]) -> tuple[Domains, int, tuple[np.ndarray, np.ndarray]]:
    """Returns the domains of a fixture, the data set of its batch, and its labels and targets, (N, L).

    A fixture stores one class index per image for one-of-n sets, else a row of 0 and 1 per image. The kind of the other
    sets in joint training does not matter here.
    """
    dims = meta["label_dims"]
    categorical = fixture["in/label_org"].ndim == 1
    dataset = int(fixture["in/c_org"][0, sum(dims) :].argmax()) if len(dims) > 1 else 0
    sets = []
    for index, dim in enumerate(dims):
        names = tuple(f"class {index}.{column}" for column in range(dim))
        groups = (Group(names, True),) if categorical else tuple(Group((name,)) for name in names)
        sets.append(LabelSet(f"set {index}", groups))
    domains = Domains(tuple(sets))
    source, target = (
        np.eye(dims[dataset])[fixture[key]] if categorical else fixture[key] for key in ("in/label_org", "in/label_trg")
    )
    rows = (domains.labels(domains.pad(part, dataset), dataset) for part in (source, target))
    return domains, dataset, (next(rows), next(rows))


def fixture_sizes(fixture: Arrays, meta: dict[str, Any]) -> Sizes:
    """Returns the sizes that the fixture records; the importer must infer the same from the tensors."""
    height, width = fixture["in/images"].shape[2:]
    classes = sum(meta["label_dims"])
    labels = fixture["in/c_org"].shape[1]
    architecture = Architecture((width, height), meta["conv_dim"], meta["g_repeat"], meta["d_layers"])
    return Sizes(architecture, labels, classes)


def updated(own: Side, fixture: Arrays, sizes: Sizes, network: str, meta: dict[str, Any]) -> Iterator[Quantity]:
    """Yields the gradients, which are in Adam's first moments, and the weights of the network just updated."""
    symbol = "G" if network == "generator" else "D"
    theirs = {
        ours.removeprefix(f"{network}/"): name
        for ours, name in official_names(sizes).items()
        if ours.startswith(f"{network}/")
    }
    state = own.engine.state()
    weights = under(state, "training/generator" if network == "generator" else network)
    floor = 1e-6 * max(np.linalg.norm(fixture[f"grad/{name}"]) for name in theirs.values())
    for ours in weights:
        gradient = fixture[f"grad/{theirs[ours]}"]
        moment = state.get(f"training/adam/{network}/{ours}/exp_avg", np.full_like(gradient, np.inf))
        difference = np.linalg.norm(moment / (1 - meta["betas"][0]) - gradient)
        yield Quantity(f"gradient {symbol} {ours}", float(difference / max(np.linalg.norm(gradient), floor)), GRADIENT)
    for ours, weight in weights.items():
        gradient = np.abs(fixture[f"grad/{theirs[ours]}"])
        # Adam's first step depends only on the sign of the gradient, which is noise where the gradient is tiny.
        certain = gradient > 1e-4 * gradient.max()
        differences = np.abs(weight - fixture[f"after_{symbol}/{theirs[ours]}"])[certain]
        yield Quantity(f"updated {symbol} {ours}", float(differences.max(initial=0)), WEIGHT * meta["lr"])


# ---------------------------------------------------------------- the TensorFlow code


def tensorflow1(fixture: Arrays, spoil: Spoil, settings: dict[str, Any]) -> Iterator[Quantity]:
    """Yields every quantity of a fixture of the TensorFlow code."""
    meta = json.loads(str(fixture["meta"]))
    arrays, sizes = from_tensorflow1(under(fixture, "var"))
    names = [f"class {index}" for index in range(fixture["in/label_org"].shape[1])]
    domains = Domains((LabelSet("set", tuple(Group((name,)) for name in names)),))
    fixture = {name.removesuffix("_nhwc"): nchw(array) for name, array in fixture.items()}

    for objective in get_args(Objective):
        own = build(arrays, sizes, domains, {"objective": objective, **settings})
        spoil(own.engine)
        real, labels, targets = (fixture[f"in/{name}"] for name in ("images", "label_org", "label_trg"))
        fake = own.translate(real, targets)
        if objective == get_args(Objective)[0]:
            yield from outputs(own, fixture, real, fake, labels)

        keys = (f"draw/{objective}/{name}" for name in ("alpha", "noise"))
        draws = {key.rpartition("/")[2]: fixture[key] for key in keys if key in fixture}
        if objective == "dragan":
            draws["alpha"] = (draws["alpha"] + 1) / 2  # the TensorFlow code draws it from [-1, 1]
        d_terms = own.d_terms(real, fake, labels, draws)
        g_terms = own.g_terms(real, labels, targets)
        yield close(f"loss {objective} D", d_terms["d_real"] + d_terms["d_fake"], fixture[f"loss/{objective}/D"])
        yield close(f"loss {objective} G", g_terms["g_fake"], fixture[f"loss/{objective}/G"])
        if f"penalty/{objective}" in fixture:
            penalty = meta["gp_weight_included"] * d_terms["d_gp"]
            yield close(f"penalty {objective}", penalty, fixture[f"penalty/{objective}"])

    # The TensorFlow code averages over the classes and we sum, so the factor goes into lambda_cls.
    yield close("loss cls real", d_terms["d_cls"] / domains.num_classes, fixture["loss/cls_real_mean"])
    yield close("loss cls fake", g_terms["g_cls"] / domains.num_classes, fixture["loss/cls_fake_mean"])
    yield close("loss reconstruction", g_terms["g_rec"], fixture["loss/rec_l1"])


def outputs(own: Side, fixture: Arrays, real: np.ndarray, fake: np.ndarray, labels: np.ndarray) -> Iterator[Quantity]:
    """Yields the outputs of the networks of a TensorFlow fixture."""
    yield close("G fake", fake, fixture["G/fake"])
    yield close("G reconstruction", own.translate(fake, labels), fixture["G/reconstruction"])
    for name, images in (("real", real), ("fake", fake)):
        src, cls = own.discriminate(images)
        yield close(f"D {name} src", src, fixture[f"D_{name}/src"])
        yield close(f"D {name} cls", cls, fixture[f"D_{name}/cls"])


def nchw(array: np.ndarray) -> np.ndarray:
    """Converts images, (N, H, W, channels), to PyTorch's order; (N, 1, 1, 1) keeps its shape."""
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


# ---------------------------------------------------------------- both


def build(arrays: Arrays, sizes: Sizes, domains: Domains, settings: dict[str, Any]) -> Side:
    """Creates an engine with the given sizes and weights."""
    own = side(Config(**{**vars(sizes.architecture), **settings}), domains)
    own.engine.load_weights(arrays)
    return own


def close(name: str, ours: np.ndarray | float, theirs: np.ndarray) -> Quantity:
    """Measures the largest difference relative to the largest value; values below 0.01 count as 0.01."""
    own = np.asarray(ours)
    if own.shape != theirs.shape:
        return Quantity(f"{name}: shape {own.shape}, not {theirs.shape}", np.inf, VALUE)
    return Quantity(name, float(np.abs(own - theirs).max() / max(np.abs(theirs).max(), 1e-2)), VALUE)


def exact(name: str, ours: np.ndarray, theirs: np.ndarray) -> Quantity:
    return Quantity(name, float(not np.array_equal(ours, theirs)), 0)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Compares stargan with numbers from other codes.")
    parser.add_argument("fixtures", nargs="+", type=Path, metavar="FIXTURE.npz")
    parser.add_argument("--engine", default="pytorch", choices=("pytorch", "tensorflow"))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args(arguments)
    torch.backends.cudnn.allow_tf32 = False  # the fixtures were computed in float32
    failed = 0
    for path in options.fixtures:
        quantities = compare(path, device=options.device, engine=options.engine)
        bad = sum(not quantity.passes for quantity in quantities)
        failed += bad
        print(path, *quantities, f"{len(quantities) - bad} of {len(quantities)} pass", sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
