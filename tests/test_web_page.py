"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from web_browser import (
    SIDE,
    Page,
    apart,
    chromium,
    drop,
    made,
    opened,
    press,
    result,
    two_faces,
    until,
    wait,
    wait_for_change,
)
from web_server import serving

import stargan
from stargan.web import page as files

AXE = Path(os.environ.get("AXE", "node_modules/axe-core/axe.min.js"))
WORDS = {path.stem: json.loads(path.read_text("utf-8")) for path in (Path(files.__file__).parent / "words").iterdir()}


@pytest.fixture(scope="module")
def model() -> stargan.Translator:
    return stargan.load("celeba")


@pytest.fixture(scope="module")
def address(model: stargan.Translator) -> Iterator[str]:
    with serving({"celeba": model, "cartoons": stargan.load("cartoons")}) as client:
        yield str(client.base_url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as started:
        yield started


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_faces(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    yield from opened(browser, address)


@pytest.fixture
def phone(browser: Any, address: str) -> Iterator[Page]:
    yield from opened(browser, address, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)


def test_drop_press_and_keep(page: Page, model: stargan.Translator, two: Path) -> None:
    """The whole way: drop, both faces, a chip, the slider, one face, undo, redo, download."""
    drop(page, two)
    wait(page)
    assert page.locator("#outlines button[aria-pressed=true]").count() == 2
    press(page, "Black_Hair")
    assert apart(result(page), model.translate(two, ["Black_Hair"])) < 2.5  # a JPEG
    assert apart(result(page), model.translate(two, ["Blond_Hair"])) > 4

    page.click('#outlines [data-face="1"]')  # leaves the second
    press(page, "Black_Hair")  # takes its change back
    assert apart(result(page), model.translate(two, ["Black_Hair"], faces=1)) < 2.5
    page.click("#undo")
    until(page, "!document.getElementById('redo').disabled")
    page.click("#redo")
    press(page, "Blond_Hair")
    before = made(page)
    page.fill("#strength", "50")
    wait_for_change(page, before)
    until(page, "document.getElementById('strength-value').textContent === '50 %'")

    with page.expect_download() as downloading:
        page.click("#download")
    name = downloading.value.suggested_filename
    assert name == "two.Black_Hair,Blond_Hair.png"
    with Image.open(downloading.value.path()) as image:
        kept = np.asarray(image.convert("RGB"))
    first, second = (model.translate(two, words, faces=face, strength=strength) for words, face, strength in (
        (["Black_Hair"], 1, 1.0), (["Blond_Hair"], 2, 0.5),
    ))  # fmt: skip
    assert np.array_equal(kept[:, :SIDE], np.asarray(first)[:, :SIDE])
    assert np.array_equal(kept[:, SIDE:], np.asarray(second)[:, SIDE:])


def test_a_wrong_label_can_be_corrected(page: Page, model: stargan.Translator, two: Path) -> None:
    drop(page, two)
    wait(page)
    page.click('#outlines [data-face="2"]')
    press(page, "Black_Hair")
    for index, word in ((1, "Male"), (2, "Young")):
        before = made(page)
        page.select_option(f'[data-key="seen-1-{index}"]', word)
        wait_for_change(page, before)
    expected = model.translate(two, ["Black_Hair"], faces=1, known=["Male", "Young"])
    assert apart(result(page), expected) < 2.5
    assert page.locator(".pill.corrected").count() >= 1


def test_everything_at_once(page: Page, model: stargan.Translator, two: Path) -> None:
    drop(page, two)
    wait(page)
    page.click('#outlines [data-face="2"]')
    page.click("#show-all")
    page.wait_for_selector("#tiles img")
    words = page.eval_on_selector_all("#tiles button", "tiles => tiles.map((tile) => tile.dataset.word)")
    assert words == ["", *(word for word, _ in model.translate_all(two, faces=1))]
    before = made(page)
    page.click('#tiles [data-word="Black_Hair"]')
    wait_for_change(page, before)
    assert page.get_attribute('#groups [data-word="Black_Hair"]', "aria-pressed") == "true"
    page.click("#compare")
    page.fill("#divider", "30")
    assert page.evaluate("getComputedStyle(document.getElementById('after')).clipPath") == "inset(0px 0px 0px 30%)"


def test_models_that_are_not_about_faces(page: Page) -> None:
    page.select_option("#model", "cartoons")
    page.click("#sample")
    wait(page)
    assert page.is_hidden("#faces-section")
    press(page, "Blond_Hair")
    drawing = Path(files.__file__).parent / "samples" / "cartoon.png"
    assert apart(result(page), stargan.load("cartoons").translate(drawing, ["Blond_Hair"])) < 3


def test_kind_errors(page: Page, tmp_path: Path) -> None:
    text = tmp_path / "photo.jpg"
    text.write_text("Dear diary")
    drop(page, text)
    page.wait_for_selector("#toast:not([hidden])")
    assert page.text_content("#toast-text") == WORDS["en"]["errors"]["not_an_image"]
    assert page.is_visible("#choose")
    nobody = tmp_path / "wall.png"
    Image.new("RGB", (96, 64), "teal").save(nobody)
    drop(page, nobody)
    page.wait_for_selector("#no-face:not([hidden])")
    page.wait_for_selector("#busy", state="hidden")
    assert page.is_hidden("#toast")
    page.click("#use-as-face")
    until(page, "!document.getElementById('panel').hidden")
    press(page, "Eyeglasses")
    assert page.is_visible("#after")


def test_keyboard_only(page: Page, two: Path) -> None:
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "choose":
            break
    choosers: list[Any] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    page.wait_for_timeout(100)  # Playwright tells the browser that it answers choosers
    page.keyboard.press("Enter")
    while not choosers:
        page.wait_for_timeout(50)
    choosers[0].set_files(two)
    wait(page)

    def tab_to(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab does not come to {selector}")

    tab_to('#outlines [data-face="2"]')
    page.keyboard.press("Space")
    assert page.get_attribute('#outlines [data-face="2"]', "aria-pressed") == "false"
    tab_to('#groups [data-word="Black_Hair"]')
    before = made(page)
    page.keyboard.press("Enter")
    wait_for_change(page, before)
    assert page.evaluate("document.activeElement.dataset.word") == "Black_Hair"  # where it was
    tab_to("#strength")
    page.keyboard.press("ArrowLeft")
    assert page.text_content("#strength-value") == "95 %"
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    until(page, "document.getElementById('after').hidden")


def test_paste(browser: Any, address: str, two: Path) -> None:
    opening = opened(browser, address, permissions=["clipboard-read", "clipboard-write"])
    page = next(opening)
    script = """async (text) => {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const image = new Blob([bytes], { type: "image/png" });
        await navigator.clipboard.write([new ClipboardItem({ "image/png": image })]);
    }"""
    page.evaluate(script, base64.b64encode(two.read_bytes()).decode())
    page.keyboard.press("Control+v")
    wait(page)
    assert page.locator("#outlines button").count() == 2
    page.evaluate("navigator.clipboard.writeText('Dear diary')")
    page.keyboard.press("Control+v")  # text is nobody's photo
    page.wait_for_timeout(200)
    assert page.locator("#outlines button").count() == 2
    assert page.is_hidden("#toast")
    next(opening, None)


def test_the_camera(page: Page) -> None:
    """Chromium's camera for tests shows a pattern, which the model for drawings takes as it takes anything."""
    page.select_option("#model", "cartoons")
    page.click("#camera")
    until(page, "document.getElementById('video').videoWidth > 0")
    page.click("#take")
    wait(page)
    assert page.text_content("#photo-name") == "camera.jpg"
    assert page.evaluate("document.getElementById('video').srcObject") is None  # the camera is off
    press(page, page.get_attribute("#groups .chip:not(.now)", "data-word"))
    assert page.is_visible("#after")


def test_the_camera_is_left_without_a_photo(page: Page) -> None:
    page.click("#camera")
    until(page, "document.getElementById('video').videoWidth > 0")
    page.keyboard.press("Escape")
    until(page, "document.getElementById('video').srcObject === null")
    assert page.is_visible("#choose")
    assert page.is_hidden("#toast")


def test_a_phone(phone: Page, two: Path) -> None:
    """Nothing is wider than 360 pixels, and the controls are large enough for a thumb."""
    narrow = "document.documentElement.scrollWidth <= 360"
    assert phone.evaluate(narrow)
    phone.set_input_files("#file", two)
    wait(phone)
    press(phone, "Black_Hair")
    assert phone.evaluate(narrow)
    small = """() => [...document.querySelectorAll("#editor button:not([hidden]), header button")]
        .filter((one) => one.offsetParent && !one.closest("#outlines"))
        .filter((one) => one.getBoundingClientRect().height < 39).map((one) => one.id || one.textContent)"""
    assert phone.evaluate(small) == []
    for name in ("new", "undo", "redo", "compare", "show-all", "download"):
        box = phone.locator(f"#{name}").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert box["y"] + box["height"] <= 740


def test_languages(page: Page, model: stargan.Translator, two: Path) -> None:
    page.click("#language")
    until(page, "document.documentElement.lang === 'zh-Hans'")
    assert page.text_content("#choose").strip() == WORDS["zh"]["choose"]
    drop(page, two)
    wait(page)
    assert page.text_content('#groups [data-word="Black_Hair"]').startswith(WORDS["zh"]["labels"]["Black_Hair"])
    page.click("#about")
    assert model.info.card
    assert page.text_content("#card-body p") == WORDS["zh"]["limits"][model.info.card.limits]
    page.keyboard.press("Escape")
    latin = """() => [...document.querySelectorAll("main *, .tools *")]
        .filter((one) => one.offsetParent && !one.children.length && /[a-z]{3}/i.test(one.textContent))
        .map((one) => one.textContent)"""
    assert set(page.evaluate(latin)) <= {two.name}


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core: npm install axe-core, or AXE=.../axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(browser: Any, address: str, two: Path, scheme: str) -> None:
    opening = opened(browser, address, color_scheme=scheme, bypass_csp=True)
    page = next(opening)
    page.evaluate(AXE.read_text("utf-8"))
    found = [violations(page)]
    drop(page, two)
    wait(page)
    press(page, "Black_Hair")
    found.append(violations(page))
    page.click("#compare")
    found.append(violations(page))
    page.click("#about")
    found.append(violations(page))
    next(opening, None)
    assert found == [[]] * 4


def violations(page: Page) -> list[str]:
    page.wait_for_timeout(300)
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] != "minor"
    ]
