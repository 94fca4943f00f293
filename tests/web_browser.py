"""Drives the page in Debian's Chromium, by Playwright."""

import base64
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SIDE = 192
Page = Any


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """A browser; skips the test if there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
        yield started
        started.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a plain file server for a folder."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            found = re.search(r"http://\S+:\d+/", server.stdout.readline())
            assert found
            yield found[0]
        finally:
            server.terminate()


def two_faces(folder: Path) -> Path:
    """A file with the astronaut's portrait, and its mirror image to the right of it."""
    data = pytest.importorskip("skimage.data", reason="scikit-image's portrait is not installed")
    portrait = Image.fromarray(data.astronaut()).crop((80, 0, 400, 320)).resize((SIDE, SIDE))
    wide = Image.new("RGB", (2 * SIDE, SIDE), "gray")
    wide.paste(portrait, (0, 0))
    wide.paste(portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (SIDE, 0))
    wide.save(folder / "two.png")
    return folder / "two.png"


def opened(browser: Any, address: str, **how: Any) -> Iterator[Page]:
    """The page; it must not report an error, nor ask anybody else for anything."""
    context = browser.new_context(
        **{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", "reduced_motion": "reduce", **how}
    )
    context.set_default_timeout(60_000)
    found, problems = context.new_page(), list[str]()
    found.on("pageerror", lambda error: problems.append(str(error)))
    found.on("console", lambda line: problems.append(line.text) if "Content Security" in line.text else None)
    origin = re.escape("/".join(address.split("/")[:3]))
    elsewhere = re.compile(f"^(?!(blob:)?{origin}/|data:)")
    found.on("request", lambda request: problems.append(request.url) if elsewhere.match(request.url) else None)
    found.goto(address)
    found.wait_for_selector("[data-ready]")
    yield found
    context.close()
    assert not problems


def drop(page: Page, path: Path) -> None:
    """Drops a file on the page, as a mouse does."""
    script = """([text, name]) => {
        const data = new DataTransfer();
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        data.items.add(new File([bytes], name, { type: "image/png" }));
        for (const kind of ["dragenter", "dragover", "drop"])
            document.getElementById("drop").dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true }));
    }"""
    page.evaluate(script, [base64.b64encode(path.read_bytes()).decode(), path.name])


def until(page: Page, script: str, argument: Any = None) -> None:
    """Waits until a script gives true. Playwright's own way is against the page's security policy."""
    for _ in range(600):
        if page.evaluate(script, argument):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {script}")


def wait(page: Page) -> None:
    """Waits until the page has nothing to do."""
    until(page, "document.getElementById('live').textContent !== ''")
    page.wait_for_selector("#busy", state="hidden")


def made(page: Page) -> str:
    """How many changes the page has made."""
    return page.evaluate("document.body.dataset.made ?? '0'")


def wait_for_change(page: Page, before: str) -> None:
    until(page, "before => (document.body.dataset.made ?? '0') !== before", before)


def press(page: Page, word: str) -> None:
    before = made(page)
    page.click(f'#groups [data-word="{word}"]')
    wait_for_change(page, before)


def result(page: Page) -> np.ndarray:
    """The pixels of the changed photo on the page."""
    script = """() => {
        const image = document.getElementById("after");
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        canvas.getContext("2d").drawImage(image, 0, 0);
        return canvas.toDataURL("image/png");
    }"""
    assert page.is_visible("#after")
    content = base64.b64decode(page.evaluate(script).partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), int)


def apart(first: np.ndarray, second: Image.Image) -> float:
    return float(np.abs(first - np.asarray(second, int)).mean())
