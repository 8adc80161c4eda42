"""A look at a running gateway from outside, as a client has it: does it answer, does it take the key, which models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

import attrs
import orjson
import trio

from kirotrio.classes import frozen
from kirotrio.cli.clients import ListedModel
from kirotrio.cli.first_run import is_loopback
from kirotrio.config.settings import DeadlineSettings, UpstreamSettings
from kirotrio.errors import KirotrioError, SettingsError, UpstreamFailed
from kirotrio.kiro.client import Transport

_LARGEST = 4 * 1024 * 1024
"""Bytes of a list of models; more is not one."""


class GatewayAbsent(KirotrioError):
    """Nothing answers at the address, or something that is no gateway."""


@frozen
class Look:
    """One look at the gateway at `url` (no path but a prefix of its own), with each wait's deadline in seconds."""

    url: str
    key: str
    key_origin: str
    deadline_health: float
    deadline_models: float
    certificates: str

    async def live(self) -> dict[str, Any]:
        """What the gateway does right now. Raises GatewayAbsent, and KirotrioError where it does not tell.

        Cancellation closes the connection.
        """
        async with self._transport() as http:
            status, body = await self._get(http, "/live", self.deadline_models)
        self._check(status, body, "what it does")
        if not isinstance(body, dict) or not isinstance(body.get("answers"), list):
            raise GatewayAbsent(f"what answers at {self.url} is no kirotrio, or one that tells nothing of what it does")
        return body

    def _transport(self) -> Transport:
        # A proxy of the environment is for what lies beyond this machine.
        local = is_loopback(urlsplit(self.url).hostname or "")
        proxy, excepted = ("", "") if local else _proxy_of_the_environment(urlsplit(self.url).scheme)
        upstream = UpstreamSettings(proxy_url=proxy, no_proxy=excepted, certificates=self.certificates)
        return Transport(upstream, DeadlineSettings(connect=self.deadline_models))

    async def models(self, wanted: str = "") -> tuple[ListedModel, ...]:
        """The models that the gateway lists, and `wanted` as it resolves it. The key is sent only to what answers like
        a gateway.

        Raises GatewayAbsent, and KirotrioError where the key is refused or there is no model `wanted` (an alias is
        one). Cancellation closes the connection.
        """
        async with self._transport() as http:
            status, body = await self._get(http, "/health", self.deadline_health, key=False)
            if status != 200 or not isinstance(body, Mapping) or "status" not in body:
                raise GatewayAbsent(
                    f"what answers at {self.url} is no kirotrio (status {status} for /health); give the address that "
                    "`kirotrio serve` prints with --url"
                )
            status, body = await self._get(http, "/v1/models?limit=1000", self.deadline_models)
            self._check(status, body)
            models = tuple(_models(body))
            if wanted and all(model.id != wanted for model in models):
                path = f"/v1/models/{quote(wanted, safe='')}"
                status, body = await self._get(http, path, self.deadline_models)
                if status == 404:
                    raise KirotrioError(_no_such(wanted, models))
                self._check(status, body)
                models += tuple(_spelled(wanted, model) for model in _models({"data": [body]}))
        return models

    async def _get(self, http: Transport, path: str, deadline: float, *, key: bool = True) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self.key}"} if key else {}
        try:
            with trio.fail_after(deadline):
                async with http.stream("GET", self.url + path, headers=headers) as answer:
                    status, body = answer.status, await answer.read(_LARGEST)
        except trio.TooSlowError:
            raise GatewayAbsent(
                f"the gateway at {self.url} did not answer {path.partition('?')[0]} within {deadline:g} seconds; "
                "look at what it logs"
            ) from None
        except (UpstreamFailed, SettingsError) as error:
            reason = error.message.rstrip(".")
            raise GatewayAbsent(
                f"no gateway answers at {self.url} ({reason[:1].lower()}{reason[1:]}); start one with `kirotrio serve` "
                "in another terminal, or give its address with --url"
            ) from None
        try:
            return status, orjson.loads(body)
        except orjson.JSONDecodeError:
            return status, None

    def _check(self, status: int, body: Any, what: str = "its models") -> None:
        if status == 401 or (status == 403 and what == "its models"):
            raise KirotrioError(
                f"the gateway at {self.url} refuses the key ({self.key_origin}); give the one that it was started "
                "with, in KIROTRIO_API_KEY or with --api-key"
            )
        if status != 200:
            said = body.get("error", {}) if isinstance(body, Mapping) else {}
            reason = said.get("message") if isinstance(said, Mapping) else None
            raise KirotrioError(
                f"the gateway at {self.url} does not tell {what} (status {status}): {reason or 'look at what it logs'}"
            )


def look(url: str, key: str, key_origin: str, deadlines: DeadlineSettings, upstream: UpstreamSettings) -> Look:
    """A look with the deadlines that fit the gateway's own: it may refresh a token before it lists models."""
    return Look(url, key, key_origin, deadlines.connect, deadlines.sign_in + deadlines.lookup, upstream.certificates)


def _proxy_of_the_environment(scheme: str) -> tuple[str, str]:
    """The proxy for addresses of this scheme, "" for none, and the hosts that it is not for."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all") or ""
    return (proxy if not proxy or "://" in proxy else f"http://{proxy}"), proxies.get("no", "")


def _models(body: Any) -> list[ListedModel]:
    """What can be read of a list in the shape that `GET /v1/models` has."""
    data = body.get("data") if isinstance(body, Mapping) else None
    return [
        ListedModel(
            id=item["id"],
            name=item["display_name"] if isinstance(item.get("display_name"), str) else "",
            context_window=_tokens(item.get("max_input_tokens")),
            max_output=_tokens(item.get("max_tokens")),
        )
        for item in (data if isinstance(data, list) else [])
        if isinstance(item, Mapping) and isinstance(item.get("id"), str)
    ]


def _spelled(wanted: str, model: ListedModel) -> ListedModel:
    """The model under the name that was asked for."""
    if model.id == wanted:
        return model
    return attrs.evolve(model, id=wanted, name=f"{model.name or model.id} ({wanted})", alias_of=model.id)


def _tokens(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _no_such(wanted: str, models: tuple[ListedModel, ...]) -> str:
    return f"the gateway has no model {wanted}; it has {', '.join(model.id for model in models) or 'none'}"
