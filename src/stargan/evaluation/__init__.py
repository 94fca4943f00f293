"""Evaluation: how good translations are, measured on images that the models were not trained on."""
