"""What the updates of both methods for two domains have in common."""

import torch
from torch import Tensor

from stargan.config import Config
from stargan.domains import Domains, two
from stargan.engine.pytorch.updates import Updates


class TwoDomainUpdates(Updates):
    """Updates of networks for two domains.

    Args:
        config: All settings.
        domains: The label layout, of two domains.

    Raises:
        ConfigError: The device or the precision is not available, or there are not two domains.
    """

    def __init__(self, config: Config, domains: Domains) -> None:
        two.check(domains, config.method)
        super().__init__(config, domains)

    def _use_gpu(self) -> None:
        torch.backends.cudnn.benchmark = True  # worthwhile because shapes never change

    def _keep(self, terms: dict[str, Tensor]) -> None:
        self.terms |= {name: term.detach() for name, term in terms.items()}
