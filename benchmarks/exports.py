"""Exports of a model for TensorFlow and LiteRT: size, difference from float32, and time for an image.

Each file is what `stargan export` writes; the PSNR is that of its translations against those of Keras in float32, for
8 of the given images, on which int8 is not calibrated. LiteRT runs on one thread.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure

from stargan.interop import onnx_arrays, tensorflow_files
from stargan.interop.export import locate, read_model
from stargan.interop.form import KERAS, LITERT, SAVED_MODEL, Form
from stargan.model import locations

# Where benchmarks/tensorflow.py would hide the library.
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

FILES: dict[str, tuple[str, Form]] = {
    "Keras, float32": (f"m{KERAS}", Form()),
    "SavedModel, float32": (f"m{SAVED_MODEL}", Form()),
    "LiteRT, float32": (f"m{LITERT}", Form()),
    "LiteRT, `--quantize float16`": (f"m{LITERT}", Form(quantize="float16")),
    "LiteRT, `--quantize dynamic`": (f"m{LITERT}", Form(quantize="dynamic")),
    "LiteRT, `--quantize int8`": (f"m{LITERT}", Form(quantize="int8")),
}


def arguments() -> argparse.Namespace:
    parser = measure.parser(__doc__)
    parser.add_argument("models", nargs="+", type=Path, help="model files, run folders or names of shipped models")
    parser.add_argument("--images", type=Path, required=True, help="a folder of images like those to translate")
    return parser.parse_args()


def rows(model: Path, images: Path) -> list[dict[str, Any]]:
    path = locate(model)
    info, arrays = onnx_arrays.read(path, "tensorflow") if path.suffix == ".onnx" else read_model(path)
    found = []
    for name, (file, form) in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            made = tensorflow_files.write(
                Path(folder) / file, info, arrays, Form(quantize=form.quantize, calibrate=(images,))
            )
        print(f"{path.name}: {name}: {made}, {made.psnr:.1f} dB", file=sys.stderr, flush=True)
        found.append({
            "model": f"`{locations.name_of(model)}`",
            "file": name,
            "MB": f"{made.size / 1e6:.1f}",
            "PSNR, dB": f"{made.psnr:.1f}" if form.quantize else "",
            "largest difference": f"{made.difference:.0e}" if made.difference else "0",
            "ms an image": f"{made.milliseconds:.0f}",
        })  # fmt: skip
    return found


def main() -> None:
    options = arguments()
    machine = measure.machine()
    found = [row for model in options.models for row in rows(model, options.images)]
    print(measure.table(found))
    print(f"\n{machine}")
    measure.write_json(options.json, found, machine)


if __name__ == "__main__":
    raise SystemExit(measure.command(main))
