"""Model files for other programs, and from them."""
