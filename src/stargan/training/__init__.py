"""Training: one loop for one or many data sets, its checkpoints and its record."""
