"""How much memory a training takes, estimated from its settings before anything is built.

The numbers are measured (docs/security.md): on a CPU, the estimate is within a factor of two for the whole process.
"""

from dataclasses import replace

import torch

from stargan import machine
from stargan.config import Config
from stargan.domains import Domains
from stargan.engine.constants import PENALISED, generate_batch
from stargan.engine.pytorch import networks, processes
from stargan.engine.pytorch.edit.discriminator import EditDiscriminator
from stargan.engine.pytorch.updates import images_at_once
from stargan.errors import ConfigError

FLOAT = 4
LIBRARIES = 80 * 2**20
"""Bytes that PyTorch takes at its first update."""
THREAD = 2**17
"""Bytes that a thread takes."""
VALIDATION_IMAGES = 128
EDIT_CELLS = 64 * 64
"""Positions of the largest layers of an edit generator, at any image size."""
PROJECTED = 45_000_000
"""Bytes that an update of D takes for the features of an image, of which it sees views of one size."""


def check(config: Config, domains: Domains, device: torch.device) -> None:
    """Refuses a training that the machine, or its GPU, has not enough memory for.

    Raises:
        ConfigError: The line names the setting that matters most, what it would need, and what is free.
    """
    on_gpu = device.type == "cuda"
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else machine.free_memory()
    own = max(1, config.batch_size // processes.current().world_size)
    parts = estimate(replace(config, batch_size=own), domains, on_gpu=on_gpu)
    needed = sum(parts.values()) * (1 if on_gpu else machine.place().local_world_size)
    if free is None or needed <= free:
        return
    name = max(parts, key=lambda name: parts[name])
    value = domains.num_labels if name == "labels" else getattr(config, name)
    text = "x".join(map(str, value)) if isinstance(value, tuple) else value
    option = f"{text} labels" if name == "labels" else f"--{name.replace('_', '-')} {text}"
    raise ConfigError(
        f"{option}: this training would take about {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free"
    )


def estimate(config: Config, domains: Domains, *, on_gpu: bool = False) -> dict[str, int]:
    """Estimates the memory that a training takes besides what the process has already.

    Returns:
        Bytes by the name of the setting to lower; together they are the estimate.
    """
    width, height = config.image_size
    pixels = width * height
    image, features = 3 * pixels * FLOAT, config.width * pixels * FLOAT  # of one image; one full-size layer
    own = config.width * EDIT_CELLS * FLOAT if config.generator == "edit" else features  # the largest layer of G
    planes = (3 + domains.num_labels) * pixels * FLOAT  # G's input
    at_once = -(-config.batch_size // config.accumulate)
    part = images_at_once(config, config.batch_size, on_gpu=on_gpu)
    # Every residual block keeps the equal of half a full-size layer; G runs twice.
    kept = 0.5 if config.gradient_checkpointing else 1.0  # measured
    g_update = part * (kept * (4 * (3.25 + config.blocks / 2) + 4) * own + 6 * planes)
    generate = generate_batch(pixels) * (6 * own + 2.5 * planes)
    penalised = config.objective in PENALISED or config.lambda_cls_gp  # gradients of gradients need more
    d_update: float = at_once * ((5 if penalised else 3) * features + 10 * image)
    if config.discriminator == "projected":
        d_update = config.batch_size * (PROJECTED + 41 * image)
    elif config.has_unet:
        d_update = config.batch_size * 12 * features
    elif config.method != "stargan":  # six passes through a generator for each pair of images, and their gradients
        passes = 6 if config.method == "cyclegan" else 1
        d_update = config.batch_size * passes * (7 + 1.5 * config.blocks) * features
    weights, saving = _weights(config, domains)
    # Of these four, one at a time takes its memory.
    peaks = {
        "batch_size": d_update,
        "labels" if planes > 2 * own else "image_size": max(g_update, generate),
        "width": saving,
    }
    largest = max(peaks, key=lambda name: peaks[name])
    found = {
        "width": weights + LIBRARIES,
        "batch_size": config.batch_size * (6 * image + 8 * domains.num_labels),
        "workers": config.workers * (2 * config.batch_size * (3 * pixels + 8 * domains.num_labels) + THREAD),
        "image_size": 4 * VALIDATION_IMAGES * image,
        "labels": 6 * (domains.num_classes + 1) * 3 * pixels * 9,  # the grid of samples
    }
    found[largest] += int(peaks[largest])
    return found


def _weights(config: Config, domains: Domains) -> tuple[int, int]:
    """The bytes of weights with gradients and Adam's averages, and what saving a checkpoint takes besides."""
    with torch.device("meta"):  # takes no memory
        built = {name: networks.build(name, config.architecture, domains) for name in ("generator", "classifier")}
        if config.discriminator == "projected":
            built["discriminator"] = EditDiscriminator(config.architecture, domains)
        else:
            built["discriminator"] = networks.build("discriminator", config.architecture, domains)
        sizes = {name: sum(p.numel() for p in network.parameters()) for name, network in built.items()}
    g, others = sizes["generator"], sizes["discriminator"] + sizes["classifier"]
    return FLOAT * (5 * g + 4 * others), FLOAT * (12 * g + 9 * others)
