"""Training, ours against the official code: time, memory and use of the machine, in one process.

Both sides train networks of the same sizes from the same weights on the same batch, in groups of five updates of D and
one of G. They take turns; the tables show medians. The official side is its own `Solver.train`, run for five iterations
at a time; ours is what the training loop calls. Before timing, both must compute the same images and losses. Data
loading is not included.

Without --reference only ours is measured.
"""

import argparse
import contextlib
import io
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import measure
import numpy as np
import reference
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from stargan import engine as engines
from stargan.config.recipes import recipe
from stargan.config.training import Config, Device, Precision
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch import networks
from stargan.errors import ConfigError
from stargan.images import scale
from stargan.interop.official import from_official
from stargan.model.safetensors_file import Arrays, under

UPDATES = 5  # updates of D for each of G
SCHEDULE = 200_000  # updates of D in the official training
TOLERANCE = 1e-4  # of images in [-1, 1]
LOSS_TOLERANCE = 1e-3  # relative above 1; the official code prints four decimals
WARM_UPS = {"cpu": 1, "cuda": 6}  # on a GPU the first updates run without CUDA graphs
PRELOAD = ("stargan.engine.pytorch.engine", "torch._dynamo")  # torch.optim imports the latter at its first step
CUDNN_BENCHMARK = torch.backends.cudnn.benchmark  # PyTorch's default; the official main.py turns it on


@dataclass(frozen=True)
class Shape:
    """Sizes of networks and batch, the device and the number format."""

    size: int = 128
    batch: int = 16
    width: int = 64
    blocks: int = 6
    labels: int = 5
    device: Device = "cpu"
    precision: Precision = "auto"

    @property
    def layers(self) -> int:
        """Stride-2 layers of D: six, or fewer for small images."""
        return min(6, (self.size & -self.size).bit_length() - 1)

    def config(self, plain: bool = False) -> Config:
        """Our settings for these sizes, otherwise those of the official code."""
        return replace(
            recipe("official"),
            image_size=(self.size, self.size),
            width=self.width,
            blocks=self.blocks,
            d_layers=self.layers,
            batch_size=self.batch,
            device=self.device,
            precision=self.precision,
            plain=plain,
        )

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """A batch: (N, H, W, 3) uint8 and (N, L) float32."""
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (self.batch, self.size, self.size, 3), np.uint8)
        return pixels, rng.integers(0, 2, (self.batch, self.labels)).astype(np.float32)

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The same batch as the official code takes it."""
        pixels, labels = self.data()
        return scale(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).contiguous(), torch.from_numpy(labels)


# ---------------------------------------------------------------- the two sides


class Loader:
    """The loader of `Solver.train`, which fetches one batch for its samples first: the time starts at the second."""

    def __init__(self, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.batch = batch
        self.began = 0.0

    def __iter__(self) -> Any:
        # Endless: the official code's bare `except` takes any exception for the end of an epoch.
        yield self.batch
        self.began = time.perf_counter()
        while True:
            yield self.batch


class Official:
    """The official code's Solver, a few iterations at a time."""

    def __init__(self, path: Path, shape: Shape) -> None:
        self.loader = Loader(shape.tensors())
        self.solver = reference.solver(
            path,
            self.loader,
            c_dim=shape.labels,
            image_size=shape.size,
            g_conv_dim=shape.width,
            d_conv_dim=shape.width,
            g_repeat_num=shape.blocks,
            d_repeat_num=shape.layers,
            selected_attrs=[f"label{index}" for index in range(shape.labels)],
        )

    def group(self, updates: int = UPDATES) -> float:
        """Does some updates of D and one of G; returns the seconds they took."""
        torch.backends.cudnn.benchmark = True
        # Its loop counts from zero each time; networks and optimizers keep their state.
        self.solver.num_iters = self.solver.n_critic = updates
        with contextlib.redirect_stdout(io.StringIO()):
            self.solver.train()
        synchronise()
        return time.perf_counter() - self.loader.began

    def losses(self) -> dict[str, float]:
        """The losses of one update of D and G by our names, read from its log."""
        log = io.StringIO()
        self.solver.num_iters = self.solver.n_critic = self.solver.log_step = 1
        with contextlib.redirect_stdout(log):
            self.solver.train()
        self.solver.log_step = reference.NEVER
        found = re.findall(r"([DG])/loss_(\w+): (-?[\d.]+|nan)", log.getvalue())
        return {f"{letter.lower()}_{name}": float(value) for letter, name, value in found}


class Ours:
    """Our engine, called as the training loop calls it."""

    def __init__(self, shape: Shape, plain: bool = False) -> None:
        groups = tuple(Group((f"label{index}",)) for index in range(shape.labels))
        self.config = shape.config(plain)
        torch.backends.cudnn.benchmark = CUDNN_BENCHMARK
        self.engine: Any = engines.create(self.config, Domains((LabelSet("benchmark", groups),)))
        self.cudnn_benchmark = torch.backends.cudnn.benchmark  # as our own code set it
        self.images, self.labels = shape.data()
        self.targets = self.labels[::-1].copy()

    def group(self, updates: int = UPDATES) -> float:
        """Does some updates of D and one of G; returns the seconds they took."""
        torch.backends.cudnn.benchmark = self.cudnn_benchmark
        began = time.perf_counter()
        for step in range(updates):
            self.engine.d_step(self.images, self.labels, self.targets, 0, step=step, lr=self.config.lr)
        self.engine.g_step(self.images, self.labels, self.targets, 0, step=updates - 1, lr=self.config.lr)
        synchronise()
        return time.perf_counter() - began


def synchronise() -> None:
    """Waits for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def train_official(path: Path, shape: Shape) -> None:
    """Two updates of D and G, so that Adam's state exists in the second; more on a GPU, as for timing."""
    side = Official(path, shape)
    for _ in range(1 + WARM_UPS[shape.device]):
        side.group(1)


def train_ours(shape: Shape, plain: bool = False) -> None:
    """As `train_official`, with our engine."""
    side = Ours(shape, plain)
    for _ in range(1 + WARM_UPS[shape.device]):
        side.group(1)


# ---------------------------------------------------------------- equal results


def weights(solver: Any) -> Arrays:
    """The current weights of the official networks by our names."""
    nets = (solver.G, solver.D)
    return from_official(*({name: tensor.cpu().numpy() for name, tensor in net.state_dict().items()} for net in nets))[
        0
    ]


def check(official: Official, ours: Ours, shape: Shape) -> dict[str, float]:
    """Gives both the same weights and compares their images, then their losses in one update of D and G.

    Returns:
        The largest difference of images, and of losses (relative above 1).

    Raises:
        ConfigError: In float32 on a CPU they differ by more than rounding errors.
    """
    solver = official.solver
    ours.engine.load_weights(weights(solver))
    images, labels = shape.tensors()
    with torch.no_grad():
        expected = solver.G(images.to(solver.device), labels.to(solver.device)).cpu().numpy()
    image_difference = float(np.abs(ours.engine.generate(images.numpy(), labels.numpy()) - expected).max())

    torch.manual_seed(0)
    theirs = official.losses()
    torch.manual_seed(0)  # to draw the same numbers: the targets, then the points of the gradient penalty
    targets = labels[torch.randperm(shape.batch)]
    alpha = torch.rand(shape.batch, 1, 1, 1)
    real, values, targets, alpha = (tensor.to(solver.device) for tensor in (images, labels, targets, alpha))
    updates = ours.engine.updates
    real = real.contiguous(memory_format=updates.layout)
    updates.update_d(real, values, targets, 0, ours.config.lr, {"alpha": alpha})
    # G's losses need the same D: Adam's first step is the sign of the gradient, so where the gradient is only rounding
    # noise, two updated D differ by whole steps.
    networks.from_arrays(updates.discriminator, under(weights(solver), "discriminator"), "discriminator")
    updates.update_g(real, values, targets, 0, ours.config.lr)
    found = ours.engine.losses()
    loss_difference = max(abs(found[name] - value) / max(1, abs(value)) for name, value in theirs.items())

    exact = shape.device == "cpu" and not updates.bf16
    if exact and not (image_difference < TOLERANCE and loss_difference < LOSS_TOLERANCE):
        raise ConfigError(
            f"results are not equal: images differ by {image_difference:.1e}, losses by {loss_difference:.1e}"
        )
    return {"images differ by": image_difference, "losses differ by": loss_difference}


# ---------------------------------------------------------------- amount of work


class Counter(TorchDispatchMode):
    """Counts the floating-point operations of all convolutions and matrix products by PyTorch's own formulas.

    PyTorch's FlopCounterMode fails on a gradient of a gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func.overloadpacket)
        if formula:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def flops(group: Callable[[], object]) -> int:
    """The floating-point operations of some work."""
    with Counter() as counter:
        group()
    return counter.total


def peak_flops(device: str, bf16: bool) -> float:
    """The speed that the machine reaches in a large matrix product, the best of several, in FLOP/s.

    In bf16 or float32; on a GPU the latter means TF32, as in PyTorch's float32 convolutions there.
    """
    side = 8192 if device == "cuda" else 2048
    matrix = torch.ones(side, side, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    took = []
    for _ in range(6):
        began = time.perf_counter()
        matrix @ matrix
        synchronise()
        took.append(time.perf_counter() - began)
    torch.set_float32_matmul_precision(before)
    return 2 * side**3 / min(took)


# ---------------------------------------------------------------- results


def compare(path: Path | None, shape: Shape, repeats: int) -> dict[str, Any]:
    """Measures one size, prints its table and returns all figures.

    Ratios compare ours with the reference: speed (above 1 is faster) and memory (below 1 is less).
    """
    memory = peaks_of_memory(path, shape)
    sides: dict[str, Any] = {"reference": Official(path, shape)} if path else {}
    own = ours_of(shape)
    sides |= {name: Ours(each, name == "plain") for name, each in own.items()}
    differences = {name: check(sides["reference"], sides[name], shape) for name in own if path}
    bf16 = {name: name in own and sides[name].engine.updates.bf16 for name in sides}
    peak = {precision: peak_flops(shape.device, precision) for precision in set(bf16.values())}
    # Counting is the first warm-up. A fast path may hide operations, so those of the plain one count for all of ours.
    work = {name: flops(sides[name].group) for name in sides if name not in own or name == "plain"}
    work |= dict.fromkeys(own, work["plain"])
    for side in sides.values():
        for _ in range(WARM_UPS[shape.device]):
            side.group()
    seconds = measure.alternate({name: side.group for name, side in sides.items()}, repeats)

    result: dict[str, Any] = {
        **asdict(shape),
        "bf16": bf16["ours"],
        "differences": differences,
        "group_seconds": seconds,
    }
    rows = []
    for name in sides:
        each, used = median(seconds[name]) / UPDATES, memory[name].own
        share = work[name] / UPDATES / each / peak[bf16[name]]
        result |= {f"{name}_s": each, f"{name}_bytes": used, f"{name}_flops": work[name], f"{name}_peak_share": share}
        row = {"side": name, "it/s": 1 / each, "images/s": shape.batch / each, "% of peak": 100 * share}
        row["memory MiB"] = used / measure.MIB
        if path:
            row |= {"speed ratio": result["reference_s"] / each, "memory ratio": used / result["reference_bytes"]}
        rows.append(row)
    if path:
        result |= {"ratio": rows[1]["speed ratio"], "memory_ratio": rows[1]["memory ratio"]}
        result["ratios"] = [a / b for a, b in zip(seconds["reference"], seconds["ours"], strict=True)]
    report(result, rows)
    return result


def peaks_of_memory(path: Path | None, shape: Shape) -> dict[str, measure.Memory]:
    """Peak memory by side, without imports."""
    found = {"reference": measure.peak_memory(train_official, path, shape, preload=PRELOAD)} if path else {}
    for name, each in ours_of(shape).items():
        found[name] = measure.peak_memory(train_ours, each, name == "plain", preload=PRELOAD)
    return found


def ours_of(shape: Shape) -> dict[str, Shape]:
    """Our sides: the default; if that is bf16, also fp32; and without fast paths."""
    default = Ours(replace(shape, size=16, width=1, blocks=0, batch=1)).engine.updates.bf16
    fp32 = {"ours, fp32": replace(shape, precision="fp32")} if default else {}
    return {"ours": shape, **fp32, "plain": shape}


def report(result: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Prints the figures of one size."""
    size, batch = result["size"], result["batch"]
    print(f"\n{size} px, batch {batch}, width {result['width']}, ours in {'bf16' if result['bf16'] else 'fp32'}")
    print(measure.table(rows))
    for side, differences in result["differences"].items():
        print(f"{side} and the reference:", ", ".join(f"{name} {value:.1e}" for name, value in differences.items()))
    if "ratios" in result:
        print(f"speed ratio of single measurements: {min(result['ratios']):.2f} to {max(result['ratios']):.2f}")
    if result["device"] == "cuda" and (size, batch) == (128, 16):
        for row in rows:
            hours = SCHEDULE / row["it/s"] / 3600
            print(f"{SCHEDULE:,} updates of D, {row['side']}: {hours:.1f} h at this speed, without data and samples")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = measure.parser(__doc__)
    parser.add_argument("--reference", type=Path, help="checkout of github.com/yunjey/stargan")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="number format of ours")
    parser.add_argument(
        "--sizes", type=measure.at_least_one, nargs="+", default=[128, 64], help="image sizes in pixels"
    )
    parser.add_argument("--batch", type=measure.at_least_one, nargs="+", help="default: 16 on a GPU, 4 and 8 on a CPU")
    parser.add_argument("--width", type=measure.at_least_one, default=64, help="channels of the first layers")
    parser.add_argument("--blocks", type=measure.at_least_one, default=6, help="residual blocks of G")
    return parser.parse_args()


def shapes(options: argparse.Namespace) -> list[Shape]:
    """The sizes to measure.

    Raises:
        ConfigError: Such networks cannot be built.
    """
    batches = options.batch or ([16] if options.device == "cuda" else [4, 8])
    found = [
        Shape(size, batch, options.width, options.blocks, device=options.device, precision=options.precision)
        for size in options.sizes
        for batch in batches
    ]
    for shape in found:
        shape.config()
    return found


def main() -> None:
    """Measures and prints."""
    options = arguments()
    path = reference.checked(options.reference) if options.reference else None
    sizes = shapes(options)
    measure.use_device(options.device, options.threads)
    machine = measure.machine()
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n")
    measure.write_json(options.json, [compare(path, shape, options.repeats or 5) for shape in sizes], machine)


if __name__ == "__main__":
    sys.exit(measure.command(main))
