"""Training in several processes: the weights are those of one process, and a killed process costs little."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY

from stargan import cli, machine, training
from stargan import engine as engines
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.engine.pytorch.processes import TorchProcesses
from stargan.engine.registry import _KNOWN
from stargan.errors import ConfigError
from stargan.model import run_folder

TOGETHER = Path(__file__).with_name("together.py")
PLACE = {"RANK": "1", "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}

# ---------------------------------------------------------------- the same weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of small networks after 20 steps, in float64."""
    folder = tmp_path_factory.mktemp("together")
    done = subprocess.run([sys.executable, TOGETHER, folder], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(
    ("name", "divided"),
    [
        ("official", "2"),
        ("official", "4"),
        ("modern", "2"),
        ("modern", "4"),
        ("modern", "2x2"),
        ("dragan", "2"),
        ("dragan", "2x2"),
        ("edit", "2"),
    ],
)
def test_several_processes_train_as_one(weights: Path, name: str, divided: str) -> None:
    """All of it: weights, their averages, the optimizers' state, and the losses, which are those of whole batches."""
    one, several = (np.load(weights / f"{name}-{count}.npz") for count in ("1", divided))
    assert one.files == several.files
    assert any(file.startswith("training/losses/d_") for file in one.files)
    assert one["training/g_updates"] > 0
    for file in one.files:
        assert np.abs(one[file] - several[file]).max() < 1e-6, file


# ---------------------------------------------------------------- torchrun


@pytest.mark.slow
def test_a_killed_process_starts_all_again_from_the_last_checkpoint(colours: Path, tmp_path: Path) -> None:
    """And a signal stops all after the same update, with a checkpoint."""
    run, often = tmp_path / "run", ["--checkpoint-every", "10", "--log-every", "1", "--keep-checkpoints", "1000"]
    train = ["stargan", "train", "--data", colours, "--run", run, *TINY, *often, "--steps", "100000", "--n-critic", "1"]
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1", "-m", "--", *train]
    with _started(command, tmp_path / "out") as torchrun:
        _wait_for_step(run, 20, torchrun)
        killed = int((run / run_folder.LOCK).read_text())
        os.kill(killed, signal.SIGKILL)
        _wait(lambda: (run / run_folder.LOCK).read_text() not in ("", str(killed)), torchrun)
        before = _steps(run)
        _wait_for_step(run, before[-1] + 20, torchrun)
        torchrun.send_signal(signal.SIGTERM)
        torchrun.wait(60)
    lines = [json.loads(line)["step"] for line in (run / run_folder.STATS).read_text().splitlines()]
    last = _steps(run)[-1]
    assert lines == list(range(1, last + 1))  # it went on from a checkpoint, and one process has written
    out = (tmp_path / "out").read_text()
    assert f"stopped after step {last}, with a checkpoint" in out
    assert out.count("watch it: ") == 2
    assert f"steps 0 to {100000}" in out
    assert "steps 0 to" not in out.partition("watch it: ")[2]
    assert "stargan: process" not in out


@contextlib.contextmanager
def _started(arguments: list[object], out: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that does not outlive its test, whatever fails there."""
    with out.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)], stdout=file, stderr=subprocess.STDOUT, text=True
        )
    with process:
        try:
            yield process
        finally:
            process.terminate()  # torchrun ends its processes, too


def _wait_for_step(run: Path, step: int, process: "subprocess.Popen[str]") -> None:
    _wait(lambda: _steps(run)[-1] >= step, process)


def _steps(run: Path) -> list[int]:
    return [0, *(int(path.stem.removeprefix("step-")) for path in run_folder.checkpoints(run))]


def _wait(reached: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 120
    while not reached():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


# ---------------------------------------------------------------- what makes no sense


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this process the second of three."""
    for name, value in PLACE.items():
        monkeypatch.setenv(name, value)


def test_the_place_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.place() == machine.Place()
    monkeypatch.setenv("WORLD_SIZE", "8")  # some clusters set it for other purposes
    assert machine.place() == machine.Place()
    for name, value in {**PLACE, "LOCAL_RANK": "1", "TORCHELASTIC_RESTART_COUNT": "2"}.items():
        monkeypatch.setenv(name, value)
    assert machine.place() == machine.Place(1, 3, 1, 1, 2)


def test_only_training_uses_several_processes(
    beside: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for rank, said in (("0", "torchrun starts several processes"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setattr(sys, "stdout", sys.stdout)
        assert cli.main(["data", "nowhere"]) == 2
        assert said in capfd.readouterr().err


def test_an_engine_that_trains_alone(beside: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_KNOWN, "alone", object())
    with (
        pytest.raises(ConfigError, match="--engine alone: trains in one process"),
        engines.together(Config(engine="alone")),
    ):
        pass


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (Config(batch_size=5), "--batch-size 5: is for all processes together; must be a multiple of 2"),
        (Config(batch_size=6, accumulate=2), "--accumulate 2: each of 2 processes has 3"),
        (replace(recipe("cyclegan"), batch_size=4), "--method cyclegan: trains in one process"),
    ],
)
def test_settings_for_one_process(config: Config, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        training._check(config, TorchProcesses(0, 2))
    training._check(Config(batch_size=6), TorchProcesses(1, 2))
