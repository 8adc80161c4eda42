"""Errors as pages."""

from __future__ import annotations

from typing import Final

from kirotrio.errors import KirotrioError
from kirotrio.web.console import cookies
from kirotrio.web.console.languages import N_, Speech, choose
from kirotrio.web.console.origin import FormOutdated
from kirotrio.web.console.pages import page, words
from kirotrio.web.console.status import came_to, status_of
from kirotrio.web.console.visit import Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply

_TITLES: Final = {
    400: N_("This cannot be done as it is written"),
    401: N_("Sign in first"),
    403: N_("This is not for you"),
    404: N_("There is no such page"),
    405: N_("There is no such page"),
    408: N_("That took too long"),
    413: N_("This is too large"),
    429: N_("Too many attempts"),
    500: N_("Something went wrong here"),
    502: N_("Kiro could not be reached"),
    503: N_("Not available at the moment"),
}

_OUTDATED: Final = N_("This page is out of date")


def failure(gateway: Gateway, visit: Visit | None, incoming: Incoming, error: KirotrioError) -> Reply:
    """The page of an error. `visit` is None where it was met ahead of knowing whose it is."""
    status = status_of(error)
    incoming.passage.refuse(came_to(status, error))
    headers = {} if error.retry_after is None else {"retry-after": str(max(1, round(error.retry_after)))}
    shown = visit or _stranger(gateway, incoming)
    return page(
        gateway,
        shown,
        "failure.html",
        status=status,
        headers=headers,
        title=_OUTDATED if isinstance(error, FormOutdated) else _TITLES.get(status, _TITLES[500]),
        message=words(shown.speech, error.message),
        request_id="",
    )


def fault(gateway: Gateway, visit: Visit | None, incoming: Incoming, error: Exception) -> Reply:
    """The page of an error of ours, which is logged under the id that the page names."""
    request_id = incoming.passage.request_id
    gateway.log.error("page failed", exc_info=error, path=incoming.path, request_id=request_id)
    shown = visit or _stranger(gateway, incoming)
    message = shown.speech("The gateway's log has the details under this number:")
    return page(
        gateway, shown, "failure.html", status=500, title=_TITLES[500], message=message, request_id=request_id
    )  # fmt: skip


def _stranger(gateway: Gateway, incoming: Incoming) -> Visit:
    secure = gateway.is_secure(incoming)
    chosen = cookies.read(incoming.all("cookie"), cookies.LANGUAGE, secure=secure)
    speech = Speech(choose(chosen, accept=incoming.headers.get("accept-language", "")))
    return Visit(incoming, None, "", speech, "", secure, "")
