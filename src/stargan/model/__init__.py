"""Model files: their description, model card and arrays, and where they are stored."""
