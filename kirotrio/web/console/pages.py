"""Pages and redirects as answers: a template and its values, with every header that a page has."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kirotrio import __version__
from kirotrio.web.console import cookies
from kirotrio.web.console.agents import browser_of
from kirotrio.web.console.assets import asset
from kirotrio.web.console.headers import PAGE_HEADERS, SECURE_ONLY
from kirotrio.web.console.languages import CHINESE, ENGLISH, LANGUAGES, Speech
from kirotrio.web.console.navigation import places
from kirotrio.web.console.quoting import pieces
from kirotrio.web.console.refusals import in_language, in_marked_language, label, of_field
from kirotrio.web.console.results import RESULTS, USAGE
from kirotrio.web.console.visit import Visit
from kirotrio.web.console.words import ENDINGS, ROLES, THEME_NAMES, account_kind
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Reply

HOME = "/console"


def page(
    gateway: Gateway,
    visit: Visit,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Reply:
    """A template of `templates/`, filled in. Every value is escaped; a name that is not given is an error.

    Templates have `_` (translates a sentence), `visit`, `places` (the navigation), `standing` (the mode), `elsewhere`
    (gives the providers to sign in at), `words` (an error's sentence), `asset`, and the filters `size`, `when` and
    `browser`.
    """
    if visit.notice is not None:
        visit.keep(cookies.NOTICE, "", 0)
    body = (
        environment()
        .get_template(template)
        .render(
            _=visit.speech,
            visit=visit,
            csrf=with_csrf(visit),
            notice=visit.notice,
            standing=gateway.modes.now,
            places=places(visit, own_keys=gateway.settings.users.own_keys),
            languages=LANGUAGES,
            words=functools.partial(words, visit.speech),
            elsewhere=lambda: gateway.elsewhere.providers.values(),
            **values,
        )
    )
    return Reply(
        body.encode("utf-8", "replace"), status, {**page_headers(visit.secure), **(headers or {})}, cookies=visit.keeps
    )


def redirect(visit: Visit, address: str) -> Reply:
    """Send the browser to another page of ours (after a form: 303). htmx is told so that the whole page changes."""
    headers = page_headers(visit.secure)
    if visit.partial:
        return Reply(b"", 204, {**headers, "hx-redirect": local(address)}, cookies=visit.keeps)
    return Reply(b"", 303, {**headers, "location": local(address)}, cookies=visit.keeps)


def page_headers(secure: bool) -> dict[str, str]:
    return {**PAGE_HEADERS, **(SECURE_ONLY if secure else {})}


def local(address: str) -> str:
    """The address if it is one of our own pages, else that of the first: `next` comes from whoever made a link."""
    parts = urlsplit(address)
    own = parts.path == HOME or parts.path.startswith(HOME + "/")
    plain = address.isascii() and address.isprintable() and "\\" not in address and " " not in address
    return address if own and plain and not parts.scheme and not parts.netloc and ".." not in parts.path else HOME


def with_next(path: str, address: str) -> str:
    """A page that leads to another one afterwards."""
    return f"{path}?{urlencode({'next': local(address)})}"


@functools.cache
def environment() -> Environment:
    """Read once; templates are compiled when they are first shown."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(asset=asset, version=__version__, role_names=ROLES, result_names=RESULTS, usage_names=USAGE)
    made.globals.update(account_kind=account_kind, endings=ENDINGS, theme_names=THEME_NAMES)
    made.filters.update(when=when, day=day, day_of=day_of, size=size, brief=brief, browser=browser_of)
    return made


def when(at: float | None) -> Markup:
    """A time (epoch seconds) in UTC; a script shows it in the reader's own zone."""
    if at is None:
        return Markup("–")
    moment = datetime.fromtimestamp(at, UTC)
    template = Markup('<time datetime="{}">{} UTC</time>')
    return template.format(moment.strftime("%Y-%m-%dT%H:%M:%SZ"), moment.strftime("%Y-%m-%d %H:%M:%S"))


def day(at: float) -> str:
    """The day (epoch seconds) in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def day_of(at: float | None) -> Markup:
    """The day of a time (epoch seconds), in UTC; a script shows it in the reader's own zone, with the hour as title."""
    if at is None:
        return Markup("–")
    moment = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}" data-day>{}</time>').format(moment.strftime("%Y-%m-%dT%H:%M:%SZ"), day(at))


def size(number: float | None) -> str:
    """A number with its thousands set apart, "–" for none."""
    if number is None:
        return "–"
    return f"{number:,}" if isinstance(number, int) else f"{number:,.2f}"


_SHORT: Mapping[str, tuple[tuple[str, int, int], ...]] = {
    ENGLISH: ((" B", 10**9, 10**9 - 50_000), (" M", 10**6, 10**7)),
    CHINESE: (("万亿", 10**12, 10**12 - 5_000_000), ("亿", 10**8, 10**8 - 500), ("万", 10**4, 10**6)),
}
"""The units of large numbers by language: each with what one of it is, and the least number that is told in it. What
the smaller unit would round to a whole one of the larger is told in the larger."""


def brief(number: float, language: str) -> Markup:
    """A number that fits a tile: of a long one its first digits and the language's unit, with the whole as title."""
    whole = size(number)
    for unit, one, least in _SHORT[language]:
        if abs(number) >= least:
            return Markup('<span title="{}">{}{}</span>').format(whole, f"{number / one:,.1f}", unit)
    if isinstance(number, float) and abs(number) >= 10**5:
        return Markup('<span title="{}">{}</span>').format(whole, f"{number:,.0f}")
    return Markup("{}").format(whole)


def with_csrf(visit: Visit) -> Callable[[], Markup]:
    """Gives the field with the token that every form has to send."""
    return functools.partial(Markup('<input type="hidden" name="csrf" value="{}">').format, visit.csrf)


def said(speech: Speech, message: str) -> str:
    """An error's own sentence, in the reader's language where the catalogue has it."""
    sentence = in_language(speech, message)
    if sentence != message:
        return sentence
    name, _, problem = message.partition(": ")
    if "_" in name and (shown := label(speech, name)):  # no word: the page has a name of its own for the field
        return of_field(speech, shown, problem)
    return sentence[:1].upper() + sentence[1:]


def words(speech: Speech, message: str) -> Markup:
    """The same as markup: what has no translation, and what the upstream said, is marked as English."""
    shown = Markup("")
    for place, (piece, english) in enumerate(pieces(in_marked_language(speech, message))):
        own = not place and message.startswith(piece)
        template = Markup('<span lang="en">{}</span>') if english else Markup("{}")
        shown += template.format(piece[:1].upper() + piece[1:] if own else piece)
    return shown
