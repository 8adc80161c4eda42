"""Settings, to be read: each with its value, its source and what it means. Secrets are only said to be set or not."""

from __future__ import annotations

from typing import Final

from kirotrio.classes import frozen
from kirotrio.config.options import Option, options, shown, value_of
from kirotrio.web.console.guarding import reads
from kirotrio.web.console.languages import N_, Speech
from kirotrio.web.console.pages import page
from kirotrio.web.console.visit import OPERATOR, Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

_DEFAULT = "default"
_UNITS: Final = (
    *(N_("attempts"), N_("bytes"), N_("characters"), N_("connections"), N_("events"), N_("fetches"), N_("levels")),
    *(N_("milliseconds"), N_("pages"), N_("per minute"), N_("percent"), N_("processes"), N_("records")),
    *(N_("redirects"), N_("requests"), N_("searches"), N_("seconds")),
)
"""What settings are counted in, so that the catalogue has it."""
_ORIGINS: Final = (N_("command line"), N_("environment"), N_("env file"))
"""What a source begins with; the rest is a name or a path."""


@frozen
class Shown:
    """One setting as the page has it."""

    option: Option
    value: str
    default: str
    origin: str

    @property
    def is_changed(self) -> bool:
        return self.origin != _DEFAULT


async def settings(gateway: Gateway, visit: Visit) -> Runs:
    sought = visit.incoming.arguments.get("search", [""])[-1][:200].strip()
    changed = visit.incoming.arguments.get("only", [""])[-1] == "changed"
    sections: dict[str, list[Shown]] = {}
    for option in options().values():
        one = Shown(
            option,
            shown(option, value_of(gateway.settings, option.name)),
            shown(option, option.default),
            gateway.origins.get(option.name, _DEFAULT),
        )
        words = f"{option.name} {option.help} {visit.speech(option.help)} {option.variable}".lower()
        if sought.lower() in words and (one.is_changed or not changed):
            sections.setdefault(option.name.partition(".")[0], []).append(one)
    return page(
        gateway, visit, "settings.html", sections=sections, sought=sought, changed=changed,
        origin=lambda origin: _said(visit.speech, origin),
    )  # fmt: skip


def _said(speech: Speech, origin: str) -> str:
    """Where a value came from, in the reader's language as far as it is words."""
    for words in _ORIGINS:
        if origin.startswith(words):
            return speech(words) + origin.removeprefix(words)
    return origin


ROUTES = (reads("/console/settings", settings, OPERATOR),)
