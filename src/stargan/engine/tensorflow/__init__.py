"""The engine on TensorFlow 2 and Keras 3."""

import os

# Before TensorFlow is imported: what it prints of its own accord is of no use to users.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
