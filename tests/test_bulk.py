"""Shards in, shards out: here, in an object store, and on Ray."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import in_process
from PIL import Image
from shard_files import write_shard

import stargan
from stargan.data import remote
from stargan.errors import ConfigError
from stargan.inference import bulk
from stargan.inference.bulk import on_ray, on_spark
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
    assert isinstance(found, list)
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


def write_images(folder: Path, count: int) -> Path:
    """Images in a folder of a folder; the last one is damaged."""
    (folder / "a").mkdir(parents=True)
    for index in range(count):
        (folder / "a" / f"{index}.png").write_bytes(photo(index) if index < count - 1 else b"no image")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_files_at_an_address(bucket: str, model: Translator, tmp_path: Path) -> None:
    """Images become files of the same names; what is there is not made again, and what is missing is."""
    for path in write_images(tmp_path, 4).rglob("*.*"):
        remote.write(path, f"{bucket}/photos/{path.relative_to(tmp_path)}")
    command = ("translate", "cartoons", f"{bucket}/photos", "--out", f"{bucket}/hats", "--to", "Wearing_Hat")
    done = in_process(*command)
    assert done.returncode == 2
    assert f"left out: {bucket}/photos/a/3.png: not an image" in done.stderr
    assert f"3 images in {bucket}/hats" in done.stdout
    made = {"a/0.png", "a/1.png", "a/2.png"}
    assert remote.names_below(f"{bucket}/hats") == made | {"stargan.done.json"}
    with Image.open(io.BytesIO(remote.read_bytes(f"{bucket}/hats/a/2.png"))) as image:
        assert np.array_equal(np.asarray(image), np.asarray(model.translate(photo(2), TO[0])))
    remote.remove(f"{bucket}/hats/a/1.png")
    again = in_process(*command)
    assert "skipped 2 images that are finished" in again.stdout
    assert "1 image in" in again.stdout
    assert made <= remote.names_below(f"{bucket}/hats")
    other = in_process(*command[:-1], "Smiling")
    assert "hats/stargan: was made with another model or other options; say --overwrite" in other.stderr


@pytest.mark.parametrize(
    ("out", "name", "said"),
    [
        ("in/out", "a/1.png", "out: is in the folder to translate"),
        ("out", "a/1.png", r"out/a/0\.png: exists; say --overwrite to replace it"),
        ("new", "a/0.heic", "two of the translations would be called a/0.png"),
    ],
)
def test_files_do_not_replace_others(model: Translator, tmp_path: Path, out: str, name: str, said: str) -> None:
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "0.png").write_bytes(b"")
    with pytest.raises(ConfigError, match=said):
        bulk.translate(model, bulk.Files(str(tmp_path / "in"), ("a/0.png", name)), tmp_path / out, bulk.Request(TO))


def test_a_column_of_images(model: Translator) -> None:
    """What is no image gives None at its place, and JPEG stays JPEG."""
    made = bulk.translate_images(model, [photo(0), b"", photo(1, "jpg"), b"no image"], bulk.Request(TO))
    assert [content is not None for content in made] == [True, False, True, False]
    assert [content[:4] for content in made if content] == [b"\x89PNG", b"\xff\xd8\xff\xe0"]


def test_a_part_that_a_cluster_lost_is_listed(model: Translator, folder: Path, tmp_path: Path) -> None:
    found = bulk.find(folder)
    assert isinstance(found, list)
    done, _ = bulk.translate(model, found, tmp_path / "out", bulk.Request(TO), run=lambda parts: [])
    assert [line for shard in done for line in shard.left_out][2].startswith("2.tar: the processes that translated it")


# ---------------------------------------------------------------- Spark


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards as tasks, and a column of images, in a local Spark with two processes."""
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    pytest.importorskip("pandas", reason="pandas is not installed")
    if not shutil.which("java"):
        pytest.skip("no Java")
    for index in range(3):
        shard_of(tmp_path / "in" / f"{index}.tar", 4 * index, 4)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    model, request = stargan.load("cartoons"), bulk.Request(TO)
    found = bulk.find(tmp_path / "in")
    assert isinstance(found, list)
    session = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        run = on_spark.cluster(session, "cartoons", str(tmp_path / "out"), request)
        done, _ = bulk.translate(model, found, tmp_path / "out", request, run=run)
        assert sorted(one.images for one in done) == [4, 4, 4]
        assert list(content(tmp_path / "out" / "2.tar")) == [f"a/{index}.png" for index in range(8, 12)]
        table = session.createDataFrame([(photo(0),), (b"no image",), (None,)], "image binary").coalesce(1)
        made = [row[0] for row in table.select(on_spark.column("cartoons", request)("image")).collect()]
        assert made[1:] == [None, None]
        with Image.open(io.BytesIO(made[0])) as image:
            assert np.array_equal(np.asarray(image), np.asarray(model.translate(photo(0), TO[0])))
    finally:
        session.stop()


# ---------------------------------------------------------------- Ray


@pytest.mark.ray
@pytest.mark.slow
def test_ray_survives_a_killed_actor(tmp_path: Path) -> None:
    """The actor's process is killed while it works; what was finished before is not made again."""
    job = _ray_job(tmp_path, shards=8, images=12)
    with job:
        _wait_for(lambda: len(_markers(tmp_path)) >= 2, job)
        os.kill(_actor(job.pid), signal.SIGKILL)
        _assert_all_translated(job, tmp_path, shards=8, images=12)


@pytest.mark.ray
@pytest.mark.slow
def test_ray_survives_a_killed_machine(tmp_path: Path) -> None:
    """Of a cluster of three nodes, one is killed with all its processes while it works, and does not come back."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    utils = pytest.importorskip("ray.cluster_utils", reason="ray is not installed")
    small = {"object_store_memory": 80 * 2**20}
    with on_ray.patient(ray):
        head = {"num_cpus": 0, "include_dashboard": False, **small}
        cluster = utils.Cluster(initialize_head=True, head_node_args=head)
    try:
        with on_ray.patient(ray):
            nodes = [cluster.add_node(num_cpus=1, **small) for _ in range(2)]
        job = _ray_job(tmp_path, shards=10, images=60, RAY_ADDRESS=cluster.address)
        with job:
            _wait_for(lambda: len(_markers(tmp_path)) >= 2, job)
            for name in ("raylet", "agent_manager", "log_monitor"):
                for process in nodes[1].all_processes.get(name, []):
                    os.kill(process.process.pid, signal.SIGKILL)
            _assert_all_translated(job, tmp_path, shards=10, images=60)
    finally:
        cluster.shutdown()


def _ray_job(tmp_path: Path, shards: int, images: int, **environment: str) -> "subprocess.Popen[str]":
    pytest.importorskip("ray.data", reason="ray[data] is not installed")
    for index in range(shards):
        shard_of(tmp_path / "in" / f"{index}.tar", images * index, images)
    options = [str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--to", "Wearing_Hat", "--ray"]
    command = [sys.executable, "-m", "stargan", "translate", "cartoons", *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )


def _markers(tmp_path: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.done.json")}


def _assert_all_translated(job: "subprocess.Popen[str]", tmp_path: Path, shards: int, images: int) -> None:
    """Waits for a job; what was finished at this moment must not have been made again."""
    before = _markers(tmp_path)
    printed, errors = job.communicate(timeout=600)
    assert job.returncode == 0, errors
    assert f"{shards * images} images in {shards} shards" in printed
    assert len(before) < shards
    assert before.items() <= _markers(tmp_path).items()
    for index in range(shards):
        names = [f"a/{number}.png" for number in range(images * index, images * (index + 1))]
        assert list(content(tmp_path / "out" / f"{index}.tar")) == names


def _wait_for(reached: Callable[[], bool], job: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 300
    while not reached():
        assert job.poll() is None, job.communicate()[1]
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


@pytest.mark.ray
@pytest.mark.slow
def test_files_on_ray(tmp_path: Path) -> None:
    """Of a folder, every image becomes a file of its name."""
    pytest.importorskip("ray.data", reason="ray[data] is not installed")
    write_images(tmp_path / "in", 6)
    command = ("translate", "cartoons", tmp_path / "in", "--out", tmp_path / "out", "--to", "Wearing_Hat", "--ray")
    done = in_process(*command)
    assert done.returncode == 2
    assert "5.png: not an image" in done.stderr
    assert f"5 images in {tmp_path / 'out'}" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out" / "a").iterdir()) == [f"{index}.png" for index in range(5)]


def test_what_ray_gives_up_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a machine that is gone still counts as there, Ray uses up its attempts in an instant."""
    tried: list[list[str]] = []

    def one_round(ray: object, data: object, parts: list[str], arguments: object) -> Iterator[tuple[str, bulk.Done]]:
        tried.append(parts)
        yield parts[-1], bulk.Done(1)

    monkeypatch.setattr(on_ray, "require", lambda *_: SimpleNamespace(shutdown=lambda: None))
    monkeypatch.setattr(on_ray, "_connect", lambda _: None)
    monkeypatch.setattr(on_ray, "_round", one_round)
    run = on_ray.cluster(Path("cartoons"), "onnxruntime", "out", bulk.Request(TO))
    assert [part for part, _ in run(["a", "b", "c"])] == ["c", "b"]
    assert tried == [["a", "b", "c"], ["a", "b"]]


def test_a_node_of_ray_may_start_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([RuntimeError("not there"), RuntimeError("not there"), {"node": 1}, RuntimeError("gone")])

    def get_node(address: str, node: str) -> object:
        if isinstance(answer := next(answers), RuntimeError):
            raise answer
        return answer

    services = SimpleNamespace(get_node=get_node)
    ray = SimpleNamespace(_private=SimpleNamespace(services=services))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with on_ray.patient(ray):
        assert services.get_node("here", "a") == {"node": 1}
    monkeypatch.setattr(on_ray, "_START", -1)
    with on_ray.patient(ray), pytest.raises(RuntimeError, match="gone"):
        services.get_node("here", "a")
    assert services.get_node is get_node


def test_ray_is_for_many_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(photo(0))
    done = in_process("translate", "cartoons", tmp_path / "a.png", "--out", tmp_path / "o", "--to", "Smiling", "--ray")
    assert done.returncode == 2
    assert "--ray: translates WebDataset shards or many images" in done.stderr


def test_without_ray(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = in_process("translate", "cartoons", folder, "--out", tmp_path / "o", "--to", "Smiling", "--ray")
    assert "pip install 'stargan[ray]'" in done.stderr
