"""Settings: the options of training, the recipes, and what a model file says about itself."""

import dataclasses
import json
import math
import re
import reprlib
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from stargan.card import Card
from stargan.domains import Domains
from stargan.errors import ConfigError, DomainError, ModelError
from stargan.words import suggest

Objective = Literal["wgan-gp", "wgan-lp", "dragan", "gan", "lsgan", "hinge"]
Targets = Literal["permuted", "balanced"]
Init = Literal["default", "xavier"]
Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run.

    Attributes:
        data: Folder or table of labelled pictures; say it again for joint training on several.
        attributes: Which labels to learn; all of them if none are named.
        exclusive: Attributes that exclude each other, as A,B,C; say it again for another group.
        recipe: Which recipe the other settings started from.
        image_size: Size of the pictures, N or WIDTHxHEIGHT; multiples of 4.
        crop: Pixels of a picture's shorter side that are kept, centred; default: all that fits.
        width: Channels of the first layer, of G and of D.
        blocks: Residual blocks of G.
        d_layers: Stride-2 layers of D; the image size must be divisible by 2 to their number.
        mask: Whether G says where it repaints and leaves all else as it was; not in the paper.
        resize: Whether G enlarges by repeating pixels before a convolution, against checkerboards; not in the paper.
        augment: Whether D sees pictures shifted, brightened and partly covered; not in the paper.
        batch_size: Pictures an update.
        steps: How many updates of D.
        critic_updates: Updates of D for one of G.
        g_first: Whether G has its turn at the first of these updates of D, instead of the last.
        g_own_batch: Whether G's update sees pictures of its own, instead of those D has just seen.
        init: Initial weights: PyTorch's default, or Xavier's uniform ones with zero biases.
        objective: Adversarial loss.
        lambda_cls: Weight of the classification loss.
        final_cls: Share of this weight that it falls to, linearly over all steps.
        lambda_rec: Weight of the reconstruction loss.
        lambda_gp: Weight of the gradient penalty, where the objective has one.
        lambda_slope: Weight of a penalty on the slope of D's classification; not in the paper.
        targets: Target labels: the batch's own, permuted, or drawn evenly over all domains.
        lr: Learning rate of Adam, of G and of D.
        beta1: Adam's first decay rate.
        beta2: Adam's second decay rate.
        decay_from: Share of the steps after which the learning rate falls linearly.
        decay_every: Steps between two changes of the learning rate while it falls.
        final_lr: Share of the learning rate that it falls towards.
        ema: Decay of the running mean of G's weights, which is what a model file holds.
        flip: Whether half of the pictures are mirrored.
        seed: Seed of everything random.
        device: Where to compute.
        plain: Whether to compute without any fast path, to compare or to find a fault; the results are the same.
        precision: Number format of the forward passes; auto is bf16 where that is faster here, else fp32.
        log_every: Steps between two lines of stats.jsonl.
        sample_every: Steps between two sample grids with a look at the validation part.
        checkpoint_every: Steps between two checkpoints.
        keep_checkpoints: How many checkpoints stay on disk.
        workers: Threads that prepare batches.
        max_bad: How many unreadable pictures are left out before training refuses the data.
    """

    data: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    exclusive: tuple[str, ...] = ()
    recipe: str = "default"
    image_size: tuple[int, int] = (128, 128)
    crop: int | None = None
    width: int = 64
    blocks: int = 6
    d_layers: int = 6
    mask: bool = False
    resize: bool = False
    augment: bool = False
    batch_size: int = 16
    steps: int = 200_000
    critic_updates: int = 5
    g_first: bool = False
    g_own_batch: bool = False
    init: Init = "default"
    objective: Objective = "wgan-gp"
    lambda_cls: float = 1.0
    final_cls: float = 1.0
    lambda_rec: float = 10.0
    lambda_gp: float = 10.0
    lambda_slope: float = 0.0
    targets: Targets = "permuted"
    lr: float = 1e-4
    beta1: float = 0.5
    beta2: float = 0.999
    decay_from: float = 0.5
    decay_every: int = 1
    final_lr: float = 0.0
    ema: float = 0.999
    flip: bool = True
    seed: int = 0
    device: Device = "auto"
    plain: bool = False
    precision: Precision = "auto"
    log_every: int = 50
    sample_every: int = 1000
    checkpoint_every: int = 1000
    keep_checkpoints: int = 3
    workers: int = 2
    max_bad: int = 10

    def __post_init__(self) -> None:
        for name, low in _AT_LEAST.items():
            self._check(name, getattr(self, name) >= low, f"at least {low}")
        for name, high in _AT_MOST.items():
            self._check(name, getattr(self, name) <= high, f"at most {high}")
        for name in ("lambda_cls", "lambda_rec", "lambda_gp", "lambda_slope", "lr"):
            self._check(name, math.isfinite(getattr(self, name)), "a finite number")
        for name in ("decay_from", "final_lr", "final_cls"):
            self._check(name, 0 <= getattr(self, name) <= 1, "between 0 and 1")
        for name in ("beta1", "beta2", "ema"):  # at 1 a running mean never moves, and PyTorch's Adam refuses it
            self._check(name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        self._check("lr", self.lr > 0, "above 0")
        for name, kinds in _CHOICES.items():
            self._check(name, getattr(self, name) in kinds, f"one of {', '.join(kinds)}")
        self._check("crop", self.crop is None or 1 <= self.crop <= MAX_CROP, f"between 1 and {MAX_CROP}")
        self._check_sizes()
        for group in self.exclusive:
            several = "," in group and all(name.strip() for name in group.split(","))
            self._check("exclusive", several, "two or more names, joined by commas")

    def _check_sizes(self) -> None:
        multiple = 2**self.d_layers
        for side in self.image_size:
            self._check("image_size", side >= 4 and side % 4 == 0, "a multiple of 4 (G halves it twice)")
            self._check("image_size", side <= MAX_SIDE, f"at most {MAX_SIDE} each way")
            self._check(
                "image_size",
                side % multiple == 0,
                f"divisible by {multiple}, since D halves it {self.d_layers} times (or set fewer --d-layers)",
            )

    def _check(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            value = getattr(self, name)
            if name == "image_size":
                value = f"{value[0]}x{value[1]}"
            raise ConfigError(f"--{name.replace('_', '-')} {value}: must be {allowed}")

    def to_json(self) -> dict[str, Any]:
        """As a plain dict, for config.json and for a model file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "Config":
        """The inverse of `to_json`, checked.

        Raises:
            ConfigError: A field is unknown, of the wrong type or out of range.
        """
        if not isinstance(data, dict):
            raise ConfigError(f"a configuration is a JSON object, not {type(data).__name__}")
        known = {f.name: getattr(cls(), f.name) for f in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for name, value in data.items():
            if name not in known:
                raise ConfigError(f"unknown setting {name!r}{suggest(name, list(known))}")
            values[name] = _like(name, value, known[name])
        return cls(**values)

    def learning_rate(self, step: int) -> float:
        """The learning rate of one step: constant, then linear towards `final_lr`, in stairs of `decay_every`."""
        start = self.decay_from * self.steps
        stair = step // self.decay_every * self.decay_every
        if stair < start or self.steps <= start:
            return self.lr
        share = min((stair - start) / (self.steps - start), 1.0)
        return self.lr * (1 - share * (1 - self.final_lr))

    def class_weight(self, step: int) -> float:
        """The weight of the classification loss at one step: from `lambda_cls` linearly to `final_cls` of it."""
        return self.lambda_cls * (1 - step / self.steps * (1 - self.final_cls))


_AT_LEAST = {
    "width": 1, "blocks": 0, "d_layers": 1, "batch_size": 1, "steps": 1, "critic_updates": 1,
    "decay_every": 1, "lambda_cls": 0, "lambda_rec": 0, "lambda_gp": 0, "lambda_slope": 0, "seed": 0, "log_every": 1,
    "sample_every": 1, "checkpoint_every": 1, "keep_checkpoints": 1, "workers": 1, "max_bad": 0,
}  # fmt: skip
# What no machine can hold or no library takes; an honest mistake is met by a line instead of by their tracebacks.
_AT_MOST = {"width": 1024, "blocks": 1000, "d_layers": 13, "steps": 2**31 - 1, "seed": 2**63 - 1}
MAX_SIDE = 2**13
MAX_CROP = 2**31 - 1
_CHOICES = {
    "objective": get_args(Objective),
    "targets": get_args(Targets),
    "init": get_args(Init),
    "precision": get_args(Precision),
    "device": get_args(Device),
}


def _like(name: str, value: Any, default: Any) -> Any:
    """Checks that a value from JSON has the type of the field's default."""
    right: bool
    if isinstance(default, tuple):
        right = isinstance(value, list | tuple)
        if name == "image_size":
            right = right and len(value) == 2 and all(map(_is_integer, value))
        else:
            right = right and all(isinstance(item, str) for item in value)
        value = tuple(value) if right else value
    elif default is None:
        right = value is None or _is_integer(value)
    elif isinstance(default, bool | str):
        right = isinstance(value, type(default))
    else:
        right = _is_number(value) if isinstance(default, float) else _is_integer(value)
    if not right:
        raise ConfigError(f"setting {name}: {reprlib.repr(value)} is not of the right type")
    return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    """JSON has integers that no float can hold; they are no numbers here."""
    return isinstance(value, float) or (_is_integer(value) and abs(value) < 2**63)


def parse_size(text: str) -> tuple[int, int]:
    """Reads `128` or `160x128` (width x height).

    Raises:
        ConfigError: It is neither.
    """
    found = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text.strip())
    if not found:
        raise ConfigError(f"--image-size {text}: must be N or WIDTHxHEIGHT, for example 128 or 160x128")
    return int(found[1]), int(found[2] or found[1])


CELEBA_ATTRIBUTES = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
"""What both sources learn from CelebA unless told otherwise."""


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says about itself; the same JSON in `.onnx` and `.safetensors`.

    Attributes:
        domains: What it can be asked for.
        image_size: (width, height) it works at, in pixels.
        crop: As `Config.crop`.
        width: Channels of the first layer.
        blocks: Residual blocks of G.
        d_layers: Stride-2 layers of D.
        mask: As `Config.mask`.
        resize: As `Config.resize`.
        typical: How often each class is on in the training data, (C,), in [0, 1].
        labeller: Whether the file can tell the labels of a picture by itself.
        recipe: The recipe it was trained with.
        steps: Updates of D that it had.
        data: One object a data set: name, kind, number of training pictures.
        quality: Measured figures by name, on pictures not trained on.
        licence: Licence of the training data, in words; empty where nobody said.
        card: How well it does; None where nobody measured.
    """

    domains: Domains
    image_size: tuple[int, int]
    crop: int | None = None
    width: int = 64
    blocks: int = 6
    d_layers: int = 6
    mask: bool = False
    resize: bool = False
    typical: tuple[float, ...] = ()
    labeller: bool = False
    recipe: str = ""
    steps: int = 0
    data: tuple[dict[str, Any], ...] = ()
    quality: dict[str, float] = field(default_factory=dict)
    licence: str = ""
    card: Card | None = None

    def dumps(self) -> str:
        """As JSON text."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain |= {"domains": self.domains.to_json(), "card": self.card and self.card.to_json()}
        return json.dumps({"format": FORMAT, **plain}, ensure_ascii=False)

    @classmethod
    def loads(cls, text: str) -> "ModelInfo":
        """The inverse of `dumps`, checked.

        Raises:
            ModelError: The text is not what `dumps` writes.
        """
        try:
            plain = json.loads(text)
            if plain.pop("format") != FORMAT:
                raise ModelError(f"not of the format {FORMAT}; written by a newer version of stargan?")
            plain["domains"] = Domains.from_json(plain["domains"])
            plain["card"] = None if plain.get("card") is None else Card.from_json(plain["card"])
            unknown = sorted(plain.keys() - {f.name for f in dataclasses.fields(cls)})
            if unknown:
                raise ModelError(f"it tells of {unknown[0]!r}; written by a newer version of stargan?")
            info = cls(**{**plain, **{name: tuple(plain[name]) for name in ("image_size", "typical", "data")}})
            info._check()
            info.dumps().encode()  # what cannot be written again (half a surrogate pair) is refused now
        except DomainError as error:
            raise ModelError(f"its description cannot be read: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ModelError(f"its description cannot be read ({type(error).__name__}: {error})") from error
        return info

    def _check(self) -> None:
        for name, low in (("width", 1), ("blocks", 0), ("d_layers", 1), ("steps", 0)):
            value, high = getattr(self, name), _AT_MOST[name]
            self._is(name, _is_integer(value) and low <= value <= high, f"a count from {low} to {high}")
        crop_is_right = self.crop is None or (_is_integer(self.crop) and 0 < self.crop <= MAX_CROP)
        sides_are_right = all(_is_integer(side) and 0 < side <= MAX_SIDE and side % 4 == 0 for side in self.image_size)
        self._is("image_size", len(self.image_size) == 2 and sides_are_right, f"two multiples of 4 up to {MAX_SIDE}")
        self._is("crop", crop_is_right, "a number of pixels")
        for name, kind, meant in (
            ("mask", bool, "true or false"),
            ("resize", bool, "true or false"),
            ("labeller", bool, "true or false"),
            ("recipe", str, "text"),
            ("licence", str, "text"),
            ("quality", dict, "figures by name"),
        ):
            self._is(name, isinstance(getattr(self, name), kind), meant)
        self._is("quality", all(map(_is_number, self.quality.values())), "figures by name")
        self._is("data", all(isinstance(item, dict) for item in self.data), "one object a data set")
        self._is("typical", all(_is_number(share) and 0 <= share <= 1 for share in self.typical), "numbers in [0, 1]")
        if len(self.typical) not in (0, self.domains.num_classes):
            raise ModelError(f"it has {len(self.typical)} label frequencies for {self.domains.num_classes} classes")

    def _is(self, name: str, holds: bool, meant: str) -> None:
        if not holds:
            raise ModelError(f"its {name} is {reprlib.repr(getattr(self, name))}, not {meant}")


FORMAT = "stargan-model-1"
