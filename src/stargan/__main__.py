"""`python -m stargan`."""

import sys

from stargan.cli import process

sys.exit(process())
