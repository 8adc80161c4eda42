"""Where the templates' forms and links lead: to a route that there is, and to every route that takes a form.

Other tests send forms to addresses that they know; what stands in a page could be another one.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from kirotrio.web import console
from kirotrio.web.console import all_pages

TEMPLATES = {one.name: one.read_text() for one in sorted((Path(console.__file__).parent / "templates").glob("*.html"))}
ROUTES = {
    method: {route.path for route in all_pages.routes() if route.method == method and "path:" not in route.path}
    for method in ("GET", "POST")
}
_VALUE = r'"((?:\{\{.*?\}\}|\{%.*?%\}|[^"{])*)"'
_FORM = re.compile(r'<form method="(get|post)" action=' + _VALUE)
_BUTTON = re.compile(r'\bbutton\(row, "([a-z-]+)"')
_LINK = re.compile(r"\bhref=" + _VALUE)
_READ = re.compile(r'\bform(?:\.(?:raw|all|lines|number|ticked))?\("([a-z_-]+)"')
_NAMED = re.compile(r'\bname="([a-z_-]+)"')
_INCLUDED = re.compile(r'\{% include "([a-z_]+\.html)" %\}')
_OF_A_SCRIPT = '<form id="playground"'
"""It is sent by `fetch`, and has no address."""
_TOLD = {
    "/console/announcements/new": "announcement.html has the address from its page",
    "/console/announcements/<announcement_id>": "announcement.html has the address from its page",
    "/console/invitation/<token>": "invitation.html is sent to where it is",
    "/console/ask": "asking.html is sent to where it is",
    "/console/confirm": "confirm.html is sent there, or where the form was that waits",
    "/console/playground/key": "playground.js asks for it, where data-key says",
}
"""Routes whose forms do not say in the template where they go."""


def leads(address: str, method: str) -> set[str]:
    """The routes that an address of a template may mean."""
    path = re.sub(r"\{\{.*?\}\}", "\0", address).partition("?")[0]
    beginning = ".+" if path.startswith("\0") else ""
    shape = beginning + "[^/]+".join(map(re.escape, path.removeprefix("\0").split("\0")))
    return {route for route in ROUTES[method] if re.fullmatch(shape, route)}


def forms() -> list[tuple[str, str, str]]:
    """Template, method and address of each; of the macro for buttons of an account, one for each of its uses."""
    found = [(name, method.upper(), where) for name, text in TEMPLATES.items() for method, where in _FORM.findall(text)]
    used = [(name, verb) for name, text in TEMPLATES.items() for verb in _BUTTON.findall(text)]
    assert len(used) > 3, "the macro is not called so any more"
    return [
        *(form for form in found if "{{ verb }}" not in form[2]),
        *((name, "POST", f"/console/accounts/{{{{ row.id }}}}/{verb}") for name, verb in used),
    ]


def links() -> list[tuple[str, str]]:
    """The console's own, of a choice between two each."""
    whole = [(name, link) for name, text in TEMPLATES.items() for link in _LINK.findall(text)]
    return [(name, one) for name, link in whole for one in re.split(r"\{%.*?%\}", link) if one.startswith("/console")]


def test_every_form_is_looked_at():
    for name, text in TEMPLATES.items():
        every = text.count("<form") - text.count(_OF_A_SCRIPT)
        assert every == len(_FORM.findall(text)), f"{name} has a form without `method` and `action` in this order"


@pytest.mark.parametrize(("name", "method", "where"), forms())
def test_a_form_goes_where_one_is_taken(name, method, where):
    assert leads(where, method), f"{name}: nothing takes what is sent to {where}"


def test_whatever_takes_a_form_is_led_to_by_one():
    named = [(method, where) for _, method, where in forms() if not re.fullmatch(r"\{\{.*?\}\}", where)]
    reached = {route for method, where in named for route in leads(where, method) if method == "POST"}
    assert reached | _TOLD.keys() == ROUTES["POST"], "a route without a form, or one that there is not"
    assert not reached & _TOLD.keys()


@pytest.mark.parametrize(("name", "where"), links())
def test_a_link_leads_to_a_page(name, where):
    assert leads(where, "GET"), f"{name}: there is no page {where}"


def fields() -> dict[str, set[str]]:
    """The names of all fields of the forms that lead to each route and say so."""
    found: dict[str, set[str]] = {}
    for text in TEMPLATES.values():
        for begin in _FORM.finditer(text):
            method, where = begin.groups()
            if method == "post" and not re.fullmatch(r"\{\{.*?\}\}", where):
                whole = _INCLUDED.sub(
                    lambda one: TEMPLATES[one[1]], text[begin.start() : text.index("</form>", begin.start())]
                )
                for route in leads(where, "POST"):
                    found.setdefault(route, set()).update(_NAMED.findall(whole))
    return found


def taker(route):
    """What takes a form there, behind what `changes` has put around it."""
    around = [route.endpoint]
    while around:
        held = inspect.getclosurevars(around.pop()).nonlocals
        if "takes" in held:
            return held["takes"]
        around += filter(inspect.isfunction, held.values())
    raise AssertionError(f"{route.path} is not made by `changes`")


def test_what_is_read_of_a_form_stands_in_it():
    """As far as what takes the form reads it itself."""
    named, seen = fields(), 0
    for route in all_pages.routes():
        if route.method == "POST" and route.path in named:
            read = set(_READ.findall(inspect.getsource(taker(route))))
            seen += len(read)
            assert read <= named[route.path], f"{route.path}: no form has a field {sorted(read - named[route.path])}"
    assert seen > 40, "forms are not read so any more"
