"""Processes that train one model together, connected by `torch.distributed`: NCCL between GPUs, Gloo between CPUs.

Each process takes every `world_size`-th image of a batch, and every `world_size`-th of the random numbers that one
process would draw for all of it. The gradients are averaged after the backward pass, as one tensor. The hooks of
`DistributedDataParallel` would miss those that a gradient penalty computes with `autograd.grad`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from stargan.config import Config
from stargan.engine.pytorch import device as devices
from stargan.errors import ConfigError, ProcessLostError
from stargan.machine import Place


@dataclass(frozen=True)
class Part:
    """A part of a batch, which goes through the networks at once.

    Attributes:
        rows: Its rows of those that this process has.
        own: Its rows of the whole batch.
        count: The number of parts of the whole batch, in all processes.
    """

    rows: slice
    own: slice
    count: int


PATIENCE = timedelta(days=7)
"""How long a process waits for the others, which may decode their images first. torchrun notices one that has ended."""


class TorchProcesses:
    """See `stargan.engine.Processes`.

    Args:
        rank: The index of this process.
        world_size: The number of processes; 1: the other methods communicate with nobody.
    """

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.rank, self.world_size = rank, world_size

    @property
    def own(self) -> slice:
        """The rows of a whole batch that this process has."""
        return slice(self.rank, None, self.world_size)

    def parts(self, count: int) -> list[Part]:
        """Divides what this process has into parts, as if there were `count` times as many processes."""
        every = self.world_size * count
        return [
            Part(slice(index, None, count), slice(self.rank + self.world_size * index, None, every), every)
            for index in range(count)
        ]

    def largest(self, *values: float) -> list[float]:
        """Returns the largest of each value over all processes; see `Processes.largest`.

        The numbers stay on the CPU, so that nothing waits for the GPU.
        """
        if self.world_size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        with _connected():
            dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return tensor.tolist()

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces tensors with their means over all processes, which are bitwise the same everywhere."""
        if self.world_size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _connected():
            dist.all_reduce(flat)
        flat /= self.world_size
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def gathered(self, rows: Tensor) -> Tensor:
        """Returns the rows of all processes, (world_size * N, ...), in the order of the whole batch, without gradients.

        Args:
            rows: (N, ...), those of this process.
        """
        if self.world_size == 1:
            return rows.detach()
        rows = rows.detach().contiguous()
        parts = [torch.empty_like(rows) for _ in range(self.world_size)]
        with _connected():
            dist.all_gather(parts, rows)
        return torch.stack(parts, 1).flatten(0, 1)


def current() -> TorchProcesses:
    """The processes that `join` has connected; without it, only this one."""
    if dist.is_available() and dist.is_initialized():
        return TorchProcesses(dist.get_rank(), dist.get_world_size())
    return TorchProcesses()


@contextlib.contextmanager
def join(config: Config, place: Place) -> Iterator[TorchProcesses]:
    """Connects this process with the others; see `TrainsTogether.join`."""
    on_gpu = devices.choose(config).type == "cuda"
    if on_gpu:
        count = torch.cuda.device_count()
        if place.local_world_size > count:
            raise ConfigError(
                f"{place.local_world_size} processes on this machine, and PyTorch sees {count} GPUs; say "
                f"torchrun --nproc-per-node {count}, or --device cpu"
            )
        torch.cuda.set_device(place.local_rank)
    with _connected():
        store, rank, world_size = next(dist.rendezvous("env://", timeout=PATIENCE))
        # After a restart, torchrun's store still has the addresses of processes that have ended.
        store = dist.PrefixStore(f"start {place.restarts}", store)
        backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=PATIENCE)
    yield current()
    dist.destroy_process_group()  # not after an error, when it could wait for a process that has ended


@contextlib.contextmanager
def _connected() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ProcessLostError(
            "lost the connection to another process of this training; with --max-restarts, torchrun would go on from "
            "the last checkpoint"
        ) from error
