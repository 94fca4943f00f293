"""A little of the fuzzing: damaged inputs for every reader. `python -m fuzz` does much more of it."""

import random
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("pyarrow", reason="PyArrow is not installed")
sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.checked import checked
from fuzz.targets import TARGETS

INPUTS = 50


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Changes, removes, repeats or adds some bytes."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 5))):
        start = rng.randrange(len(changed) + 1)
        end = min(start + rng.choice((0, 1, 4, 20)), len(changed))
        new = rng.choice(
            (b"", rng.randbytes(end - start), b"\xff" * (end - start), bytes(changed[start:end]) * 2, b"9")
        )
        changed[start:end] = new
    return bytes(changed)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_inputs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARGAN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    TARGETS[name].prepare(folder)
    seeds, rng = TARGETS[name].seeds(), random.Random(name)
    for seed in seeds:
        TARGETS[name].read(seed, folder)
    for _ in range(INPUTS):
        checked(name, damaged(rng.choice(seeds), rng), folder)
