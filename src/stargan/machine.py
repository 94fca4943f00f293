"""How much memory this process may use, and its place among those that train together."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Place:
    """The place of this process among those that train together.

    Attributes:
        rank: Its index, from 0.
        world_size: The number of processes.
        local_rank: Its index among those of its machine.
        local_world_size: The number of those of its machine.
        restarts: How often `torchrun` has started the processes again after one of them had ended.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    restarts: int = 0


def place() -> Place:
    """The place that `torchrun` gives this process, in environment variables; without it, the process is alone."""
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        return Place()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT")
    texts = [os.environ.get(name, default) for name, default in zip(names, "01010", strict=True)]
    return Place(*map(int, texts)) if all(map(str.isdigit, texts)) else Place()


def memory() -> int | None:
    """The memory of the machine, or the limit of this process's control groups if that is lower; None if unknown."""
    limits = [limit for limit, _ in _control_groups()]
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows has no such call
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)


def free_memory() -> int | None:
    """What this process can still take: of the machine, of its control groups, of its limit (`ulimit -v`)."""
    free = [limit - used for limit, used in _control_groups()]
    free += [size for name, size in _sizes(_PROC / "meminfo") if name == "MemAvailable"]
    free += _address_space()
    return max(0, min(free)) if free else None


@contextlib.contextmanager
def bounded(size: int) -> Iterator[None]:
    """Lets this process take no more than `size` bytes of further memory inside; beyond it, `MemoryError` is raised.

    For libraries that allocate whatever a file says. Address space is counted, in all threads. Without effect where the
    system has no such limit (Windows, macOS).
    """
    used = _address_space_used()
    if not used:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [used + size, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _control_groups() -> Iterator[tuple[int, int]]:
    """The limit and the use, in bytes, of each control group of this process that has a limit; of version 1 and 2."""
    for line in _read(_PROC / "self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        version = 1 if controllers else 2
        root = _CGROUPS / "memory" if version == 1 else _CGROUPS
        limit_name, used_name = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes") if version == 1 else ("memory.max", "memory.current")
        )
        own = root / path.strip("/")
        for folder in [own, *(above for above in own.parents if above.is_relative_to(root))]:
            limit, used = _read(folder / limit_name).strip(), _read(folder / used_name).strip()
            if limit.isdigit() and used.isdigit() and int(limit) < 2**60:
                stat = dict(_pairs(folder / "memory.stat"))
                reclaimable = stat.get("inactive_file", stat.get("total_inactive_file", 0))  # cached files
                yield int(limit), max(0, int(used) - reclaimable)


def _address_space() -> list[int]:
    """What is left of the limit of this process's address space, if it has one."""
    try:
        import resource
    except ImportError:  # Windows
        return []
    limit, used = resource.getrlimit(resource.RLIMIT_AS)[0], _address_space_used()
    return [limit - used] if used and limit != resource.RLIM_INFINITY else []


def _address_space_used() -> int:
    """The address space of this process; 0 if unknown."""
    return sum(size for name, size in _sizes(_PROC / "self/status") if name == "VmSize")


def _sizes(path: Path) -> Iterator[tuple[str, int]]:
    """The sizes in a file with lines such as `VmSize:  1024 kB`, in bytes."""
    for line in _read(path).splitlines():
        match line.split():
            case [name, size, "kB"]:
                yield name.rstrip(":"), int(size) * 1024


def _pairs(path: Path) -> Iterator[tuple[str, int]]:
    for line in _read(path).splitlines():
        match line.split():
            case [name, number] if number.isdigit():
                yield name, int(number)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
