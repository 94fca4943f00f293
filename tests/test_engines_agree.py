"""The engines agree: the same weights, batch and draws give the same outputs, losses, gradients and updates."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

from stargan.config import Config
from stargan.domains import Domains, Group, LabelSet
from stargan.engine import registry

SEASONS = LabelSet("a", (Group(("x", "y", "z")), Group(("u",))))
DOMAINS = Domains((SEASONS,))
JOINT = Domains((SEASONS, LabelSet("b", (Group(("v",)),))))
SMALL = Config(
    image_size=(32, 32), width=8, blocks=1, d_layers=3, batch_size=4, device="cpu", precision="fp32", recipe="paper",
    n_critic=1,
)  # fmt: skip
OPTIONS = {
    "wgan-gp": {},
    "wgan-lp": {"objective": "wgan-lp"},
    "gan": {"objective": "gan"},
    "dragan": {"objective": "dragan"},
    "lsgan": {"objective": "lsgan"},
    "hinge": {"objective": "hinge"},
    "mask": {"attention_mask": True, "resize_conv": True},
    "augment": {"augment": True, "objective": "hinge"},
    "class penalty": {"lambda_cls_gp": 20.0},
    "odd": {"image_size": (20, 36), "d_layers": 4},
    "no EMA": {"ema": 0.0},
}


def close(name: str, ours: np.ndarray, theirs: np.ndarray, tolerance: float = 1e-4) -> None:
    scale = max(np.abs(theirs).max(), 1e-6)
    difference = np.abs(np.asarray(ours) - theirs).max() / scale
    assert difference < tolerance, f"{name}: {difference:.2e}"


def compare_states(ours: object, theirs: object) -> None:
    ours, theirs = ours.state(), theirs.state()
    assert ours.keys() == theirs.keys()
    for key in theirs:
        if "exp_avg" in key:
            close(key, ours[key], theirs[key])


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("joint", [False, True])
def test_outputs_losses_and_updates(name: str, joint: bool) -> None:
    import dataclasses

    import torch

    config = dataclasses.replace(SMALL, **OPTIONS[name])
    domains = JOINT if joint else DOMAINS
    torch_engine = registry.create(config, domains)
    tf_engine = registry.create(dataclasses.replace(config, engine="tensorflow"), domains)
    tf_engine.load_state(torch_engine.state())
    random = np.random.default_rng(0)
    width, height = config.image_size
    pixels = random.integers(0, 256, (4, height, width, 3)).astype(np.uint8)
    labels, targets = (domains.labels(domains.random_values(random, 4), joint * 1) for _ in range(2))
    images = random.uniform(-1, 1, (3, 3, height, width)).astype(np.float32)
    for step in range(2):
        tf_engine.load_state(torch_engine.state())
        close("generate", tf_engine.generate(images, targets[:3]), torch_engine.generate(images, targets[:3]))
        close("classify", tf_engine.classify(images), torch_engine.classify(images))
        draws = tf_engine.updates.draws(step, pixels.shape, of_d=True)
        drawn = {
            key: torch.from_numpy(np.ascontiguousarray(value.transpose(0, 3, 1, 2) if value.ndim == 4 else value))
            for key, value in draws.items()
        }
        torch_engine._set_step(step)
        real = torch_engine._images(pixels)
        tensors = [torch.from_numpy(each) for each in (labels, targets)]
        torch_engine.updates.update_d(real, *tensors, joint * 1, 1e-3, drawn)
        tf_engine.d_step(pixels, labels, targets, joint * 1, step=step, lr=1e-3)
        compare_states(tf_engine, torch_engine)
        tf_engine.load_state(torch_engine.state())  # rounding errors of one update are not carried into the next
        views = tf_engine.updates.draws(step, pixels.shape, of_d=False)
        torch_engine.updates._views = lambda count, views=views: {k: torch.from_numpy(v) for k, v in views.items()}
        torch_engine.updates.update_g(real, *tensors, joint * 1, 1e-3)
        tf_engine.g_step(pixels, labels, targets, joint * 1, step=step, lr=1e-3)
        del torch_engine.updates._views
        ours, theirs = tf_engine.losses(), torch_engine.losses()
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert ours[key] == pytest.approx(theirs[key], rel=1e-4, abs=1e-5), key
        compare_states(tf_engine, torch_engine)
    assert tf_engine.macs() == torch_engine.macs()
    assert tf_engine.num_parameters == torch_engine.num_parameters
