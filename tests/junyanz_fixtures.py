"""Prints numbers from junyanz/pytorch-CycleGAN-and-pix2pix, from a checkout of it, as fixtures for `parity.py`.

    python tests/junyanz_fixtures.py CHECKOUT tests/fixtures

The networks are small: 16 pixels, width 4 and 2 residual blocks for CycleGAN, 32 pixels, width 2 and 5 levels for
pix2pix. The code of the checkout makes every
number; this script sets its options, and records random draws. It was run on commit 032e884.
"""

import json
import random
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch

OPTIONS = {
    "gpu_ids": [], "isTrain": True, "checkpoints_dir": "/tmp", "name": "fixture", "preprocess": "none",
    "direction": "AtoB", "input_nc": 3, "output_nc": 3, "ndf": 4, "netD": "n_layers", "n_layers_D": 2,
    "init_type": "normal", "init_gain": 0.1, "lr": 2e-4, "beta1": 0.5, "no_dropout": True,
}  # fmt: skip
POOL = 2


class Draws:
    """Records what `ImagePool` draws: whether to swap, and with which image."""

    def __init__(self) -> None:
        self.random, self.found = random.Random(0), list[list[float]]()

    def uniform(self, low: float, high: float) -> float:
        self.found.append([self.random.uniform(low, high), 0.0])
        return self.found[-1][0]

    def randint(self, low: int, high: int) -> int:
        number = self.random.randint(low, high)
        self.found[-1][1] = (number + 0.5) / (high - low + 1)
        return number


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape) * 2 - 1


def state(model: Any, names: tuple[str, ...], prefix: str) -> dict[str, np.ndarray]:
    return {
        f"{prefix}/{name}/{key}": tensor.detach().numpy().copy()
        for name in names
        for key, tensor in getattr(model, f"net{name}").state_dict().items()
        if tensor.ndim
    }


def gradients(model: Any, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {
        f"grad/{name}/{key}": parameter.grad.numpy().copy()
        for name in names
        for key, parameter in getattr(model, f"net{name}").named_parameters()
    }


def cyclegan(networks: Any, image_pool: Any) -> dict[str, np.ndarray]:
    from models.cycle_gan_model import CycleGANModel  # type: ignore[import-not-found]  # of the checkout

    torch.manual_seed(0)
    networks.define_G = lambda *_: networks.init_net(
        networks.ResnetGenerator(3, 3, 4, networks.get_norm_layer("instance"), n_blocks=2), "normal", 0.1
    )
    weights = {"lambda_A": 10.0, "lambda_B": 10.0, "lambda_identity": 0.5}
    options = {**OPTIONS, **weights, "ngf": 4, "netG": "", "norm": "instance", "gan_mode": "lsgan", "pool_size": POOL}
    model = CycleGANModel(Namespace(**options))
    names = ("G_A", "G_B", "D_A", "D_B")
    found = {"meta": np.array(json.dumps({"lr": 2e-4, "beta1": 0.5, "pool": POOL, **weights}))}
    found |= state(model, names, "before")
    wide = images(1, 3, 20, 28)
    with torch.no_grad():
        found |= {"wide/in": wide.numpy(), "wide/out": model.netG_A(wide).numpy()}
    for step in (1, 2):
        draws = image_pool.random = Draws()
        batch = {name: images(2, 3, 16, 16) for name in "AB"}
        model.set_input({**batch, "A_paths": [], "B_paths": []})
        model.optimize_parameters()
        found |= {f"in/{step}/{name}": batch[name].numpy() for name in "AB"}
        found |= {
            f"loss/{step}/{name}": np.array(loss, np.float32) for name, loss in model.get_current_losses().items()
        }
        if step == 1:
            outputs = ("fake_A", "fake_B", "rec_A", "rec_B", "idt_A", "idt_B")
            found |= {f"out/{name}": getattr(model, name).detach().numpy() for name in outputs}
            found |= gradients(model, names) | state(model, names, "after")
        else:
            found["draws/B"], found["draws/A"] = np.split(np.array(draws.found, np.float32), 2)
    return found


def pix2pix(networks: Any, _: Any) -> dict[str, np.ndarray]:
    from models.pix2pix_model import Pix2PixModel  # type: ignore[import-not-found]  # of the checkout

    torch.manual_seed(1)
    networks.define_G = lambda *_: networks.init_net(
        networks.UnetGenerator(3, 3, 5, 2, norm_layer=networks.get_norm_layer("batch")), "normal", 0.1
    )
    options = {**OPTIONS, "lambda_L1": 100.0, "ngf": 2, "ndf": 2, "netG": "", "norm": "batch", "gan_mode": "vanilla"}
    model = Pix2PixModel(Namespace(**options, pool_size=0))
    found = {"meta": np.array(json.dumps({"lr": 2e-4, "beta1": 0.5, "lambda_L1": 100.0}))}
    found |= state(model, ("G", "D"), "before")
    wide = images(1, 3, 32, 64)
    with torch.no_grad():  # as its test.py, with the statistics of the image itself
        found |= {"wide/in": wide.numpy(), "wide/out": model.netG(wide).numpy()}
    batch = {name: images(2, 3, 32, 32) for name in "AB"}
    model.set_input({**batch, "A_paths": [], "B_paths": []})
    model.optimize_parameters()
    losses = model.get_current_losses()
    found |= {f"in/{name}": batch[name].numpy() for name in "AB"}
    found |= {f"loss/{name}": np.array(loss, np.float32) for name, loss in losses.items()}
    found |= {"out/fake": model.fake_B.detach().numpy()}
    return found | gradients(model, ("G", "D")) | state(model, ("G", "D"), "after")


def main(checkout: str, folder: str) -> None:
    sys.path.insert(0, checkout)
    from models import networks  # type: ignore[import-not-found]
    from util import image_pool  # type: ignore[import-not-found]

    random.seed(0)

    for name, make in {"cyclegan": cyclegan, "pix2pix": pix2pix}.items():
        found: dict[str, Any] = make(networks, image_pool)
        np.savez_compressed(Path(folder) / f"{name}.npz", **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
