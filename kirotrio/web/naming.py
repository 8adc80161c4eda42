"""What a path names: its surface, and (`/a/NAME/…`, ahead of any other path there is) the account."""

from __future__ import annotations

import re
from typing import Any

SCOPE_ACCOUNT = "kirotrio.account"

_NAMED = re.compile(r"/a/([^/]+)(/.*)?", re.DOTALL)
"""Whatever stands there is meant as a name; which there are, the pool knows."""


def surface_of(path: str) -> str:
    """The surface that a path would belong to, whether that has it or not."""
    if path == "/console" or path.startswith("/console/"):
        return "console"
    bare = path.removeprefix("/cc")
    return bare[4:].partition("/")[0] if bare.startswith("/v1/") else ""


def account_of(path: str) -> tuple[str, str]:
    """The account that the path names, "" where it names none, and the rest of the path."""
    if not path.startswith("/a/"):
        return "", path
    named = _NAMED.fullmatch(path)
    return (named[1], named[2] or "/") if named is not None else ("", path)


def with_account(scope: dict[str, Any]) -> dict[str, Any]:
    """The same request without the account in its path; the account stands in the scope, "" where none is named."""
    account, path = account_of(scope["path"])
    if not account:
        return {**scope, SCOPE_ACCOUNT: ""}
    # No account's name has a character that could stand there in another spelling: for those, both paths begin alike.
    raw = scope["raw_path"][len(account) + 3 :] if scope["raw_path"].startswith(f"/a/{account}".encode()) else None
    return {**scope, "path": path, "raw_path": raw or path.encode(), SCOPE_ACCOUNT: account}
