"""Runs what several threads ask of a model as one batch."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np

from stargan.inference.translator import Backend


class _Asked(NamedTuple):
    images: np.ndarray
    labels: np.ndarray
    answer: "Future[np.ndarray]"


class Gathering:
    """A backend that gathers calls from several threads into batches. The results are those of single calls.

    Args:
        backend: Runs the networks.
        most: Images in a batch, at most, unless a single call has more.
        wait: Seconds for which the first call of a batch waits for others.
        observe: Is told the size of each batch.
    """

    def __init__(self, backend: Backend, most: int, wait: float, observe: Callable[[int], object]) -> None:
        self._backend, self._most, self._wait, self._observe = backend, most, wait, observe
        self._waiting: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="generator", daemon=True)
        self._thread.start()

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """As `Backend.generate`; waits for its turn."""
        asked = _Asked(images, labels, Future())
        self._waiting.put(asked)
        return asked.answer.result()

    def classify(self, images: np.ndarray) -> np.ndarray:
        """As `Backend.classify`."""
        return self._backend.classify(images)

    def close(self) -> None:
        """Ends after what is waiting now."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        first = self._waiting.get()
        while first is not None:
            batch, following = self._gather(first)
            self._observe(sum(len(asked.images) for asked in batch))
            self._run(batch)
            first = following if following is not None else self._waiting.get()

    def _gather(self, first: _Asked) -> tuple[list[_Asked], _Asked | None]:
        """The next batch, and the call that did not fit into it."""
        batch, size = [first], len(first.images)
        deadline = time.monotonic() + self._wait
        while size < self._most:
            try:
                asked = self._waiting.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                break
            if asked is None:
                self._waiting.put(None)  # the end comes after this batch
                break
            if size + len(asked.images) > self._most:
                return batch, asked
            batch.append(asked)
            size += len(asked.images)
        return batch, None

    def _run(self, batch: list[_Asked]) -> None:
        try:
            images, labels = (np.concatenate(arrays) for arrays in list(zip(*batch, strict=True))[:2])
            made = self._backend.generate(images, labels)
        except Exception as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            for asked in batch:  # one bad call does not fail the others
                self._run([asked])
            return
        ends = np.cumsum([len(asked.images) for asked in batch])
        for asked, part in zip(batch, np.split(made, ends[:-1]), strict=True):
            asked.answer.set_result(part)
