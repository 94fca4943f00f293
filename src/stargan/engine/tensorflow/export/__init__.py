"""Models as files of Keras, TensorFlow and LiteRT, which run without this package."""

from stargan.engine.tensorflow.export.keras_file import build as build
from stargan.engine.tensorflow.export.keras_file import write as write_keras
from stargan.engine.tensorflow.export.litert import Quantization as Quantization
from stargan.engine.tensorflow.export.litert import convert as convert_litert
from stargan.engine.tensorflow.export.saved_model import write as write_saved_model

__all__ = ["Quantization", "build", "convert_litert", "write_keras", "write_saved_model"]
