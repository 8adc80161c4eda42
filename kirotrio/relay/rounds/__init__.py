"""Rounds: what a request may need beyond one generation.

A round wraps a `Generate` and is one itself, so that rounds nest: repair(server tools(attempts)). A round alone may
start another generation after output has begun; everything still happens in one task of the request's nursery, and
the attempts of all generations share one budget.
"""

from kirotrio.relay.rounds.choice import with_rounds
from kirotrio.relay.rounds.round import Generate

__all__ = ["Generate", "with_rounds"]
