"""What one gateway keeps of sign-ins elsewhere: a bound on those under way, and journeys that others can read."""

from __future__ import annotations

import pytest
import trio
from support.engines import Place
from support.far_provider import EPOCH, Site

from kirotrio.access.elsewhere.identity import ElsewhereFailed
from kirotrio.access.elsewhere.journey import Journey
from kirotrio.config.settings import StoreSettings
from kirotrio.errors import NotFound, Overloaded
from kirotrio.store.vault import open_vault
from kirotrio.web.elsewhere import Elsewhere


def elsewhere(place: Place) -> Elsewhere:
    """Of a gateway that has just started on this store."""
    database = place.open()
    vault = open_vault(database, StoreSettings(key_source="file"), place.data_dir)
    return Elsewhere({}, Site({}), database, vault)


async def test_a_journey_that_one_gateway_packed_another_one_unpacks(place: Place) -> None:
    place.data_dir.mkdir(exist_ok=True)
    first, second = elsewhere(place), elsewhere(place)  # neither knows a key: the store names none yet
    journey = Journey("github", EPOCH, invitation="x")
    for one, other in ((first, second), (second, first)):
        assert await other.unpack(await one.pack(journey)) == journey
    with pytest.raises(ElsewhereFailed):
        await first.unpack("")
    for one in (first, second):
        one.database.close()


async def test_strangers_cannot_have_providers_asked_as_often_as_they_like(place: Place) -> None:
    one = elsewhere(place)

    async def ask(task_status: trio.TaskStatus[None]) -> None:
        async with one.place():
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            await nursery.start(ask)
        with pytest.raises(Overloaded):
            one.place()
        nursery.cancel_scope.cancel()
    async with one.place():
        pass
    one.database.close()


async def test_a_provider_that_no_setting_names_is_not_there(place: Place) -> None:
    one = elsewhere(place)
    with pytest.raises(NotFound, match="github"):
        one.provider("github")
    one.database.close()
