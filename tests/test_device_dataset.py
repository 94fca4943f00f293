"""Data sets on the device: they give the same batches as those in main memory, bit for bit."""

import numpy as np
import pytest
import torch

from stargan.config import Config
from stargan.data.batches import Batches, TrainingSet
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch import device_dataset
from stargan.engine.pytorch.device_dataset import DeviceBatch, DeviceDataset
from stargan.engine.pytorch.engine import PytorchEngine

DOMAINS = Domains((LabelSet("faces", (Group(("A",)), Group(("B",)))),))
CONFIG = Config(image_size=(16, 8), width=4, blocks=1, d_layers=2, batch_size=4, precision="fp32")
GPU = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (11, 8, 16, 3), np.uint8)


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("flip", [False, True])
def test_batches_equal_those_from_memory(
    pixels: np.ndarray, flip: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_dataset, "CHUNK", 4)
    engine = PytorchEngine(Config(**{**vars(CONFIG), "device": device}), DOMAINS)
    uploaded = DeviceDataset(pixels, torch.device(device))
    values = DOMAINS.random_values(np.random.default_rng(1), 11)
    rows = np.array([10, 1, 2, 3, 5, 7, 8])
    from_memory, from_device = (
        Batches([TrainingSet(pixels, values, rows, images)], DOMAINS, batch_size=4, seed=2, flip=flip)
        for images in (None, uploaded)
    )
    for step in range(6):
        expected, actual = from_memory.batch(step), from_device.batch(step)
        assert isinstance(actual.images, DeviceBatch)
        assert torch.equal(engine._images(actual.images).cpu(), engine._images(expected.images).cpu())
        assert np.array_equal(actual.labels, expected.labels)
        assert np.array_equal(actual.targets, expected.targets)


def test_nothing_is_uploaded_on_a_cpu(pixels: np.ndarray) -> None:
    assert PytorchEngine(Config(**{**vars(CONFIG), "device": "cpu"}), DOMAINS).upload(pixels) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_only_data_that_fit_are_uploaded(pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = PytorchEngine(CONFIG, DOMAINS)
    assert engine.upload(pixels) is not None
    monkeypatch.setattr(device_dataset, "SHARE", 0)
    assert engine.upload(pixels) is None
