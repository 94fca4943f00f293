"""Conversion of model files: export to other kinds, and import and export of other codes' checkpoints."""
