"""What the web search tools of several dialects say alike: a bound, lists of domains, where the user is."""

from __future__ import annotations

from collections.abc import Sequence

from kirotrio.dialects.fields import optional_list, optional_object
from kirotrio.dialects.structure import JsonObject
from kirotrio.errors import BodyInvalid


def positive(value: int | None, path: str) -> int | None:
    """`value`, if it is at least 1 or none is given. Raises BodyInvalid at `path`."""
    if value is not None and value < 1:
        raise BodyInvalid(path, "must be at least 1")
    return value


def domain_lists(
    allowed: Sequence[str] | None, blocked: Sequence[str] | None, path: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`allowed_domains` and `blocked_domains` of the tool at `path`, of which one may be given. Raises BodyInvalid."""
    one_list(allowed, blocked, path)
    return (
        tuple(_domain(domain, f"{path}.allowed_domains.{index}") for index, domain in enumerate(allowed or ())),
        tuple(_domain(domain, f"{path}.blocked_domains.{index}") for index, domain in enumerate(blocked or ())),
    )


def one_list(allowed: Sequence[str] | None, blocked: Sequence[str] | None, path: str) -> None:
    """Raises BodyInvalid where both lists hold something."""
    if allowed and blocked:
        raise BodyInvalid(f"{path}.blocked_domains", "only one of allowed_domains and blocked_domains may be given")


def filtered_domains(tool: JsonObject, path: str) -> tuple[str, ...]:
    """`filters.allowed_domains` of OpenAI's search tools. Raises BodyInvalid."""
    domains = optional_list(optional_object(tool, "filters", path), "allowed_domains", f"{path}.filters")
    if not all(type(domain) is str and domain for domain in domains):
        raise BodyInvalid(f"{path}.filters.allowed_domains", "must be a list of domain names")
    return tuple(domains)


def place_in_words(city: str | None, region: str | None, country: str | None, timezone: str | None) -> str:
    """ "city, region, country (time zone …)"; "" where nothing is known."""
    place = ", ".join(filter(None, (city, region, country)))
    zone = f"time zone {timezone}" if timezone else ""
    return f"{place} ({zone})" if place and zone else place or zone


def _domain(domain: str, path: str) -> str:
    host, slash, rest = domain.partition("/")
    # A list that can match nothing would let everything through, or nothing, and nobody would know why.
    if not host or "://" in domain or any(letter.isspace() for letter in domain):
        raise BodyInvalid(path, "must be a domain without https://, such as example.com or example.com/blog")
    return host.lower() + slash + rest
