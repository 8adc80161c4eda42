"""Settings, to be read: each with its value, its source and what it means. Secrets are only said to be set or not."""

from __future__ import annotations

from kirotrio.classes import frozen
from kirotrio.config.options import Option, options, shown, value_of
from kirotrio.web.console.guarding import reads
from kirotrio.web.console.pages import page
from kirotrio.web.console.visit import OPERATOR, Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

_DEFAULT = "default"


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
        if sought.lower() in f"{option.name} {option.help} {option.variable}".lower() and (
            one.is_changed or not changed
        ):
            sections.setdefault(option.name.partition(".")[0], []).append(one)
    return page(gateway, visit, "settings.html", sections=sections, sought=sought, changed=changed)


ROUTES = (reads("/console/settings", settings, OPERATOR),)
