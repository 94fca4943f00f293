"""A buffer of translations (Shrivastava et al. 2017): D sees some of them again later, so that it forgets less."""

import torch
from torch import Tensor, nn


class Buffer(nn.Module):
    """Keeps translations and gives them back later. It is a module so that checkpoints contain it.

    Args:
        capacity: The number of images.
        image_size: (width, height).
    """

    images: Tensor
    count: Tensor

    def __init__(self, capacity: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        width, height = image_size
        self.register_buffer("images", torch.zeros(capacity, 3, height, width))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def swap(self, images: Tensor, draws: Tensor) -> Tensor:
        """Returns each image, or with a chance of one half an older one in whose place it is kept.

        The buffer is filled first; until then, all images are returned.

        Args:
            images: (N, 3, H, W).
            draws: (N, 2) random numbers in [0, 1): whether to swap, and with which image.
        """
        result = images.clone()
        for image, (chance, place) in zip(result, draws.tolist(), strict=True):
            count = int(self.count)
            if count < len(self.images):
                self.images[count] = image
                self.count += 1
            elif chance > 0.5:
                older = self.images[int(place * count)].clone()
                self.images[int(place * count)] = image
                image.copy_(older)
        return result
