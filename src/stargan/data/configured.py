"""Finds the training data that a configuration names."""

from stargan.config import Config
from stargan.data import pairs, sources
from stargan.data.sources import Source
from stargan.domains import Domains


def find(config: Config) -> tuple[list[Source], Domains]:
    """Reads the data sets of a configuration, and combines their domains.

    Raises:
        DataError: As `sources.find_all` and `pairs.find`.
    """
    if config.method == "pix2pix":
        found, domains = pairs.find(config.data, config.direction)
        return [found], domains
    return sources.find_all(config.data, config.attributes, config.exclusive, config.bins, config.share)
