"""The page of an error that is met ahead of any page: no layout, no language, no visit."""

from __future__ import annotations

from markupsafe import escape

from kirotrio.errors import KirotrioError
from kirotrio.web.console.headers import PAGE_HEADERS
from kirotrio.web.console.status import status_of
from kirotrio.web.incoming import Reply

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>kirotrio</title><h1>{status}</h1><p>{message}</p>
<p><a href="/console">kirotrio</a></p></html>
"""


def bare_failure(error: KirotrioError, request_id: str) -> Reply:
    status = status_of(error)
    body = _PAGE.format(status=status, message=escape(error.message))
    headers = {**PAGE_HEADERS, "request-id": request_id, "x-request-id": request_id}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    return Reply(body.encode("utf-8", "replace"), status, headers)
