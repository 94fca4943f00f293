"""The training data that a configuration names, and their images."""

from pathlib import Path

from stargan.config import Config
from stargan.data import cache, pairs, sources
from stargan.data.sources import Source
from stargan.domains import Domains
from stargan.faces import CELEBA
from stargan.progress import Progress


def find(config: Config) -> tuple[list[Source], Domains]:
    """Reads all data sets of a configuration, and combines their domains.

    Raises:
        DataError: As `sources.find_all` and `pairs.find`.
    """
    if config.method == "pix2pix":
        found, domains = pairs.find(config.data, config.direction)
        return [found], domains
    return sources.find_all(config.data, config.attributes, config.exclusive, config.bins, config.share)


def decoded(source: Source, config: Config, folder: Path | None = None) -> cache.CachedImages:
    """Decodes the images of a data set as the configuration says, or opens their cache; `folder` is as in `cache.load`.

    Raises:
        DataError: As `cache.load`.
    """
    aligns = config.align == "faces"
    with Progress(f"{'align' if aligns else 'read'} {source.name}", len(source.files), "images") as progress:
        return cache.load(
            source,
            config.image_size,
            config.crop,
            align=CELEBA if aligns else None,
            range=config.range,
            max_bad=config.max_bad,
            folder=folder,
            report=lambda done, total: progress.update(done),
        )
