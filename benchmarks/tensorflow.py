"""Training and inference with TensorFlow: our engine against taki0112's graph; see taki0112.py in this folder."""

import sys

import taki0112

if __name__ == "__main__":
    sys.exit(taki0112.run())
