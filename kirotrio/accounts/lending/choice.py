"""In which order a person's accounts are asked for one request. Pure: no clock, no I/O, no chance.

The caller says which accounts could serve (switched on, none of them cooling down, their plans offering the model) and
goes on to the next where the first cannot after all.

- `sticky`: the account of the session. A fresh session's is found by rendezvous hashing, so every gateway finds the
  same one, sessions spread evenly, and when an account leaves only its own sessions move. A session that had to move
  stays where it moved: the conversation's thinking is signed by that account and its prompt is cached there.
- `priority`: the smallest number first.
- `balanced`: the most credits left first.
- `round-robin`: the one whose turn is longest ago.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from attrs import field

from kirotrio.classes import define, frozen

SESSIONS = 10_000
"""How many sessions are remembered, least recently served first out. One beyond that is hashed again."""


@frozen
class Candidate:
    """An account that could serve. `priority`: smaller is sooner. `credits_left`: None if not known."""

    name: str
    priority: int = 100
    credits_left: float | None = None


@define(eq=False)
class Choice:
    """One gateway's choices and what it has to remember for them. `strategy` is that of `accounts.strategy`."""

    strategy: str = "sticky"
    _sessions: OrderedDict[str, str] = field(factory=OrderedDict, init=False)
    """Account by session, least recently served first."""
    _turns: dict[str, int] = field(factory=dict, init=False)
    """When each account had its last turn; counted, not timed."""
    _turn: int = field(default=0, init=False)
    moved: Callable[[str, str], None] | None = field(default=None, init=False)
    """Told of each session that came to an account: the session, the account's name."""

    def __attrs_post_init__(self) -> None:
        if self.strategy not in _ORDERS:
            raise ValueError(f"strategy must be one of {', '.join(_ORDERS)}, not {self.strategy!r}")

    def pick(self, candidates: Iterable[Candidate], session: str) -> list[Candidate]:
        """All of them, the one to ask first in front. `session` is `session_identity`'s. Their own order is of no
        matter; under `round-robin` the first counts as asked."""
        order = list(candidates)
        if len(order) > 1:
            order = _ORDERS[self.strategy](self, order, session)
        if order and self.strategy == "round-robin":
            self._count(order[0].name)
        return order

    def served(self, session: str, name: str) -> None:
        """This account has answered: its session stays with it from now on, and its turn is over."""
        if self.strategy == "sticky":
            self.bind(session, name)
        elif self.strategy == "round-robin":
            self._count(name)

    def bind(self, session: str, name: str) -> None:
        """This session is on this account, whatever the strategy."""
        if self.moved is not None and self._sessions.get(session) != name:
            self.moved(session, name)
        self.recall(session, name)

    def recall(self, session: str, name: str) -> None:
        """The same, as somebody else has told it."""
        self._sessions[session] = name
        self._sessions.move_to_end(session)
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)

    def home(self, session: str) -> str:
        """The account that this session is on, "" where it is on none in particular."""
        return self._sessions.get(session, "")

    def rename(self, old: str, new: str) -> None:
        """The account is called otherwise; its sessions stay with it."""
        for session, name in self._sessions.items():
            if name == old:
                self._sessions[session] = new
        if old in self._turns:
            self._turns[new] = self._turns.pop(old)

    def forget(self, name: str) -> None:
        """The account is gone. Its sessions find another when they come."""
        self._turns.pop(name, None)

    def _count(self, name: str) -> None:
        self._turn += 1
        self._turns[name] = self._turn

    def _sticky(self, candidates: list[Candidate], session: str) -> list[Candidate]:
        home = self._sessions.get(session)
        return sorted(_rendezvous(candidates, session), key=lambda candidate: candidate.name != home)

    def _by_priority(self, candidates: list[Candidate], session: str) -> list[Candidate]:
        return sorted(candidates, key=lambda candidate: (candidate.priority, candidate.name))

    def _balanced(self, candidates: list[Candidate], session: str) -> list[Candidate]:
        known = [
            left for candidate in candidates if (left := candidate.credits_left) is not None and math.isfinite(left)
        ]
        mean = math.fsum(known) / len(known) if known else 0.0

        def credits_left(candidate: Candidate) -> float:
            left = candidate.credits_left
            return mean if left is None or math.isnan(left) else left

        # Equals are told apart by the session, so that they share the work and a session still stays where it is.
        return sorted(_rendezvous(candidates, session), key=credits_left, reverse=True)

    def _in_turn(self, candidates: list[Candidate], session: str) -> list[Candidate]:
        # By the last turn and not by a place in a circle: whoever comes, goes or is missing for a while changes nothing
        # for the others, and a newcomer has one turn at once, not all those that it missed.
        return sorted(candidates, key=lambda candidate: (self._turns.get(candidate.name, 0), candidate.name))


_ORDERS: dict[str, Callable[[Choice, list[Candidate], str], list[Candidate]]] = {
    "sticky": Choice._sticky,
    "priority": Choice._by_priority,
    "balanced": Choice._balanced,
    "round-robin": Choice._in_turn,
}


def _rendezvous(candidates: Sequence[Candidate], session: str) -> list[Candidate]:
    """Highest random weight first; the weight of an account for a session depends on these two alone."""
    return sorted(candidates, key=lambda candidate: (_weight(candidate.name, session), candidate.name), reverse=True)


def _weight(name: str, session: str) -> bytes:
    key = f"{len(name)}:{name}{session}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(key, digest_size=8).digest()
