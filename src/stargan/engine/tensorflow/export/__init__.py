"""Models as files of Keras, TensorFlow and LiteRT, which run without this package."""
