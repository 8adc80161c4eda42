"""A whole HTTP answer as a value."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field

from kirotrio.classes import frozen


@frozen
class HttpAnswer:
    """`headers` have lower-case names; the body may hold a secret and is not shown."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=lambda body: f"<{len(body)} bytes>")
