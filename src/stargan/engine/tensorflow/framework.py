"""TensorFlow as a `stargan.engine.Framework`."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from stargan.config import Architecture, Config
from stargan.config.checks import as_option
from stargan.domains import Domains
from stargan.engine.interface import Engine, Framework, OnnxGraphs, Predictor
from stargan.engine.tensorflow import networks
from stargan.engine.tensorflow.engine import TensorflowEngine, run_classifier, run_generator
from stargan.engine.tensorflow.network import Network, file_shape
from stargan.engine.tensorflow.onnx_export import export
from stargan.errors import ConfigError


class TensorflowPredictor:
    """See `stargan.engine.Predictor`; the arguments are those of `Framework.predictor`."""

    def __init__(self, architecture: Architecture, domains: Domains, arrays: Mapping[str, np.ndarray]) -> None:
        present = [name for name in ("generator", "classifier") if any(key.startswith(f"{name}/") for key in arrays)]
        self._functions = {
            name: tf.function(
                networks.restore(name, architecture, domains, arrays).call, reduce_retracing=True, autograph=False
            )
            for name in dict.fromkeys(["generator", *present])
        }

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """See `Predictor.generate`."""
        return run_generator(self._functions["generator"], images, labels)

    def classify(self, images: np.ndarray) -> np.ndarray:
        """See `Predictor.classify`."""
        return run_classifier(self._functions["classifier"], images)


class Tensorflow:
    """See `stargan.engine.Framework`."""

    def create(self, config: Config, domains: Domains) -> Engine:
        """Creates an engine with fresh weights; see `Framework.create`."""
        if config.method != "stargan":
            raise ConfigError(f"--method {config.method}: is for --engine pytorch; this engine trains StarGAN")
        for name, default in (("accumulate", 1), ("gradient_checkpointing", False)):
            if getattr(config, name) != default:
                raise ConfigError(f"{as_option(name, getattr(config, name))}: is for --engine pytorch")
        # The same weights every time on a CPU, so that a resumed run equals one that was not interrupted.
        tf.config.experimental.enable_op_determinism()
        tf.random.set_seed(config.seed)
        return TensorflowEngine(config, domains)

    def predictor(self, architecture: Architecture, domains: Domains, arrays: Mapping[str, np.ndarray]) -> Predictor:
        """See `Framework.predictor`."""
        return TensorflowPredictor(architecture, domains, arrays)

    def parameter_shapes(
        self, architecture: Architecture, num_labels: int, num_classes: int | None
    ) -> dict[str, tuple[int, ...]]:
        """See `Framework.parameter_shapes`."""
        built: dict[str, Network] = {"generator": networks.generator(architecture, num_labels)}
        if num_classes is not None:
            built["discriminator"] = networks.Discriminator(architecture, num_classes)
        return {
            f"{network}/{name}": file_shape(weight)
            for network, module in built.items()
            for name, weight in module.parameters().items()
        }

    def export_onnx(
        self,
        architecture: Architecture,
        domains: Domains,
        arrays: Mapping[str, np.ndarray],
        *,
        half: bool,
        plain: bool,
    ) -> OnnxGraphs:
        """See `Framework.export_onnx`; the layers always stay as they are."""
        return export(architecture, domains, arrays, half=half)


FRAMEWORK: Framework = Tensorflow()
