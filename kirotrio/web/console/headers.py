"""What every answer of the console tells the browser of what it may do with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""No inline script or style, nothing from elsewhere, no frame around a page."""

_EVERYWHERE: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # Not `no-referrer`: with it browsers send `Origin: null` with forms, which the guard has to refuse.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}

PAGE_HEADERS: Final[Mapping[str, str]] = {
    **_EVERYWHERE,
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "vary": "Cookie, Accept-Language, HX-Request",
}

FILE_HEADERS: Final[Mapping[str, str]] = {**_EVERYWHERE, "cache-control": "public, max-age=31536000, immutable"}

EVENT_HEADERS: Final[Mapping[str, str]] = {
    **_EVERYWHERE,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
}

SECURE_ONLY: Final[Mapping[str, str]] = {"strict-transport-security": "max-age=31536000"}
"""Where the browser came by TLS."""
