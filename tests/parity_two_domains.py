"""Compares the methods for two domains with numbers from junyanz/pytorch-CycleGAN-and-pix2pix; see parity.py."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from parity import GRADIENT, WEIGHT, Arrays, Quantity, Spoil, build, close
from parity_engines import Side

from stargan.domains import Domains, Group, LabelSet
from stargan.interop import junyanz
from stargan.model.safetensors_file import under

TWO = Domains((LabelSet("set", (Group(("a", "b"), categorical=True),)),))
ONE_WAY = Domains((LabelSet("set", (Group(("b",), one_way=True),)),))
A, B = np.eye(2, dtype=np.float32)


def cyclegan(fixture: Arrays, spoil: Spoil, settings: dict[str, Any]) -> Iterator[Quantity]:
    """Yields every quantity of a fixture of its CycleGAN: two updates, of which the second uses the buffer."""
    meta = json.loads(str(fixture["meta"]))
    arrays, sizes = junyanz.from_cyclegan(
        {name: under(fixture, f"before/{name}") for name in junyanz.NETWORKS.values()}
    )
    own_settings = {
        "image_size": (16, 16), "objective": "lsgan", "n_critic": 1, "ema": 0.0, "lr": meta["lr"],
        "beta1": meta["beta1"], "lambda_rec": meta["lambda_A"], "lambda_identity": meta["lambda_identity"],
        "buffer": meta["pool"],
    }  # fmt: skip
    own = build(arrays, sizes, TWO, {**own_settings, **settings})
    spoil(own.engine)
    yield Quantity("sizes", float((sizes.architecture.width, sizes.architecture.blocks) != (4, 2)), 0)
    yield Quantity("layers of D", float(sizes.architecture.d_layers != 2), 0)

    a, b = fixture["in/1/A"], fixture["in/1/B"]
    fakes = {"A": _to(own, b, A), "B": _to(own, a, B)}
    yield close("G wide", own.engine.generate(fixture["wide/in"], B[None]), fixture["wide/out"])
    for name, (ours, real, label) in {"A": (fakes["A"], a, A), "B": (fakes["B"], b, B)}.items():
        yield close(f"G fake {name}", ours, fixture[f"out/fake_{name}"])
        back = fakes["B" if name == "A" else "A"]
        yield close(f"G reconstruction {name}", _to(own, back, label), fixture[f"out/rec_{name}"])
        # Its idt_A is what G_A, which translates to B, makes of images of B.
        yield close(f"G identity {name}", _to(own, real, label), fixture[f"out/idt_{'B' if name == 'A' else 'A'}"])

    for step in (1, 2):
        batch = _batch(fixture[f"in/{step}/A"], fixture[f"in/{step}/B"])
        draws = {"buffer": np.stack([fixture["draws/A"], fixture["draws/B"]])} if step == 2 else {}
        own.update("discriminator", batch, 0, meta["lr"], draws)
        own.update("generator", batch, 0, meta["lr"], {})
        if step == 1:
            for network in ("discriminator", "generator"):
                yield from _updated(own, fixture, network, meta)
        yield from _losses(own.engine.losses(), under(fixture, f"loss/{step}"), meta, step)


def pix2pix(fixture: Arrays, spoil: Spoil, settings: dict[str, Any]) -> Iterator[Quantity]:
    """Yields every quantity of a fixture of its pix2pix: one update of D and one of G."""
    meta = json.loads(str(fixture["meta"]))
    arrays, sizes = junyanz.from_pix2pix({name: under(fixture, f"before/{name}") for name in "GD"})
    found = sizes.architecture
    yield Quantity("sizes", float((found.width, found.blocks, found.d_layers) != (2, 5, 2)), 0)
    own_settings = {
        "image_size": (32, 32), "objective": "gan", "n_critic": 1, "ema": 0.0, "lr": meta["lr"],
        "beta1": meta["beta1"], "lambda_rec": meta["lambda_L1"],
    }  # fmt: skip
    own = build(arrays, sizes, ONE_WAY, {**own_settings, **settings})
    spoil(own.engine)
    yield close("G wide", own.engine.generate(fixture["wide/in"], np.ones((1, 1), np.float32)), fixture["wide/out"])
    labels = np.repeat(np.array([[0], [1]], np.float32), 2, axis=0)
    images = np.concatenate([fixture["in/A"], fixture["in/B"]])
    batch = {"images": images, "labels": labels, "targets": 1 - labels}
    own.update("discriminator", batch, 0, meta["lr"], {})
    yield close("G fake", own.engine.updates._made.detach().numpy(), fixture["out/fake"])
    own.update("generator", batch, 0, meta["lr"], {})
    levels = sizes.architecture.blocks
    for network in ("discriminator", "generator"):
        yield from _updated(own, fixture, network, meta, lambda name: junyanz.their_pair_name(name, levels))
    ours = own.engine.losses()
    for name, value in {"D_real": ours["d_real"], "D_fake": ours["d_fake"], "G_GAN": ours["g_fake"]}.items():
        yield close(f"loss {name}", value, fixture[f"loss/{name}"])
    yield close("loss G_L1", meta["lambda_L1"] * ours["g_rec"], fixture["loss/G_L1"])
    yield close("loss G", ours["g_total"], fixture["loss/G_GAN"] + fixture["loss/G_L1"])


def _losses(ours: Mapping[str, float], theirs: Arrays, meta: dict[str, Any], step: int) -> Iterator[Quantity]:
    weights = {"g_rec": meta["lambda_A"], "g_identity": meta["lambda_A"] * meta["lambda_identity"]}
    names = {"D_A": "d_b", "D_B": "d_a", "G_A": "g_fake_b", "G_B": "g_fake_a"}
    names |= {"cycle_A": "g_rec_a", "cycle_B": "g_rec_b", "idt_A": "g_identity_b", "idt_B": "g_identity_a"}
    for name, own in names.items():
        weight = weights.get(own.rpartition("_")[0], 1.0)
        yield close(f"loss {step} {name}", weight * ours.get(own, np.nan), theirs[name])
    total = sum(theirs[name] for name in names if not name.startswith("D"))
    yield close(f"loss {step} G", ours["g_total"], np.array(total))


def _updated(
    own: Side,
    fixture: Arrays,
    network: str,
    meta: dict[str, Any],
    their_name: Callable[[str], str] = junyanz.their_name,
) -> Iterator[Quantity]:
    """Yields the gradients, which are in Adam's first moments, and the weights of the networks just updated."""
    state = own.engine.state()
    weights = under(state, "training/generator" if network == "generator" else network)
    theirs = {name: their_name(f"{network}/{name}") for name in weights}
    # The gradients of biases before an instance norm are zero, but for rounding.
    floor = 1e-4 * max(np.linalg.norm(fixture[f"grad/{name}"]) for name in theirs.values())
    for name, weight in weights.items():
        gradient = fixture[f"grad/{theirs[name]}"]
        moment = state[f"training/adam/{network}/{name}/exp_avg"] / (1 - meta["beta1"])
        difference = np.linalg.norm(moment - gradient) / max(np.linalg.norm(gradient), floor)
        yield Quantity(f"gradient {theirs[name]}", float(difference), GRADIENT)
        certain = (np.abs(gradient) > 1e-4 * np.abs(gradient).max()) & (np.linalg.norm(gradient) > floor)
        moved = np.abs(weight - fixture[f"after/{theirs[name]}"])[certain]
        yield Quantity(f"updated {theirs[name]}", float(moved.max(initial=0)), WEIGHT * meta["lr"])


def _to(own: Side, images: np.ndarray, label: np.ndarray) -> np.ndarray:
    return own.translate(images, np.tile(label, (len(images), 1)))


def _batch(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    labels = np.repeat([A, B], [len(a), len(b)], axis=0)
    return {"images": np.concatenate([a, b]), "labels": labels, "targets": labels[::-1].copy()}
