"""Finding a profile: regional, and a failure is not an answer (KIRO_PROTOCOL 2.6, 6.2)."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
from support.sign_in_service import SignInService, answer

from kirotrio.accounts.profiles import Profile, ask_profiles, find_profile, list_profiles
from kirotrio.errors import DeadlineExceeded, UpstreamFailed
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.http_answer import HttpAnswer

CREDENTIALS = Credentials("access", token_type="EXTERNAL_IDP")
US = {"arn": "arn:aws:codewhisperer:us-east-1:111:profile/ABC"}
EU = {"arn": "arn:aws:codewhisperer:eu-central-1:222:profile/DEF"}
UNSUPPORTED = answer(403, {"message": "unsupported"})


def profiles(*found: object) -> HttpAnswer:
    return answer(200, {"profiles": list(found)})


@pytest.mark.parametrize(
    ("us", "eu", "refused"),
    [
        (UNSUPPORTED, UNSUPPORTED, True),
        (UNSUPPORTED, answer(400, {}), False),
        (UNSUPPORTED, profiles(), False),
        (UNSUPPORTED, profiles(EU), False),
    ],
)
async def test_the_question_is_refused_only_where_every_region_does(
    us: HttpAnswer, eu: HttpAnswer, refused: bool
) -> None:
    service = SignInService("none")
    service.profiles = lambda url: us if "us-east-1" in url else eu
    assert (await ask_profiles(service, CREDENTIALS, deadline=5)).refused is refused


async def look(
    us: HttpAnswer | Exception, eu: HttpAnswer | Exception, flavour: str = "rest"
) -> tuple[str, SignInService]:
    service = SignInService("none")

    def reply(url: str) -> HttpAnswer:
        region = us if "us-east-1" in url else eu
        if isinstance(region, Exception):
            raise region
        return region

    service.profiles = reply
    return await find_profile(service, attrs.evolve(CREDENTIALS, flavour=flavour), deadline=5), service


@pytest.mark.parametrize(
    ("us", "eu", "found"),
    [
        (profiles(US), profiles(EU), US["arn"]),
        (profiles(), profiles(EU), EU["arn"]),
        (UNSUPPORTED, profiles(EU), EU["arn"]),
        (answer(500, b""), profiles(EU), EU["arn"]),
        (UpstreamFailed("no route"), profiles(EU), EU["arn"]),
        (profiles({**US, "status": "INACTIVE"}, {**EU, "status": "ACTIVE"}), profiles(), EU["arn"]),
        (profiles({"arn": "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"}), profiles(), ""),
        (profiles(None, {"arn": 5}, US), profiles(), US["arn"]),
        (UNSUPPORTED, UNSUPPORTED, ""),
        (profiles(), profiles(), ""),
    ],
)
async def test_what_the_regions_say(us: HttpAnswer | Exception, eu: HttpAnswer | Exception, found: str) -> None:
    assert (await look(us, eu))[0] == found


@pytest.mark.parametrize(
    "fault",
    [answer(500, b""), answer(429, b""), answer(200, b"<html>"), UpstreamFailed("no route"), DeadlineExceeded("slow")],
)
@pytest.mark.parametrize("other", [profiles(), UNSUPPORTED])
async def test_a_region_that_did_not_answer_leaves_the_question_open(
    fault: HttpAnswer | Exception, other: HttpAnswer
) -> None:
    for regions in ((fault, other), (other, fault)):
        with pytest.raises(UpstreamFailed) as error:
            await look(*regions)
        assert error.value.retryable


async def test_the_sample_of_a_real_answer() -> None:
    sample = Path(__file__).parent.parent / "data" / "kiro" / "list_available_profiles_sample.json"
    found, _ = await look(HttpAnswer(200, {}, sample.read_bytes()), profiles())
    assert found == US["arn"]


async def test_both_regions_are_asked_with_the_token_and_its_type() -> None:
    _, service = await look(profiles(US), profiles())
    assert sorted(url for url, _, _ in service.calls) == [
        "https://q.eu-central-1.amazonaws.com/ListAvailableProfiles",
        "https://q.us-east-1.amazonaws.com/ListAvailableProfiles",
    ]
    for _, headers, body in service.calls:
        assert headers["authorization"] == "Bearer access"
        assert headers["tokentype"] == "EXTERNAL_IDP"
        assert isinstance(json.loads(body), dict)


async def test_a_replaced_host_is_asked_once() -> None:
    service = SignInService("none")
    service.profiles = lambda url: profiles(US)
    arn = await find_profile(service, attrs.evolve(CREDENTIALS, url="http://127.0.0.1:9"), deadline=5)
    assert arn == US["arn"]
    assert [url for url, _, _ in service.calls] == ["http://127.0.0.1:9/ListAvailableProfiles"]


async def test_all_profiles_are_listed_once_and_active_ones_first() -> None:
    service = SignInService("none")
    old = {**US, "arn": US["arn"] + "OLD", "profileName": "Old", "status": "DISABLED"}
    service.profiles = lambda url: profiles(old, {**US, "profileName": 5}) if "us-east" in url else profiles(EU, old)
    assert await list_profiles(service, CREDENTIALS, deadline=5) == [
        Profile(US["arn"]),
        Profile(EU["arn"]),
        Profile(US["arn"] + "OLD", "Old", "DISABLED"),
    ]
