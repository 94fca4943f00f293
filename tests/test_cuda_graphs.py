"""Updates as CUDA graphs: what can be checked without a GPU and, if there is one, the graphs themselves."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stargan.config.training import Config, Objective
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch.cuda_graphs import WARM_UPS, Recorder, Recording, Tensors, Update
from stargan.engine.pytorch.engine import PytorchEngine

FACES = LabelSet("faces", (Group(("Black", "Blond")), Group(("Male",))))
MOODS = LabelSet("moods", (Group(("happy", "sad"), categorical=True, name="domain"),))
JOINT = Domains((FACES, MOODS))
CONFIG = Config(
    image_size=(16, 16), width=4, blocks=1, d_layers=3, batch_size=4, device="cpu", precision="fp32",
    attention_mask=True, augment=True, lambda_cls_gp=1.0,
)  # fmt: skip
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


class FakeRecorder(Recorder):
    """Runs the update again where a graph would be replayed, with the recording's own inputs and outputs."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.recordings: dict[str, Recording] = {}

    def forget(self) -> None:
        self.calls.clear()
        self.recordings.clear()

    def _run_eagerly(self, update: Update, tensors: Tensors) -> dict[str, torch.Tensor]:
        return update(tensors)

    def _record(self, update: Update, tensors: Tensors) -> Recording:
        inputs = {name: torch.full_like(tensor, torch.nan) for name, tensor in tensors.items()}
        outputs: dict[str, torch.Tensor] = {}
        return Recording(lambda: outputs.update(update(inputs)), inputs, outputs)


class ForbidWaiting(TorchDispatchMode):
    """Fails on operations that a graph cannot contain.

    These are reads of values, shapes that depend on values, random numbers, and tensors made from Python numbers.
    """

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "rand", "lift_fresh", "normal_", "uniform_")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert not name.startswith(self.FORBIDDEN), name
        return func(*args, **(kwargs or {}))


def batches(count: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    rng = np.random.default_rng(0)
    for step in range(count):
        labels, targets = (JOINT.labels(JOINT.random_values(rng, 4), step % 2) for _ in range(2))
        yield rng.integers(0, 256, (4, 16, 16, 3), np.uint8), labels, targets, step % 2


def train(engine: PytorchEngine, steps: int) -> list[dict[str, float]]:
    losses = []
    for step, (images, labels, targets, dataset) in enumerate(batches(steps)):
        for update in (engine.d_step, engine.g_step):
            update(images, labels, targets, dataset, step=step, lr=1e-3 / (1 + step))
        losses.append(engine.losses())
    return losses


def test_recordings_start_after_the_warm_ups_and_use_each_batch() -> None:
    """Each of the two data sets has its own recordings; rates, random numbers and targets change at every step."""
    plain, recorded = PytorchEngine(CONFIG, JOINT), PytorchEngine(CONFIG, JOINT)
    recorder = recorded.updates.recorder = FakeRecorder()
    steps = 2 * WARM_UPS + 6
    assert train(recorded, steps) == train(plain, steps)
    assert sorted(recorder.recordings) == ["_d_update 0", "_d_update 1", "_g_update 0", "_g_update 1"]
    for name, array in plain.state().items():
        assert np.array_equal(array, recorded.state()[name]), name
    recorded.load_state(plain.state())
    assert not recorder.recordings
    assert not recorder.calls


@pytest.mark.parametrize("objective", get_args(Objective))
def test_an_update_never_waits(objective: Objective) -> None:
    engine = PytorchEngine(replace(CONFIG, objective=objective), JOINT)

    class Watching(FakeRecorder):
        def __call__(self, name: str, update: Update, tensors: Tensors) -> dict[str, torch.Tensor]:
            with ForbidWaiting():
                return update(tensors)

    engine.updates.recorder = Watching()
    train(engine, 2)


def test_waiting_is_detected() -> None:
    with ForbidWaiting():
        for wait in (lambda: torch.ones(1).item(), lambda: torch.rand(1), lambda: torch.ones(2).nonzero()):
            with pytest.raises(AssertionError):
                wait()


@pytest.mark.gpu
@GPU
@pytest.mark.parametrize("steps", [10, 5000])  # the configured steps: from 2,000 on, G is compiled
def test_on_a_gpu(steps: int) -> None:
    config = replace(CONFIG, device="cuda", steps=steps)
    plain, recorded = PytorchEngine(replace(config, plain=True), JOINT), PytorchEngine(config, JOINT)
    assert plain.updates.recorder is None
    assert recorded.updates.recorder is not None
    for engine in (plain, recorded):
        for network in (*engine.updates.networks.values(), engine.updates.ema_generator):
            network.double()
    expected, results = (train_in_double(engine, 2 * WARM_UPS + 10) for engine in (plain, recorded))
    assert len(recorded.updates.recorder.recordings) == 4
    for ours, theirs in zip(results, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)
    for name, array in plain.state().items():
        assert np.allclose(array, recorded.state()[name], rtol=1e-6, atol=1e-9), name


def train_in_double(engine: PytorchEngine, steps: int) -> list[dict[str, float]]:
    """Like `train`, but in float64: in float32 Adam's first steps follow the signs of rounding noise."""
    losses = []
    for step, (images, *labels, dataset) in enumerate(batches(steps)):
        real = engine._images(images).double()
        values, target_values = (engine._tensor(array).double() for array in labels)
        draws = {"alpha": torch.full((4, 1, 1, 1), 0.1 * (step % 10), device=engine.updates.device)}
        engine._set_step(step)
        engine.updates.update_d(real, values, target_values, dataset, 1e-3 / (1 + step), draws)
        engine.updates.update_g(real, values, target_values, dataset, 1e-3 / (1 + step))
        losses.append(engine.losses())
    return losses
