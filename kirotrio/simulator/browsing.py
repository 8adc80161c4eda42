"""What a browser gets during a sign-in: it is sent back with a code, with a refusal, or stays on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit

from kirotrio.simulator.answers import Call, Reply
from kirotrio.simulator.sign_ins import SignIns

_HTML = {"content-type": "text/html; charset=utf-8"}
_CHALLENGE = 43
"""Characters of the challenge that S256 gives."""


class BadPage(Exception):
    """The address that the browser was given is wrong; nothing is told to where it would lead."""


def members(call: Call, required: tuple[str, ...], known: tuple[str, ...] = ()) -> Mapping[str, str]:
    """The query of a sign-in page. Raises BadPage where a member is missing or one is not known."""
    for name in required:
        if not call.query.get(name):
            raise BadPage(f"{name} is required")
    if unknown := call.query.keys() - {*required, *known}:
        raise BadPage(f"not known: {', '.join(sorted(unknown))}")
    if call.query.get("code_challenge_method", "S256") != "S256" or len(call.query["code_challenge"]) != _CHALLENGE:
        raise BadPage("code_challenge has to be one of S256")
    return call.query


def sent_back(sign_ins: SignIns, redirect_uri: str, state: str, code: Callable[[], str]) -> Reply:
    """Where the person's doing leads: back with a `code`, back with a refusal, or nowhere."""
    match sign_ins.person.does:
        case "agree":
            found = {"code": code(), "state": state}
        case "deny":
            found = {"error": "access_denied", "state": state}
        case _:
            return page(200, "The person has not made up their mind.")
    joint = "&" if urlsplit(redirect_uri).query else "?"
    return Reply(302, {"location": f"{redirect_uri}{joint}{urlencode(found)}"}, b"", note=sign_ins.person.does)


def page(status: int, text: str) -> Reply:
    return Reply(status, _HTML, f"<!doctype html><title>Simulator</title><p>{text}</p>\n".encode(), note=text)


def bad(wrong: BadPage) -> Reply:
    return page(400, f"This sign-in cannot begin: {wrong}.")
