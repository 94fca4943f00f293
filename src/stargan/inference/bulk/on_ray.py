"""Bulk translation on Ray Data: one actor for each processor of the cluster.

Ray starts an actor again whose process or machine has ended, and gives it its part once more.
"""

import contextlib
import logging
import os
import pickle
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stargan.errors import ConfigError, require
from stargan.inference.bulk.job import Run
from stargan.inference.bulk.parts import Done, Part, attempt
from stargan.inference.bulk.request import Request
from stargan.inference.load import load
from stargan.inference.onnx import Runtime

_ROUNDS = 2  # Ray gives up a part while it has not noticed yet that a machine is gone; later, it works elsewhere
_RETRIES = 2  # within a round, of a part whose process or machine has ended; more, and the part is taken for the cause
_START = 600  # seconds in which Ray's own processes must start; 12 of a processor are common, more if it is shared


class _Worker:
    """Translates parts, in an actor with one processor.

    Args:
        model: As in `load`; all machines must find it.
        runtime: As in `load`.
        out: As in `translate_shard`; all machines must reach it.
        request: What to make of every image.
    """

    def __init__(self, model: Path, runtime: Runtime, out: str, request: Request) -> None:
        self.model, self.out, self.request = load(model, runtime=runtime, threads=1), out, request

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Takes and returns columns of pickled parts, and of what has become of them."""
        parts = [pickle.loads(content) for content in batch["part"]]
        return {"done": [pickle.dumps((part, attempt(self.model, part, self.out, self.request))) for part in parts]}


def cluster(model: Path, runtime: Runtime, out: str, request: Request) -> Run:
    """Returns what translates parts on the cluster of `RAY_ADDRESS`, or on one that it starts here.

    The arguments are those of the actors. Results come in the order in which the parts are finished.

    Raises:
        MissingExtraError: Ray or its part for data is not installed.
        ConfigError: The cluster cannot be reached.
    """
    ray = require("ray", "ray", "translate on a cluster")
    data = require("ray.data", "ray", "translate on a cluster")

    def run(parts: Sequence[Part]) -> Iterator[tuple[Part, Done]]:
        _connect(ray)
        try:
            left = dict.fromkeys(parts)
            for _ in range(_ROUNDS):
                for part, done in _round(ray, data, list(left), (model, runtime, out, request)):
                    del left[part]
                    yield part, done
                if not left:
                    break
        finally:
            ray.shutdown()

    return run


def _round(ray: Any, data: Any, parts: Sequence[Part], arguments: tuple[Any, ...]) -> Iterator[tuple[Part, Done]]:
    """Translates parts by actors with these arguments; of a part that Ray has given up, nothing comes."""
    count = int(ray.cluster_resources().get("CPU", 1))
    rows = [{"part": pickle.dumps(part)} for part in parts]
    with _silence(data):
        results = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Worker,
            fn_constructor_args=arguments,
            batch_size=1,
            num_cpus=1,
            compute=data.ActorPoolStrategy(size=max(1, min(count, len(rows))), max_tasks_in_flight_per_actor=1),
            max_restarts=-1,
            max_task_retries=_RETRIES,
        )
    for row in results.iter_rows():
        yield pickle.loads(row["done"])


def _connect(ray: Any) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or else it would send statistics about its use
    try:
        with patient(ray):
            ray.init(log_to_driver=False, logging_level="error")
    except Exception as error:  # also plain ones, such as that a node takes too long to start
        raise ConfigError(f"--ray: no cluster ({str(error).strip().splitlines()[0][:200]})") from error


@contextlib.contextmanager
def patient(ray: Any) -> Iterator[None]:
    """Lets a node of Ray start in ten minutes instead of 30 seconds, for which Ray has no setting.

    It asks for the node, without a pause, until that has registered itself or the time is over. This asks in its place.
    """
    services = ray._private.services
    node_of = services.get_node

    def waited_for(*which: Any) -> Any:
        end = time.monotonic() + _START
        while True:
            try:
                return node_of(*which)
            except RuntimeError:  # it has not registered itself yet
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    services.get_node = waited_for
    try:
        yield
    finally:
        services.get_node = node_of


@contextlib.contextmanager
def _silence(data: Any) -> Iterator[None]:
    """We show the progress and what is lost; and a part that fails does not end the job.

    Ray 2.60 warns of a setting of its own, and of `max_task_retries`, for which it has no new place yet.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        context = data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.max_errored_blocks = -1
        yield
