"""Settings: the sizes of the networks, everything that determines a training run, and recipes."""

from stargan.config.architecture import Architecture
from stargan.config.training import Config

__all__ = ["Architecture", "Config"]
