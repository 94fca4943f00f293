"""Translating shards on Ray: one actor for each machine of the cluster, which uses all of its processors.

Ray starts an actor again whose process or machine has ended, and gives it its shard once more.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from stargan.errors import ConfigError, require
from stargan.inference import bulk
from stargan.inference.bulk import Done, Request
from stargan.inference.load import load
from stargan.inference.onnx import Runtime


class _Worker:
    """What an actor does.

    Args:
        model: As in `load`; all machines must find it.
        runtime: As in `load`.
        out: As in `bulk.translate_shard`; all machines must reach it.
        request: What to make of every image.
    """

    def __init__(self, model: Path, runtime: Runtime, out: str, request: Request) -> None:
        self.model, self.out, self.request = load(model, runtime=runtime), out, request

    def translate(self, shard: str) -> Done:
        return bulk.attempt(self.model, shard, self.out, self.request)


def pool(model: Path, runtime: Runtime, out: str, request: Request) -> Callable[[Iterable[str]], Iterator[Done]]:
    """Returns what translates shards on the cluster of `RAY_ADDRESS`, or on one that it starts here.

    The arguments are those of the actors. Results come in the order in which the shards are finished.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: The cluster cannot be reached.
    """
    ray = require("ray", "ray", "translate on a cluster")

    def run(shards: Iterable[str]) -> Iterator[Done]:
        waiting = list(shards)
        if not waiting:
            return
        _connect(ray)
        try:
            actors = [_actor(ray, node).remote(model, runtime, out, request) for node in _nodes(ray)[: len(waiting)]]
            yield from ray.util.ActorPool(actors).map_unordered(_translate, waiting)
        finally:
            ray.shutdown()

    return run


def _connect(ray: Any) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or else it would send statistics about its use
    try:
        ray.init(log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"--ray: no cluster ({str(error).strip().splitlines()[0][:200]})") from error


def _nodes(ray: Any) -> list[float]:
    """The number of processors of each machine."""
    return [node["Resources"]["CPU"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]


def _actor(ray: Any, processors: float) -> Any:
    every = {"max_restarts": -1, "max_task_retries": -1}
    return ray.remote(num_cpus=processors, scheduling_strategy="SPREAD", **every)(_Worker)


def _translate(actor: Any, shard: str) -> Any:
    return actor.translate.remote(shard)
