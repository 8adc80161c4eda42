"""Plans that are used up, reset, and are told over the service and the portal."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from simulated import Client, connected
from trio.testing import MockClock

from kirotrio.kiro.usage import parse_usage
from kirotrio.simulator import Account, Extra, Kind, Simulator, Subscription

EPOCH = 1_800_000_000.0
DAY = 86_400.0
OPERATIONS = "/service/KiroWebPortalService/operation/"


def wall() -> float:
    return EPOCH + trio.current_time()


def served(nursery: trio.Nursery, subscription: Subscription | None, **fields: Any) -> tuple[Client, Account]:
    account = Account("work", access_token="t", subscription=subscription, **fields)
    simulator = Simulator(accounts=[account], clock=trio.current_time, wall=wall, expires_in=10**9)
    return connected(simulator, nursery), account


async def usage(client: Client, more: str = "") -> dict[str, Any]:
    answer = await client.get(f"/getUsageLimits?origin=AI_EDITOR{more}", token="t")
    assert answer.status == 200, answer.content
    return dict(answer.json())


async def test_generations_are_charged_until_nothing_is_left_and_the_reset_passes(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    client, account = served(nursery, Subscription(limit=0.005, resets_at=EPOCH + DAY, period=7 * DAY))
    first = await client.generate(token="t")
    charged = first.of("meteringEvent")[0]["usage"]
    item = (await usage(client))["usageBreakdownList"][0]
    assert item["currentUsageWithPrecision"] == pytest.approx(charged) == account.credits_used
    assert item["currentUsage"] == int(charged)
    refused = await client.generate(token="t")
    assert (refused.status, refused.json()["reason"]) == (402, "MONTHLY_REQUEST_COUNT")
    await trio.sleep(DAY)
    document = await usage(client)
    assert document["nextDateReset"] == EPOCH + 8 * DAY
    assert document["usageBreakdownList"][0]["currentUsageWithPrecision"] == 0.0
    assert (await client.generate(token="t")).status == 200


async def test_overage_is_charged_and_ends_at_its_cap(nursery: trio.Nursery) -> None:
    subscription = Subscription(limit=1, used=1, overage_enabled=True, overage_cap=0.005)
    client, _ = served(nursery, subscription)
    assert (await client.generate(token="t")).status == 200
    document = await usage(client)
    item = document["usageBreakdownList"][0]
    assert document["overageConfiguration"]["overageStatus"] == "ENABLED"
    assert item["currentUsageWithPrecision"] == 1.0
    assert item["currentOveragesWithPrecision"] > 0.005
    refused = await client.generate(token="t")
    assert (refused.status, refused.json()["reason"]) == (402, "OVERAGE_REQUEST_LIMIT_EXCEEDED")


@given(
    charges=st.lists(st.floats(0, 40), max_size=12),
    trial=st.none() | st.floats(0, 30),
    bonuses=st.lists(st.floats(0, 30), max_size=3),
    overage=st.booleans(),
)
def test_no_credit_is_lost_or_charged_twice(
    charges: list[float], trial: float | None, bonuses: list[float], overage: bool
) -> None:
    subscription = Subscription(
        limit=50,
        trial=None if trial is None else Extra(trial, EPOCH + DAY),
        bonuses=[Extra(bonus, EPOCH + DAY) for bonus in bonuses],
        overage_enabled=overage,
    )
    for charge in charges:
        subscription.charge(charge, EPOCH)
    extras = [*([subscription.trial] if subscription.trial else []), *subscription.bonuses]
    spent = subscription.used + subscription.overage_used + sum(extra.used for extra in extras)
    assert spent == pytest.approx(sum(charges))
    assert all(extra.used <= extra.limit + 1e-9 for extra in extras), "an extra is never overdrawn"
    assert not overage or subscription.used <= 50
    told = parse_usage(subscription.document(EPOCH), fetched_at=EPOCH)
    assert told is not None
    assert told.overage.used == pytest.approx(subscription.overage_used, abs=1e-5)
    left = sum(extra.left(EPOCH) for extra in extras) + max(0.0, 50 - subscription.used)
    assert told.left == pytest.approx(left, abs=1e-4)


async def test_extras_end(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    subscription = Subscription(limit=0, trial=Extra(10, EPOCH + DAY), bonuses=[Extra(1, EPOCH + 2 * DAY, used=1)])
    client, _ = served(nursery, subscription)
    item = (await usage(client))["usageBreakdownList"][0]
    assert item["freeTrialInfo"]["freeTrialStatus"] == "ACTIVE"
    assert item["bonuses"][0]["status"] == "EXHAUSTED"
    assert (await client.generate(token="t")).status == 200
    await trio.sleep(DAY)
    assert (await usage(client))["usageBreakdownList"][0]["freeTrialInfo"]["freeTrialStatus"] == "EXPIRED"
    assert (await client.generate(token="t")).status == 402


async def test_an_e_mail_is_told_to_who_asks_for_it(nursery: trio.Nursery) -> None:
    client, _ = served(nursery, Subscription(), email="me@example.com", user_id="u-1")
    assert (await usage(client))["userInfo"] == {"userId": "u-1"}
    assert (await usage(client, "&isEmailRequired=true"))["userInfo"]["email"] == "me@example.com"


async def test_without_a_subscription_nothing_is_ever_used_up(nursery: trio.Nursery) -> None:
    client, account = served(nursery, None)
    account.credits_used = 10_000.0
    assert (await client.generate(token="t")).status == 200


# -- the portal ------------------------------------------------------------------------------------------------------


async def portal(client: Client, operation: str, members: Any = None, **changes: str) -> tuple[int, Any]:
    headers = {
        "content_type": "application/cbor",
        "accept": "application/cbor",
        "smithy_protocol": "rpc-v2-cbor",
        "authorization": "Bearer t",
        "cookie": "Idp=Google; AccessToken=t",
        **changes,
    }
    body = cbor2.dumps({"origin": "KIRO_IDE", "isEmailRequired": True} if members is None else members)
    answer = await client.call("POST", OPERATIONS + operation, body, **headers)
    return answer.status, cbor2.loads(answer.content)


async def test_the_portal_tells_the_same_figures_with_its_own_dates(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    subscription = Subscription(used=5, resets_at=EPOCH + DAY, trial=Extra(3, EPOCH + 2 * DAY))
    client, _ = served(nursery, subscription, email="me@example.com")
    status, document = await portal(client, "GetUserUsageAndLimits")
    assert status == 200
    assert document["nextDateReset"] == "2027-01-16T08:00:00.000Z"
    trial = document["usageBreakdownList"][0]["freeTrialInfo"]
    assert trial["freeTrialExpiry"].timestamp() == EPOCH + 2 * DAY, "a CBOR time"
    assert document["userInfo"]["email"] == "me@example.com"
    assert (await portal(client, "GetUserInfo"))[1]["status"] == "Active"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"cookie": "Idp=Github; AccessToken=t"}, 403),
        ({"cookie": "Idp=google; AccessToken=t"}, 403),
        ({"cookie": "AccessToken=t"}, 403),
        ({"cookie": "Idp=Google"}, 401),
        ({"cookie": "Idp=Google; AccessToken=other"}, 401),
        ({"authorization": "Bearer other"}, 401),
        ({"authorization": ""}, 401),
        ({"content_type": "application/json"}, 400),
        ({"smithy_protocol": ""}, 400),
    ],
)
async def test_the_portal_is_strict(nursery: trio.Nursery, changes: dict[str, str], status: int) -> None:
    client, _ = served(nursery, Subscription())
    for operation in ("GetUserUsageAndLimits", "GetUserInfo"):
        answered, document = await portal(client, operation, **changes)
        assert answered == status, document
        assert document["__type"].startswith("com.amazon.kirowebportalservice#")
    assert (await portal(client, "GetUserInfo", {}))[0] == 400, "origin is required"


@pytest.mark.parametrize(
    ("kind", "identity"),
    [(Kind.SOCIAL, "Google"), (Kind.BUILDER_ID, "BuilderId"), (Kind.IDENTITY_CENTER, "AWSIdC")],
)
async def test_each_kind_of_account_has_its_spelling(nursery: trio.Nursery, kind: Kind, identity: str) -> None:
    client, account = served(nursery, Subscription(), kind=kind)
    cookie = f"Idp={identity}; AccessToken=t"
    assert (await portal(client, "GetUserInfo", cookie=cookie))[0] == 200
    account.identity = "Github"
    assert (await portal(client, "GetUserInfo", cookie=cookie))[0] == 403


async def test_a_suspended_account_is_423_on_the_portal_and_403_elsewhere(nursery: trio.Nursery) -> None:
    client, account = served(nursery, Subscription())
    account.refusal = "TEMPORARILY_SUSPENDED"
    status, document = await portal(client, "GetUserInfo")
    assert (status, document["__type"].rpartition("#")[2]) == (423, "AccountSuspendedException")
    refused = await client.get("/getUsageLimits?origin=AI_EDITOR", token="t")
    assert (refused.status, refused.json()["reason"]) == (403, "TEMPORARILY_SUSPENDED")
