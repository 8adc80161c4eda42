"""One visit to a page: who it is, in which language, and what the answer is to keep in the browser."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import trio
from attrs import field
from markupsafe import Markup

from kirotrio.access.announcements import due
from kirotrio.access.audit import Actor
from kirotrio.access.markdown import rendered
from kirotrio.classes import define, frozen
from kirotrio.errors import AuthenticationFailed, StoreUnavailable
from kirotrio.store.user_record import Session, User
from kirotrio.web.console import cookies
from kirotrio.web.console.languages import CHINESE, Speech, catalogue, choose
from kirotrio.web.console.origin import token_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming

if TYPE_CHECKING:
    from kirotrio.access.people import People

OPERATOR: Final = frozenset({"operator"})
OWNERS: Final = frozenset({"operator", "member"})
"""Who has keys and accounts."""
TEAM: Final = frozenset({"operator", "viewer"})
"""Who sees the team's numbers."""
EVERYONE: Final = frozenset({"operator", "member", "viewer"})
"""Whoever has signed in."""

THEMES: Final = ("light", "dark")


@frozen
class Notice:
    """A sentence on the next page. `kind` is done, failed or note; the sentence is translated when it is shown."""

    kind: str
    sentence: str
    parts: Mapping[str, str] = {}


@frozen
class Shown:
    """An announcement as a page shows it. `html` is sanitised."""

    title: str
    html: Markup
    severity: str


@define
class Visit:
    """What a page is given beside the gateway. `csrf` is the token that its forms have to send back.

    `session`: the sign-in, None where nobody has signed in wholly; `waiting`: one whose second factor is still to
    come. `secure`: the browser came by TLS. `address`: the client's. `keeps`: Set-Cookie fields of the answer.
    """

    incoming: Incoming
    session: Session | None
    csrf: str = field(repr=False)
    speech: Speech
    theme: str
    secure: bool
    address: str
    waiting: Session | None = None
    token: str = field(default="", repr=False)
    """What the session's cookie holds."""
    notice: Notice | None = None
    announcements: Sequence[Shown] = ()
    keeps: list[str] = field(factory=list, repr=False)

    @property
    def signed_in(self) -> Session:
        """Raises AuthenticationFailed where nobody has; a page that has roles is never asked for then."""
        if self.session is None:
            raise AuthenticationFailed("nobody has signed in")
        return self.session

    @property
    def user(self) -> User:
        """Raises AuthenticationFailed where nobody has signed in."""
        return self.signed_in.user

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit log. Raises AuthenticationFailed where nobody has signed in."""
        return Actor(self.user.id, self.user.name, self.address)

    @property
    def agent(self) -> str:
        """What the browser calls itself, cut."""
        return self.incoming.headers.get("user-agent", "")[:200]

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
        return self.session is not None and self.session.user.role in roles

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

    token = cookie(cookies.SESSION)
    found = await (await people_of(gateway)).session(token, waiting=True) if token else None
    visitor, theme = cookie(cookies.VISITOR), cookie(cookies.THEME)
    wanted = found.user.language if found is not None else ""
    visit = Visit(
        incoming,
        None if found is None or found.waits_for_code else found,
        found.csrf if found is not None else token_of(visitor),
        Speech(choose(cookie(cookies.LANGUAGE), wanted, accept=incoming.headers.get("accept-language", ""))),
        theme if theme in THEMES else "",
        secure,
        gateway.client_address(incoming),
        found if found is not None and found.waits_for_code else None,
        token,
    )
    if found is None and not visitor:
        visitor = secrets.token_urlsafe(24)
        visit.csrf = token_of(visitor)
        visit.keep(cookies.VISITOR, visitor)
    visit.notice = _notice(cookies.unpacked(cookie(cookies.NOTICE)))
    if visit.session is not None and not visit.partial:
        visit.announcements = await _announced(gateway)
    return visit


async def _announced(gateway: Gateway) -> tuple[Shown, ...]:
    """What is announced now; nothing where the store does not tell."""
    people = await people_of(gateway)
    try:
        found = await due(people.database, people.now())
    except StoreUnavailable:
        return ()
    # What `rendered` gives is safe, which its own tests hold.
    return tuple(
        Shown(one.title, Markup(rendered(one.body)), one.severity)  # noqa: S704 - sanitised as it is rendered
        for one in found
    )


async def people_of(gateway: Gateway) -> People:
    """The gateway's users. What they need is loaded in a thread, so that nobody who asks for something else waits."""
    await trio.to_thread.run_sync(_load_people)
    return gateway.people


def _load_people() -> None:
    import kirotrio.access.people  # noqa: F401 - all that matters is that it is loaded


def _notice(value: object) -> Notice | None:
    """What `tell` put into the cookie. A cookie may come from elsewhere: only sentences that the console says count."""
    match value:
        case [("done" | "failed" | "note") as kind, str(sentence), dict(parts)] if sentence in catalogue(CHINESE):
            needed = {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}
            if needed <= parts.keys():
                return Notice(kind, sentence, {str(name): str(part) for name, part in parts.items()})
    return None
