"""What is true of every request: who may call, what browsers may do with the answer, and that it is counted.

A page on another site can make a visitor's browser call a server on the visitor's own machine. Browsers keep such pages
from reading answers, unless the other site points its own name at this machine (DNS rebinding). So the name under
which the server is called must be known, and a page that calls must come from this server.
"""

import hmac
import ipaddress
import socket
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stargan.web.limits import Access
from stargan.web.metrics import Metrics
from stargan.web.refusals import ApiError

CONTENT_SECURITY_POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
DOCS_POLICY = CONTENT_SECURITY_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
OPEN = ("/healthz",)  # paths below which a key is never asked for, beside the page itself
NAMED = {"/v1/photos/": "/v1/photos/{name}", "/v1/runs/": "/v1/runs/{number}/samples/{step}"}
PRIVATE = ("/v1/", "/metrics")


class Guard:
    """Wraps the application.

    Args:
        app: The application.
        access: Who may call.
        metrics: Counts.
        paths: The paths of the API, which are counted by name.
    """

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app, self._access, self._metrics, self._paths = app, access, metrics, paths
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, f"{own}.local", *(host.lower() for host in access.hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, path = time.perf_counter(), scope["path"]
        named = (template for start, template in NAMED.items() if path.startswith(start))
        name = path if path in self._paths else next(named, "other")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(MutableHeaders(scope=message), path)
                self._metrics.requests.labels(_method(scope), name, message["status"]).inc()
            await send(message)

        refusal = self._refusal(scope["method"], path, Headers(scope=scope))
        app = self._app if refusal is None else JSONResponse(refusal.body(), refusal.status, refusal.headers)
        try:
            await app(scope, receive, answer)
        finally:
            self._metrics.seconds.labels(name).observe(time.perf_counter() - began)

    def _complete(self, headers: MutableHeaders, path: str) -> None:
        for name, value in HEADERS.items():
            headers[name] = value
        headers["Content-Security-Policy"] = DOCS_POLICY if path.startswith("/docs") else CONTENT_SECURITY_POLICY
        if not self._access.origins:
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if path.startswith(PRIVATE):
            headers["Cache-Control"] = "no-store"
        else:
            headers.setdefault("Cache-Control", "no-cache")

    def _refusal(self, method: str, path: str, headers: Headers) -> ApiError | None:
        host = headers.get("host", "")
        if not self._known(host):
            return ApiError(421, "host", "unknown host name; start the server with --allow-host and this name")
        origin = headers.get("origin")
        if origin and method not in ("GET", "HEAD") and not self._same(origin, host):
            return ApiError(403, "origin", "pages of other sites may not call this server; see --cors")
        if self._access.key and path.startswith(PRIVATE) and method != "OPTIONS" and not self._has_key(headers):
            refusal = ApiError(401, "key", "a key is needed: Authorization: Bearer KEY")
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return refusal
        return None

    def _known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if "*" in self._hosts or name in self._hosts:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _same(self, origin: str, host: str) -> bool:
        return origin in self._access.origins or (
            origin.partition("://")[2].lower() == host.lower() and origin.startswith(("http://", "https://"))
        )

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        given = given if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        return hmac.compare_digest(given.strip().encode(), self._access.key.encode())


def _method(scope: Scope) -> str:
    """The method, if it is a usual one: others would make endless counters."""
    return scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "DELETE", "OPTIONS") else "other"
