"""Reading and writing videos, by PyAV, and animated images, by Pillow."""

import contextlib
import errno
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from stargan.errors import ImageError, require
from stargan.images import MAX_PIXELS, decode
from stargan.images import kind as image_kind
from stargan.storage import open_regular

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}
"""Endings of video files, and FFmpeg's names of their formats."""

ANIMATED = (".gif", ".webp", ".png", ".apng")
"""Endings of images that may have several frames."""
_FORMATS = ("GIF", "WEBP", "PNG")

_READING = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi", "protocol_whitelist": "none"}
"""FFmpeg's options to read a video: playlists, which a file of any name may be, would fetch other files."""

_CODECS = {"webm": ("libvpx-vp9", {"crf": "24", "b": "0", "row-mt": "1"}), "avi": ("mpeg4", {"qscale": "3"})}
_X264 = ("libx264", {"crf": "17", "preset": "medium"})


class Clip(Protocol):
    """A sequence of frames that can be read several times."""

    path: Path
    count: int
    """The number of frames, as far as the file says; 0 if it does not."""

    def frames(self) -> Iterator[Image.Image]:
        """Yields all frames in order, RGB, upright.

        Raises:
            ImageError: The file is damaged.
        """
        ...

    def write(self, frames: Iterator[Image.Image], out: Path) -> None:
        """Writes other frames with the timing and the sound of this clip.

        Raises:
            ImageError: The file cannot be written.
        """
        ...


def is_clip(path: Path) -> bool:
    """Whether a path names a video or an image with several frames."""
    if path.suffix.lower() in CONTAINERS:
        return True
    return path.suffix.lower() in ANIMATED and _frame_count(path) > 1


def open_clip(path: Path) -> Clip:
    """Opens a clip, see `is_clip`.

    Raises:
        ImageError: It cannot be read.
        MissingExtraError: PyAV is needed and not installed.
    """
    return Video(path) if path.suffix.lower() in CONTAINERS else Animation(path)


def check_output(clip: Clip, out: Path) -> None:
    """Refuses, before any work, an output file of a kind that the clip cannot be written as.

    Raises:
        ImageError: As it says.
    """
    video = isinstance(clip, Video)
    if out.suffix.lower() not in (CONTAINERS if video else ANIMATED):
        kinds = ", ".join(CONTAINERS if video else ANIMATED)
        raise ImageError(f"{out}: {clip.path.name} is {'a video' if video else 'an animation'}; write it to {kinds}")


class Video:
    """A video file.

    Args:
        path: The file.

    Raises:
        ImageError: It is not a video that can be read.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._av: Any = require("av", "video", "translate videos")
        with self._opened() as source:
            stream = source.streams.video[0]
            self.count = int(stream.frames or float((stream.duration or 0) * stream.time_base * stream.average_rate))

    def frames(self) -> Iterator[Image.Image]:
        """As `Clip.frames`."""
        with self._opened() as source:
            for frame in source.decode(video=0):
                yield _upright(frame)

    def write(self, frames: Iterator[Image.Image], out: Path) -> None:
        """As `Clip.write`; the sound is copied as it is."""
        container = CONTAINERS[out.suffix.lower()]
        codec, options = _CODECS.get(container, _X264)
        with self._opened() as source, self._av.open(str(out), "w", format=container) as target:
            picture, sounds = source.streams.video[0], source.streams.audio
            stream = target.add_stream(codec, rate=picture.average_rate or Fraction(25), options=options)
            first = next(frames)
            # Before anything is written, since the first packet of sound opens the codec. Colours are stored for two
            # pixels each way.
            stream.width, stream.height = first.width // 2 * 2, first.height // 2 * 2
            stream.pix_fmt, stream.time_base = "yuv420p", picture.time_base
            frames = chain([first], frames)
            copies = {sound.index: target.add_stream_from_template(sound) for sound in sounds}
            for packet in source.demux([picture, *sounds]):
                if packet.stream.index in copies:
                    if packet.dts is not None:
                        packet.stream = copies[packet.stream.index]
                        target.mux(packet)
                    continue
                for frame in packet.decode():
                    target.mux(stream.encode(self._changed(frame, next(frames), stream)))
            target.mux(stream.encode())

    def _changed(self, frame: Any, image: Image.Image, stream: Any) -> Any:
        even = image.crop((0, 0, stream.width, stream.height))
        changed = self._av.VideoFrame.from_ndarray(np.asarray(even), format="rgb24")
        changed.pts, changed.time_base = frame.pts, frame.time_base
        return changed

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            with open_regular(self.path) as file, self._av.open(file, options=_READING) as source:
                if not source.streams.video:
                    raise ImageError(f"{self.path}: has no pictures in it")
                picture = source.streams.video[0]
                if picture.width * picture.height > MAX_PIXELS:
                    raise ImageError(f"{self.path}: {picture.width}x{picture.height} pixels; at most {MAX_PIXELS}")
                picture.thread_type = "AUTO"
                yield source
        except FileNotFoundError as error:
            raise ImageError(f"{self.path}: no such file") from error
        except self._av.FFmpegError as error:
            if error.errno == errno.ENOSPC:  # of the file that is written meanwhile
                raise OSError(error.errno, error.strerror) from error
            raise ImageError(f"{self.path}: not a video that can be read ({error.strerror})") from error


def _upright(frame: Any) -> Image.Image:
    turns = round((getattr(frame, "rotation", 0) or 0) / 90) % 4
    return Image.fromarray(np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns)))


class Animation:
    """An animated GIF, WebP or PNG.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = _frame_count(path)

    def frames(self) -> Iterator[Image.Image]:
        """As `Clip.frames`; transparency over white."""
        with self._opened() as image:
            for index in range(self.count):
                image.seek(index)
                yield decode(image)

    def write(self, frames: Iterator[Image.Image], out: Path) -> None:
        """As `Clip.write`."""
        durations = []
        with self._opened() as image:
            for index in range(self.count):
                image.seek(index)
                image.load()
                durations.append(image.info.get("duration", 100))
            loop = image.info.get("loop")
        first, *rest = frames
        kind = image_kind(out)
        settings = {} if loop is None else {"loop": loop}
        settings |= {"quality": 95} if kind == "WEBP" else {}
        first.save(out, kind, save_all=True, append_images=rest, duration=durations, **settings)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Image.Image]:
        try:
            with open_regular(self.path) as file, Image.open(file, formats=_FORMATS) as image:
                if image.width * image.height * self.count > 10 * MAX_PIXELS:
                    raise ImageError(
                        f"{self.path}: {self.count} frames of {image.width}x{image.height} pixels; "
                        f"at most {10 * MAX_PIXELS} pixels are read in all"
                    )
                yield image
        except ImageError:
            raise
        except Exception as error:  # on damaged files, Pillow's decoders raise nearly anything
            raise ImageError(f"{self.path}: damaged or truncated animation ({error})") from error


def _frame_count(path: Path) -> int:
    try:
        with open_regular(path) as file, Image.open(file, formats=_FORMATS) as image:
            return int(getattr(image, "n_frames", 1))
    except Exception:  # whoever reads it says why
        return 0
