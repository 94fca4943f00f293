"""The frameworks by name. This is the one place that knows which there are."""

import importlib
from dataclasses import dataclass

from stargan.config import Config
from stargan.domains import Domains
from stargan.domains.names import suggest
from stargan.engine.interface import Engine, Framework
from stargan.errors import ConfigError, require


@dataclass(frozen=True)
class _Entry:
    """Where a framework is: the module that offers it as `FRAMEWORK`, the library it needs, and the extra with it."""

    module: str
    library: str
    extra: str


_KNOWN: dict[str, _Entry | Framework] = {
    "pytorch": _Entry("stargan.engine.pytorch.framework", "torch", "train"),
}


def names() -> list[str]:
    """The names of all frameworks, as `Config.engine` takes them."""
    return list(_KNOWN)


def register(name: str, framework: Framework) -> None:
    """Adds a framework, or replaces the one of that name."""
    _KNOWN[name] = framework


def framework(name: str, purpose: str = "train") -> Framework:
    """The framework of a name, imported when it is first needed.

    Args:
        name: One of `names()`.
        purpose: What it is needed for, for the message where its library is not installed.

    Raises:
        ConfigError: There is no such framework.
        MissingExtraError: Its library is not installed.
    """
    if name not in _KNOWN:
        raise ConfigError(f"--engine {name}: unknown{suggest(name, names())}")
    entry = _KNOWN[name]
    if not isinstance(entry, _Entry):
        return entry
    require(entry.library, entry.extra, purpose)
    found: Framework = importlib.import_module(entry.module).FRAMEWORK
    return found


def create(config: Config, domains: Domains) -> Engine:
    """The engine that a configuration names, with fresh weights; see `Framework.create`.

    Raises:
        ConfigError, MissingExtraError: As `framework` and `Framework.create`.
    """
    return framework(config.engine).create(config, domains)
