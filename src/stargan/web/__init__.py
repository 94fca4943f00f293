"""A page and an HTTP API on top of `inference`; `pip install 'stargan[serve]'`.

This module loads none of the libraries that serve, so that the command line can import it.
"""

from stargan.errors import require
from stargan.web.limits import Access as Access
from stargan.web.limits import Limits as Limits

LIBRARIES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "swagger_ui_bundle")


def check_installed() -> None:
    """Checks that the libraries of the extra `serve` are there.

    Raises:
        MissingExtraError: One of them is not installed.
    """
    for library in LIBRARIES:
        require(library, "serve", "serve the page")
