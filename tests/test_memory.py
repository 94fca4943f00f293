"""What no machine can hold is refused before memory is taken; limits of control groups and of processes count."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import in_process

from stargan import machine
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.domains import Domains, Group, LabelSet
from stargan.errors import ConfigError
from stargan.model import onnx_session

pytest.importorskip("torch")
from stargan.engine.pytorch import memory

SMALL = Config(image_size=(32, 32), width=16, blocks=1, d_layers=3, batch_size=128, device="cpu", precision="fp32")
EDIT = replace(recipe("edit"), image_size=(64, 64), d_layers=4, device="cpu", precision="fp32")
MEASURED = {
    "the paper's networks": SMALL,
    "without a penalty": replace(SMALL, objective="hinge", image_size=(64, 64), d_layers=4, batch_size=256),
    "the edit generator": EDIT,
    "the edit generator in bf16": replace(EDIT, precision="bf16"),
    "a student": replace(recipe("student"), image_size=(128, 128), d_layers=5, device="cpu", precision="fp32"),
    "the edit generator, large": replace(EDIT, image_size=(512, 512), d_layers=7, batch_size=4),
}


def domains(count: int = 2) -> Domains:
    return Domains((LabelSet("data", tuple(Group((f"label{index}",)) for index in range(count))),))


# ---------------------------------------------------------------- what there is


def system(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


MEMINFO = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n"}
SYSTEMS: dict[str, tuple[dict[str, str], int, int | None]] = {
    "no groups": (MEMINFO, 8000 * 1024, None),
    "a group": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "cgroup/a/b/memory.max": "5000000\n",
            "cgroup/a/b/memory.current": "3000000\n",
            "cgroup/a/b/memory.stat": "anon 5\ninactive_file 1000000\n",
        },
        3_000_000,
        5_000_000,
    ),
    "a group above": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "cgroup/a/b/memory.max": "max\n",
            "cgroup/a/b/memory.current": "3000000\n",
            "cgroup/a/memory.max": "4000000\n",
            "cgroup/a/memory.current": "3500000\n",
        },
        500_000,
        4_000_000,
    ),
    "a container's own": (
        {"proc/self/cgroup": "0::/../x\n", "cgroup/memory.max": "4000000", "cgroup/memory.current": "9000000"},
        0,
        4_000_000,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "7:cpu,cpuacct:/c\n5:memory:/docker/1\nodd\n",
            "cgroup/memory/docker/1/memory.limit_in_bytes": "6000000",
            "cgroup/memory/docker/1/memory.usage_in_bytes": "2000000",
            "cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "cgroup/memory/memory.usage_in_bytes": "2000000",
        },
        4_000_000,
        6_000_000,
    ),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_memory_of_a_system(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, free, limit = SYSTEMS[name]
    system(tmp_path, {**MEMINFO, **files})
    monkeypatch.setattr(machine, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroup")
    assert machine.free_memory() == free
    assert machine.memory() == limit or limit is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has /proc")
def test_memory_of_this_system() -> None:
    total, free = machine.memory(), machine.free_memory()
    assert total is not None
    assert free is not None
    assert 2**26 < free < total
    assert onnx_session._bounded_memory()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has /proc")
def test_the_limit_of_a_process_counts() -> None:
    code = "import resource, stargan.machine as m; resource.setrlimit(resource.RLIMIT_AS, (10**9,) * 2); "
    done = subprocess.run([sys.executable, "-c", f"{code}print(m.free_memory())"], capture_output=True, check=True)
    assert 5 * 10**8 < int(done.stdout) < 10**9


# ---------------------------------------------------------------- what a training takes

LARGE: list[tuple[dict[str, Any], int, str]] = [
    ({"batch_size": 10**9}, 2, "--batch-size 1000000000"),
    ({"batch_size": 2**63 - 1}, 2, f"--batch-size {2**63 - 1}"),
    ({"image_size": (8192, 8192), "width": 1024, "batch_size": 1}, 2, "--image-size 8192x8192"),
    ({"width": 1024, "blocks": 1000}, 2, "--width 1024"),
    ({"batch_size": 4_000_000, "workers": 256}, 2, "--workers 256"),
    ({"image_size": (4096, 4096), "width": 1, "batch_size": 1}, 2000, "2000 labels"),
]


@pytest.mark.parametrize(("settings", "labels", "named"), LARGE)
def test_large_settings_are_refused(settings: dict[str, Any], labels: int, named: str) -> None:
    from stargan import engine

    with pytest.raises(ConfigError, match=rf"^{named}: .* about [\d,.]+ GB of memory, and [\d.]+ GB are free$"):
        engine.create(replace(SMALL, **settings), domains(labels))


def test_the_command_line_refuses_them(tmp_path: Path) -> None:
    plan = in_process("train", "--dry-run", "--attributes", "A", "B", "--batch-size", str(2**63 - 1), "--device", "cpu")
    assert plan.returncode == 2
    assert plan.stderr.startswith(f"stargan: --batch-size {2**63 - 1}: this training would take about")
    threads = in_process("train", "--data", "x", "--run", tmp_path / "r", "--workers", "100000000")
    assert threads.stderr == "stargan: --workers 100000000: must be at most 256\n"


TRAINING = """
import json, sys
import numpy as np
import test_memory as own
from stargan import engine as engines
import stargan.engine.pytorch.framework, safetensors.numpy
def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
before, config = peak(), own.MEASURED[sys.argv[1]]
engine = engines.create(config, own.domains())
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (config.batch_size, *config.image_size, 3), np.uint8)
labels = own.domains().random_values(rng, config.batch_size)
for step in range(2):
    engine.d_step(images, labels, labels, 0, step=config.warm_up + step, lr=1e-4)
engine.g_step(images, labels, labels, 0, step=config.warm_up + 2, lr=1e-4)
engine.generate(rng.uniform(-1, 1, (64, 3, *config.image_size)).astype(np.float32), np.resize(labels, (64, 2)))
safetensors.numpy.save(engine.state())
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has /proc")
@pytest.mark.parametrize("name", MEASURED)
def test_the_estimate_is_within_a_factor_of_two(name: str) -> None:
    command = [sys.executable, "-c", TRAINING, name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, timeout=120)
    assert done.returncode == 0, done.stderr
    estimated = sum(memory.estimate(MEASURED[name], domains()).values())
    assert estimated / 2 < json.loads(done.stdout) < estimated * 2
