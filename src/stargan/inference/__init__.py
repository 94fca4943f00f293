"""Using a model, without PyTorch where the file is an `.onnx` file."""
