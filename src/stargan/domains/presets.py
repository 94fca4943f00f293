"""The labels of well-known data sets."""

CELEBA_HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair")
"""CelebA's hair colours that both original codes learn; they exclude each other."""

CELEBA_GENDER, CELEBA_AGE = "Male", "Young"
"""CelebA's attributes of gender and age."""

CELEBA_ATTRIBUTES = (*CELEBA_HAIR, CELEBA_GENDER, CELEBA_AGE)
"""CelebA's attributes that both original codes learn by default (official main.py, line 83)."""
