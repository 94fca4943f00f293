"""Fuzzing: every reader gets damaged and invented files. `python -m fuzz --help`; docs/security.md has the figures."""
