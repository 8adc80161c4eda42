"""Fetching where a proxy of the settings leads out: through it, and still to no place that must not be called."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio
import trustme
from hypothesis import given
from hypothesis import strategies as st
from support.proxies import HttpProxy, Proxy, Socks5Proxy
from support.sites import Names, Site, answer, redirect

from kirotrio.config.settings import Settings, UpstreamSettings
from kirotrio.relay.addresses import names_public_site
from kirotrio.relay.fetching import FetchRefused, fetch


@pytest.fixture
async def site(nursery) -> Site:
    site = await Site().start(nursery)
    site.pages["/"] = [answer(b"x")]
    return site


@pytest.fixture(params=[HttpProxy, Socks5Proxy])
async def proxy(request, nursery, site) -> Proxy:
    """It takes whatever it is asked for to the site."""
    proxy = request.param()
    proxy.names = Everywhere(("127.0.0.1", site.port))
    await proxy.start(nursery)
    return proxy


class Everywhere(dict[str, tuple[str, int]]):
    def __init__(self, where: tuple[str, int]) -> None:
        super().__init__()
        self.where = where

    def get(self, *_: Any) -> tuple[str, int]:
        return self.where


@pytest.fixture
async def names() -> AsyncIterator[Names]:
    """What this machine knows: its own loopback, `public.site.org`, and `inner.site.org` in an inner network."""
    names = Names(
        {
            "127.0.0.1": [["127.0.0.1"]],
            "10.0.0.1": [["10.0.0.1"]],
            "0x7f.1": [["127.0.0.1"]],
            "public.site.org": [["93.184.215.14"]],
            "inner.site.org": [["10.1.2.3"]],
        }
    )
    before = trio.socket.set_custom_hostname_resolver(names)
    yield names
    trio.socket.set_custom_hostname_resolver(before)


def through(proxy: Proxy, **upstream: Any) -> Settings:
    return Settings(upstream=UpstreamSettings(proxy_url=proxy.url(), **upstream))


async def refused(url: str, settings: Settings) -> FetchRefused:
    with pytest.raises(FetchRefused) as caught:
        await fetch(url, ceiling=1000, settings=settings)
    return caught.value


async def test_what_is_fetched_goes_through_the_proxy_to_the_address_that_was_judged(proxy, site, names):
    assert (await fetch("http://public.site.org/", ceiling=9, settings=through(proxy))).content == b"x"
    assert proxy.asked == ["93.184.215.14:80"]
    assert "host: public.site.org\r\n" in site.heads[0].lower()
    assert "proxy-" not in site.heads[0].lower(), "the proxy's password went to the site"


async def test_a_name_unknown_here_is_left_to_the_proxy(proxy, site, names):
    assert (await fetch("http://far.site.org/", ceiling=9, settings=through(proxy))).content == b"x"
    assert proxy.asked == ["far.site.org:80"]
    with pytest.raises(FetchRefused, match="there is no host of this name"):
        await fetch("http://far.site.org/", ceiling=9, settings=Settings())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.1",
        "0x7f.1",
        "[::1]",
        "inner.site.org",
        "localhost",
        "printer",
        "metadata.google.internal",
        "nas.local",
        "router.home.arpa",
        "x.localhost.",
        "1.2.3.999",
    ],
)
async def test_no_inner_place_is_reached_through_the_proxy(proxy, names, host):
    names.known["::1"] = [["::1"]]
    error = await refused(f"http://{host}/", through(proxy))
    assert error.code in ("url_not_allowed", "url_not_accessible")
    assert not proxy.asked, "the proxy was asked to call an inner place"


async def test_a_redirect_is_judged_again(proxy, site, names):
    site.pages["/"] = [redirect("http://10.0.0.1/latest")]
    assert (await refused("http://public.site.org/", through(proxy))).code == "url_not_allowed"
    assert proxy.asked == ["93.184.215.14:80"]


async def test_excepted_hosts_are_fetched_without_the_proxy(proxy, site, names):
    settings = attrs.evolve(
        through(proxy, no_proxy="127.0.0.1"),
        fetch=attrs.evolve(Settings().fetch, allow_networks="127.0.0.0/8"),
    )
    assert (await fetch(site.url, ceiling=9, settings=settings)).content == b"x"
    assert not proxy.asked


async def test_tls_runs_through_the_proxy_under_the_sites_name(proxy, site, names, monkeypatch, tmp_path):
    authority = trustme.CA()
    site.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("public.site.org").configure_cert(site.tls)
    authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    settings = through(proxy, certificates="system")
    assert (await fetch("https://public.site.org/", ceiling=9, settings=settings)).content == b"x"
    assert proxy.asked == ["93.184.215.14:443"]


async def test_what_the_proxy_refuses_is_said_without_its_password(proxy, names):
    settings = Settings(upstream=UpstreamSettings(proxy_url=proxy.url(password="secret-word")))
    error = await refused("http://public.site.org/", settings)
    assert "the proxy" in error.message
    assert "secret-word" not in error.message


async def test_a_look_up_that_nobody_answers_does_not_take_the_time_of_the_fetch(
    proxy, names, monkeypatch, autojump_clock
):
    async def silent(*_: Any, **__: Any) -> Any:
        await trio.sleep(3600)

    monkeypatch.setattr(Names, "getaddrinfo", silent)
    autojump_clock.autojump_threshold = 0.05  # sockets are real here
    assert (await fetch("http://far.site.org/", ceiling=9, settings=through(proxy))).content == b"x"


LABEL = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True)


@given(st.lists(LABEL, min_size=1, max_size=3), st.sampled_from(["local", "localhost", "internal", "home.arpa", "lan"]))
def test_no_name_of_an_inner_network_is_left_to_the_proxy(labels, ending):
    assert not names_public_site(".".join([*labels, ending]))
    assert not names_public_site(".".join([*labels, ending]).upper() + ".")
    assert not names_public_site(labels[0])
    assert names_public_site(".".join([ending, *labels, "org"]))
