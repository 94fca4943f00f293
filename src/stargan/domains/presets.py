"""Labels of well-known data sets."""

CELEBA_HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair")
"""CelebA's hair colours that both original codes learn; they exclude each other."""

CELEBA_ATTRIBUTES = (*CELEBA_HAIR, "Male", "Young")
"""What both original codes learn from CelebA unless told otherwise (official main.py, line 83)."""
