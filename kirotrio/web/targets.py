"""What a request is aimed at (RFC 9112 3.2). Pure: a target in, path and query out.

A program that takes the gateway for its HTTP proxy sends whole addresses; a server has to take those, too, and only
their path and query count.
"""

from __future__ import annotations

import re

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[-.\w~!$&'()*+,;=%]+)(?::[0-9]*)?"
_ADDRESS = re.compile(rf"(?:https?)://{_HOST}(?:([/?][^\r\n]*))?", re.IGNORECASE | re.ASCII)

_NAMED = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%[-.\w~%]+)?\]|[-.\w~!$&'()*+,;=%]+)(?::[0-9]*)?", re.ASCII)
"""A Host field; the address of a link may come with its zone, as some clients send it."""


def is_host(value: str, target: str) -> bool:
    """Whether a Host field may be that of such a target: one that begins with a slash needs a host (RFC 9112 3.2)."""
    return _NAMED.fullmatch(value) is not None or (value == "" and not target.startswith("/"))


def origin_form(method: str, target: str) -> str:
    """Path and query of a target, "" where it has none that could be meant: a host alone, half an address, nothing.

    What begins with a slash is taken as it is. `*` stands for the server as a whole, and goes with OPTIONS alone.
    """
    if target.startswith("/") or (target == "*" and method == "OPTIONS"):
        return target
    address = _ADDRESS.fullmatch(target)
    if address is None:
        return ""
    rest = address[1] or ""
    return rest if rest.startswith("/") else f"/{rest}"
