"""Citations put into an answer on its way out, wherever its text names what was found."""

from __future__ import annotations

from attrs import field

from kirotrio.classes import define
from kirotrio.conversation.citations import CitationFinder
from kirotrio.conversation.events import Batch, FetchFinished, SearchFinished, SearchResult
from kirotrio.relay.attempts import Outlet


@define
class Citing:
    """Stands between the rounds and an outlet: what was found is learned from the events that pass.

    `fetched`: pages that were fetched are sources, too. After a restart nothing is known, and what comes again is
    learned again.
    """

    outer: Outlet
    fetched: bool
    _finder: CitationFinder = field(factory=CitationFinder)

    @property
    def outlet(self) -> Outlet:
        return Outlet(self._send, self._restart)

    def feed(self, batch: Batch) -> Batch:
        """The same events with their citations, for the batch that is returned and not sent."""
        for event in batch:
            if isinstance(event, SearchFinished):
                self._finder.know(event.results)
            elif self.fetched and isinstance(event, FetchFinished) and not event.error:
                self._finder.know([SearchResult(event.url, event.title, event.text)])
        return self._finder.feed(batch)

    async def _send(self, batch: Batch) -> None:
        await self.outer.send(self.feed(batch))

    async def _restart(self) -> None:
        self._finder = CitationFinder()
        await self.outer.restart()
