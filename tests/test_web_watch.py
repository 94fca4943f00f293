"""Training runs over the API: what a run folder says, while it is written, and whatever it contains."""

import io
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

import httpx
from hypothesis import given
from hypothesis import strategies as st
from test_loop import tiny
from web_server import serving

from stargan import images, training
from stargan.errors import CheckpointError, ConfigError
from stargan.model import run_folder
from stargan.storage import lock
from stargan.web import Access, curves, watching
from stargan.web.curves import Curves


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


@pytest.fixture(scope="module")
def client(run: Path) -> Iterator[httpx.Client]:
    with serving({}, runs=watching.open_runs([run, run])) as made:
        yield made


def look(folder: Path) -> Any:
    (watched,) = watching.open_runs([folder])
    return watched.look()


# ---------------------------------------------------------------- a real run


def test_a_finished_run(client: httpx.Client, run: Path) -> None:
    first, second = client.get("/v1/runs").json()["runs"]
    assert (first["name"], second["name"]) == ("tiny", "tiny-2")
    assert (first["state"], first["step"], first["steps"], first["progress"]) == ("finished", 12, 12, 1.0)
    assert (first["problem"], first["left"], first["samples"], first["size"]) == ("", None, [6, 12], [16, 16])
    assert 0 < first["seconds"] < 100
    lines = [json.loads(line) for line in (run / run_folder.STATS).read_text().splitlines()]
    logged = [(line["step"], line["g_rec"]) for line in lines if "g_rec" in line]
    assert first["curves"]["g_rec"]["steps"] == [step for step, _ in logged]
    assert np.allclose(first["curves"]["g_rec"]["values"], [value for _, value in logged], rtol=1e-4)
    assert {"val/hit", "val/hit/red", "lr", "steps_per_second"} <= first["curves"].keys()
    assert "seconds" not in first["curves"]


def test_success_by_request_adds_up(run: Path) -> None:
    """There is one validation image of each colour, and each is translated to another colour."""
    last = [json.loads(line) for line in (run / run_folder.STATS).read_text().splitlines()][-1]
    parts = [value for name, value in last.items() if name.startswith("val/hit/")]
    assert 1 <= len(parts) <= 3
    assert min(parts) <= last["val/hit"] <= max(parts)


def test_samples_can_be_cut_apart(client: httpx.Client, run: Path) -> None:
    layout = client.get("/v1/runs").json()["runs"][0]["sheet"]
    assert layout["titles"] == ["source", "blue", "green", "red"]
    answer = client.get("/v1/runs/1/samples/12")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == (run / "samples" / "step-00000012.png").read_bytes()
    sheet = Image.open(io.BytesIO(answer.content))
    assert list(sheet.size) == layout["sheet"]
    assert layout["rows"] == 3
    for row in range(3):  # the sources are of one colour each, with white around them
        x, y = layout["gap"], layout["top"] + row * (16 + layout["gap"])
        assert sheet.getpixel((x - 1, y)) == sheet.getpixel((x + 16, y)) == (255, 255, 255)
        inside = np.asarray(sheet.crop((x, y, x + 16, y + 16)), float)
        assert inside.std((0, 1)).max() < 40
        assert np.ptp(inside.mean((0, 1))) > 60


def test_tensorboard_gets_the_samples(run: Path) -> None:
    library = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = library.EventAccumulator(str(run))
    events.Reload()
    assert [event.step for event in events.Images("samples")] == [6, 12]
    shown = Image.open(io.BytesIO(events.Images("samples")[1].encoded_image_string))
    with Image.open(run / "samples" / "step-00000012.png") as saved:
        assert np.array_equal(np.asarray(shown), np.asarray(saved))


def test_a_layout_is_found_only_in_a_sheet() -> None:
    for rows, columns, size in ((1, 2, (16, 16)), (6, 41, (160, 128)), (3, 5, (64, 64))):
        pixels = np.zeros((rows * columns, size[1], size[0], 3), np.uint8)
        sheet = images.grid(pixels, columns, titles=["title"] * columns)
        found = images.titled_rows(sheet.size, columns, size)
        assert found is not None
        assert found[0] == rows
        assert sheet.getpixel((images.GAP, found[1])) == (0, 0, 0)
        assert sheet.getpixel((images.GAP, found[1] - 1)) == (255, 255, 255)
        assert images.titled_rows((sheet.width, sheet.height + 1), columns, size) is None
        assert images.titled_rows(sheet.size, columns + 1, size) is None
    assert images.titled_rows((0, 0), 1, (16, 16)) is None


# ---------------------------------------------------------------- a run that goes on


def test_a_run_is_watched_while_it_trains(copied: Path) -> None:
    stats = copied / run_folder.STATS
    lines = stats.read_text().splitlines(keepends=True)
    config = replace(run_folder.saved_config(copied), steps=40)
    run_folder.save_config(copied, config)
    (watched,) = watching.open_runs([copied])
    with lock(copied / run_folder.LOCK):
        stats.write_text("".join(lines[:2]) + lines[2][:9])  # a line that is being written
        seen = watched._look()
        assert (seen.state, seen.step) == ("training", 5)
        with stats.open("a") as file:
            file.write(lines[2][9:])
            for step in range(7, 21):
                file.write(json.dumps({"step": step, "g_rec": 0.5, "seconds": 100 + 2 * step}) + "\n")
        seen = watched._look()
        assert (seen.state, seen.step, seen.steps, seen.progress) == ("training", 20, 40, 0.5)
        assert seen.curves["g_rec"].steps[-1] == 20
        started = json.loads(lines[0])["step"], json.loads(lines[0])["seconds"]
        pace = (20 - started[0]) / (140 - started[1])
        assert seen.rate == pytest.approx(pace)
        assert seen.left == pytest.approx(20 / pace)
    assert watched._look().state == "finished"  # no lock, and a model file


def test_a_time_budget_gives_the_time_left(copied: Path) -> None:
    run_folder.save_config(copied, replace(run_folder.saved_config(copied), steps=100_000, minutes=10.0))
    lines = [{"step": step, "g_rec": 0.5, "seconds": 3 * step} for step in range(1, 101)]
    (copied / run_folder.STATS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    with lock(copied / run_folder.LOCK):
        seen = look(copied)
    assert seen.left == pytest.approx(300, rel=0.01)
    assert seen.progress == pytest.approx(0.5, rel=0.01)
    assert seen.minutes == 10


def test_a_run_of_an_earlier_version(copied: Path) -> None:
    """It logged no seconds and no success of single requests."""
    lines = [{"step": step, "g_rec": 0.5, "steps_per_second": 4.0} for step in range(1, 11)]
    (copied / run_folder.STATS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    for changes, left in (({"steps": 50}, 10.0), ({"steps": 50, "minutes": 1.0}, None)):
        run_folder.save_config(copied, replace(run_folder.saved_config(copied), **changes))
        with lock(copied / run_folder.LOCK):
            seen = look(copied)
        assert (seen.state, seen.seconds, seen.rate, seen.left) == ("training", None, 4.0, left)


def test_a_killed_run_is_stopped(copied: Path) -> None:
    run_folder.save_config(copied, replace(run_folder.saved_config(copied), steps=40))
    (copied / run_folder.LOCK).touch()
    assert look(copied).state == "training"
    long_ago = time.time() - 2 * watching.QUIET
    for path in (copied, copied / run_folder.LOCK, copied / run_folder.STATS, copied / run_folder.SAMPLES):
        os.utime(path, (long_ago, long_ago))
    assert look(copied).state == "stopped"


def test_a_resumed_run_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    read = Curves(path)
    read.update()
    assert read.curves() == {}
    path.write_text('{"step": 1, "a": 1.0}\n{"step": 2, "a": 2.0}\n{"step": 3, "a": 3.0}\n')
    read.update()
    assert read.curves() == {"a": ([1, 2, 3], [1, 2, 3])}
    path.write_text('{"step": 1, "a": 1.0}\n')  # what `Log` does with later steps
    read.update()
    assert read.curves() == {"a": ([1], [1])}
    assert read.step == 1


# ---------------------------------------------------------------- whatever the folder contains

DAMAGED = [
    b"{", b"null", b"[1]", b'{"step": "x", "a": 1}', b'{"step": -1, "a": 1}', b'{"step": 1e400, "a": 1}',
    b'{"step": 5, "a": 1e308}', b'{"step": 5, "a": NaN}', b'{"step": 5, "a": [1]}', b'{"step": 5, "\\ud800": 1}',
    b'{"step": 5, "a\\nb": 1}', b'{"step": 5, "' + b"n" * 200 + b'": 1}', b"[" * 100_000, b"\xff\xfe",
    b'{"step": 1e13, "a": 1}', b'{"step": 5, "": 1}',
]  # fmt: skip


def test_damaged_lines_are_skipped(copied: Path) -> None:
    good = b'{"step": 3, "a": 1.5, "val/hit/<b>": 1}\n'
    (copied / run_folder.STATS).write_bytes(b"\n".join([*DAMAGED, good]))
    with serving({}, runs=watching.open_runs([copied])) as client:
        (seen,) = client.get("/v1/runs").json()["runs"]
    assert seen["curves"] == {name: {"steps": [3], "values": [v]} for name, v in (("a", 1.5), ("val/hit/<b>", 1))}


@given(st.lists(st.binary(max_size=40) | st.sampled_from(DAMAGED[:12])))
def test_no_line_makes_it_fail(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(b"\n".join(lines) + b'\n{"step": 8, "z": 1}\n')
    read = Curves(path)
    read.update()
    json.dumps(read.curves(), allow_nan=False).encode()
    assert read.curves()["z"][0][-1] == 8


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "BLOCK", 1000)
    path = tmp_path / "stats.jsonl"
    many = [json.dumps({"step": step, "a": step / 7}) for step in range(5000)]
    names = json.dumps({"step": 1, **{f"n{n}": 1 for n in range(50)}})
    path.write_text("\n".join([names, "x" * 5000, *many, ""]))
    read = Curves(path)
    monkeypatch.setattr(curves, "NAMES", 20)
    for _ in range(20):
        read.update()
    found = read.curves()
    assert len(found) == 20
    assert "a" not in found  # it was the 51st name
    monkeypatch.setattr(curves, "NAMES", 60)
    read = Curves(path)
    for _ in range(20):
        read.update()
    steps, values = read.curves()["a"]
    assert curves.POINTS / 2 <= len(steps) <= curves.POINTS + 1
    assert (steps[0], steps[-1]) == (0, 4999)
    assert np.allclose(values, np.array(steps) / 7, rtol=1e-4)


def test_foreign_samples(copied: Path) -> None:
    folder = copied / run_folder.SAMPLES
    (folder / "step-00000013.png").write_bytes(b"<svg onload=alert(1)>")
    (folder / "step-00000014.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\xff" * 8)
    (copied / "secret.png").write_bytes((folder / "step-00000012.png").read_bytes())
    (folder / "step-00000015.png").symlink_to(copied / "secret.png")
    (folder / "step-00000016.png").mkdir()
    (folder / "step-99999999999999999999.png").touch()
    with serving({}, runs=watching.open_runs([copied])) as client:
        (seen,) = client.get("/v1/runs").json()["runs"]
        assert seen["samples"] == [6, 12, 13, 14]
        assert seen["sheet"] is None  # the newest is none
        for step, status in ((12, 200), (13, 422), (14, 422), (15, 404), (16, 404), (17, 404)):
            answer = client.get(f"/v1/runs/1/samples/{step}")
            assert answer.status_code == status, step
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get("/v1/runs/2/samples/12").status_code == 404
        assert client.get("/v1/runs/0/samples/12").status_code == 422
        assert client.get("/v1/runs/1/samples/..%2f..%2fconfig.json").status_code in (404, 422)
    for number in range(1000, 1400):
        (folder / f"step-{number:08}.png").touch()
    assert len(look(copied).samples) == watching.SAMPLES
    assert look(copied).samples[-1] == 1399


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("{", "damaged"),
        ('{"steps": 1' + "0" * 4000 + "}", "damaged"),
        ('{"data": ["faces"], "minutes": 1e-320}', "out of range"),
        (" " * (run_folder.MAX_CONFIG + 1), "damaged (more than 16777216 bytes"),
        (None, "not a run folder"),
    ],
)
def test_a_config_that_is_damaged_meanwhile(content: str | None, line: str, copied: Path) -> None:
    (watched,) = watching.open_runs([copied])
    (copied / run_folder.CONFIG).unlink()
    if content is not None:
        (copied / run_folder.CONFIG).write_text(content)
    seen = watched.look()
    assert line in seen.problem
    assert "\n" not in seen.problem
    assert len(seen.problem) <= watching.PROBLEM
    assert seen.curves["g_rec"].steps


def test_without_a_description_samples_are_shown_whole(copied: Path) -> None:
    shutil.rmtree(copied / run_folder.CHECKPOINTS)
    assert look(copied).sheet is not None  # of the model file
    (copied / run_folder.MODEL).write_bytes(b"damaged")
    assert look(copied).sheet is None


# ---------------------------------------------------------------- the command


def test_what_is_no_run_is_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing: not a run folder \(it has no config.json\)"):
        watching.open_runs([run, tmp_path / "nothing"])
    with pytest.raises(ConfigError, match="--run: 9 folders; at most 8 are shown side by side"):
        watching.open_runs([run] * 9)


def test_only_runs(client: httpx.Client) -> None:
    """Without models, there is nothing about photos, and the first page is that of the runs."""
    assert client.get("/v1/models").json() == {"models": [], "runs": 2}
    assert client.post("/v1/translate").status_code in (404, 405)
    assert client.get("/").text == client.get("/runs").text
    paths = client.get("/openapi.json").json()["paths"].keys()
    assert paths == {"/v1/runs", "/v1/runs/{number}/samples/{step}", "/v1/models", "/healthz", "/metrics"}
    assert client.get("/v1/runs").status_code == 200
    assert client.get("/v1/runs/1/samples/12").status_code == 200
    assert 'path="/v1/runs"' in client.get("/metrics").text
    assert 'path="/v1/runs/{number}/samples/{step}"' in client.get("/metrics").text


def test_a_key_protects_runs(run: Path) -> None:
    with serving({}, access=Access("secret"), runs=watching.open_runs([run])) as client:
        assert client.get("/v1/runs").status_code == 401
        assert client.get("/v1/runs/1/samples/12").status_code == 401
        assert client.get("/v1/runs", headers={"X-API-Key": "secret"}).status_code == 200


def test_train_prints_the_command_that_watches(colours: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    training.train(tiny(colours, steps=1), tmp_path / "a run", say=lines.append)
    assert f"watch it: stargan serve --run '{tmp_path / 'a run'}'" in lines
