"""The first page."""

from __future__ import annotations

from kirotrio.web.console.guarding import reads
from kirotrio.web.console.pages import page
from kirotrio.web.console.visit import Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs


async def overview(gateway: Gateway, visit: Visit) -> Runs:
    return page(gateway, visit, "overview.html")


ROUTES = (reads("/console", overview), reads("/console/", overview))
