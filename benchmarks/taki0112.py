"""Our TensorFlow engine against the graph of github.com/taki0112/StarGAN-Tensorflow, with our PyTorch engine beside it.

    python benchmarks/tensorflow.py --reference CHECKOUT

That code was written for TensorFlow 1.8. Its graph is built here by its own `StarGAN.build_model`, under `compat.v1` of
today's TensorFlow; the parts of `tf.contrib` and `tf.layers` that it needs, and that no longer exist, are replaced. All
sides train the same networks with WGAN-GP, in groups of five updates of D and one of G, and take turns. Of its training
loop only the updates are timed, without the samples that it draws at each update of G.
"""

import argparse
import contextlib
import importlib
import io
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import ModuleType, SimpleNamespace
from typing import Any

import measure
import numpy as np
from PIL import Image

from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.domains import Domains, Group, LabelSet
from stargan.engine import registry
from stargan.errors import ConfigError, MissingExtraError

FILES = ("StarGAN.py", "ops.py", "utils.py", "main.py")
UPDATES = 5  # of D, for one of G
LABELS = 5
TEST_ROWS = 2000  # that its code keeps back, the first of the list
LOADED = ("taki0112", "stargan.engine.pytorch.framework", "stargan.engine.tensorflow.framework")
"""Modules whose memory does not count."""


def _load_tensorflow() -> None:
    """Imports TensorFlow, and not tensorflow.py, which is in the same folder as this file."""
    here = str(Path(__file__).resolve().parent)
    path, sys.path[:] = list(sys.path), [folder for folder in sys.path if folder != here]
    try:
        registry.framework("tensorflow", "compare it with taki0112's code")
    finally:
        sys.path[:] = path
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns about TensorFlow 1, which is the point here


with contextlib.suppress(MissingExtraError):  # also in the processes that this starts; `main` reports it
    _load_tensorflow()


@dataclass(frozen=True)
class Shape:
    """What is trained."""

    size: int
    batch: int
    width: int
    blocks: int

    def config(self, engine: str) -> Config:
        """The settings of our side, as those of that code."""
        return Config(
            **{
                **recipe("taki0112").to_json(),
                **{"image_size": (self.size, self.size), "width": self.width, "blocks": self.blocks, "ema": 0.0},
                **{"d_layers": self.layers, "engine": engine, "device": "cpu", "batch_size": self.batch},
                **{"attributes": (), "exclusive": ()},
            }
        )

    @property
    def layers(self) -> int:
        """Layers of D: two positions are left, as in the paper."""
        return self.size.bit_length() - 2

    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images, (N, H, W, 3) uint8, labels and targets."""
        random = np.random.default_rng(0)
        images = random.integers(0, 256, (self.batch, self.size, self.size, 3), np.uint8)
        labels = random.integers(0, 2, (self.batch, LABELS)).astype(np.float32)
        return images, labels, labels[::-1].copy()


# ---------------------------------------------------------------- sides


class Ours:
    """One of our engines."""

    def __init__(self, shape: Shape, engine: str) -> None:
        domains = Domains((LabelSet("faces", tuple(Group((f"label {index}",)) for index in range(LABELS))),))
        self.config = shape.config(engine)
        self.engine = registry.create(self.config, domains)
        self.images, self.labels, self.targets = shape.data()
        self.photos = (self.images.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)

    def train(self, updates: int = UPDATES) -> None:
        """Some updates of D and one of G."""
        for step in range(updates):
            self.engine.d_step(self.images, self.labels, self.targets, 0, step=step, lr=self.config.lr)
        self.engine.g_step(self.images, self.labels, self.targets, 0, step=updates - 1, lr=self.config.lr)

    def translate(self) -> None:
        """Translates the batch."""
        self.engine.generate(self.photos, self.targets)


class Reference:
    """That code's graph in a session of its own."""

    def __init__(self, shape: Shape, path: Path, threads: int | None) -> None:
        import tensorflow as tf

        v1 = tf.compat.v1
        self.graph = tf.Graph()
        with self.graph.as_default(), old_tensorflow(path), contextlib.redirect_stdout(io.StringIO()):
            v1.set_random_seed(0)
            config = v1.ConfigProto(
                intra_op_parallelism_threads=threads or 0, inter_op_parallelism_threads=threads or 0
            )
            self.session = v1.Session(config=config)
            with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                write_data(Path(folder) / "dataset" / "faces", shape)
                self.model = importlib.import_module("StarGAN").StarGAN(self.session, options(shape))
                self.model.build_model()
                self._feed_images(shape, v1)
            self.session.run(v1.global_variables_initializer())

    def _feed_images(self, shape: Shape, v1: Any) -> None:
        """Feeds a decoded batch in place of the files, which spares that code their decoding."""
        images, labels, _ = shape.data()
        batch, scaled = self.model.x_real.op.outputs, images.astype(np.float32) / 127.5 - 1
        self.feeds = {self.model.lr: self.model.init_lr, batch[0]: scaled, batch[1]: labels}
        photos = v1.placeholder(np.float32, (shape.batch, shape.size, shape.size, 3))
        targets = v1.placeholder(np.float32, (shape.batch, LABELS))
        self.translated = self.model.generator(photos, targets, reuse=True)
        self.photos = {photos: scaled, targets: labels}

    def train(self, updates: int = UPDATES) -> None:
        """Some updates of D and one of G."""
        for _ in range(updates):
            self.session.run([self.model.d_optimizer, self.model.d_loss], self.feeds)
        self.session.run([self.model.g_optimizer, self.model.g_loss], self.feeds)

    def translate(self) -> None:
        """Translates the batch."""
        self.session.run(self.translated, self.photos)


def options(shape: Shape) -> SimpleNamespace:
    """The options of that code: those of its main.py, with other sizes."""
    return SimpleNamespace(
        dataset="faces", augment_flag=False, epoch=20, iteration=10000, decay_flag=True, decay_epoch=10,
        gan_type="wgan-gp", batch_size=shape.batch, print_freq=1000, save_freq=1000, lr=1e-4, ch=shape.width,
        selected_attrs=[f"label{index}" for index in range(LABELS)], custom_label=[0] * LABELS, adv_weight=1,
        rec_weight=10, cls_weight=10, ld=10.0, n_res=shape.blocks, n_dis=shape.layers, n_critic=UPDATES,
        img_size=shape.size, img_ch=3, checkpoint_dir="checkpoint", sample_dir="samples", result_dir="results",
        log_dir="logs",
    )  # fmt: skip


def write_data(folder: Path, shape: Shape) -> None:
    """Writes a data set of one image, which its code lists when it builds the graph."""
    (folder / "train").mkdir(parents=True)
    Image.new("RGB", (shape.size, shape.size)).save(folder / "train" / "a.jpg")
    names = " ".join(f"label{index}" for index in range(LABELS))
    row = "a.jpg" + " -1" * LABELS
    (folder / "list_attr_celeba.txt").write_text("\n".join(["", names, *[row] * (TEST_ROWS + shape.batch)]) + "\n")


# ---------------------------------------------------------------- what TensorFlow no longer has


@contextlib.contextmanager
def old_tensorflow(path: Path) -> Iterator[None]:
    """Makes the modules of that code importable, and `import tensorflow` a TensorFlow 1 to them."""
    replacements = {"tensorflow": _tensorflow1(), **_contrib(), "scipy.misc": ModuleType("scipy.misc")}
    replacements["scipy"] = ModuleType("scipy")
    vars(replacements["scipy"])["misc"] = replacements["scipy.misc"]
    before = {name: sys.modules.get(name) for name in replacements}
    sys.modules.update(replacements)
    sys.path.insert(0, str(path))
    try:
        yield
    finally:
        sys.path.remove(str(path))
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _tensorflow1() -> ModuleType:
    import tensorflow as tf

    module = ModuleType("tensorflow")
    kept = (name for name in dir(tf.compat.v1) if name != "layers" and not name.startswith("__"))
    vars(module).update({name: getattr(tf.compat.v1, name) for name in kept})
    vars(module)["layers"] = SimpleNamespace(conv2d=_conv2d, conv2d_transpose=_conv2d_transpose, flatten=_flatten)
    return module


def _contrib() -> dict[str, ModuleType]:
    import tensorflow as tf

    contents: dict[str, dict[str, Any]] = {
        "tensorflow.contrib": {
            "layers": SimpleNamespace(
                xavier_initializer=tf.compat.v1.glorot_uniform_initializer, instance_norm=_instance_norm
            )
        },
        "tensorflow.contrib.slim": {},
        "tensorflow.contrib.data": {
            "shuffle_and_repeat": lambda count: lambda rows: rows.shuffle(count).repeat(),
            "map_and_batch": _map_and_batch,
            "prefetch_to_device": lambda device, count: lambda rows: rows.prefetch(count),
        },
    }
    modules = {name: ModuleType(name) for name in contents}
    for name, members in contents.items():
        vars(modules[name]).update(members)
    return modules


def _map_and_batch(function: Callable[..., Any], size: int, **_: Any) -> Callable[[Any], Any]:
    return lambda rows: rows.map(function).batch(size, drop_remainder=True)


def _conv2d(
    inputs: Any, filters: int, kernel_size: int, strides: int, use_bias: bool, kernel_initializer: Any, **_: Any
) -> Any:
    import tensorflow as tf

    with tf.compat.v1.variable_scope("conv2d"):
        shape = (kernel_size, kernel_size, inputs.shape[-1], filters)
        kernel = tf.compat.v1.get_variable("kernel", shape, initializer=kernel_initializer)
        out = tf.nn.conv2d(inputs, kernel, strides, "VALID")
        return out + _bias(filters) if use_bias else out


def _conv2d_transpose(
    inputs: Any, filters: int, kernel_size: int, strides: int, use_bias: bool, kernel_initializer: Any, **_: Any
) -> Any:
    import tensorflow as tf

    with tf.compat.v1.variable_scope("conv2d_transpose"):
        shape = (kernel_size, kernel_size, filters, inputs.shape[-1])
        kernel = tf.compat.v1.get_variable("kernel", shape, initializer=kernel_initializer)
        count = tf.shape(inputs)[0] if inputs.shape[0] is None else inputs.shape[0]
        size = (count, strides * inputs.shape[1], strides * inputs.shape[2], filters)
        out = tf.nn.conv2d_transpose(inputs, kernel, size, strides, "SAME")
        return out + _bias(filters) if use_bias else out


def _bias(filters: int) -> Any:
    import tensorflow as tf

    return tf.compat.v1.get_variable("bias", (filters,), initializer=tf.compat.v1.zeros_initializer())


def _flatten(inputs: Any) -> Any:
    import tensorflow as tf

    return tf.reshape(inputs, (inputs.shape[0], -1))


def _instance_norm(inputs: Any, epsilon: float, scope: str, **_: Any) -> Any:
    """As in `tf.contrib.layers` of TensorFlow 1.8: moments, then `batch_normalization`."""
    import tensorflow as tf

    with tf.compat.v1.variable_scope(scope):
        shape = inputs.shape[-1:]
        shift = tf.compat.v1.get_variable("beta", shape, initializer=tf.compat.v1.zeros_initializer())
        scale = tf.compat.v1.get_variable("gamma", shape, initializer=tf.compat.v1.ones_initializer())
        mean, variance = tf.nn.moments(inputs, (1, 2), keepdims=True)
        return tf.nn.batch_normalization(inputs, mean, variance, shift, scale, epsilon)


# ---------------------------------------------------------------- measuring


def side(name: str, shape: Shape, path: Path | None, threads: int | None) -> Any:
    """One of the sides by its name."""
    if name == "taki0112":
        assert path is not None  # there is such a side only with a checkout
        return Reference(shape, path, threads)
    return Ours(shape, name)


def train_once(name: str, shape: Shape, path: Path | None, threads: int | None) -> None:
    """Two updates of D and of G, so that Adam's state exists in the second; for the memory."""
    made = side(name, shape, path, threads)
    for _ in range(2):
        made.train(1)


def names(path: Path | None) -> list[str]:
    """The sides to measure."""
    return [*(["taki0112"] if path else []), "tensorflow", "pytorch"]


def compare(path: Path | None, shape: Shape, threads: int | None, repeats: int) -> dict[str, Any]:
    """Measures all sides, prints the table and returns the figures."""
    memory = {
        name: measure.peak_memory(train_once, name, shape, path, threads, preload=LOADED).own for name in names(path)
    }
    sides = {name: side(name, shape, path, threads) for name in names(path)}
    for each in sides.values():  # the second time, Adam has its state and no graph is traced
        each.train(1)
        each.translate()
    seconds: dict[str, dict[str, list[float]]] = {}
    for work in ("train", "translate"):
        seconds[work] = measure.alternate({name: _timed(getattr(each, work)) for name, each in sides.items()}, repeats)
    rows = []
    for name in sides:
        row: dict[str, Any] = {"side": name}
        for work, head in (("train", "s for 5 D, 1 G"), ("translate", "s to translate")):
            row[head] = median(seconds[work][name])
            if path:
                row[f"{work}, ratio"] = median(seconds[work]["taki0112"]) / row[head]
        row["memory MiB"] = memory[name] / measure.MIB
        if path:
            row["memory ratio"] = memory[name] / memory["taki0112"]
        rows.append(row)
    print(f"\n{shape.size} px, batch {shape.batch}, width {shape.width}, {shape.blocks} blocks")
    print(measure.table(rows))
    return {"rows": rows, "seconds": seconds}


def _timed(work: Callable[[], None]) -> Callable[[], float]:
    """The processor's time, of all threads: other work on the machine hardly changes it."""

    def run() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return run


def checked(path: Path) -> Path:
    """Checks that a path is a checkout of that code and returns it."""
    for name in FILES:
        if not (path / name).is_file():
            raise ConfigError(
                f"--reference {path}: no {name} there; must be a checkout of github.com/taki0112/StarGAN-Tensorflow"
            )
    return path.resolve()


def main() -> None:
    """Measures and prints."""
    parser = measure.parser(__doc__)
    parser.add_argument("--reference", type=Path, help="checkout of github.com/taki0112/StarGAN-Tensorflow")
    parser.add_argument("--size", type=measure.at_least_one, default=128, help="image size in pixels")
    parser.add_argument("--batch", type=measure.at_least_one, default=4)
    parser.add_argument("--width", type=measure.at_least_one, default=64, help="channels of the first layers")
    parser.add_argument("--blocks", type=measure.at_least_one, default=6, help="residual blocks of G")
    given: argparse.Namespace = parser.parse_args()
    path = checked(given.reference) if given.reference else None
    _load_tensorflow()
    shape = Shape(given.size, given.batch, given.width, given.blocks)
    shape.config("tensorflow")
    measure.use_device("cpu", given.threads)
    _use_threads(given.threads)
    machine = measure.machine()
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n")
    measure.write_json(given.json, compare(path, shape, given.threads, given.repeats or 3), machine)


def _use_threads(threads: int | None) -> None:
    import tensorflow as tf

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def run() -> int:
    """The command; returns its exit code."""
    return measure.command(main)
