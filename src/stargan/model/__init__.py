"""A model file: what it says about itself, its card, its arrays, and where model files lie."""
