"""What a request is aimed at (RFC 9112 3.2). Pure: a target in, path and query out.

A program that takes the gateway for its HTTP proxy sends whole addresses; a server has to take those, too, and only
their path and query count.
"""

from __future__ import annotations

import re

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[-.\w~!$&'()*+,;=%]+)(?::[0-9]*)?"
_ADDRESS = re.compile(rf"(?:https?)://{_HOST}(?:([/?][^\r\n]*))?", re.IGNORECASE | re.ASCII)


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
