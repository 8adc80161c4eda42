"""Every page there is. To add one: a file with its ROUTES here, a template, and its place in `navigation`."""

from __future__ import annotations

from kirotrio.errors import NotFound
from kirotrio.web.console import (
    account_changes,
    account_tests,
    accounts,
    announcements,
    assets,
    audit,
    bringing,
    elsewhere,
    invitations,
    joining,
    keys,
    me,
    mode,
    overview,
    playground,
    preferences,
    requests,
    settings,
    signing,
    streams,
    users,
)
from kirotrio.web.console.guarding import ANYBODY, reads
from kirotrio.web.console.visit import Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Route, Runs


async def nowhere(gateway: Gateway, visit: Visit, rest: str) -> Runs:
    raise NotFound(f"there is no page {visit.path[:200]}")


def routes() -> tuple[Route, ...]:
    return (
        *overview.ROUTES,
        *streams.ROUTES,
        *signing.ROUTES,
        *joining.ROUTES,
        *keys.ROUTES,
        *me.ROUTES,
        *elsewhere.ROUTES,
        *bringing.ROUTES,
        *accounts.ROUTES,
        *account_changes.ROUTES,
        *account_tests.ROUTES,
        *users.ROUTES,
        *invitations.ROUTES,
        *audit.ROUTES,
        *announcements.ROUTES,
        *mode.ROUTES,
        *settings.ROUTES,
        *preferences.ROUTES,
        *requests.ROUTES,
        *playground.ROUTES,
        *assets.routes(),
        reads("/console/<path:rest>", nowhere, ANYBODY),
    )
