"""One visit to a page: who it is, in which language, and what the answer is to keep in the browser."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.errors import PermissionDenied
from kirotrio.web.console import cookies
from kirotrio.web.console.languages import Speech, choose
from kirotrio.web.console.origin import token_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming

OPERATOR: Final = frozenset({"operator"})
OWNERS: Final = frozenset({"operator", "member"})
"""Who has keys and accounts."""
TEAM: Final = frozenset({"operator", "viewer"})
"""Who sees the team's numbers."""
EVERYONE: Final = frozenset({"operator", "member", "viewer"})
"""Whoever has signed in."""

THEMES: Final = ("light", "dark")


@frozen
class Person:
    """Who has signed in. `id` is the user's, `role` operator, member or viewer."""

    id: str
    name: str
    display: str
    role: str
    language: str = ""

    @property
    def shown(self) -> str:
        return self.display or self.name


@frozen
class Notice:
    """A sentence on the next page. `kind` is done, failed or note; the sentence is translated when it is shown."""

    kind: str
    sentence: str
    parts: Mapping[str, str] = {}


class Shown(Protocol):
    """An announcement as a page shows it. `html` is sanitised markup, `severity` its class."""

    @property
    def title(self) -> str: ...

    @property
    def html(self) -> object: ...

    @property
    def severity(self) -> str: ...


@define
class Visit:
    """What a page is given beside the gateway. `csrf` is the token that its forms have to send back.

    `secure`: the browser came by TLS. `address`: the client's. `keeps`: Set-Cookie fields of the answer.
    """

    incoming: Incoming
    person: Person | None
    csrf: str = field(repr=False)
    speech: Speech
    theme: str
    secure: bool
    address: str
    session: str = field(default="", repr=False)
    """The value of the session's cookie."""
    notice: Notice | None = None
    announcements: Sequence[Shown] = ()
    keeps: list[str] = field(factory=list, repr=False)

    @property
    def user(self) -> Person:
        """Raises PermissionDenied where nobody has signed in; a page that has roles is never asked for then."""
        if self.person is None:
            raise PermissionDenied("nobody has signed in")
        return self.person

    @property
    def path(self) -> str:
        return self.incoming.path

    @property
    def here(self) -> str:
        """The page with what was asked of it."""
        query = self.incoming.query
        return f"{self.path}?{query}" if query else self.path

    @property
    def partial(self) -> bool:
        """Whether htmx asks, which wants a part of the page."""
        headers = self.incoming.headers
        return "hx-request" in headers and "hx-boosted" not in headers and "hx-history-restore-request" not in headers

    @property
    def language(self) -> str:
        return self.speech.language

    def may(self, roles: frozenset[str]) -> bool:
        return self.person is not None and self.person.role in roles

    def keep(self, name: str, value: str, seconds: float | None = None) -> None:
        self.keeps.append(cookies.keep(name, value, secure=self.secure, seconds=seconds))

    def tell(self, sentence: str, kind: str = "done", **parts: str) -> None:
        """Have the next page say this, after a redirect. The sentence is English, and in the catalogue."""
        cut = {name: value[:200] for name, value in parts.items()}
        self.keep(cookies.NOTICE, cookies.packed([kind, sentence, cut]), 60)


async def open_visit(gateway: Gateway, incoming: Incoming) -> Visit:
    """Whose visit it is, by the cookies that came. Raises StoreUnavailable."""
    sent, secure = incoming.all("cookie"), gateway.is_secure(incoming)

    def cookie(name: str) -> str:
        return cookies.read(sent, name, secure=secure)

    person: Person | None = None
    visitor, theme = cookie(cookies.VISITOR), cookie(cookies.THEME)
    language = choose(cookie(cookies.LANGUAGE), accept=incoming.headers.get("accept-language", ""))
    visit = Visit(
        incoming,
        person,
        token_of(visitor),
        Speech(language),
        theme if theme in THEMES else "",
        secure,
        gateway.client_address(incoming),
    )
    if person is None and not visitor:
        visitor = secrets.token_urlsafe(24)
        visit.csrf = token_of(visitor)
        visit.keep(cookies.VISITOR, visitor)
    visit.notice = _notice(cookies.unpacked(cookie(cookies.NOTICE)))
    return visit


def _notice(value: object) -> Notice | None:
    match value:
        case [("done" | "failed" | "note") as kind, str(sentence), dict(parts)]:
            return Notice(kind, sentence, {str(name): str(part) for name, part in parts.items()})
    return None
