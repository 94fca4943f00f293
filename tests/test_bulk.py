"""Shards in, shards out: here, in an object store, and on Ray."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import in_process
from PIL import Image
from test_shards import write_shard

import stargan
from stargan.data import remote
from stargan.errors import ConfigError
from stargan.inference import bulk
from stargan.inference.translator import Translator

TO = (("Wearing_Hat",),)


def photo(seed: int, ending: str = "png") -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG" if ending == "jpg" else "PNG")
    return stream.getvalue()


def shard_of(path: Path, first: int, count: int, ending: str = "png") -> Path:
    members: dict[str, bytes | tarfile.TarInfo] = {}
    for index in range(first, first + count):
        members |= {f"a/{index}.{ending}": photo(index, ending), f"a/{index}.json": b"{}"}
    return write_shard(path, members)


def content(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def model() -> Translator:
    return stargan.load("cartoons")


# ---------------------------------------------------------------- the function


def test_a_shard_becomes_a_shard(model: Translator, tmp_path: Path) -> None:
    """Each image as `translate` makes it, in order; more images than are read at a time."""
    shard = shard_of(tmp_path / "x.tar", 0, 19)
    done = bulk.translate_shard(model, str(shard), str(tmp_path / "out"), bulk.Request(TO))
    found = content(tmp_path / "out" / "x.tar")
    assert list(found) == [f"a/{index}.png" for index in range(19)]
    assert done.images == 19
    assert not done.left_out
    for index in (0, 18):
        expected = np.asarray(model.translate(photo(index), TO[0]))
        with Image.open(io.BytesIO(found[f"a/{index}.png"])) as image:
            assert np.array_equal(np.asarray(image), expected)
    marker = json.loads((tmp_path / "out" / "x.tar.done.json").read_text())
    assert marker["images"] == 19


def test_several_targets_are_in_one_sample(model: Translator, tmp_path: Path) -> None:
    shard = shard_of(tmp_path / "x.tar", 0, 2, "jpg")
    request = bulk.Request((*TO, ("Eyeglasses", "Smiling=0")), known=("Black_Hair",))
    bulk.translate_shard(model, str(shard), str(tmp_path / "out"), request)
    names = [f"a/{index}.{target}.jpg" for index in range(2) for target in ("Wearing_Hat", "Eyeglasses,Smiling=0")]
    assert list(content(tmp_path / "out" / "x.tar")) == names


def test_bad_images_are_listed_and_left_out(model: Translator, tmp_path: Path) -> None:
    members: dict[str, bytes | tarfile.TarInfo] = {"0.png": photo(0), "1.png": b"no image", "2.txt": b"2"}
    shard = write_shard(tmp_path / "x.tar", {**members, "3.png": photo(3)})
    done = bulk.translate_shard(model, str(shard), str(tmp_path / "out"), bulk.Request(TO))
    assert list(content(tmp_path / "out" / "x.tar")) == ["0.png", "3.png"]
    assert (done.images, len(done.left_out)) == (2, 1)
    assert done.left_out[0].startswith("x.tar: 1.png: ")


# ---------------------------------------------------------------- a job


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(3):
        shard_of(tmp_path / "in" / f"{index}.tar", 4 * index, 4)
    return tmp_path / "in"


def test_a_job_that_was_cut_off_goes_on(folder: Path, tmp_path: Path) -> None:
    """What is finished is not made again; a shard without its marker is."""
    command = ("translate", "cartoons", folder, "--out", tmp_path / "out", "--to", "Wearing_Hat")
    done = in_process(*command)
    assert done.returncode == 0, done.stderr
    assert f"12 images in 3 shards in {tmp_path / 'out'}" in done.stdout
    (tmp_path / "out" / "1.tar.done.json").unlink()
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    again = in_process(*command)
    assert "skipped 2 shards that are finished" in again.stdout
    assert "4 images in 1 shard" in again.stdout
    changed = {path.name for path in (tmp_path / "out").iterdir() if times.get(path.name) != path.stat().st_mtime_ns}
    assert changed == {"1.tar", "1.tar.done.json"}
    other = in_process(*command[:-1], "Smiling")
    assert other.returncode == 2
    assert "0.tar: was made with another model or other options; say --overwrite" in other.stderr
    assert in_process(*command[:-1], "Smiling", "--overwrite").returncode == 0


def test_a_damaged_shard_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    (folder / "1.tar").write_bytes((folder / "1.tar").read_bytes()[:700])
    done = in_process("translate", "cartoons", folder, "--out", tmp_path / "out", "--to", "Wearing_Hat")
    assert done.returncode == 2
    assert "8 images in 3 shards" in done.stdout
    assert done.stderr.count("left out") == 1
    assert "1.tar: damaged or not a tar file\n" in done.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["0.tar", "0.tar.done.json", "2.tar", "2.tar.done.json"]


def test_a_missing_shard(tmp_path: Path) -> None:
    done = in_process("translate", "cartoons", tmp_path / "no.tar", "--to", "Smiling", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (2, f"stargan: {tmp_path / 'no.tar'}: no such file\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--all"], "--all: not for shards"),
        (["--face", "1"], "--face: not for shards"),
        (["--crop", "--to", "Smiling"], "--crop: not for shards"),
        (["--to", "Smiling"], "has shards; say --to LABEL... and --out FOLDER"),
        (["--to", "Smilin", "--out", "o"], "Smiling"),
        (["--to", "Smiling", "--strength", "3", "--out", "o"], "--strength"),
        (["--to", "Smiling", "--overwrite", "--skip-existing", "--out", "o"], "say either"),
    ],
)
def test_what_makes_no_sense(folder: Path, options: list[str], said: str) -> None:
    done = in_process("translate", "cartoons", folder, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_shards_do_not_replace_themselves_or_each_other(model: Translator, folder: Path, tmp_path: Path) -> None:
    found = bulk.find(folder)
    assert found
    with pytest.raises(ConfigError, match="has the shards to translate"):
        bulk.translate(model, found, folder, bulk.Request(TO))
    with pytest.raises(ConfigError, match=r"two of the shards are called 0\.tar"):
        bulk.translate(model, [*found, str(tmp_path / "0.tar")], tmp_path / "out", bulk.Request(TO))


def test_in_an_object_store(bucket: str, tmp_path: Path) -> None:
    for index in range(2):
        remote.write(shard_of(tmp_path / f"{index}.tar", 4 * index, 4), f"{bucket}/in/{index}.tar")
    command = ("translate", "cartoons", f"{bucket}/in", "--out", f"{bucket}/out", "--to", "Wearing_Hat")
    done = in_process(*command)
    assert done.returncode == 0, done.stderr
    assert f"8 images in 2 shards in {bucket}/out" in done.stdout
    assert remote.names(f"{bucket}/out") == {"0.tar", "0.tar.done.json", "1.tar", "1.tar.done.json"}
    remote.fetch(f"{bucket}/out/1.tar", tmp_path / "1-out.tar")
    assert list(content(tmp_path / "1-out.tar")) == [f"a/{index}.png" for index in range(4, 8)]
    assert "skipped 2 shards" in in_process(*command).stdout
    assert "no shards (.tar)" in in_process(*command[:2], f"{bucket}/out/0.tar.done.json", *command[3:]).stderr


# ---------------------------------------------------------------- Ray


@pytest.mark.ray
@pytest.mark.slow
def test_ray_survives_a_killed_actor(tmp_path: Path) -> None:
    """The actor's process is killed while it works; what was finished before is not made again."""
    pytest.importorskip("ray", reason="ray is not installed")
    for index in range(8):
        shard_of(tmp_path / "in" / f"{index}.tar", 12 * index, 12)
    out = tmp_path / "out"
    options = [str(tmp_path / "in"), "--out", str(out), "--to", "Wearing_Hat", "--ray"]
    command = [sys.executable, "-m", "stargan", "translate", "cartoons", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
        _wait_for(lambda: len(list(out.glob("*.done.json"))) >= 2, job)
        os.kill(_actor(job.pid), signal.SIGKILL)
        before = {path: path.stat().st_mtime_ns for path in out.glob("*.done.json")}
        printed, errors = job.communicate(timeout=300)
    assert job.returncode == 0, errors
    assert "96 images in 8 shards" in printed
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert len(before) < 8
    for index in range(8):
        names = [f"a/{number}.png" for number in range(12 * index, 12 * index + 12)]
        assert list(content(out / f"{index}.tar")) == names


def _wait_for(reached: Callable[[], bool], job: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 300
    while not reached():
        assert job.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)


def _actor(ancestor: int) -> int:
    """The process of the actor among those that a process has started."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
            parents[int(status.parent.name)] = int(lines["PPid"])
    for process in parents:
        above = process
        while above in parents and above != ancestor:
            above = parents[above]
        with contextlib.suppress(OSError):
            if above == ancestor and b"ray::MapWorker" in Path(f"/proc/{process}/cmdline").read_bytes():
                return process
    raise AssertionError("no actor")


def test_ray_is_for_shards(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(photo(0))
    done = in_process("translate", "cartoons", tmp_path / "a.png", "--out", tmp_path / "o", "--to", "Smiling", "--ray")
    assert done.returncode == 2
    assert "--ray: translates WebDataset shards or many images" in done.stderr


def test_without_ray(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = in_process("translate", "cartoons", folder, "--out", tmp_path / "o", "--to", "Smiling", "--ray")
    assert "pip install 'stargan[ray]'" in done.stderr
