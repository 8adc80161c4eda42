"""Language and colours, which a browser keeps."""

from __future__ import annotations

from kirotrio.errors import BodyInvalid
from kirotrio.web.console import cookies
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import ANYBODY, changes
from kirotrio.web.console.languages import LANGUAGES
from kirotrio.web.console.pages import redirect
from kirotrio.web.console.visit import THEMES, Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs


async def prefer(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    if language := form("language"):
        if language not in LANGUAGES:
            raise BodyInvalid("language", f"must be one of {', '.join(LANGUAGES)}")
        visit.keep(cookies.LANGUAGE, language, cookies.YEAR)
    if theme := form("theme"):
        if theme not in (*THEMES, "auto"):
            raise BodyInvalid("theme", "must be light, dark or auto")
        visit.keep(cookies.THEME, theme, cookies.YEAR)
    return redirect(visit, form("next"))


ROUTES = (changes("/console/preferences", prefer, ANYBODY),)
