"""The same results faster on a CPU: fused layers for training, rewritten layers for inference."""
