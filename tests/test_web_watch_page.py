"""The page of training runs in a real browser, with a run that goes on while it is watched."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from web_browser import Page, chromium, opened, until
from web_server import serving

import stargan
from stargan.model import run_folder
from stargan.storage import lock
from stargan.web import page as files
from stargan.web.watching import open_runs

AXE = Path(os.environ.get("AXE", "node_modules/axe-core/axe.min.js"))
WORDS = {path.stem: json.loads(path.read_text("utf-8")) for path in (Path(files.__file__).parent / "words").iterdir()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def going(run: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of a run that has more steps to do, and somebody who trains in it."""
    folder = Path(shutil.copytree(run, tmp_path / "going"))
    run_folder.save_config(folder, replace(run_folder.saved_config(folder), steps=40))
    with lock(folder / run_folder.LOCK):
        yield folder


@pytest.fixture
def address(run: Path, going: Path) -> Iterator[str]:
    with serving({}, runs=open_runs([run, going])) as client:
        yield str(client.base_url)


def cell(page: Page, run: int, row: int, column: int) -> np.ndarray:
    """The pixels of a sample on the page."""
    script = """([run, row, column]) => {
        const rows = document.querySelectorAll(".run-card")[run].querySelectorAll("tbody tr");
        const canvas = rows[row].querySelectorAll("canvas")[column];
        return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
    }"""
    return np.array(page.evaluate(script, [run, row, column])).reshape(16, 16, 4)[..., :3]


def sample(run: Path, step: int, row: int, column: int) -> np.ndarray:
    """The same from the file."""
    with Image.open(run_folder.sample_path(run, step)) as sheet:
        x, y = 2 + column * 18, 16 + row * 18
        return np.asarray(sheet.crop((x, y, x + 16, y + 16)), int)


def shown_step(page: Page, step: int) -> None:
    until(page, f"document.querySelectorAll('[data-step=\"{step}\"]').length === 2")


def test_watching(browser: Any, address: str, run: Path, going: Path) -> None:
    """A finished and a live run side by side: states, samples through time, a new sample, one change through time."""
    page_of = opened(browser, address)
    page = next(page_of)
    states = page.eval_on_selector_all(".state", "all => all.map((one) => one.textContent)")
    assert states == [WORDS["en"]["watch_finished"], WORDS["en"]["watch_training"]]
    assert "12 of 40" in page.text_content(".run-1 .run-facts")
    shown_step(page, 12)
    assert np.array_equal(cell(page, 0, 1, 2), sample(run, 12, 1, 2))
    page.focus("#time")
    page.keyboard.press("ArrowLeft")
    shown_step(page, 6)
    assert page.text_content("#time-value") == "Step 6"
    assert np.array_equal(cell(page, 1, 2, 3), sample(going, 6, 2, 3))
    assert page.get_attribute("#newest", "aria-pressed") == "false"
    page.click("#newest")
    shown_step(page, 12)

    with (going / run_folder.STATS).open("a") as file:
        file.write(json.dumps({"step": 20, "val/hit": 0.5, "val/hit/red": 0.25, "g_rec": 0.125, "seconds": 99}) + "\n")
    shutil.copy(run_folder.sample_path(going, 6), run_folder.sample_path(going, 20))
    until(page, "document.querySelector('.run-1 .run-facts').textContent.includes('20 of 40')")
    until(page, "document.querySelectorAll('.run-card')[1].querySelector('.scroll').dataset.step === '20'")
    assert np.array_equal(cell(page, 1, 2, 3), sample(going, 6, 2, 3))
    assert "25 %" in page.text_content("#requests tbody")
    titles = page.eval_on_selector_all(".chart-card h3", "all => all.map((one) => one.textContent)")
    assert {WORDS["en"]["figures"][name]["title"] for name in ("hit", "g_rec", "d_gp", "lr")} <= {*titles}
    assert page.locator(".chart .line.run-0").count() >= 5
    assert page.locator(".chart text").count() > 30  # numbers at the axes
    assert page.get_attribute(".chart", "aria-label").startswith(f"{titles[0]}. tiny: ")

    page.click(".run-1 .column-title >> nth=2")
    page.wait_for_selector("#strip-body canvas")
    assert page.locator("#strip-body tbody tr").count() == 3
    assert page.locator("#strip-body tbody tr:first-child canvas").count() == 4  # the source and three steps
    next(page_of, None)


def test_each_page_links_to_the_other(browser: Any, run: Path) -> None:
    with serving({"tiny": stargan.load(run)}, runs=open_runs([run])) as client:
        page_of = opened(browser, str(client.base_url))
        page = next(page_of)
        page.set_viewport_size({"width": 360, "height": 740})
        of_all = "all => all.map((one) => one.getBoundingClientRect().right)"
        assert max(page.eval_on_selector_all(".bar-tools > *", of_all)) <= 360
        page.click("#runs")
        page.wait_for_selector("body[data-runs='1'] #photos")
        page.click("#photos")
        page.wait_for_selector("#drop")
        next(page_of, None)


def test_a_phone_in_chinese(browser: Any, address: str) -> None:
    page_of = opened(
        browser, address, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, locale="zh-CN"
    )
    page = next(page_of)
    shown_step(page, 12)
    assert page.title() == WORDS["zh"]["watch_title"]
    assert page.evaluate("document.documentElement.scrollWidth <= 360")
    for name in ("play", "newest"):
        box = page.locator(f"#{name}").bounding_box()
        assert box["height"] >= 40
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 360
    latin = """() => [...document.querySelectorAll("main *, .timeline *")]
        .filter((one) => one.offsetParent && !one.children.length)
        .map((one) => one.textContent.replace(/^G：|^D：|Wasserstein|pix2pix/g, ""))
        .filter((text) => /[a-z]{3}/i.test(text))"""
    names = {"tiny", "going", "Blue", "Green", "Red", "blue", "green", "red"}
    left = {text for text in page.evaluate(latin) if text not in names}
    assert all("colours" in text for text in left), left
    next(page_of, None)


def test_a_damaged_run_is_shown_with_a_line(browser: Any, address: str, going: Path) -> None:
    page_of = opened(browser, address)
    page = next(page_of)
    (going / run_folder.CONFIG).write_text("<b>no settings</b>")
    run_folder.sample_path(going, 12).write_bytes(b"no image")
    page.reload()
    until(page, "document.querySelector('.run-1 .run-problem')?.textContent.includes('config.json: damaged')")
    assert page.locator(".run-1 .run-problem").is_visible()
    until(
        page,
        f"document.querySelector('.run-1').textContent.includes({json.dumps(WORDS['en']['watch_samples_broken'])})",
    )
    assert page.locator("main b").count() == 0
    next(page_of, None)


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core: npm install axe-core, or AXE=.../axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(browser: Any, address: str, scheme: str) -> None:
    page_of = opened(browser, address, color_scheme=scheme, bypass_csp=True)
    page = next(page_of)
    shown_step(page, 12)
    page.evaluate(AXE.read_text("utf-8"))
    found = [violations(page)]
    page.click(".column-title >> nth=0")
    page.wait_for_selector("#strip-body canvas")
    found.append(violations(page))
    next(page_of, None)
    assert found == [[], []]


def violations(page: Page) -> list[str]:
    page.wait_for_timeout(300)
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] != "minor"
    ]
