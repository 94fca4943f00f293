"""Photos that were sent, kept in memory for a while and never on a disk, so that a change needs no second upload."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from stargan.images import Photo
from stargan.inference.views import View
from stargan.web.limits import Limits
from stargan.web.refusals import ApiError

PIXEL_BYTES = 4  # of an RGB or RGBA image in Pillow's memory


@dataclass(eq=False)
class Kept:
    """A photo in memory, and what models saw of it.

    Attributes:
        photo: The photo.
        used: When it was used last, in seconds of a clock that never turns back.
    """

    photo: Photo
    used: float = 0.0
    _views: dict[Hashable, View] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def view(self, key: Hashable, look: Callable[[], View]) -> View:
        """The view of this key; the first call makes it, others wait for that."""
        with self._lock:
            if key not in self._views:
                self._views[key] = look()
            return self._views[key]

    @property
    def bytes(self) -> int:
        """Memory that the photo takes, about."""
        held = 1 if self.photo.rgba is None else 2
        return held * self.photo.image.width * self.photo.image.height * PIXEL_BYTES


class PhotoMemory:
    """The photos in memory. Those that were not used for longest go first.

    Args:
        limits: How many, how large and how long.
        clock: Seconds; tests bring their own.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._photos: OrderedDict[str, Kept] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._photos)

    def keep(self, photo: Photo) -> tuple[str, Kept]:
        """Keeps a photo; its name cannot be guessed."""
        name, kept = secrets.token_urlsafe(18), Kept(photo, self._clock())
        with self._lock:
            self._photos[name] = kept
            self._forget_old()
        return name, kept

    def get(self, name: str) -> Kept:
        """The photo of a name.

        Raises:
            ApiError: There is none any more.
        """
        with self._lock:
            self._forget_old()
            kept = self._photos.get(name)
            if kept is None:
                raise ApiError(404, "photo", "this photo is not in memory any more; send it again")
            kept.used = self._clock()
            self._photos.move_to_end(name)
            return kept

    def forget(self, name: str) -> None:
        """Forgets a photo, if it is there."""
        with self._lock:
            self._photos.pop(name, None)

    def forget_old(self) -> None:
        """Forgets what was not used for too long."""
        with self._lock:
            self._forget_old()

    def _forget_old(self) -> None:
        oldest = self._clock() - self._limits.kept_minutes * 60
        size = sum(kept.bytes for kept in self._photos.values())
        for name, kept in list(self._photos.items()):
            full = len(self._photos) > self._limits.kept_photos or size > self._limits.kept_megabytes * 1e6
            if not full and kept.used >= oldest:
                break
            if len(self._photos) == 1 and kept.used >= oldest:  # a single large photo stays
                break
            del self._photos[name]
            size -= kept.bytes
