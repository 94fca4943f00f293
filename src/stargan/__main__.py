"""`python -m stargan`."""

import sys

from stargan.cli import main

sys.exit(main())
