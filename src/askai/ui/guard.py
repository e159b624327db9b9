"""What stands before Gradio's routes: foreign pages and names are refused, and outside requests too."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Routes of Gradio that the page does not use and that would read files or fetch addresses.
_CLOSED = re.compile(
    r"/(?:gradio_api/)?(?:file[=/]|proxy=|stream/|process_recording|vibe|undo-vibe|dev/|custom_component/"
    r"|runs|run-history|profiling|mcp)|/monitoring",
)
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)


def is_loopback(host: str) -> bool:
    """Whether this name or address can only be reached from this machine."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _name(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


class Guard:
    """ASGI middleware. ``local`` says that the page is served to this machine alone.

    Then a foreign Host header (a name that an outside page points at 127.0.0.1) is refused. A
    request that another site's page makes is always refused. The policy header keeps the browser
    from loading anything from elsewhere, whatever gets into the page.
    """

    def __init__(self, app: ASGIApp, local: bool) -> None:
        self._app = app
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["path"], Headers(scope=scope))
        if refusal:
            await PlainTextResponse(refusal, 403)(scope, receive, send)
            return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        await self._app(scope, receive, with_policy)

    def _refusal(self, path: str, headers: Headers) -> str:
        host = headers.get("host", "")
        if self._local and not is_loopback(_name(host)):
            return "这个页面只在本机使用：请用 http://127.0.0.1 打开。"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return "拒绝了来自其他网站的请求。"
        if _CLOSED.match(path):
            return "没有开放这个地址。"
        return ""
