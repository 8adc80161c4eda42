"""Where an answer names a source that a search has found.

States: between runs of text nothing is held; within a run the end of the text is held while it is, or may become, an
address. A run ends before any event that closes a block of text. Work per character is constant, but for the address
that is still open, which is looked at again with every delta; it is at most `LONGEST` characters long.

An address is as long as its characters go; at its end, what belongs to the sentence (a full stop, a bracket) is taken
off until what is left is known. So the longest known address wins, and `https://x/a` is not found in `https://x/ab`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from kirotrio.classes import frozen
from kirotrio.conversation.events import (
    Accepted,
    Batch,
    Citation,
    ContextMeasured,
    CreditsMetered,
    KeepAlive,
    SearchResult,
    TextDelta,
    TextDeltas,
    TokensMeasured,
    singly,
)

CITED = 150
"""Characters of a source in one citation (KIRO_PROTOCOL 9)."""

LONGEST = 2048
"""Characters of an address behind `https://`; one that is longer is nobody's."""

_NEVER_IN_ONE = r"\s\x00-\x1f<>\"`\[\]{}|\\^\u2018-\u201f\u2026\u3000-\u3020\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f"
"""Blanks, quotes, brackets but the round ones, and what ends a clause in scripts that put no blank behind it."""
_ADDRESS = re.compile(rf"[hH][tT][tT][pP][sS]?://[^{_NEVER_IN_ONE}]{{1,{LONGEST}}}")
_MAY_BECOME_ONE = re.compile(r"(?:h|ht|htt|https?|https?:|https?:/|https?://)\Z", re.IGNORECASE | re.ASCII)
_BEHIND = ".,;:!?)'*_~"
"""What ends a sentence, a bracket or an emphasis, and rarely an address."""
_CLOSERS = 8
"""How many of them are taken off one by one before all are."""
_BRACKET = re.compile(r"[()]")
_FOREIGN = re.compile(r"[^\x00-\x7f]")

_WITHIN_TEXT = frozenset({KeepAlive, Accepted, Citation, ContextMeasured, TokensMeasured, CreditsMetered})
"""Events that leave a block of text open."""

_Key: TypeAlias = str


@frozen
class _Source:
    url: str
    title: str
    cited_text: str


class CitationFinder:
    """Puts a `Citation` behind the text in which a known address stands. One finder serves one answer.

    `know` tells it what was found; `feed` takes every batch of the answer. Each mention is cited once, as soon as it is
    certain where it ends: at the first character that no address has, or at the end of the run of text.
    """

    def __init__(self) -> None:
        self._known: dict[_Key, _Source] = {}
        self._counted = 0
        """Characters of text so far."""
        self._held = ""
        """The end of the run's text that is, or may become, an address."""

    def know(self, results: Iterable[SearchResult]) -> None:
        """Adds sources; of two with one address the first stays."""
        for result in results:
            key = _key(result.url)
            if key and _ADDRESS.match(result.url):
                self._known.setdefault(key, _Source(result.url, result.title, result.snippet[:CITED]))

    def feed(self, batch: Batch) -> Batch:
        """The same events in the same order, with citations between them; the very batch where there are none.

        `start` and `end` of a citation count characters over all text that was ever fed.
        """
        if not self._known:
            for event in batch:
                if isinstance(event, TextDelta):
                    self._counted += len(event.text)
                elif isinstance(event, TextDeltas):
                    self._counted += sum(map(len, event.texts))
            return batch
        out: Batch = []
        singles = list(singly(batch))
        for event in singles:
            if isinstance(event, TextDelta):
                out.append(event)
                out.extend(self._read(event.text))
            else:
                if self._held and type(event) not in _WITHIN_TEXT:
                    out.extend(self._end_run())
                out.append(event)
        return out if len(out) > len(singles) else batch

    def _read(self, text: str) -> Iterator[Citation]:
        begin = self._counted - len(self._held)
        text = self._held + text
        self._counted = begin + len(text)
        self._held, read = "", 0
        for match in _ADDRESS.finditer(text):
            read = match.end()
            if read == len(text):
                self._held = match[0]
            else:
                yield from self._cited(match[0], begin + match.start())
        if not self._held and (beginning := _MAY_BECOME_ONE.search(text, read)):
            self._held = beginning[0]

    def _end_run(self) -> Iterator[Citation]:
        held, self._held = self._held, ""
        return self._cited(held, self._counted - len(held))

    def _cited(self, address: str, start: int) -> Iterator[Citation]:
        for mention in _readings(address):
            source = self._known.get(_key(mention))
            if source is not None:
                yield Citation(source.url, source.title, source.cited_text, start, start + len(mention))
                return


def _readings(address: str) -> Iterator[str]:
    """What may be meant, the most likely first: the address as it goes, or what a sentence went on behind."""
    for cut in (address, *_cuts(address)):
        reading = cut
        for _ in range(_CLOSERS):
            yield reading
            if not reading or reading[-1] not in _BEHIND:
                break
            reading = reading[:-1]
        else:
            yield cut.rstrip(_BEHIND)


def _cuts(address: str) -> Iterator[str]:
    """Up to a bracket that was opened ahead of the address, and up to where a script without spaces goes on."""
    depth = 0
    for bracket in _BRACKET.finditer(address):
        depth += 1 if bracket[0] == "(" else -1
        if depth < 0:
            yield address[: bracket.start()]
            break
    if foreign := _FOREIGN.search(address):
        yield address[: foreign.start()]


def _key(url: str) -> _Key:
    """What an address has in common with its variants: of either scheme, with and without a slash at its end."""
    host, slash, rest = url.partition("://")[2].partition("/")
    return (host.lower() + slash + rest).rstrip("/")
