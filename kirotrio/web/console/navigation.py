"""The places that the navigation leads to, and who may go there."""

from __future__ import annotations

from typing import Final

from kirotrio.classes import frozen
from kirotrio.web.console.languages import N_
from kirotrio.web.console.visit import EVERYONE, OPERATOR, OWNERS, Visit


@frozen
class Place:
    """`name` is English, and in the catalogue."""

    path: str
    name: str
    roles: frozenset[str]
    more: tuple[str, ...] = ()
    """Pages that belong to it, and stand elsewhere."""

    def holds(self, path: str) -> bool:
        """Whether the page at `path` is this one, or belongs to it."""
        beneath = self.path != "/console" and path.startswith(self.path + "/")
        return path == self.path or beneath or path in self.more


PLACES: Final = (
    Place("/console", N_("Overview"), EVERYONE),
    Place("/console/streams", N_("Running answers"), OPERATOR),
    Place("/console/requests", N_("Requests"), OWNERS),
    Place("/console/accounts", N_("Accounts"), EVERYONE),
    Place("/console/keys", N_("Keys"), OWNERS),
    Place("/console/users", N_("Users"), OPERATOR, ("/console/invitations",)),
    Place("/console/announcements", N_("Announcements"), OPERATOR),
    Place("/console/mode", N_("Mode"), OPERATOR),
    Place("/console/settings", N_("Settings"), OPERATOR),
    Place("/console/audit", N_("Audit log"), OPERATOR),
)


def places(visit: Visit) -> tuple[Place, ...]:
    """Those that this visit may go to."""
    return tuple(place for place in PLACES if visit.may(place.roles))
