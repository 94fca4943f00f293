"""Answers to requests that cannot be fulfilled: a status, a code for programs, and a line for people."""

import math

from stargan.errors import ConfigError, DomainError, ImageError, StarganError


class ApiError(StarganError):
    """A request that the server does not fulfil.

    Args:
        status: The HTTP status.
        code: A word for programs; the page translates it.
        message: A line for people.
        retry_after: Seconds after which it makes sense to try again.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.status, self.code = status, code
        self.headers = {"Retry-After": str(math.ceil(retry_after))} if retry_after else {}

    def body(self) -> dict[str, str]:
        """The answer's JSON."""
        return {"code": self.code, "message": str(self)}


def refusal_of(error: StarganError) -> ApiError:
    """The answer to a request that caused an error of the package."""
    if isinstance(error, ApiError):
        return error
    for kind, code in ((ImageError, "image"), (DomainError, "label"), (ConfigError, "value")):
        if isinstance(error, kind):
            return ApiError(422, code, str(error))
    return ApiError(500, "model", str(error))
