"""Bodies that begin as an earlier one did: of a conversation that grows, only what is new is read.

Clients send the whole conversation with every request. Where the bytes up to some message are those of an earlier body,
so is all that they say: only the rest is parsed, and what was made of the earlier messages is taken over. Compared are
bytes and not values, since to Python `1`, `1.0` and `true` are equal.

A `Beginning` is cut a few messages before the end, for clients move their cache marks along the last ones. Its place is
first guessed (where the next message stands as a compact encoder writes it), and proven when it is used first: what
stands in front, closed there, has to be a document of just these messages. Of a body that is written differently
nothing is remembered.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import Any, Final, Generic, TypeVar

import orjson
from attrs import evolve

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json

WORTH: Final = 64 * 1024
"""Bytes of a body from which on remembering it pays."""
MOST: Final = 48 * 1024 * 1024
"""Bytes that all that is remembered may take at most; of texts in ASCII it is less than half of that."""
LATEST: Final = 4
"""Messages at the end that are read anew each time."""

_KEY: Final = 16 * 1024
_MET: Final = 256
"""Conversations of which it is known that they were met."""
_SEARCHED: Final = 512 * 1024
"""Bytes from the end within which the place of a message is looked for."""
_NEEDLE: Final = 48
_TRIES: Final = 4 * LATEST
_EMPTY_NAME: Final = re.compile(rb'""\s*:')
"""A member without a name; escapes cannot spell it, so that what does not show it has none."""

T = TypeVar("T")


@frozen
class Beginning(Generic[T]):
    """The bytes of a body up to its first `count` messages, the last of them included, and what was made of them."""

    head: bytes
    count: int
    made: T
    before: dict[str, Json] | None = None
    """The members in front of the messages; None: the place is not proven yet."""
    beside: int = 0
    """Bytes of what else of the body `made` was made of."""

    @property
    def weight(self) -> int:
        """Bytes that it may take at most: a text with a character of four bytes takes four for each character. What
        stands beside the messages is kept as JSON, as values and as text."""
        return 5 * len(self.head) + 1000 * self.count + 30 * self.beside


@frozen
class Rest(Generic[T]):
    """A body of which the beginning is known: `document` is all of it, but with the messages behind `beginning`."""

    beginning: Beginning[T]
    document: dict[str, Any]
    tail: bytes


def rest_of(body: bytes, beginning: Beginning[T], member: str) -> Rest[T] | None:
    """Read what follows `beginning`, with which `body` begins. `member` names the list of messages.

    None where it has to be read as a whole, be it because it is no JSON.
    """
    tail = body[len(beginning.head) :]
    if _EMPTY_NAME.search(tail):
        return None
    try:
        if beginning.before is None:
            before = _before(beginning, member)
            if before is None:
                return None
            beginning = evolve(beginning, before=before)
        rest = orjson.loads(b'{"":[null' + tail)
    except orjson.JSONDecodeError:
        return None
    if member in rest:
        return None  # a second list of this name, which is the one that counts
    document = {**(beginning.before or {}), member: rest.pop("")[1:], **rest}
    return Rest(beginning, document, tail)


def _before(beginning: Beginning[T], member: str) -> dict[str, Json] | None:
    """The members in front of the messages, if the place is right: one more entry there is one more message."""
    document: dict[str, Json] = orjson.loads(beginning.head + b"]}")
    longer: dict[str, Json] = orjson.loads(beginning.head + b",null]}")
    messages, more = document.pop(member, None), longer.get(member)
    if type(messages) is not list or type(more) is not list:
        return None
    if len(messages) != beginning.count or len(more) != beginning.count + 1:
        return None
    return document


def begun(body: bytes, following: Json, count: int, made: T) -> Beginning[T] | None:
    """What may be remembered of a body that was read as a whole: its first `count` messages, which `following` follows.
    None where the place is not found."""
    place = _place(body, following, max(0, len(body) - _SEARCHED))
    return None if place < 0 else Beginning(body[:place], count, made)


def _place(text: bytes, message: Json, least: int) -> int:
    """Where in `text` a message stands, with the comma in front of it; -1 where that is not found.

    Long needles are searched backwards in quadratic time, so the message's first bytes have to do.
    """
    wanted = b"," + orjson.dumps(message)
    place = len(text)
    for _ in range(_TRIES):
        place = text.rfind(wanted[:_NEEDLE], least, place)
        if place < 0 or text.startswith(wanted, place):
            return place
    return -1


def further(rest: Rest[T], new: int, following: Json, made: T) -> Beginning[T] | None:
    """The beginning with `new` messages more, of which `made` was made; None where the place is not found."""
    place = _place(rest.tail, following, 0)
    if place < 0:
        return None
    segment = rest.tail[:place]
    try:
        read = orjson.loads(b'{"":[null' + segment + b"]}")
    except orjson.JSONDecodeError:
        return None
    if read.keys() != {""} or len(read[""]) != 1 + new:
        return None
    known = rest.beginning
    return evolve(known, head=known.head + segment, count=known.count + new, made=made)


class Memory(Generic[T]):
    """Beginnings of the latest conversations, as many as fit into `most` bytes. Any thread may use it.

    Nothing is kept of a conversation until its second body, so that what comes once costs nothing. `worth`: bytes of a
    body from which on it pays. `key`: bytes by which conversations are told apart; of those that begin alike the latest
    is remembered.
    """

    def __init__(self, most: int = MOST, worth: int = WORTH, key: int = _KEY) -> None:
        self._most, self._worth, self._key = most, worth, key
        self._known: OrderedDict[bytes, Beginning[T]] = OrderedDict()
        self._met: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()
        self.weight = 0
        """Bytes that all of it may take."""

    def find(self, body: bytes) -> Beginning[T] | None:
        """What is known of the beginning of this body."""
        with self._lock:
            known = self._known.get(body[: self._key])
            if known is None or not body.startswith(known.head):
                return None
            self._known.move_to_end(known.head[: self._key])
            return known

    def wants(self, body: bytes) -> bool:
        """Whether to remember what this body was read as."""
        if len(body) < self._worth:
            return False
        key = hash(body[: self._key])
        with self._lock:
            again = key in self._met
            self._met[key] = None
            self._met.move_to_end(key)
            if len(self._met) > _MET:
                self._met.popitem(last=False)
        return again

    def keep(self, beginning: Beginning[T]) -> None:
        """In place of what was known of the same conversation; what was used longest ago makes room."""
        if len(beginning.head) < self._key:
            return
        key = beginning.head[: self._key]
        with self._lock:
            before = self._known.pop(key, None)
            self.weight -= before.weight if before else 0
            self._known[key] = beginning
            self.weight += beginning.weight
            while self.weight > self._most:
                self.weight -= self._known.popitem(last=False)[1].weight
