"""`/a/NAME/…`: the account that a path names, ahead of any other path there is. And what a request itself is called."""

from __future__ import annotations

import re
import secrets
from typing import Any

SCOPE_ACCOUNT = "kirotrio.account"

_NAMED = re.compile(r"/a/([^/]+)(/.*)?", re.DOTALL)
"""Whatever stands there is meant as a name; which there are, the pool knows."""


def new_request_id() -> str:
    return "req_" + secrets.token_hex(12)


def with_account(scope: dict[str, Any]) -> dict[str, Any]:
    """The same request without the account in its path; the account stands in the scope, "" where none is named."""
    named = _NAMED.fullmatch(scope["path"])
    if named is None:
        return {**scope, SCOPE_ACCOUNT: ""}
    # No account's name has a character that could stand there in another spelling: for those, both paths begin alike.
    raw = scope["raw_path"][len(named[1]) + 3 :] if scope["raw_path"].startswith(f"/a/{named[1]}".encode()) else None
    path = named[2] or "/"
    return {**scope, "path": path, "raw_path": raw or path.encode(), SCOPE_ACCOUNT: named[1]}
