"""Using a model; `.onnx` files need no PyTorch."""
