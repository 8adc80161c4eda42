"""A page of a list as it is asked for and given: what is sought, in which order, which part of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import field

from kirotrio.classes import frozen

T = TypeVar("T")

LARGEST_PAGE = 200
_LAST_PAGE = 1_000_000


@frozen
class Listing:
    """What is asked for. `sort` is a name that the list knows, "" its own order; what it does not know is no error,
    since it may come from an address that somebody typed. `filters`: by name, "" for any value.
    """

    page: int = 1
    size: int = 50
    sort: str = ""
    descending: bool = False
    search: str = ""
    filters: Mapping[str, str] = field(factory=dict)

    @property
    def limit(self) -> int:
        return max(1, min(self.size, LARGEST_PAGE))

    @property
    def offset(self) -> int:
        return (max(1, min(self.page, _LAST_PAGE)) - 1) * self.limit


@frozen
class Listed(Generic[T]):
    """One page. `total`: how many there are on all pages together."""

    rows: tuple[T, ...]
    total: int
    listing: Listing

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.listing.limit))
