"""Large images: processor time and memory of updates, with gradient checkpointing and with batches in parts.

Each row is measured in a process of its own, with random images. On a CPU, G processes one image of such sizes at a
time, so that its update takes the same memory for one image as for a batch.
"""

import argparse
import multiprocessing
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from stargan import engine as engines
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.domains import Domains, Group, LabelSet

DOMAINS = Domains((LabelSet("faces", tuple(Group((name,)) for name in ("Male", "Young", "Smiling"))),))
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "": ("DG", {}),
    "--gradient-checkpointing": ("G", {"gradient_checkpointing": True}),
    "--accumulate": ("D", {"accumulate": 0}),  # one image for each part
}
"""The networks that an option matters for on a CPU, and the settings."""


def batch(config: Config, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random images, their labels and target labels."""
    rng = np.random.default_rng(0)
    width, height = config.image_size
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    labels, targets = (DOMAINS.labels(DOMAINS.random_values(rng, count), 0) for _ in range(2))
    return images, labels, targets


def update(config: Config, network: str, out: Connection) -> None:
    """Updates D with a whole batch, or G with one image; sends the processor seconds and the peak memory in MiB."""
    engine = engines.create(config, DOMAINS)
    step, count = (engine.d_step, config.batch_size) if network == "D" else (engine.g_step, 1)
    images = batch(config, count)
    began = time.process_time()
    step(*images, 0, step=0, lr=config.lr)
    seconds = time.process_time() - began
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    out.send((seconds, int(lines["VmHWM"].split()[0]) / 2**10))


def measured(config: Config, network: str) -> tuple[float, float]:
    """What a process of its own sends."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe(duplex=False)
    child = context.Process(target=update, args=(config, network, other))
    child.start()
    found: tuple[float, float] = pipe.recv()
    child.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", default=["modern", "modern-256", "modern-512", "edit"])
    parser.add_argument("--only", type=int, help="measure one of the rows of each recipe, counted from 0")
    parser.add_argument("--quick", action="store_true", help="small networks, to see that it runs")
    options = parser.parse_args()
    print("| recipe | option | batch | D, s | D, MiB | G, s for an image | G, MiB |\n|---|---|---|---|---|---|---|")
    for name in options.recipes:
        config = replace(recipe(name), device="cpu", precision="fp32")
        if options.quick:
            config = replace(config, image_size=(64, 64), width=16, blocks=1, d_layers=4)
        for index, (variant, (networks, settings)) in enumerate(VARIANTS.items()):
            if (settings and config.generator == "edit") or options.only not in (None, index):
                continue
            given = {key: value or config.batch_size for key, value in settings.items()}
            changed = Config.from_json({**config.to_json(), **given})
            cells = []
            for network in "DG":
                cells += [f"{each:,.1f}" for each in measured(changed, network)] if network in networks else ["", ""]
            shown = f"{variant} {config.batch_size}" if variant == "--accumulate" else variant
            print(f"| {name} | {shown} | {config.batch_size} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
