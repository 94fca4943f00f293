"""Compares this package with numbers that other code printed, in a .npz file each.

    python tests/parity.py FIXTURE.npz ...

There are two kinds of fixture, told apart by their keys: of the official PyTorch code (weights before, inputs, outputs,
losses, gradients, weights after one update of D and then one of G) and of taki0112's TensorFlow code (variables,
inputs, outputs, six objectives, three penalties). The package's own importers, label layout and updates are what runs.
Every quantity gets one line; the exit status is 1 if any of them differs by more than its tolerance.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from stargan.config import Architecture
from stargan.config.training import Config, Objective
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.interop.official import Sizes, from_official, official_names
from stargan.interop.tensorflow1 import from_tensorflow1
from stargan.model.safetensors_file import Arrays, under

VALUE = 1e-4  # outputs and losses: relative to the largest value
GRADIENT = 1e-3  # each tensor's gradient: relative, by Euclidean norm
WEIGHT = 0.1  # weights after an update, in learning rates, which is how far Adam's first step goes

Spoil = Callable[[PytorchEngine], object]
"""Changes an engine before it is compared, to see the comparison fail."""


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
    """Compares with one fixture.

    Args:
        path: The .npz file.
        spoil: Called on each engine before its use.
        settings: Fields of `Config` other than the fixture's.
    """
    with np.load(path) as file:
        fixture = {name: file[name] for name in file.files}
    kind = official if "before/G/main.0.weight" in fixture else tensorflow1
    return list(kind(fixture, spoil or (lambda engine: None), {"device": "cpu", "precision": "fp32", **settings}))


# ---------------------------------------------------------------- the official PyTorch code


def official(fixture: Arrays, spoil: Spoil, settings: dict[str, Any]) -> Iterator[Quantity]:
    """Yields every quantity of a fixture of the official code."""
    meta = json.loads(str(fixture["meta"]))
    arrays, sizes = from_official(under(fixture, "before/G"), under(fixture, "before/D"))
    domains, dataset, (known, asked) = layout(fixture, meta)
    betas = {"beta1": meta["betas"][0], "beta2": meta["betas"][1]}
    weights = {name: meta[name] for name in ("lambda_cls", "lambda_rec", "lambda_gp")}
    engine = build(arrays, sizes, domains, {"lr": meta["lr"], **betas, **weights, **settings})
    spoil(engine)
    images, alpha = tensors(engine, fixture["in/images"], fixture["in/alpha"])
    values, wanted = tensors(engine, known, asked)

    yield Quantity("sizes", float(sizes != told(fixture, meta)), 0)
    yield exact("labels of the source", known, fixture["in/c_org"])
    yield exact("labels of the target", asked, fixture["in/c_trg"])

    with torch.no_grad():
        fake = engine.updates.generator(images, wanted)
        back = engine.updates.generator(fake, values)
        src, cls = engine.updates.discriminator(images)
    yield close("G fake", fake, fixture["G/fake"])
    yield close("G fake, running mean", engine.generate(fixture["in/images"], asked), fixture["G/fake"])
    yield close("G reconstruction", back, fixture["G/reconstruction"])
    yield close("D src", src, fixture["D_real/src"])
    yield close("D cls", cls, fixture["D_real/cls"])

    engine.updates.update_d(images, values, wanted, dataset, meta["lr"], {"alpha": alpha})
    yield from updated(engine, fixture, sizes, "discriminator", meta["lr"])
    engine.updates.update_g(images, values, wanted, dataset, meta["lr"])
    yield from updated(engine, fixture, sizes, "generator", meta["lr"])

    ours = engine.losses()
    names = {"d_real": "D_real", "d_fake": "D_fake", "d_cls": "D_cls", "d_gp": "D_gp", "d_total": "D_total"}
    names |= {"g_fake": "G_adv", "g_cls": "G_cls", "g_rec": "G_rec", "g_total": "G_total"}
    for name, theirs in names.items():
        yield close(f"loss {theirs}", np.array(ours.get(name, np.nan)), fixture[f"loss/{theirs}"])


def layout(fixture: Arrays, meta: dict[str, Any]) -> tuple[Domains, int, tuple[np.ndarray, np.ndarray]]:
    """The domains of a fixture, the data set that its batch is from, and its labels and targets, (N, L).

    Labels are a column of numbers for one-of-n sets, else a row of 0 and 1 a picture; how the other sets of a joint
    training are classified does not matter here.
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
    known, asked = (
        np.eye(dims[dataset])[fixture[key]] if categorical else fixture[key] for key in ("in/label_org", "in/label_trg")
    )
    rows = (domains.labels(domains.pad(part, dataset), dataset) for part in (known, asked))
    return domains, dataset, (next(rows), next(rows))


def told(fixture: Arrays, meta: dict[str, Any]) -> Sizes:
    """The sizes as the fixture tells them, which the importer finds out from the tensors alone."""
    height, width = fixture["in/images"].shape[2:]
    classes = sum(meta["label_dims"])
    labels = fixture["in/c_org"].shape[1]
    architecture = Architecture((width, height), meta["conv_dim"], meta["g_repeat"], meta["d_layers"])
    return Sizes(architecture, labels, classes)


def updated(engine: PytorchEngine, fixture: Arrays, sizes: Sizes, network: str, lr: float) -> Iterator[Quantity]:
    """Yields the gradients and weights of the network that was just updated."""
    symbol = "G" if network == "generator" else "D"
    theirs = {
        ours.removeprefix(f"{network}/"): name
        for ours, name in official_names(sizes).items()
        if ours.startswith(f"{network}/")
    }
    engine.updates.optimizers[network].fold()
    floor = 1e-6 * max(np.linalg.norm(fixture[f"grad/{name}"]) for name in theirs.values())
    for ours, parameter in engine.updates.networks[network].named_parameters():
        gradient = fixture[f"grad/{theirs[ours]}"]
        own = parameter.grad
        apart = np.linalg.norm(array(own) - gradient) if own is not None else np.inf
        yield Quantity(f"gradient {symbol} {ours}", float(apart / max(np.linalg.norm(gradient), floor)), GRADIENT)
    for ours, parameter in engine.updates.networks[network].named_parameters():
        gradient = np.abs(fixture[f"grad/{theirs[ours]}"])
        # Adam's first step is the sign of the gradient: where that is noise, so is the step.
        sure = gradient > 1e-4 * gradient.max()
        apart = np.abs(array(parameter) - fixture[f"after_{symbol}/{theirs[ours]}"])[sure]
        yield Quantity(f"updated {symbol} {ours}", float(apart.max(initial=0)), WEIGHT * lr)


# ---------------------------------------------------------------- the TensorFlow code


def tensorflow1(fixture: Arrays, spoil: Spoil, settings: dict[str, Any]) -> Iterator[Quantity]:
    """Yields every quantity of a fixture of the TensorFlow code."""
    meta = json.loads(str(fixture["meta"]))
    arrays, sizes = from_tensorflow1(under(fixture, "var"))
    names = [f"class {index}" for index in range(fixture["in/label_org"].shape[1])]
    domains = Domains((LabelSet("set", tuple(Group((name,)) for name in names)),))
    fixture = {name.removesuffix("_nhwc"): nchw(array) for name, array in fixture.items()}

    for objective in get_args(Objective):
        engine = build(arrays, sizes, domains, {"objective": objective, **settings})
        spoil(engine)
        real, values, wanted = tensors(engine, fixture["in/images"], fixture["in/label_org"], fixture["in/label_trg"])
        with torch.no_grad():
            fake = engine.updates.generator(real, wanted)
        if objective == get_args(Objective)[0]:
            yield from outputs(engine, fixture, real, fake, values)

        places = (f"draw/{objective}/{name}" for name in ("alpha", "noise"))
        draws = {name.rpartition("/")[2]: tensors(engine, fixture[name])[0] for name in places if name in fixture}
        if objective == "dragan":
            draws["alpha"] = (draws["alpha"] + 1) / 2  # drawn in [-1, 1] there
        d_terms = engine.updates.d_terms(real, fake, values, 0, draws)
        g_terms = engine.updates.g_terms(real, values, wanted, 0, {})
        yield close(f"loss {objective} D", d_terms["d_real"] + d_terms["d_fake"], fixture[f"loss/{objective}/D"])
        yield close(f"loss {objective} G", g_terms["g_fake"], fixture[f"loss/{objective}/G"])
        if f"penalty/{objective}" in fixture:
            penalty = meta["gp_weight_included"] * d_terms["d_gp"]
            yield close(f"penalty {objective}", penalty, fixture[f"penalty/{objective}"])

    # Averaged over the classes there, summed here: a factor that belongs into lambda_cls.
    yield close("loss cls real", d_terms["d_cls"] / domains.num_classes, fixture["loss/cls_real_mean"])
    yield close("loss cls fake", g_terms["g_cls"] / domains.num_classes, fixture["loss/cls_fake_mean"])
    yield close("loss reconstruction", g_terms["g_rec"], fixture["loss/rec_l1"])


def outputs(engine: PytorchEngine, fixture: Arrays, real: Tensor, fake: Tensor, values: Tensor) -> Iterator[Quantity]:
    """Yields what the networks of a TensorFlow fixture give."""
    with torch.no_grad():
        yield close("G fake", fake, fixture["G/fake"])
        yield close("G reconstruction", engine.updates.generator(fake, values), fixture["G/reconstruction"])
        for name, images in (("real", real), ("fake", fake)):
            src, cls = engine.updates.discriminator(images)
            yield close(f"D {name} src", src, fixture[f"D_{name}/src"])
            yield close(f"D {name} cls", cls, fixture[f"D_{name}/cls"])


def nchw(array: np.ndarray) -> np.ndarray:
    """Pictures, (N, H, W, channels), in PyTorch's order; (N, 1, 1, 1) stays what it is."""
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


# ---------------------------------------------------------------- both


def build(arrays: Arrays, sizes: Sizes, domains: Domains, settings: dict[str, Any]) -> PytorchEngine:
    """An engine of the given sizes that starts from the given weights."""
    engine = PytorchEngine(Config(**{**vars(sizes.architecture), **settings}), domains)
    engine.load_weights(arrays)
    return engine


def tensors(engine: PytorchEngine, *arrays: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(array)).to(engine.updates.device) for array in arrays]


def array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def close(name: str, ours: Tensor | np.ndarray, theirs: np.ndarray) -> Quantity:
    """The largest difference, relative to the largest value; values below 0.01 count as 0.01."""
    own = array(ours) if isinstance(ours, Tensor) else ours
    if own.shape != theirs.shape:
        return Quantity(f"{name}: shape {own.shape}, not {theirs.shape}", np.inf, VALUE)
    return Quantity(name, float(np.abs(own - theirs).max() / max(np.abs(theirs).max(), 1e-2)), VALUE)


def exact(name: str, ours: np.ndarray, theirs: np.ndarray) -> Quantity:
    return Quantity(name, float(not np.array_equal(ours, theirs)), 0)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Compares stargan with numbers that other code printed.")
    parser.add_argument("fixtures", nargs="+", type=Path, metavar="FIXTURE.npz")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args(arguments)
    torch.backends.cudnn.allow_tf32 = False  # the fixtures' numbers are float32 throughout
    failed = 0
    for path in options.fixtures:
        quantities = compare(path, device=options.device)
        bad = sum(not quantity.passes for quantity in quantities)
        failed += bad
        print(path, *quantities, f"{len(quantities) - bad} of {len(quantities)} pass", sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
