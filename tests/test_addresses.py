"""Data at addresses of each kind, on servers that the tests start. `test_shards.py` has those of S3."""

import contextlib
import functools
import http.server
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import draw_folders, in_process, stargan
from shard_files import assert_same, samples, write_shard

from stargan.data import remote, sources
from stargan.errors import MissingExtraError


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@contextlib.contextmanager
def served(handler: type[http.server.BaseHTTPRequestHandler], folder: Path) -> Iterator[str]:
    make = functools.partial(handler, directory=str(folder))  # type: ignore[call-arg]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), make)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for index in range(2):
        write_shard(tmp_path / "faces" / f"train-{index:06}.tar", samples(6 * index, 6))
    return tmp_path / "faces"


def test_http(shards: Path) -> None:
    """A file, a pattern, and what is not there. (HTTP has no folders.)"""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    with served(Quiet, shards.parent) as server:
        assert_same(sources.find(shards), sources.find(f"{server}/faces/train-{{000000..000001}}.tar"))
        assert len(sources.find(f"{server}/faces/train-000001.tar").files) == 6
        assert "no such file or folder" in in_process("data", f"{server}/faces/train-000002.tar").stderr
        assert "cannot be written" in in_process("data", shards, "--shards", f"{server}/new").stderr


# ---------------------------------------------------------------- Hugging Face


class Hub(Quiet):
    """Answers as much of the hub's API as reading a data set `me/NAME` takes; its files are in a folder."""

    def do_GET(self) -> None:
        """Information about a data set, or a file."""
        if self.path.startswith("/datasets/"):
            self.path = "/" + self.path.partition("/resolve/")[2].partition("/")[2]
            super().do_GET()
        elif "/tree/" in self.path:
            self._answer(self._files())
        else:
            self._answer({"id": "me/faces", "sha": "0" * 40, "private": False, "siblings": [], "tags": []})

    def do_POST(self) -> None:
        """Information about files."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["paths"]
        self._answer([file for file in self._files() if file["path"] in asked])

    def _files(self) -> list[dict[str, object]]:
        paths = sorted(path for path in Path(self.directory).rglob("*") if path.is_file())
        return [
            {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": f"{path.stat().st_size:040}"}
            for path in paths
        ]

    def _answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_hugging_face(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of a data set on a hub; in a process of its own, since the library reads its address only once."""
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    with served(Hub, shards) as server:
        monkeypatch.setenv("HF_ENDPOINT", server)
        done = stargan("data", "hf://datasets/me/faces")
        assert done.returncode == 0, done.stderr
        assert "12 images" in done.stdout


# ---------------------------------------------------------------- Google Cloud Storage


@pytest.fixture
def google_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket in an emulator of Google's storage."""
    gcsfs = pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    pytest.importorskip("gcp_storage_emulator", reason="gcp-storage-emulator is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = f"http://127.0.0.1:{port}"
    code = "from gcp_storage_emulator.__main__ import main; main()"
    options = ["start", f"--port={port}", "--host=127.0.0.1", "--in-memory", "--default-bucket=faces"]
    with subprocess.Popen([sys.executable, "-c", code, *options], cwd=tmp_path, stderr=subprocess.DEVNULL) as emulator:
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{server}/storage/v1/b/faces"):
                    break
                time.sleep(0.1)
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
            gcsfs.GCSFileSystem.clear_instance_cache()
            yield "gs://faces"
        finally:
            emulator.terminate()


def test_google_cloud_storage(google_bucket: str, tmp_path: Path) -> None:
    """Shards are written and read, and translated into shards."""
    folder = draw_folders(tmp_path / "data", 6)
    done = in_process("data", folder, "--shards", f"{google_bucket}/shards", "--shard-size", "5")
    assert done.returncode == 0, done.stderr
    assert_same(sources.find(folder), sources.find(f"{google_bucket}/shards"))
    shards = f"{google_bucket}/shards/train-*.tar"
    done = in_process("translate", "cartoons", shards, "--out", f"{google_bucket}/out", "--to", "Smiling")
    assert done.returncode == 0, done.stderr
    assert "train-000000.tar.done.json" in remote.names(f"{google_bucket}/out")


# ---------------------------------------------------------------- what is missing


@pytest.mark.parametrize(
    ("where", "module", "command"),
    [
        ("gs://faces/x.tar", "gcsfs", "gcsfs is needed for gs:// addresses: pip install gcsfs"),
        ("hf://datasets/a/b", "huggingface_hub", "is needed for hf:// addresses: pip install huggingface_hub"),
    ],
)
def test_a_library_that_is_missing(where: str, module: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=command):
        sources.find(where)
