"""The text of a document while it is read, and the two limits on it."""

from __future__ import annotations

from attrs import field

from kirotrio.classes import define


class Unreadable(Exception):
    """The document cannot be read; the message is a clause for a person."""


class Full(Exception):
    """The text has reached its limit: nothing more of the document has to be read."""


@define
class Draft:
    """At most `max_pages` pages are read and at most `max_text` characters kept; a note at the end says what was cut.

    A page is whatever the format counts: a page, a slide, a sheet; 0 where it counts nothing.
    """

    max_pages: int
    max_text: int
    title: str = ""
    pages: int = 0
    unit: str = "pages"
    full: bool = False
    _pieces: list[str] = field(factory=list)
    _length: int = 0

    def add(self, text: str) -> None:
        """Append `text`. Raises Full at the limit."""
        room = self.max_text - self._length
        if len(text) > room:
            self._pieces.append(text[:room])
            self._length = self.max_text
            self.full = True
            raise Full
        self._pieces.append(text)
        self._length += len(text)

    def readable_pages(self, count: int, unit: str) -> int:
        """How many of `count` pages are to be read."""
        self.pages, self.unit = count, unit
        return min(count, self.max_pages)

    @property
    def cut(self) -> bool:
        return self.full or self.pages > self.max_pages

    @property
    def text(self) -> str:
        notes = []
        if self.full:
            notes.append(f"[cut here: only the first {self.max_text} characters of the document were read]")
        elif self.pages > self.max_pages:
            notes.append(f"[cut here: only the first {self.max_pages} of {self.pages} {self.unit} were read]")
        return "\n\n".join(["".join(self._pieces).strip(), *notes])
