"""Videos and animated images: faces are followed, the sound is kept."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import in_process
from PIL import Image

import stargan
from stargan.errors import ImageError
from stargan.faces import Face
from stargan.inference import clips
from stargan.inference.clips.tracks import Track

KNOWN = ["Brown_Hair", "Male=0", "Young"]
SIDE = 160


@pytest.fixture(scope="module")
def frames() -> list[Image.Image]:
    """A portrait that tilts and moves."""
    data = pytest.importorskip("skimage.data", reason="scikit-image's portrait is not installed")
    portrait = Image.fromarray(data.astronaut()).crop((80, 0, 400, 320))
    box = (25, 20, 295, 290)
    return [
        portrait.rotate(5 * np.sin(i / 3), Image.Resampling.BICUBIC).crop(box).resize((SIDE, SIDE)) for i in range(12)
    ]


@pytest.fixture(scope="module")
def film(frames: list[Image.Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path_factory.mktemp("films") / "in.mp4"
    with av.open(str(path), "w") as target:
        picture = target.add_stream("libx264", rate=25, options={"crf": "10"})
        picture.width = picture.height = SIDE
        picture.pix_fmt = "yuv420p"
        sound = target.add_stream("aac", rate=44100)
        for frame in frames:
            target.mux(picture.encode(av.VideoFrame.from_image(frame)))
        wave = (np.sin(np.arange(44100 // 2) / 16) * 8000).astype(np.int16)[None]
        samples = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        samples.sample_rate = 44100
        for stream, last in ((sound, samples), (sound, None), (picture, None)):
            target.mux(stream.encode(last))
    return path


def read(path: Path) -> tuple[np.ndarray, list[bytes], float]:
    """The frames of a video, the packets of its sound, and its duration in seconds."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as source:
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)])
    with av.open(str(path)) as source:
        packets = [bytes(packet) for packet in source.demux(audio=0) if packet.size]
        return pictures, packets, source.duration / av.time_base


def test_a_film_keeps_its_frames_and_its_sound(film: Path, tmp_path: Path) -> None:
    done = in_process("translate", "celeba", film, tmp_path / "out.mp4", "--to", "Black_Hair", "--from", *KNOWN)
    assert done.returncode == 0, done.stderr
    assert "in.mp4: face 1: Brown_Hair, Male=0, Young" in done.stdout
    before, sound, seconds = read(film)
    after, kept, duration = read(tmp_path / "out.mp4")
    assert after.shape == before.shape
    assert kept == sound
    assert duration == pytest.approx(seconds, abs=0.05)
    assert after[:, 20:40, 60:100].mean() < before[:, 20:40, 60:100].mean() - 10  # the hair
    assert np.abs(after[:, -20:].astype(float) - before[:, -20:]).mean() < 4  # what another encoding changes


def test_an_animation(frames: list[Image.Image], tmp_path: Path) -> None:
    first, *rest = frames
    first.save(tmp_path / "in.gif", save_all=True, append_images=rest, duration=[40, 80] * 6, loop=3)
    done = in_process("translate", "celeba", tmp_path / "in.gif", "--to", "Black_Hair", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "in.gif") as before, Image.open(tmp_path / "out" / "in.Black_Hair.gif") as after:
        assert getattr(after, "n_frames", 0) == getattr(before, "n_frames", 0) == 12
        assert after.info["loop"] == 3
        times = []
        for image in (before, after):
            durations = []
            for index in range(12):
                image.seek(index)
                durations.append(image.info["duration"])
            times.append(durations)
        assert times[0] == times[1]


def test_a_film_without_a_face(film: Path, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "wall.mp4"), "w") as target:
        stream = target.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")))
        target.mux(stream.encode())
    model = stargan.load("celeba")
    with pytest.raises(ImageError, match=r"wall.mp4: no face found; .* --no-align"):
        clips.translate(model, tmp_path / "wall.mp4", tmp_path / "out.mp4", ["Black_Hair"])
    clips.translate(model, tmp_path / "wall.mp4", tmp_path / "out.mp4", ["Black_Hair"], align=False)
    assert read_frames(tmp_path / "out.mp4") == 3
    with pytest.raises(ImageError, match=r"out.gif: in.mp4 is a video; write it to .mp4"):
        clips.translate(model, film, tmp_path / "out.gif", ["Black_Hair"])
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(ImageError, match=r"text.mp4: not a video that can be read"):
        clips.translate(model, tmp_path / "text.mp4", tmp_path / "x.mp4", ["Black_Hair"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "text.mp4", "wall.mp4"]


def read_frames(path: Path) -> int:
    av = pytest.importorskip("av")
    with av.open(str(path)) as source:
        return sum(1 for _ in source.decode(video=0))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--all", "--out", "x"), "say --to LABEL..., without --crop"),
        (("still.png", "--to", "Black_Hair", "--out", "x"), "still.png: is not a video"),
        (("--to", "Black_Hair", "--face", "7", "--out", "x"), "no face 7; the faces are numbered 1 to 1"),
        (("--to", "Blakc_Hair", "--out", "x"), "did you mean Black_Hair?"),
    ],
)
def test_wrong_words(film: Path, tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    done = in_process("translate", "celeba", film, *(str(tmp_path / a) if a == "x" else a for a in arguments))
    assert done.returncode == 2
    assert expected in done.stderr
    assert not list(tmp_path.iterdir())


def face(x: float, y: float) -> Face:
    points = np.array(((-10, -10), (10, -10), (0, 0), (-8, 10), (8, 10)), np.float32)
    return Face((x - 20, y - 20, x + 20, y + 20), points + np.array((x, y), np.float32), 0.9)


def roughness(path: np.ndarray) -> float:
    return float(np.abs(np.diff(path, 2, axis=0)).mean())


def test_a_steadied_face_does_not_tremble_or_lag() -> None:
    rng = np.random.default_rng(0)
    moving: Callable[[int], tuple[float, float]] = lambda i: (50 + 2 * i, 60)  # noqa: E731
    trembling = [face(*(np.array(moving(i)) + rng.normal(0, 1, 2))) for i in range(40)]
    found: list[Face | None] = [None if i in (10, 11) else one for i, one in enumerate(trembling)]
    steady = Track(0, [*found, None, None]).steadied()
    assert len(steady) == 40  # lost at the end
    middles = np.stack([one.landmarks.mean(0) for one in steady])
    assert roughness(middles) < roughness(np.stack([one.landmarks.mean(0) for one in trembling])) / 4
    assert np.abs(middles[:, 0] - 50 - 2 * np.arange(40)).mean() < 0.7


def test_a_playlist_fetches_nothing(film: Path, tmp_path: Path) -> None:
    shutil.copy(film, tmp_path / "other.mp4")
    playlist = tmp_path / "in.mp4"
    for content in ("ffconcat version 1.0\nfile other.mp4\n", "#EXTM3U\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n"):
        playlist.write_text(content)
        with pytest.raises(ImageError, match="not a video that can be read"):
            clips.files.open_clip(playlist)


@pytest.mark.parametrize("name", ["pipe.gif", "pipe.mp4"])
def test_pipes_are_not_waited_for(tmp_path: Path, name: str) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    os.mkfifo(tmp_path / name)
    done = in_process("translate", "cartoons", tmp_path / name, "--to", "smile", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "a pipe, socket or device" in done.stderr
