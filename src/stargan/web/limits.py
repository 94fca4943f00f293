"""What the server allows: how much of everything, and to whom."""

import os
from dataclasses import dataclass, fields

from stargan.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """How much the server takes on.

    Attributes:
        megabytes: Size of a request, with its photo, at most.
        megapixels: Size of a photo, at most.
        faces: Faces that one request changes, at most.
        seconds: Time for one request, both to receive it and to answer it.
        queue: Requests at a time, waiting ones included; more get the answer 503.
        gather: Milliseconds for which a translation waits for others, to run them in one batch.
        kept_photos: Photos in memory at a time, so that they need not be sent again.
        kept_megabytes: Memory for these photos.
        kept_minutes: How long a photo stays in memory after its last use.
        threads: Threads that decode, find faces and encode.
    """

    megabytes: float = 32.0
    megapixels: float = 50.0
    faces: int = 32
    seconds: float = 60.0
    queue: int = 64
    gather: float = 4.0
    kept_photos: int = 32
    kept_megabytes: float = 1000.0
    kept_minutes: float = 30.0
    threads: int = os.cpu_count() or 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0 and not (field.name == "gather" and value == 0):
                raise ConfigError(f"--{field.name.replace('_', '-')} {value}: must be above 0")

    @property
    def bytes(self) -> int:
        """Bytes of a request, at most."""
        return int(self.megabytes * 1e6)

    @property
    def pixels(self) -> int:
        """Pixels of a photo, at most."""
        return int(self.megapixels * 1e6)


@dataclass(frozen=True)
class Access:
    """Who may use the server.

    Attributes:
        key: What requests to the API must bring; empty if they need not.
        hosts: Names under which the server may be called, beside IP addresses and localhost; `*` allows all.
        origins: Other sites whose pages may call the API.
    """

    key: str = ""
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all("!" <= letter <= "~" for letter in self.key):
            raise ConfigError("the API key must consist of ASCII letters, digits and signs, without spaces")
