"""Batches: a pure function of seed and step, every image once an epoch, data sets in turn."""

import itertools
import threading
from typing import Any

import numpy as np
import pytest

from stargan.data.batches import Batch, Batches, TrainingSet
from stargan.domains import Domains, Group, LabelSet
from stargan.errors import DataError

FACES = LabelSet("faces", (Group(("Black", "Blond")), Group(("Male",))))
MOODS = LabelSet("moods", (Group(("happy", "sad", "angry"), categorical=True, name="domain"),))


def part(domains: Domains, dataset: int, count: int, rows: np.ndarray | None = None) -> TrainingSet:
    """Images of 4x3 pixels whose first row names them: pixel (0, 0) is the number, (0, 1) is 255."""
    rng = np.random.default_rng(dataset)
    pixels = np.zeros((count, 3, 4, 3), np.uint8)
    pixels[:, 0, 0] = np.arange(count)[:, None]
    pixels[:, 0, 1] = 255
    names = domains.sets[dataset].names
    if dataset == 0:
        known = rng.integers(0, 2, (count, len(names))) * [1, 0, 1]
    else:
        known = np.eye(len(names))[rng.integers(0, len(names), count)]
    return TrainingSet(pixels, domains.pad(known, dataset), np.arange(count) if rows is None else rows)


def single(count: int = 10, rows: np.ndarray | None = None, **options: Any) -> Batches:
    domains = Domains((FACES,))
    settings: dict[str, Any] = {"batch_size": 4, "seed": 3, **options}
    return Batches([part(domains, 0, count, rows)], domains, **settings)


def joint(**options: Any) -> Batches:
    domains = Domains((FACES, MOODS))
    settings: dict[str, Any] = {"batch_size": 4, "seed": 3, **options}
    return Batches([part(domains, 0, 10), part(domains, 1, 7)], domains, **settings)


def numbers(batch: Batch) -> list[int]:
    """Which images are in a batch, flipped or not."""
    return [int(image[0, 0, 0] if image[0, 1, 0] == 255 else image[0, -1, 0]) for image in batch.images]


def same(first: Batch, second: Batch) -> bool:
    arrays = ("images", "labels", "targets")
    return first.dataset == second.dataset and all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in arrays
    )


def test_shapes_and_kinds() -> None:
    batch = joint().batch(1)
    assert (batch.images.shape, batch.images.dtype) == ((4, 3, 4, 3), np.uint8)
    assert batch.labels.shape == batch.targets.shape == (4, 8)
    assert batch.labels.dtype == batch.targets.dtype == np.float32
    assert batch.dataset == 1


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    forwards, backwards = single(), single()
    steps = list(range(12))
    first = {step: forwards.batch(step) for step in steps}
    second = {step: backwards.batch(step) for step in reversed(steps)}
    assert all(same(first[step], second[step]) for step in steps)
    assert not all(same(first[step], single(seed=4).batch(step)) for step in steps)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 23])
def test_every_image_once_an_epoch(batch_size: int) -> None:
    batches = single(batch_size=batch_size)
    steps = -(-40 // batch_size)
    drawn = list(itertools.chain.from_iterable(numbers(batches.batch(step)) for step in range(steps)))
    epochs = [drawn[start : start + 10] for start in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4  # each in an order of its own


def test_only_the_given_rows() -> None:
    batches = single(rows=np.array([2, 5, 7]))
    assert {number for step in range(9) for number in numbers(batches.batch(step))} == {2, 5, 7}


def test_labels_are_those_of_the_images() -> None:
    domains = Domains((FACES,))
    data = part(domains, 0, 10)
    batches = Batches([data], domains, batch_size=4, seed=0)
    for step in range(10):
        batch = batches.batch(step)
        assert (batch.labels == data.values[numbers(batch)]).all()


def test_flips() -> None:
    batches = single(40, batch_size=40)
    flipped = np.concatenate([batches.batch(step).images[:, 0, 1, 0] == 0 for step in range(20)])
    assert 0.4 < flipped.mean() < 0.6
    for step in range(20):
        batch = single(40, batch_size=40, flip=False).batch(step)
        assert (batch.images[:, 0, 1] == 255).all()
        assert numbers(batch) == numbers(batches.batch(step))  # the order does not depend on it


def test_images_stay_as_they_are() -> None:
    domains = Domains((FACES,))
    data = part(domains, 0, 10)
    data.pixels.setflags(write=False)
    batches = Batches([data], domains, batch_size=10, seed=0)
    batches.batch(0).images[:] = 7
    assert (data.pixels[:, 0, 1] == 255).all()


def test_permuted_targets_are_the_labels_of_the_batch() -> None:
    batches = single(batch_size=8)
    moved = 0
    for step in range(20):
        batch = batches.batch(step)
        assert sorted(batch.labels.tolist()) == sorted(batch.targets.tolist())
        moved += not np.array_equal(batch.labels, batch.targets)
    assert moved > 10


def test_balanced_targets() -> None:
    batches = joint(targets="balanced", batch_size=64)
    faces = np.concatenate([batches.batch(step).targets for step in range(0, 40, 2)])
    moods = np.concatenate([batches.batch(step).targets for step in range(1, 40, 2)])
    assert np.allclose(faces[:, 2].mean(), 0.5, atol=0.06)
    assert (moods[:, 3:6].sum(axis=1) == 1).all()
    assert np.allclose(moods[:, 3:6].mean(axis=0), 1 / 3, atol=0.06)
    assert not faces[:, 3:6].any()
    assert not moods[:, :3].any()


def test_sets_take_turns() -> None:
    batches = joint()
    assert [batches.batch(step).dataset for step in range(6)] == [0, 1, 0, 1, 0, 1]
    for step in range(6):
        batch = batches.batch(step)
        mask = np.eye(2)[step % 2]
        assert (batch.labels[:, 6:] == mask).all()
        assert (batch.targets[:, 6:] == mask).all()
    moods = [number for step in range(1, 14, 2) for number in numbers(batches.batch(step))]
    assert [sorted(moods[start : start + 7]) for start in range(0, 28, 7)] == [list(range(7))] * 4


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("start", [0, 17])
def test_stream_is_the_batches_in_order(workers: int, start: int) -> None:
    stream, alone = joint().stream(start, workers), joint()
    assert all(same(next(stream), alone.batch(step)) for step in range(start, start + 30))
    stream.close()


def test_closing_ends_the_threads() -> None:
    stream = joint().stream(0, 3)
    next(stream)
    assert _threads()
    stream.close()
    assert not _threads()


def test_the_look_ahead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    batches, steps = joint(), []
    plain = batches.batch

    def counted(step: int) -> Batch:
        steps.append(step)
        return plain(step)

    monkeypatch.setattr(batches, "batch", counted)
    stream = batches.stream(0, 2)
    for _ in range(5):
        next(stream)
    stream.close()
    assert max(steps) < 5 + 4


def test_an_error_in_a_thread_surfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = joint()
    plain = batches.batch

    def failing(step: int) -> Batch:
        if step == 3:
            raise OSError("the disk went away")
        return plain(step)

    monkeypatch.setattr(batches, "batch", failing)
    stream = batches.stream(0, 2)
    for _ in range(3):
        next(stream)
    with pytest.raises(OSError, match="the disk went away"):
        next(stream)
    assert not _threads()


def test_nothing_to_draw_from() -> None:
    with pytest.raises(DataError, match="faces: none of its 10 images"):
        single(rows=np.array([], int))
    with pytest.raises(DataError, match="no data sets"):
        Batches([], Domains((FACES,)), batch_size=4, seed=0)


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]
