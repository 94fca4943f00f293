"""The edit generator and its training: discriminator, losses and updates."""
