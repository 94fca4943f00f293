"""The settings of a training run, in groups."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from stargan.config.architecture import Architecture
from stargan.config.checks import check, check_crop, check_range, is_integer, typed
from stargan.domains.names import suggest
from stargan.errors import ConfigError
from stargan.old_names import SETTINGS, renamed

Objective = Literal["wgan-gp", "wgan-lp", "dragan", "gan", "lsgan", "hinge"]
Align = Literal["none", "faces"]
Direction = Literal["AtoB", "BtoA"]
Targets = Literal["permuted", "balanced", "changes"]
Discriminator = Literal["stargan", "projected"]
Init = Literal["default", "xavier", "normal"]
Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class DataSettings:
    """The training data.

    Attributes:
        data: Folder or table of labelled images; repeat it to train one model on several data sets.
        attributes: Labels to learn; by default all.
        exclusive: Attributes that exclude each other, as A,B,C; repeat it for another group.
        bins: Column of numbers to cut into groups, as age=0,20,40,60; repeat it for another column.
        share: Labels that several data sets have, which become one label; by default all that have the same names and
            kind. none to keep all apart.
        window: Number of shards to have on the disk at a time, for data that do not fit on it: while the images of one
            window train, the next is prepared. Default: all shards at once.
        crop: How much to use of an image, around its centre: a fraction, up to 1, of the largest part in the shape of
            the model's images, or that part's shorter side in pixels. Default: all of it.
        align: `faces` to look for faces in photos: the largest one of each is cut out, upright, as in CelebA. Photos
            without a face are left out.
        range: Values of samples that become black and white in images with more than 8 bits or floats. Default: from
            the images of the data sets.
        flip: Mirror half of the images.
        targets: Target labels: those of the batch, permuted; drawn evenly from all domains; or the image's own labels
            with one change, sometimes more.
        rare: How much more often to use images with rare labels.
        batch_size: Images per batch; images of each domain with --method cyclegan, pairs with --method pix2pix.
        workers: Threads that prepare batches.
        max_bad: Number of unreadable images to skip; with more, the data are refused.
        allow_empty: Train even if a domain has no training images.
        direction: Which domain of pairs, in order of their names, is translated to which, with --method pix2pix.
    """

    data: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    exclusive: tuple[str, ...] = ()
    bins: tuple[str, ...] = ()
    share: tuple[str, ...] = ()
    window: int | None = None
    crop: float | None = None
    align: Align = "none"
    range: tuple[float, float] | None = None
    flip: bool = True
    targets: Targets = "permuted"
    rare: float = 0.0
    batch_size: int = 16
    workers: int = 2
    max_bad: int = 10
    allow_empty: bool = False
    direction: Direction = "AtoB"


@dataclass(frozen=True)
class LossSettings:
    """The losses.

    Attributes:
        teacher: Model whose translations G learns to make, with fewer multiplications; see stargan distill.
        objective: Adversarial loss.
        lambda_cls: Weight of the classification loss.
        final_cls: Fraction of this weight that is left at the end; it falls linearly.
        lambda_rec: Weight of the reconstruction loss; of CycleGAN's cycle loss with --method cyclegan; of the
            distance to the true translation with --method pix2pix; to the teacher's with --teacher.
        lambda_gp: Weight of the gradient penalty, for objectives that have one.
        lambda_cls_gp: Weight of a gradient penalty on D's classification of real images (not in the paper).
        augment: Shift D's input images, change their brightness and cover a part of them (not in the paper).
        discriminator: The paper's D; or, for --generator edit, a small one beside heads on the features of a pretrained
            network (not in the paper).
        warm_up: Steps at the beginning that only train the classification, with --discriminator projected.
        lambda_change: Weight of the mean change of all pixels, with --discriminator projected.
        lambda_identity: Weight of CycleGAN's identity loss, as a fraction of --lambda-rec.
        lambda_features: Weight of the difference between D's features of an image and of its translation, as in DIAT,
            with --method cyclegan.
        buffer: Translations that CycleGAN's discriminators get again later, for each domain; 0 for none.
    """

    teacher: str = ""
    objective: Objective = "wgan-gp"
    lambda_cls: float = 1.0
    final_cls: float = 1.0
    lambda_rec: float = 10.0
    lambda_gp: float = 10.0
    lambda_cls_gp: float = 0.0
    augment: bool = False
    discriminator: Discriminator = "stargan"
    warm_up: int = 0
    lambda_change: float = 0.0
    lambda_identity: float = 0.0
    lambda_features: float = 0.0
    buffer: int = 0


@dataclass(frozen=True)
class OptimizerSettings:
    """The updates.

    Attributes:
        steps: Number of updates of D.
        minutes: Train for this time instead, if the steps would take longer; all schedules end with it.
        n_critic: Updates of D for each update of G.
        g_first: Update G at the first of these updates of D instead of the last.
        g_own_batch: Update G on a batch of its own instead of D's last batch.
        init: Initial weights: PyTorch's default; Xavier's uniform distribution, or a normal one with deviation 0.02,
            with zero biases.
        lr: Learning rate of Adam, for G and D.
        beta1: Adam's decay rate for the first moment.
        beta2: Adam's decay rate for the second moment.
        decay_from: Fraction of the steps after which the learning rate falls linearly.
        decay_every: Steps between two changes of the learning rate while it falls.
        final_lr: Fraction of the learning rate that is left at the end.
        ema: Decay of the exponential moving average of G's weights, which model files contain.
    """

    steps: int = 200_000
    minutes: float | None = None
    n_critic: int = 5
    g_first: bool = False
    g_own_batch: bool = False
    init: Init = "default"
    lr: float = 1e-4
    beta1: float = 0.5
    beta2: float = 0.999
    decay_from: float = 0.5
    decay_every: int = 1
    final_lr: float = 0.0
    ema: float = 0.999


@dataclass(frozen=True)
class RunSettings:
    """The run: how it computes and what it writes.

    Attributes:
        recipe: The recipe that provides the other settings.
        seed: Seed of all random numbers.
        engine: The training framework.
        device: The device to train on.
        precision: Number format of the forward passes; auto means bf16 if it is faster on this machine, else fp32.
        plain: Turn off all fast paths, for comparison or debugging; the results are the same.
        accumulate: Parts of a batch that are computed one after another, which takes less memory; their gradients are
            averaged, so that the results are the same.
        gradient_checkpointing: Compute G's activations again in its backward pass instead of keeping them, which takes
            less memory and more time; the results are the same.
        log_every: Steps between two lines of stats.jsonl.
        sample_every: Steps between two sample grids, each with metrics on the validation images.
        checkpoint_every: Steps between two checkpoints.
        keep_checkpoints: Number of checkpoints to keep.
    """

    recipe: str = "paper"
    seed: int = 0
    engine: str = "pytorch"
    device: Device = "auto"
    precision: Precision = "auto"
    plain: bool = False
    accumulate: int = 1
    gradient_checkpointing: bool = False
    log_every: int = 50
    sample_every: int = 1000
    checkpoint_every: int = 1000
    keep_checkpoints: int = 3


@dataclass(frozen=True)
class Config(RunSettings, OptimizerSettings, LossSettings, Architecture, DataSettings):
    """All settings of a training run, from all groups."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low in _AT_LEAST.items():
            check(self, name, getattr(self, name) >= low, f"at least {low}")
        for name, high in _AT_MOST.items():
            check(self, name, getattr(self, name) <= high, f"at most {high}")
        for name in ("lambda_cls", "lambda_rec", "lambda_gp", "lambda_cls_gp", *_WEIGHTS, "rare", "lr"):
            check(self, name, math.isfinite(getattr(self, name)), "a finite number")
        for name in ("decay_from", "final_lr", "final_cls"):
            check(self, name, 0 <= getattr(self, name) <= 1, "between 0 and 1")
        for name in ("beta1", "beta2", "ema"):  # an average with decay 1 never changes, and PyTorch's Adam rejects it
            check(self, name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        check(self, "lr", self.lr > 0, "above 0")
        valid = self.minutes is None or 0 < self.minutes < math.inf
        check(self, "minutes", valid, "a number above 0")
        for name, kinds in _CHOICES.items():
            check(self, name, getattr(self, name) in kinds, f"one of {', '.join(kinds)}")
        self._check_window()
        check_crop(self)
        check_range(self.range)
        decides = "left out with --align faces, where the face decides what is cut out"
        check(self, "crop", self.crop is None or self.align == "none", decides)
        for group in self.exclusive:
            several = "," in group and all(name.strip() for name in group.split(","))
            check(self, "exclusive", several, "two or more names, joined by commas")
        parts = f"a divisor of --batch-size {self.batch_size}"
        check(self, "accumulate", self.batch_size % self.accumulate == 0, parts)
        kept = self.generator == "stargan" or not self.gradient_checkpointing
        check(self, "gradient_checkpointing", kept, f"left out with --generator {self.generator}{self._instead}")
        self._check_discriminator()
        self._check_method()
        for name, value in _TAUGHT.items() if self.teacher else ():
            check(self, name, getattr(self, name) == value, f"{value} with --teacher")
        least = 2**self.d_layers * (1 if self.method == "stargan" else 3)
        allowed = f"at least {least} each way, since D halves it {self.d_layers} times (or set fewer --d-layers)"
        check(self, "image_size", min(self.image_size) >= least, allowed)

    @property
    def _instead(self) -> str:
        return "; or say --recipe modern" if self.recipe == "edit" else ""

    def _check_window(self) -> None:
        check(self, "window", self.window is None or (is_integer(self.window) and self.window > 0), "at least 1")
        for what, fits in (
            (f"--method {self.method}", self.method == "stargan"),
            ("several --data", len(self.data) < 2),
        ):
            check(self, "window", self.window is None or fits, f"left out with {what}")

    def _check_discriminator(self) -> None:
        projected = self.discriminator == "projected"
        needed = _PROJECTED if projected else _STARGAN
        for name, value in needed.items():
            word = ("off", "on")[value] if isinstance(value, bool) else value
            check(
                self,
                name,
                getattr(self, name) == value,
                f"{word} with --discriminator {self.discriminator}{self._instead}",
            )

    def _check_method(self) -> None:
        for name, value in _OF_METHOD[self.method].items():
            if name == "objective":
                check(self, name, self.objective in value, f"one of {', '.join(value)} with --method {self.method}")
            else:
                allowed = "left out" if value == () else value
                check(self, name, getattr(self, name) == value, f"{allowed} with --method {self.method}")

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as a plain dict, for config.json."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "Config":
        """Restores and checks what `to_json` returned; names of earlier versions are accepted.

        Raises:
            ConfigError: A setting is unknown, out of range or has the wrong type.
        """
        if not isinstance(data, dict):
            raise ConfigError(f"a configuration must be a JSON object, not {type(data).__name__}")
        defaults = {field.name: field.default for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for name, value in renamed(data, SETTINGS).items():
            if name not in defaults:
                raise ConfigError(f"unknown setting {name!r}{suggest(name, list(defaults))}")
            values[name] = typed(name, value, defaults[name])
        return cls(**values)


_AT_LEAST = {
    "batch_size": 1, "accumulate": 1, "steps": 1, "n_critic": 1, "decay_every": 1,
    "lambda_cls": 0, "lambda_rec": 0, "lambda_gp": 0, "lambda_cls_gp": 0, "lambda_change": 0, "lambda_identity": 0,
    "lambda_features": 0, "buffer": 0, "rare": 0, "warm_up": 0,
    "seed": 0, "log_every": 1, "sample_every": 1, "checkpoint_every": 1, "keep_checkpoints": 1,
    "workers": 1, "max_bad": 0,
}  # fmt: skip
_WEIGHTS = ("lambda_change", "lambda_identity", "lambda_features")
# Libraries and systems do not accept larger values, and no memory a larger buffer.
_AT_MOST = {"steps": 2**31 - 1, "buffer": 10_000, "seed": 2**63 - 1, "workers": 256}
_CHOICES = {
    "objective": get_args(Objective),
    "align": get_args(Align),
    "targets": get_args(Targets),
    "direction": get_args(Direction),
    "discriminator": get_args(Discriminator),
    "init": get_args(Init),
    "precision": get_args(Precision),
    "device": get_args(Device),
}
_PROJECTED = {
    "generator": "edit", "objective": "hinge", "augment": True, "n_critic": 1, "g_own_batch": False, "lambda_cls_gp": 0,
    "init": "default", "targets": "changes", "accumulate": 1,
}  # fmt: skip
_STARGAN = {"warm_up": 0, "lambda_change": 0}
"""What the two discriminators need other settings to be."""
_TAUGHT = {
    "method": "stargan", "discriminator": "stargan", "engine": "pytorch", "n_critic": 1, "g_own_batch": False,
}  # fmt: skip
"""What a teacher needs other settings to be."""
_TWO_DOMAINS = {
    "discriminator": "stargan", "n_critic": 1, "g_first": False, "g_own_batch": False, "targets": "permuted",
    "rare": 0, "augment": False, "accumulate": 1, "gradient_checkpointing": False,
    "lambda_cls": 1, "final_cls": 1, "lambda_gp": 10, "lambda_cls_gp": 0,
    "objective": ("lsgan", "gan", "hinge"),
}  # fmt: skip
_OF_METHOD: dict[str, dict[str, Any]] = {
    "stargan": {"lambda_identity": 0, "lambda_features": 0, "buffer": 0, "direction": "AtoB"},
    "cyclegan": {**_TWO_DOMAINS, "direction": "AtoB"},
    "pix2pix": {
        **_TWO_DOMAINS,
        "lambda_identity": 0,
        "lambda_features": 0,
        "buffer": 0,
        "attributes": (),
        "exclusive": (),
        "bins": (),
        "share": (),
    },
}
"""What the methods need other settings to be: a value, or one of several. What a method does not use keeps its default,
so that nothing is ignored in silence."""
