"""The subcommands, a module each; their options are dataclasses, whose docstrings `--help` shows."""
