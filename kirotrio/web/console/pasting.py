"""Lines that tell a client of this gateway, to be pasted. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from kirotrio.classes import frozen
from kirotrio.web.console.visit import Visit
from kirotrio.web.first_lines import anthropic_lines, curl_line, openai_lines, variables

_HOST: Final = re.compile(r"[-.\w]+(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?", re.ASCII)
MODEL: Final = "claude-sonnet-4.5"
"""Every plan has it (KIRO_PROTOCOL 7)."""


@frozen
class Pasted:
    name: str
    text: str


def lines_to_paste(visit: Visit, key: str) -> Sequence[Pasted]:
    """For Claude Code and the SDKs. The address is the one under which the page was asked for."""
    base = base_url(visit)
    shell = [f"export {name}={value}" for name, value in variables(base, key, MODEL).items()]
    return (
        Pasted("Claude Code", "\n".join((*shell, "claude"))),
        Pasted("Python: anthropic", "\n".join(anthropic_lines(base, f'"{key}"', MODEL))),
        Pasted("Python: openai", "\n".join(openai_lines(base, f'"{key}"'))),
    )


def first_request(visit: Visit) -> str:
    """A line for a shell that asks this gateway something; the key has to be put in."""
    return curl_line(base_url(visit), "YOUR-KEY", MODEL)


def base_url(visit: Visit) -> str:
    host = visit.incoming.headers.get("host", "")
    known = host if _HOST.fullmatch(host) else "127.0.0.1:8000"
    return f"{'https' if visit.secure else 'http'}://{known}"
