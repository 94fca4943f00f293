"""ONNX Runtime for browsers: the files of the npm package `onnxruntime-web` that a page without a server needs."""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path

from stargan import storage
from stargan.errors import MissingExtraError, StarganError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
PACKAGED = Path(__file__).parent / "page" / "runtime"
"""Where `make assets` puts them, so that a wheel that is built afterwards contains them."""

# In each build: the module, what it loads, and the WebAssembly. The second runs on GPUs, by WebGPU.
BUILDS = {
    "cpu": ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    "gpu": ("ort.jspi.min.mjs", "ort-wasm-simd-threaded.jspi.mjs", "ort-wasm-simd-threaded.jspi.wasm"),
}
LICENCES = ("LICENSE", "ThirdPartyNotices.txt")
"""In the folder of the Python package of ONNX Runtime, which is built from the same source."""


def builds(folder: Path) -> dict[str, dict[str, object]]:
    """Describes the builds in a folder for the page: names of files, and the size of the large ones."""
    return {
        name: {
            "module": _name(module),
            "glue": _name(glue),
            "wasm": {"path": wasm, "bytes": (folder / wasm).stat().st_size},
        }
        for name, (module, glue, wasm) in BUILDS.items()
    }


def files() -> Path:
    """The folder with the files: in the package, else in the cache, where they are fetched to if they are missing.

    Raises:
        MissingExtraError: They are missing, and so is npm, which fetches them.
        StarganError: They cannot be fetched.
    """
    if complete(PACKAGED):
        return PACKAGED
    folder = storage.cache_folder() / f"{PACKAGE}-{VERSION}"
    if not complete(folder):
        fetch(folder)
    return folder


def complete(folder: Path) -> bool:
    """Whether a folder has all files."""
    return all((folder / _name(name)).is_file() for build in BUILDS.values() for name in (*build, *LICENCES))


def fetch(folder: Path) -> None:
    """Fetches the files with npm; arguments and errors as `files`."""
    npm = shutil.which("npm")
    if npm is None:
        raise MissingExtraError(
            f"npm is needed once, to fetch {PACKAGE} {VERSION} for the page; install Node.js, or a wheel of stargan "
            "that contains it (see docs/serve.md)"
        )
    package = _downloaded(npm)
    notices = metadata.distribution("onnxruntime").locate_file("onnxruntime")
    with storage.atomic_write(folder, sync=False, folder=True) as temporary:
        with tarfile.open(fileobj=io.BytesIO(package)) as archive:
            for name in (name for build in BUILDS.values() for name in build):
                content = archive.extractfile(f"package/dist/{name}")
                assert content is not None
                (temporary / _name(name)).write_bytes(content.read())
        for name in LICENCES:
            (temporary / name).write_bytes(Path(str(notices), name).read_bytes())


def _downloaded(npm: str) -> bytes:
    """The package's archive, checked."""
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", folder]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        found = list(Path(folder).glob("*.tgz"))
        if done.returncode or not found:
            reason = next((line for line in done.stderr.splitlines() if line.strip()), f"exit code {done.returncode}")
            raise StarganError(f"npm could not fetch {PACKAGE} {VERSION} for the page ({reason})")
        content = found[0].read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        raise StarganError(f"{PACKAGE} {VERSION}: npm fetched something else than what stargan was tested with")
    return content


def _name(name: str) -> str:
    """The name in the page: not every host knows that .mjs is JavaScript."""
    return name.replace(".mjs", ".js")


if __name__ == "__main__":
    fetch(PACKAGED)
