"""Faster computation on CPUs with the same results: fused layers for training, rewritten layers for inference."""
