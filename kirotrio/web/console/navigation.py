"""The places that the navigation leads to, and who may go there.

A few stand in the first rank; what is needed less often stands in a group that opens.
"""

from __future__ import annotations

from typing import Final, TypeAlias

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
    group: str = ""
    """The name of the group that it stands in; "": it stands in the first rank."""
    with_own_keys: bool = False
    """Whether members go there only where they make keys of their own."""

    def holds(self, path: str) -> bool:
        """Whether the page at `path` is this one, or belongs to it."""
        beneath = self.path != "/console" and path.startswith(self.path + "/")
        return path == self.path or beneath or path in self.more


@frozen
class Group:
    """Places behind one name, which is English, and in the catalogue."""

    name: str
    places: tuple[Place, ...]

    def holds(self, path: str) -> bool:
        return any(place.holds(path) for place in self.places)


Rank: TypeAlias = tuple[Place | Group, ...]

TEAM_GROUP: Final = N_("Team")
SYSTEM_GROUP: Final = N_("System")

PLACES: Final = (
    Place("/console", N_("Overview"), EVERYONE),
    Place("/console/streams", N_("Running answers"), OWNERS),
    Place("/console/requests", N_("Requests"), OWNERS),
    Place("/console/playground", N_("Playground"), OWNERS, with_own_keys=True),
    Place("/console/accounts", N_("Accounts"), EVERYONE),
    Place("/console/keys", N_("Keys"), OWNERS),
    Place("/console/users", N_("Users"), OPERATOR, ("/console/invitations",), group=TEAM_GROUP),
    Place("/console/announcements", N_("Announcements"), OPERATOR, group=TEAM_GROUP),
    Place("/console/audit", N_("Audit log"), OPERATOR, group=TEAM_GROUP),
    Place("/console/mode", N_("Mode"), OPERATOR, group=SYSTEM_GROUP),
    Place("/console/settings", N_("Settings"), OPERATOR, group=SYSTEM_GROUP),
)


def places(visit: Visit, *, own_keys: bool) -> Rank:
    """Those that this visit may go to, the groups last. Of a group with one place, the place alone.

    `own_keys`: whether members make keys of their own (`users.own_keys`).
    """
    makes_keys = own_keys or visit.may(OPERATOR)
    open_to = [place for place in PLACES if visit.may(place.roles) and (makes_keys or not place.with_own_keys)]
    first: list[Place | Group] = [place for place in open_to if not place.group]
    for name in dict.fromkeys(place.group for place in open_to if place.group):
        inside = tuple(place for place in open_to if place.group == name)
        first.append(Group(name, inside) if len(inside) > 1 else inside[0])
    return tuple(first)
