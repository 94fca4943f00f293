"""The registry of training frameworks by name. No other module knows which ones exist."""

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from stargan.config import Config
from stargan.domains import Domains
from stargan.domains.names import suggest
from stargan.engine.interface import Alone, Engine, Framework, Processes, TrainsTogether
from stargan.errors import ConfigError, require
from stargan.machine import place


@dataclass(frozen=True)
class _Entry:
    """A framework that is imported on demand.

    Attributes:
        module: The module that defines it as `FRAMEWORK`.
        library: The library it needs.
        extra: The extra of this package that installs the library.
    """

    module: str
    library: str
    extra: str


_KNOWN: dict[str, _Entry | Framework] = {
    "pytorch": _Entry("stargan.engine.pytorch.framework", "torch", "train"),
    "tensorflow": _Entry("stargan.engine.tensorflow.framework", "tensorflow", "tensorflow"),
}


def names() -> list[str]:
    """Returns the names of all frameworks, the valid values of `Config.engine`."""
    return list(_KNOWN)


def register(name: str, framework: Framework) -> None:
    """Adds a framework, or replaces the one with that name."""
    _KNOWN[name] = framework


def framework(name: str, purpose: str = "train") -> Framework:
    """Returns a framework by name and imports it on first use.

    Args:
        name: One of `names()`.
        purpose: What it is needed for; part of the error message if its library is not installed.

    Raises:
        ConfigError: There is no such framework.
        MissingExtraError: Its library is not installed.
    """
    if name not in _KNOWN:
        raise ConfigError(f"--engine {name}: unknown{suggest(name, names())}")
    entry = _KNOWN[name]
    if not isinstance(entry, _Entry):
        return entry
    importlib.import_module(entry.module.rpartition(".")[0])  # it may have to set something before the library loads
    require(entry.library, entry.extra, purpose)
    found: Framework = importlib.import_module(entry.module).FRAMEWORK
    return found


def create(config: Config, domains: Domains) -> Engine:
    """Creates the engine that a configuration names, with fresh weights; see `Framework.create`.

    Raises:
        ConfigError, MissingExtraError: As `framework` and `Framework.create`.
    """
    return framework(config.engine).create(config, domains)


@contextlib.contextmanager
def together(config: Config) -> Iterator[Processes]:
    """Connects the processes that `torchrun` has started to train together; without it, there is only this one.

    Raises:
        ConfigError: The framework trains in one process only, or as `TrainsTogether.join`.
    """
    if place().world_size == 1:
        yield Alone()
        return
    found = framework(config.engine)
    if not isinstance(found, TrainsTogether):
        raise ConfigError(f"--engine {config.engine}: trains in one process; start it without torchrun")
    with found.join(config, place()) as processes:
        yield processes
