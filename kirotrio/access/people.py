"""Users of the console: who they are, how they sign in, who looks after them.

It loads SQLAlchemy, so it is imported when somebody asks for it, never by a start. Values that pages and other rooms
need without it are in `store.user_record` and `access.members.outcomes`.

Every change notes itself in the audit log in its own transaction. A change of password, role, state or second factor
ends the sessions of before. Cancelling any of this is noticed between its steps: a change has happened wholly or not
at all. Everything here may raise StoreUnavailable.
"""

from __future__ import annotations

from kirotrio.access.members.ground import CONFIRMED as CONFIRMED
from kirotrio.access.members.ground import REMEMBERED as REMEMBERED
from kirotrio.access.members.ground import actor_of as actor_of
from kirotrio.access.members.team import Team


class People(Team):
    """One for each gateway process, made of its store, its settings and a clock (`members.ground.Ground`)."""
