"""How good translations are, measured on pictures that were not trained on."""
