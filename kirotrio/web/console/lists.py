"""Lists in an address: which page, in which order, what is sought. The whole state of a list stands in its address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from kirotrio.classes import frozen
from kirotrio.store.listing import Listed, Listing
from kirotrio.web.console.visit import Visit

T = TypeVar("T")

SIZES = (25, 50, 100, 200)


def listing_of(
    visit: Visit, *, filters: Sequence[str] = (), sort: str = "", descending: bool = False, size: int = 50
) -> Listing:
    """What the address asks for: `page`, `size`, `sort`, `order` (up, down), `search`, and the filters by their names.

    What makes no sense is what was not asked for. `sort` and `descending`: where the address says nothing.
    """
    asked = {name: values[-1] for name, values in visit.incoming.arguments.items()}
    return Listing(
        page=_number(asked.get("page"), 1, 1_000_000),
        size=_number(asked.get("size"), size, SIZES[-1]),
        sort=asked.get("sort", sort)[:40],
        descending=asked["order"] == "down" if "order" in asked else (descending if "sort" not in asked else False),
        search=asked.get("search", "")[:200],
        filters={name: asked[name][:200] for name in filters if asked.get(name)},
    )


def _number(text: str | None, otherwise: int, most: int) -> int:
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 9:
        return otherwise
    return min(max(1, int(text)), most)


@frozen
class Column:
    """A column's head. `name` is English, and in the catalogue; `sort` is what it is sorted by, "" for not at all."""

    name: str
    sort: str = ""
    number: bool = False


@frozen
class Filter:
    """A choice above the list. `values` by what stands in the address, each with its English name, or, where it is not
    the console that tells them (`is_told`), as it is called; None: any text."""

    key: str
    name: str
    values: Mapping[str, str] | None = None
    is_told: bool = True


@frozen
class ListView(Generic[T]):
    """A page of a list as `list.html` shows it."""

    path: str
    listed: Listed[T]
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...] = ()
    searchable: bool = True

    @property
    def rows(self) -> tuple[T, ...]:
        return self.listed.rows

    @property
    def asked(self) -> Listing:
        return self.listed.listing

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of a page, to choose from; none where all rows are on the smallest."""
        return SIZES if self.listed.total > SIZES[0] else ()

    @property
    def first(self) -> int:
        """The number of the first row that is shown."""
        return self.asked.offset + 1 if self.rows else 0

    @property
    def last(self) -> int:
        return self.asked.offset + len(self.rows)

    def sorted_by(self, column: Column) -> str:
        """As `aria-sort` has it."""
        if not column.sort or self.asked.sort != column.sort:
            return "none"
        return "descending" if self.asked.descending else "ascending"

    def sort_address(self, column: Column) -> str:
        up = self.sorted_by(column) != "ascending"
        return self.address(sort=column.sort, order="up" if up else "down", page=1)

    def page_address(self, page: int) -> str:
        return self.address(page=page)

    def size_address(self, size: int) -> str:
        """With pages of so many rows; the one that begins with, or has, the row that is the first now."""
        return self.address(size=size, page=self.asked.offset // size + 1)

    def address(self, **changes: Any) -> str:
        """This list with other values."""
        asked = self.asked
        values: dict[str, Any] = {
            **asked.filters,
            "search": asked.search,
            "sort": asked.sort,
            "order": ("down" if asked.descending else "up") if asked.sort else "",
            "size": asked.limit,
            "page": asked.page,
            **changes,
        }
        if values["page"] == 1:
            values["page"] = ""
        kept = {name: value for name, value in values.items() if value != ""}
        return f"{self.path}?{urlencode(kept)}"
