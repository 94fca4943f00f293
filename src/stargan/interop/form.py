"""The kinds of model files that are written, and how they store a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stargan.errors import ConfigError, ModelError

ONNX, SAFETENSORS, KERAS, LITERT, SAVED_MODEL = ".onnx", ".safetensors", ".keras", ".tflite", "_savedmodel"
KINDS = (ONNX, SAFETENSORS, KERAS, LITERT, SAVED_MODEL)
"""How the names of files end; a SavedModel is a folder."""
OF_TENSORFLOW = (KERAS, LITERT, SAVED_MODEL)

Quantization = Literal["float16", "dynamic", "int8"]


@dataclass(frozen=True)
class Form:
    """How a file stores a model.

    Attributes:
        half: Weights as float16, in `.onnx` and `.tflite` files.
        plain: The layers as they are, in an `.onnx` file.
        quantize: The numbers of a `.tflite` file: weights as float16, or as int8 (`dynamic`), or all numbers as `int8`.
            Of an `.onnx` file: `int8` for its convolutions.
        calibrate: Images, or folders of them, from which int8 takes the ranges of the numbers.
    """

    half: bool = False
    plain: bool = False
    quantize: Quantization | None = None
    calibrate: tuple[Path, ...] = ()

    @property
    def quantization(self) -> Quantization | None:
        """How the numbers are stored; None for float32."""
        return "float16" if self.half else self.quantize

    def check(self, path: Path) -> None:
        """Checks that a file of this name can store a model in this way.

        Raises:
            ModelError: Its kind cannot.
            ConfigError: The settings contradict each other.
        """
        kind = kind_of(path)
        for name, value, kinds in (
            ("half", self.half, (ONNX, LITERT)),
            ("plain", self.plain, (ONNX,)),
            ("quantize", self.quantize, (ONNX, LITERT)),
            ("calibrate", self.calibrate, (ONNX, LITERT)),
        ):
            if value and kind not in kinds:
                raise ModelError(f"{path}: --{name} is only for {' and '.join(kinds)} files")
        if self.quantize not in (None, *get_args(Quantization)):
            raise ConfigError(f"--quantize {self.quantize}: must be one of {', '.join(get_args(Quantization))}")
        if self.quantize in ("float16", "dynamic") and kind == ONNX:
            instead = "say --half" if self.quantize == "float16" else "say --quantize int8"
            raise ModelError(f"{path}: --quantize {self.quantize} is only for {LITERT} files; {instead}")
        if self.half and self.quantize:
            raise ConfigError(f"--half means --quantize float16; leave out --half or --quantize {self.quantize}")
        if self.quantize == "int8" and not self.calibrate:
            raise ConfigError("--quantize int8: needs --calibrate IMAGES, 100 or more like those to translate")
        if self.calibrate and self.quantize != "int8":
            raise ConfigError("--calibrate: is only for --quantize int8")


def kind_of(path: Path) -> str:
    """The kind of a model file, one of `KINDS`, by its name.

    Raises:
        ModelError: There is no such kind.
    """
    kind = next((kind for kind in KINDS if path.name.endswith(kind)), None)
    if kind is None:
        raise ModelError(
            f"{path}: cannot write this kind of model file; it must end in {', '.join(KINDS[:-1])} or {KINDS[-1]}, "
            "or in a slash for a page"
        )
    return kind
