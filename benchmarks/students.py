"""Models beside their teacher: multiplications, size and speed of .onnx files on ONNX Runtime.

They run on one thread, unless --threads says more, and take turns. Ratios refer to the first one. `stargan evaluate`
measures the quality of the same files.
"""

import argparse
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import measure
import numpy as np

from stargan.errors import ModelError
from stargan.model import locations, onnx_file
from stargan.model.onnx_session import session

BATCH = 8  # images at a time, for the images per second


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = measure.parser(__doc__)
    parser.add_argument(
        "models", nargs="+", type=Path, help=".onnx files or names of shipped models, the teacher first"
    )
    return parser.parse_args()


def multiplications(file: onnx_file.OnnxFile) -> int:
    """Of the generator, for one image."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from stargan.engine.pytorch import networks

    info = file.info
    width, height = info.image_size
    generator = networks.generator(info.architecture, info.domains.num_labels)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        generator(torch.zeros(1, 3, height, width), torch.zeros(1, info.domains.num_labels))
    return counter.get_total_flops() // 2


def main() -> None:
    """Measures and prints."""
    options = arguments()
    files = [onnx_file.read(locations.locate(path, (".onnx",))) for path in options.models]
    if len({file.info.image_size for file in files}) > 1:
        raise ModelError("the models take images of different sizes")
    threads = options.threads or 1
    measure.use_device("cpu", threads)
    graphs = [session(file.generator, threads=threads) for file in files]

    def feed(file: onnx_file.OnnxFile, count: int) -> dict[str, np.ndarray]:
        width, height = file.info.image_size
        random = np.random.default_rng(0)
        images = random.uniform(-1, 1, (count, 3, height, width)).astype(np.float32)
        labels = np.eye(count, file.info.domains.num_labels, dtype=np.float32)
        return {"images": images, file.info.architecture.condition_name: labels}

    seconds = []  # of one image and of a batch, for each model
    for count in (1, BATCH):
        runs = {
            str(index): partial(graph.run, None, feed(file, count))
            for index, (graph, file) in enumerate(zip(graphs, files, strict=True))
        }
        for run in runs.values():
            run()
        timed = {index: partial(measure.seconds_of, run) for index, run in runs.items()}
        seconds.append([median(each) for each in measure.alternate(timed, options.repeats or 40).values()])
    macs = [multiplications(file) for file in files]
    rows: list[dict[str, Any]] = []
    for path, file, multiplied, one, many in zip(options.models, files, macs, *seconds, strict=True):
        rows.append({
            "model": f"`{locations.name_of(path)}`",
            "GMAC": f"{multiplied / 1e9:.3f}",
            "MB": f"{file.path.stat().st_size / 1e6:.1f}",
            "ms for an image": f"{1000 * one:.1f}",
            "images/s, 8 at a time": f"{BATCH / many:.0f}",
            "fewer multiplications": f"{macs[0] / multiplied:.1f}",
            "speed ratio, one image": f"{seconds[0][0] / one:.1f}",
            "speed ratio, 8": f"{seconds[1][0] / many:.1f}",
        })  # fmt: skip
    machine = measure.machine()
    print(measure.table(rows))
    print(f"\n{machine}")
    measure.write_json(options.json, rows, machine)


if __name__ == "__main__":
    raise SystemExit(measure.command(main))
