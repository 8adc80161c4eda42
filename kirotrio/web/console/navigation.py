"""The places that the navigation leads to, and who may go there."""

from __future__ import annotations

from typing import Final

from kirotrio.classes import frozen
from kirotrio.web.console.languages import N_
from kirotrio.web.console.visit import EVERYONE, OPERATOR, Visit


@frozen
class Place:
    """`name` is English, and in the catalogue."""

    path: str
    name: str
    roles: frozenset[str]

    def holds(self, path: str) -> bool:
        """Whether the page at `path` is this one, or belongs to it."""
        return path == self.path or (self.path != "/console" and path.startswith(self.path + "/"))


PLACES: Final = (
    Place("/console", N_("Overview"), EVERYONE),
    Place("/console/announcements", N_("Announcements"), OPERATOR),
    Place("/console/mode", N_("Mode"), OPERATOR),
)


def places(visit: Visit) -> tuple[Place, ...]:
    """Those that this visit may go to."""
    return tuple(place for place in PLACES if visit.may(place.roles))
