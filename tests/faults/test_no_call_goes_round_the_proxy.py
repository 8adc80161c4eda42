"""Where a proxy is set, every call takes it: the real names of Kiro's hosts, none of which this machine can resolve."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import trio
from attrs import define, frozen
from support.far import Everywhere, FarService, Nowhere, far_away
from support.proxies import HttpProxy, Proxy, Socks5Proxy
from support.stack import question, running

from kirotrio.accounts.credential import Social
from kirotrio.accounts.profiles import Profile
from kirotrio.accounts.sign_in import SignInPlan, sign_in
from kirotrio.accounts.tokens.refresh import refresh
from kirotrio.accounts.worth.usage import ask_usage
from kirotrio.config.settings import Settings, UpstreamSettings
from kirotrio.errors import UpstreamFailed
from kirotrio.kiro.client import Transport
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.usage import AccountUsage
from kirotrio.simulator import (
    DEMO_ACCESS_TOKEN,
    DEMO_CLIENT_ID,
    DEMO_CLIENT_SECRET,
    DEMO_OIDC_REFRESH_TOKEN,
    SOCIAL_ARN,
    Account,
    Kind,
    Simulator,
)

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
NOTHING_REBASED = {"url": "", "auth_url": "", "portal_url": "", "certificates": "system"}


KINDS = ["http", "https", "socks5"]


@define
class Far:
    service: FarService
    nursery: trio.Nursery

    async def proxy(self, kind: str, service: FarService | None = None) -> Proxy:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.service.authority.issue_cert("127.0.0.1").configure_cert(tls)
        proxy = Socks5Proxy() if kind == "socks5" else HttpProxy(tls if kind == "https" else None)
        proxy.names = Everywhere((service or self.service).where)
        await proxy.start(self.nursery)
        return proxy


@pytest.fixture
async def far(monkeypatch, tmp_path) -> AsyncIterator[Far]:
    async with far_away() as (service, nowhere, nursery):
        service.authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
        yield Far(service, nursery)
        assert nowhere.asked == [], "a name was looked up on this side of the proxy"


@frozen
class Agreeing:
    """Whoever signs in: agrees to everything, with a browser that has a way of its own to Kiro."""

    nursery: trio.Nursery
    http: Transport
    proxy_url: str

    def code(self, user_code: str, address: str, complete_address: str, seconds: float) -> None: ...

    def browser(self, address: str, seconds: float, came_back: Callable[[str], bool]) -> None:
        self.nursery.start_soon(self._browse, address)

    async def _browse(self, address: str) -> None:
        page = await self.http.call("GET", address, deadline=10, proxy_url=self.proxy_url)
        await self.http.call("GET", page.headers["location"], deadline=10, proxy_url="")

    def waiting(self, note: str) -> None: ...

    async def choose_profile(self, profiles: Sequence[Profile]) -> Profile:
        return profiles[0]


def paths(simulator: Simulator) -> set[str]:
    return {request.call.path.partition("?")[0] for request in simulator.ledger.requests}


PLANS = {
    "social-device": (SignInPlan("social", "device", provider="google"), {"/oauth/device/poll"}),
    "social-browser": (SignInPlan("social", "browser", provider="google"), {"/oauth/token"}),
    "builder-id": (SignInPlan("builder-id", "device"), {"/client/register", "/device_authorization", "/token"}),
    "identity-center": (
        SignInPlan("identity-center", "device", start_url="https://d-1234567890.awsapps.com/start"),
        {"/client/register", "/device_authorization", "/token", "/ListAvailableProfiles"},
    ),
    "external": (
        SignInPlan("external", "browser", domain="example.com"),
        {"/service/KiroWebPortalService/operation/GetLoginMetadata", "/ListAvailableProfiles"},
    ),
}


@pytest.mark.parametrize("own", [False, True], ids=["settings", "account"])
@pytest.mark.parametrize(
    ("kind", "plan"),
    [*((kind, "social-device") for kind in KINDS), *(("socks5", plan) for plan in PLANS if plan != "social-device")],
)
async def test_every_call_of_a_sign_in_takes_it(far, kind, plan, own):
    simulator = Simulator()
    simulator.sign_ins.interval, simulator.sign_ins.person.polls = 0.01, 0
    far.service.begin(simulator)
    proxy = await far.proxy(kind)
    upstream = UpstreamSettings(**NOTHING_REBASED, proxy_url="" if own else proxy.url())
    settings = Settings(upstream=upstream)
    asked, expected = PLANS[plan]
    async with Transport(upstream, settings.deadlines) as http, trio.open_nursery() as nursery:
        who = Agreeing(nursery, http, proxy.url())
        signed_in = await sign_in(asked, who, http, settings, proxy_url=proxy.url() if own else None)
    assert expected <= paths(simulator)
    assert signed_in.email, "whose account it is was asked for as well"
    assert any("sage" in path for path in paths(simulator)), paths(simulator)
    assert len(proxy.asked) == len(far.service.hosts), "the service was reached by another way than the proxy"


@pytest.mark.parametrize("kind", KINDS)
async def test_every_call_of_a_gateway_takes_it(far, kind, tmp_path):
    proxy = await far.proxy(kind)
    upstream = {**NOTHING_REBASED, "proxy_url": proxy.url()}
    account = {
        "refresh_token": DEMO_OIDC_REFRESH_TOKEN,
        "client_id": DEMO_CLIENT_ID,
        "client_secret": DEMO_CLIENT_SECRET,
    }
    async with running(tmp_path, upstream=upstream, accounts=account) as s, s.client() as http:
        far.service.begin(s.simulator)
        first = await http.post("/v1/messages", json=question())
        assert first.status_code == 200, first.text
        assert (await http.get("/v1/models")).status_code == 200
        s.simulator.expire_access_tokens()
        said = question("[[scenario=web-search]] the news", tools=[SEARCH])
        assert "web_search_tool_result" in (await http.post("/v1/messages", json=said)).text
        asked = paths(s.simulator)
    assert {"/token", "/generateAssistantResponse", "/ListAvailableModels", "/mcp"} <= asked
    assert {"q.us-east-1.amazonaws.com", "oidc.us-east-1.amazonaws.com"} <= set(far.service.hosts)
    assert len(proxy.asked) == len(far.service.hosts), "the service was reached by another way than the proxy"


@pytest.mark.parametrize("kind", KINDS)
async def test_usage_and_portal_take_the_accounts_proxy(far, kind):
    simulator = Simulator()
    far.service.begin(simulator)
    proxy, other = await far.proxy(kind), await far.proxy("http")
    settings = Settings(upstream=UpstreamSettings(**NOTHING_REBASED, proxy_url=other.url()))
    credentials = Credentials(
        DEMO_ACCESS_TOKEN, profile_arn=SOCIAL_ARN, region="us-east-1", account="a", proxy_url=proxy.url()
    )
    async with Transport(settings.upstream, settings.deadlines) as http:
        usage = await ask_usage(http, credentials, settings)
    assert usage.limit
    assert proxy.asked
    assert not other.asked, "the settings' proxy was taken for an account that has its own"


async def test_two_accounts_each_take_their_own(far):
    """Behind each proxy stands another service, which knows only the tokens of the account that is to come to it."""
    upstream = UpstreamSettings(**NOTHING_REBASED)
    settings = Settings(upstream=upstream)
    tokens, proxies = ("aoaFirst" + "x" * 100, "aoaSecond" + "x" * 100), []
    for token, kind in zip(tokens, ("http", "socks5"), strict=True):
        service = await FarService(far.service.authority).start(far.nursery)
        service.begin(Simulator(accounts=[Account("only", Kind.SOCIAL, refresh_token=token, profiles=(SOCIAL_ARN,))]))
        proxies.append(await far.proxy(kind, service))
    found: list[AccountUsage] = []

    async def use(token: str, proxy: Proxy) -> None:
        for _ in range(4):
            renewed = await refresh(
                http, Social(refresh_token=token), deadline=10, now=time.time, proxy_url=proxy.url()
            )
            token = renewed.refresh_token or token
            credentials = Credentials(
                renewed.access_token, profile_arn=SOCIAL_ARN, region="us-east-1", account="a", proxy_url=proxy.url()
            )
            found.append(await ask_usage(http, credentials, settings))

    async with Transport(upstream, settings.deadlines) as http, trio.open_nursery() as nursery:
        for token, proxy in zip(tokens, proxies, strict=True):
            nursery.start_soon(use, token, proxy)
    assert len(found) == 8
    assert all(proxy.asked for proxy in proxies)


async def test_without_the_proxy_nothing_is_reached(far):
    far.service.begin(Simulator())
    settings = Settings(upstream=UpstreamSettings(**NOTHING_REBASED))
    nowhere = trio.socket.set_custom_hostname_resolver(None)
    trio.socket.set_custom_hostname_resolver(Nowhere())
    async with Transport(settings.upstream, settings.deadlines) as http:
        with pytest.raises(UpstreamFailed, match="could not connect"):
            await http.call("GET", "https://q.us-east-1.amazonaws.com/", deadline=5)
    trio.socket.set_custom_hostname_resolver(nowhere)
    assert not far.service.hosts
