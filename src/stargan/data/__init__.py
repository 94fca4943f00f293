"""Labelled pictures: found, decoded once, handed out in batches; and drawn ones."""
