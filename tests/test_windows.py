"""Data that are read a window of shards at a time: what is drawn, exact resume, what is refused, what stays bounded."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, draw_folders, in_process
from shard_files import image, samples, write_shard
from test_loop import assert_same, final, tiny

from stargan import training
from stargan.config import Config
from stargan.data import remote
from stargan.data.shards import IMAGE
from stargan.data.sources import Source, hashed_split
from stargan.data.window_labels import like_first
from stargan.data.window_process import Preparation
from stargan.data.windows import Windows, folder_of
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.errors import CheckpointError, ConfigError, DataError
from stargan.model import card_markdown, run_folder, safetensors_file
from stargan.model.card import Card
from stargan.progress import reported_to
from stargan.storage import cache_folder, lock
from stargan.training.windowed import Record

FROM, EACH = 80, 12  # the number of the first image, and the images in a shard
TRAINED = {number for number in range(FROM, FROM + 6 * EACH) if hashed_split([f"{number:05}.png"])[0] == 0}
"""The numbers of the training images of six shards; others are for validation and tests."""


def write_shards(folder: Path, count: int = 6) -> Path:
    """Shards of images whose colour is their number; their names decide the split."""
    for index in range(count):
        write_shard(folder / f"{index:03}.tar", samples(FROM + index * EACH, EACH))
    return folder


def labelled(*labels: dict[str, Any]) -> dict[str, bytes | Any]:
    members: dict[str, bytes | Any] = {}
    for index, label in enumerate(labels):
        members |= {f"{index:05}.png": image(index), f"{index:05}.json": json.dumps(label).encode()}
    return members


def small(data: Path | str, **changes: object) -> Config:
    return replace(tiny(Path(), steps=24), **{"data": (str(data),), "window": 2, **changes})  # type: ignore[arg-type]


def train(config: Config, run: Path, **how: Any) -> list[str]:
    lines: list[str] = []
    training.train(config, run, say=lines.append, **how)
    return lines


def lines_of(run: Path) -> list[str]:
    return (run / run_folder.STATS).read_text().splitlines()


def last_shard(data: Path, config: Config) -> Path:
    """A shard of the last window of the first epoch."""
    names = tuple(sorted(path.name for path in data.iterdir()))
    found = Windows("", "", dict.fromkeys(names), names, (), False, config.window or 0, config.seed)
    return data / found.shards(found.count - 1)[0]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return write_shards(tmp_path / "faces")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The numbers of the images of each update of D."""
    found: list[list[int]] = []
    update = PytorchEngine.d_step

    def watched(self: PytorchEngine, images: np.ndarray, *args: object, **how: object) -> None:
        found.append(images[:, 0, 0, 0].tolist())
        update(self, images, *args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(PytorchEngine, "d_step", watched)
    return found


# ---------------------------------------------------------------- what is drawn


def test_windows_of_an_epoch() -> None:
    names = tuple(f"{index:03}.tar" for index in range(7))
    found = Windows("data", "data", dict.fromkeys(names, 1), names, (), False, 3, 0)
    epochs = [[found.shards(3 * epoch + index) for index in range(3)] for epoch in range(3)]
    for epoch in epochs:
        assert sorted(name for window in epoch for name in window) == list(names)
        assert sorted(map(len, epoch)) == [2, 2, 3]
    assert len(set(map(str, epochs))) == 3
    assert epochs[0] == [found.shards(index) for index in range(3)]
    assert epochs[0] != [replace(found, seed=1).shards(index) for index in range(3)]
    assert [found.title(number) for number in (0, 5)] == ["window 1 of 3", "window 3 of 3, epoch 2"]


def test_every_training_image_comes_once_an_epoch(shards: Path, tmp_path: Path, drawn: list[list[int]]) -> None:
    config = small(shards, steps=2 * len(TRAINED), batch_size=1, n_critic=1000, checkpoint_every=1000)
    lines = train(config, tmp_path / "run")
    numbers = [number for batch in drawn for number in batch]
    epochs = numbers[: len(TRAINED)], numbers[len(TRAINED) :]
    assert set(epochs[0]) == set(epochs[1]) == TRAINED
    assert epochs[0] != epochs[1]
    steps = json.loads((tmp_path / "run" / run_folder.WINDOWS).read_text())["batches"]
    assert (len(steps), sum(steps)) == (6, len(numbers))
    assert any(" training images at 16x16 in window 1 of 3; 3 classes" in line for line in lines)
    assert not folder_of(tmp_path / "run").exists()
    info = safetensors_file.read(run_folder.checkpoints(tmp_path / "run")[-1])[0]
    assert info.data[0] == {"name": "faces", "kind": "table", "shards": 6}
    assert "Trained on: 6 shards of faces; recipe" in card_markdown.markdown("m", info, Card({}, {}, {}, ""))


def test_a_batch_is_filled_from_one_window(shards: Path, tmp_path: Path, drawn: list[list[int]]) -> None:
    """The last images of a window that do not fill a batch are left out; a window of fewer images makes one batch."""
    train(small(shards, steps=12, batch_size=5), tmp_path / "run")
    steps = json.loads((tmp_path / "run" / run_folder.WINDOWS).read_text())["batches"]
    start = 0
    for count in steps[:3]:
        own = [number for batch in drawn[start : start + count] for number in batch]
        assert len(set(own)) == len(own) == 5 * count
        assert len({(number - FROM) // EACH for number in own}) == 2
        start += count
    few = tmp_path / "few"
    for index in range(3):
        write_shard(few / f"{index}.tar", samples(FROM + index * 3, 3))
    train(small(few, window=1, batch_size=8, steps=4), tmp_path / "few-run")
    assert json.loads((tmp_path / "few-run" / run_folder.WINDOWS).read_text())["batches"][:3] == [1, 1, 1]


def test_shards_of_splits(tmp_path: Path, drawn: list[list[int]]) -> None:
    """Training takes those of `train`, validation the first of `val`; `test` is never read."""
    for name, first in (("train-0", 0), ("train-1", 8), ("train-2", 16), ("val-0", 24), ("val-1", 32)):
        write_shard(tmp_path / "data" / f"{name}.tar", samples(first, 8))
    (tmp_path / "data" / "test-0.tar").write_text("never read")
    train(small(tmp_path / "data", window=1, steps=12), tmp_path / "run")
    assert {number for batch in drawn for number in batch} == set(range(24))
    saved = json.loads((tmp_path / "run" / run_folder.DATA).read_text())
    assert [len(part) for part in saved["images"]] == [16]
    figures = run_folder.stats(tmp_path / "run")
    assert "val/hit" in figures


def test_g_gets_batches_of_its_own(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[set[int]] = []
    update = PytorchEngine.g_step

    def watched(self: PytorchEngine, images: np.ndarray, *args: object, **how: object) -> None:
        found.append({(number - FROM) // EACH for number in images[:, 0, 0, 0].tolist()})
        update(self, images, *args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(PytorchEngine, "g_step", watched)
    train(small(shards, steps=15, n_critic=1, g_own_batch=True), tmp_path / "run")
    assert len(set.union(*found[:5])) == 2  # the shards of a window
    assert len(set.union(*found)) > 4


# ---------------------------------------------------------------- exact resume


def test_a_run_killed_in_its_second_window_gives_the_same_weights(shards: Path, tmp_path: Path) -> None:
    options = ["--window", "2", "--steps", "24", "--checkpoint-every", "7", "--sample-every", "24", "--log-every", "1"]
    begin = ["train", "--data", str(shards), *TINY, *options, "--run"]
    assert in_process(*begin, tmp_path / "whole").returncode == 0
    first = json.loads((tmp_path / "whole" / run_folder.WINDOWS).read_text())["batches"][0]
    assert first < 7 < 14 < 24

    cut = tmp_path / "cut"
    slow = f"import time, sys; from stargan import cli\n{SLOW}\nsys.exit(cli.main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", slow, *begin, str(cut)], stdout=subprocess.DEVNULL)
    wait(lambda: run_folder.checkpoints(cut)[1:] != [], process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run_folder.checkpoints(cut)[-1].stem == "step-00000007"
    assert in_process("train", "--resume", cut).returncode == 0
    assert_same(final(tmp_path / "whole"), final(cut))
    assert not folder_of(cut).exists()


SLOW = """
from stargan.engine.pytorch.engine import PytorchEngine
update = PytorchEngine.d_step
def d_step(*args, **how):
    time.sleep(0.1)
    update(*args, **how)
PytorchEngine.d_step = d_step
"""


def wait(reached: Callable[[], bool], process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    end = time.monotonic() + 300
    while not reached():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


def test_cut_and_resumed_again_and_again(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first step of a window, before its second, and within; the data are moved meanwhile."""
    config = small(shards, checkpoint_every=1)
    train(config, tmp_path / "whole")
    first, second = json.loads((tmp_path / "whole" / run_folder.WINDOWS).read_text())["batches"][:2]
    update = PytorchEngine.d_step
    for last in (first, first + 1, first + second, first + second + 2):

        def cut(self: PytorchEngine, *args: object, step: int, last: int = last, **rates: float) -> None:
            if step == last:
                raise KeyboardInterrupt
            update(self, *args, step=step, **rates)  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(PytorchEngine, "d_step", cut)
            with pytest.raises(KeyboardInterrupt):
                train(config, tmp_path / "cut", resume=(tmp_path / "cut").exists())
        assert run_folder.checkpoints(tmp_path / "cut")[-1].stem == f"step-{last:08}"
    moved = shards.rename(tmp_path / "moved")
    train(replace(config, data=(str(moved),)), tmp_path / "cut", resume=True)
    assert_same(final(tmp_path / "whole"), final(tmp_path / "cut"))
    whole, again = ((tmp_path / name / run_folder.WINDOWS).read_text() for name in ("whole", "cut"))
    assert whole == again


def test_a_damaged_record_of_windows(tmp_path: Path) -> None:
    (tmp_path / run_folder.WINDOWS).write_text('{"batches": [5, 0, 4]}')
    record = Record(tmp_path, writes=True)
    assert [record.find(step) for step in (0, 4, 5, 8, 9)] == [(0, 0), (0, 0), (2, 5), (2, 5), (3, 9)]
    with pytest.raises(CheckpointError, match=r"window 1 of this run had 5 batches and has 4 now: its shards have ch"):
        record.add(0, 4)
    with pytest.raises(
        CheckpointError, match=r"windows.json: ends at step 9, and the run has reached step 10; damaged"
    ):
        record.find(10)
    for content in ('{"batches": [1', '{"batches": ["a"]}', '{"batches": [-1]}', "[]", "[" * 100_000):
        (tmp_path / run_folder.WINDOWS).write_text(content)
        with pytest.raises(CheckpointError, match=r"windows.json: damaged; the run cannot go on exactly without it"):
            Record(tmp_path, writes=True)


def test_other_shards_are_refused(shards: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(small(shards, steps=4), run)
    extra = write_shard(shards / "new.tar", samples(200, 12))
    with pytest.raises(CheckpointError, match="have changed since this run"):
        train(small(shards), run, resume=True)
    extra.unlink()
    done = in_process("train", "--resume", run, "--window", "3")
    assert (done.returncode, done.stderr) == (2, "stargan: --window: a resumed run keeps 2; start a new run for 3\n")


def test_a_run_that_trains_keeps_its_windows(shards: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(small(shards, steps=1), run)
    kept = folder_of(run) / "first" / "rows.jsonl"
    kept.parent.mkdir(parents=True)
    kept.touch()
    with run_folder.locked(run), pytest.raises(ConfigError, match="is training in this run folder"):
        train(small(shards, steps=2), run, resume=True)
    assert kept.exists()


# ---------------------------------------------------------------- what cannot be used


def refused(config: Config, run: Path) -> str:
    """The one line of an error; nothing is left of the run's windows."""
    with pytest.raises(DataError) as error:
        train(config, run)
    assert not folder_of(run).exists()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"window": 0}, "--window 0: must be at least 1"),
        ({"window": 1.5}, "--window 1.5: must be at least 1"),
        ({"data": ("a", "b")}, "--window 2: must be left out with several --data"),
        ({"method": "cyclegan"}, "--window 2: must be left out with --method cyclegan"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Config(**{"data": ("data",), "window": 2, **settings})


def test_data_that_are_no_shards(tmp_path: Path, shards: Path, colours: Path) -> None:
    beside = draw_folders(tmp_path / "images", 2)
    write_shard(beside / "images.tar", samples(0, 4))
    (tmp_path / "empty").mkdir()
    for data in (colours, beside, tmp_path / "empty"):
        assert f"{data}: no shards (.tar), which --window reads" in refused(small(data), tmp_path / "run")
    said = refused(small(shards, window=6), tmp_path / "run")
    assert said.startswith(f"{shards}: has 6 shards to train on, and --window 6 needs more; leave it out")
    assert "006.tar: no such file" in refused(small(shards / "{004..009}.tar"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert in_process("train", "--data", shards / "{000..003}.tar", "--window", "2", "--dry-run", *TINY).returncode == 0


def test_a_damaged_shard_of_a_later_window(shards: Path, tmp_path: Path) -> None:
    """The steps until then are kept; when the shard is repaired, the run goes on as if nothing had been."""
    config, run = small(shards), tmp_path / "run"
    train(config, tmp_path / "whole")
    bad = last_shard(shards, config)
    content = bad.read_bytes()
    bad.write_bytes(b"\1" * 512 + content[512:])  # of the same size
    config = replace(config, checkpoint_every=1000)
    assert refused(config, run) == f"{bad}: damaged or not a tar file"
    steps = json.loads((run / run_folder.WINDOWS).read_text())["batches"]
    assert len(steps) == 2
    assert run_folder.checkpoints(run)[-1].stem == f"step-{sum(steps):08}"
    done = in_process("train", "--resume", run)
    assert (done.returncode, done.stderr) == (2, f"stargan: {bad}: damaged or not a tar file\n")
    bad.write_bytes(content)
    train(config, run, resume=True)
    assert_same(final(tmp_path / "whole"), final(run))


def test_labels_of_a_later_window(tmp_path: Path) -> None:
    """A shard may lack a domain; a value that the first window does not have is named, and a label that is missing."""
    seasons = [
        {"season": ("summer", "winter")[index % 2], "snow": index % 2, "grade": index % 3} for index in range(12)
    ]
    data, config = tmp_path / "data", small(tmp_path / "data", window=1, steps=16)
    for index in range(4):
        write_shard(data / f"{index}.tar", labelled(*seasons))
    last = last_shard(data, config)
    one_season = [{"season": "winter", "snow": 1, "grade": 1}] * 12
    write_shard(last, labelled(*one_season, {"season": None, "snow": 0}))
    train(config, tmp_path / "run")
    for name, wrong, said in (
        (
            "season",
            {"season": "spring", "snow": 1, "grade": 1},
            "season 'spring' is a value that no image of the first",
        ),
        ("snow", {"season": "winter", "snow": "deep", "grade": 1}, "snow 'deep' is a value that no image of the first"),
        ("grade", {"season": "winter", "snow": 1, "grade": 7.5}, "grade '7.5' is a value that no image of the first"),
    ):
        write_shard(last, labelled(*one_season, wrong))
        assert refused(config, tmp_path / name).startswith(f"{last}: {said}")
    write_shard(last, labelled(*[{"snow": 1, "grade": 1}] * 12))
    assert refused(config, tmp_path / "lacking") == f"{last}: none of its images has the label season"
    write_shard(last, {"0.json": b"{}"})
    assert refused(config, tmp_path / "empty") == f"{last}: no images in it"


def test_exclusive_labels_and_bins(tmp_path: Path) -> None:
    rows = [
        {"black": int(i % 2 == 0), "blond": int(i % 2), "age": 10 + 7 * i, "tags": ["a", "b"][i % 2 :]}
        for i in range(8)
    ]
    data = tmp_path / "data"
    for index in range(3):
        write_shard(data / f"{index}.tar", labelled(*rows))
    config = small(data, window=1, exclusive=("black,blond",), bins=("age=0,30,60",), steps=9)
    last = last_shard(data, config)
    write_shard(last, labelled(*[{"black": 1, "blond": 0, "age": 44, "tags": []}] * 8))
    train(config, tmp_path / "run")
    assert run_folder.saved_config(tmp_path / "run").window == 1
    new = "is a value that no image of the first window has; a larger --window shows more of them"
    for age, black, tags, said in (
        (70, 1, [], f"age '60+' {new}"),
        (44, 0, [], f"{last.stem}/00000.png: black, blond: must be exactly one of them, as in the first window"),
        (45, 1, ["c"], f"tags 'c' {new}, and --attributes names labels to learn"),
    ):
        write_shard(last, labelled(*[{"black": black, "blond": 0, "age": age, "tags": tags}] * 8))
        assert refused(config, tmp_path / str(age)) == f"{last}: {said}"


@pytest.mark.parametrize("written", [list, ";".join])
def test_a_new_label_in_a_list(tmp_path: Path, written: Callable[[list[str]], object]) -> None:
    """It is refused, and named with its shard, unless the user has named the labels to learn."""
    tags = [["hat"], ["hat", "beard"], ["beard"], ["hat", "beard"]] * 2
    known = [{"tags": written(each), IMAGE: f"0/{index}.png"} for index, each in enumerate(tags)]

    def read(*labels: list[str], column: str = "tags", attributes: tuple[str, ...] = ()) -> Source:
        rows = [{column: written(each), IMAGE: f"1/{index}.png"} for index, each in enumerate(labels)]
        config = small("data", attributes=attributes)
        return like_first(config, Path("data"), known, rows, tmp_path, splits=False, shard=lambda _: "1.tar")

    new = "1.tar: tags 'scarf' is a value that no image of the first window has; a larger --window shows more of them"
    for attributes in ((), ("Tags",)):
        with pytest.raises(DataError, match=f"^{new}, and --attributes names labels to learn$"):
            read(["hat"], ["beard", "scarf"], attributes=attributes)
    found = read(["hat"], ["beard", "scarf"], attributes=("hat", "beard"))
    assert found.labels.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(
        DataError, match=r"^1\.tar: tags: with the first window, it holds 72 different texts; at most 64"
    ):
        read([f"tag {index}" for index in range(70)])
    with pytest.raises(DataError, match=r"^1\.tar: none of its images has the label tags$"):
        read(["hat"], column="other")


def test_unreadable_images_count_by_window(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data, config = write_shards(tmp_path / "data", 3), small(tmp_path / "data", window=1, steps=16, max_bad=1)
    last = last_shard(data, config)
    for index in range(3):
        members = samples(FROM + EACH * index, EACH)
        name = next(name for name in members if int(name[:5]) in TRAINED)
        write_shard(data / f"{index:03}.tar", {**members, name: b"no image"})
    caplog.set_level("INFO", "stargan")
    lines = train(config, tmp_path / "run")
    said = [line for line in [*lines, *caplog.messages] if line.startswith("left out: ") and "not an image" in line]
    assert len(said) >= 3
    assert any(f"left out: {last.stem}/000" in line for line in said)
    names = [name for name in members if name.endswith(".png") and int(name[:5]) in TRAINED][:2]
    first = int(last.stem) * EACH + FROM
    members = samples(first, EACH)
    names = [name for name in members if name.endswith(".png") and int(name[:5]) in TRAINED][:2]
    write_shard(last, {**members, **dict.fromkeys(names, b"no image")})
    said_now = refused(config, tmp_path / "more")
    assert said_now.startswith(f"{data}: 2 of ")
    assert f"images cannot be read (at most --max-bad 1 are left out): {last.stem}/{names[0]}" in said_now


# ---------------------------------------------------------------- what it takes


def test_disk_and_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most the first window, the one that trains and the next are on the disk, and two are in memory."""
    data, run = write_shards(tmp_path / "data", 8), tmp_path / "run"
    folder, most, mapped, ended = folder_of(run), [0, 0], [0], threading.Event()
    window = EACH * 16 * 16 * 3
    encoded = sum(len(content) for name, content in samples(0, EACH).items() if isinstance(content, bytes))

    def look() -> None:
        while not ended.wait(0.005):
            with contextlib.suppress(FileNotFoundError):  # what is being deleted
                files = [file for file in folder.rglob("*") if file.is_file()]
                most[0] = max(most[0], sum(file.stat().st_size for file in files))
                most[1] = max(most[1], len([file for file in folder.glob("0*") if file.is_dir()]))

    update = PytorchEngine.d_step

    def watched(self: PytorchEngine, *args: object, **how: object) -> None:
        maps = Path("/proc/self/maps").read_text().splitlines()
        mapped.append(len({line.split()[-1] for line in maps if line.endswith(".npy")}))
        update(self, *args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(PytorchEngine, "d_step", watched)
    looking = threading.Thread(target=look)
    looking.start()
    train(small(data, window=1, steps=20), run)
    ended.set()
    looking.join()
    assert len(json.loads((run / run_folder.WINDOWS).read_text())["batches"]) >= 7
    assert 0 < most[0] < 3 * (window + 2000) + 2 * (encoded + 3000) < 8 * (window + encoded)
    assert most[1] <= 2  # beside the first one
    assert 0 < max(mapped) <= 2


def test_a_wait_is_shown_and_a_signal_ends_it(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another process seems to prepare the second window for a while."""
    config, run, shown = small(shards, checkpoint_every=1000), tmp_path / "run", set[str]()
    held, begin, waiting = contextlib.ExitStack(), Preparation.__init__, Preparation.wait
    after: list[Callable[[], object]] = [lambda: os.kill(os.getpid(), signal.SIGINT), held.close]

    def hold(self: Preparation, config: Config, found: Windows, number: int, folder: Path) -> None:
        if number == 1:
            held.enter_context(lock(folder / "00000001.lock"))
        begin(self, config, found, number, folder)

    def wait(self: Preparation, title: str, stopped: Callable[[], bool]) -> bool:
        if after:
            threading.Timer(1.5, after.pop(0)).start()
        return waiting(self, title, stopped)

    monkeypatch.setattr(Preparation, "__init__", hold)
    monkeypatch.setattr(Preparation, "wait", wait)
    result = training.train(config, run)
    (first,) = json.loads((run / run_folder.WINDOWS).read_text())["batches"]
    assert (result.finished, result.step) == (False, first)
    assert run_folder.checkpoints(run)[-1].stem == f"step-{first:08}"
    assert not folder_of(run).exists()

    caplog.set_level("INFO", "stargan")
    with reported_to(lambda progress: shown.add(progress.what)):
        assert training.train(config, run, resume=True).finished
    assert "window 2 of 3: unpack " + str(shards) in shown
    assert any(line.startswith("waited ") and "for window 2 of 3: reading" in line for line in caplog.messages)
    assert max(run_folder.figures(line)[1].get("waited", 0) for line in lines_of(run)) >= 1
    monkeypatch.setattr(Preparation, "__init__", begin)
    train(config, tmp_path / "whole")
    assert_same(final(tmp_path / "whole"), final(run))


def test_a_process_that_ends_without_a_word(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Preparation.wait

    def killed(self: Preparation, title: str, stopped: Callable[[], bool]) -> bool:
        self._process.kill()
        self._reader.join()
        self._state = {}
        return waiting(self, title, stopped)

    monkeypatch.setattr(Preparation, "wait", killed)
    monkeypatch.setattr(Preparation, "_read", lambda self: self._process.wait())
    said = refused(small(shards), tmp_path / "run")
    assert said == "the process that prepares the next images has ended with code -9; is memory short?"


# ---------------------------------------------------------------- elsewhere


def test_windows_in_an_object_store(bucket: str, tmp_path: Path, drawn: list[list[int]]) -> None:
    """Numbered labels have their names from there, and errors name addresses."""
    for index in range(4):
        rows = [{"class": number % 2} for number in range(8)]
        shard = write_shard(tmp_path / f"{index}.tar", labelled(*rows))
        remote.write(shard, f"{bucket}/windows/{index}.tar")
    remote.write_bytes(f"{bucket}/windows/classes.txt", b"cat\ndog\n")
    config, run = small(f"{bucket}/windows", window=1, checkpoint_every=1), tmp_path / "run"
    train(replace(config, steps=3), run)
    train(replace(config, steps=8), run, resume=True)
    info = safetensors_file.read(run_folder.checkpoints(run)[-1])[0]
    assert (info.domains.names, info.data[0]["name"]) == (("cat", "dog"), "windows")
    assert not folder_of(run).exists()
    assert not (cache_folder() / "remote").glob("*/windows") or not list((cache_folder() / "remote").glob("*/windows"))
    remote.write_bytes(f"{bucket}/windows/3.tar", b"\1" * 1024)
    remote.write_bytes(f"{bucket}/windows/2.tar", b"\1" * 1024)
    assert re.match(rf"{bucket}/windows/[23]\.tar: damaged or not a tar file", refused(config, tmp_path / "damaged"))
    assert "nothing: no such file or folder" in refused(replace(config, data=(f"{bucket}/nothing",)), tmp_path / "no")


@pytest.mark.slow
def test_several_processes_train_as_one(shards: Path, tmp_path: Path) -> None:
    """They share the windows of their machine, and take their rows of the same batches."""
    # The weights hardly change, so that rounding does not grow, and the losses are those of the batches.
    options = ["--window", "2", "--steps", "12", "--lr", "1e-9", "--log-every", "1", "--precision", "fp32", *TINY]
    train = ["train", "--data", str(shards), *options, "--run"]
    assert in_process(*train, tmp_path / "one").returncode == 0
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "--", "stargan", *train, tmp_path / "two"]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    one, two = tmp_path / "one", tmp_path / "two"
    assert (one / run_folder.WINDOWS).read_text() == (two / run_folder.WINDOWS).read_text()
    for first, second in zip(*(map(json.loads, lines_of(run)) for run in (one, two)), strict=True):
        for name in first.keys() - {"seconds", "steps_per_second", "waited"}:
            assert first[name] == pytest.approx(second[name], abs=1e-4), (first["step"], name)
    assert not folder_of(two).exists()
