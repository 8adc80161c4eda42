"""`kirotrio login` as a person sees it: in a terminal, against the simulator, over real sockets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from support.desk import Desk, a_desk
from support.terminals import CTRL_C

from kirotrio.simulator import DEMO_API_KEY

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")


Seat = Callable[[], AbstractAsyncContextManager[Desk]]


@pytest.fixture
def desk(tmp_path: Path) -> Seat:
    return lambda: a_desk(tmp_path)


async def test_a_code_is_shown_and_the_account_is_kept_once_it_is_confirmed(desk: Seat) -> None:
    async with desk() as here:
        here.simulator.person.polls = 3
        async with here.at("login", "builder-id", "--device") as terminal:
            text = await terminal.until("left")
            assert "SIMU-LATE" in text
            assert "https://view.awsapps.com/start/#/device\n" in text, "the address can be read and copied"
            assert "\x1b]8;" in terminal.raw, "the address is a link"
            assert "Waiting for you to confirm, 10:00 left" in text or "Waiting for you to confirm, 9:59 left" in text
            text = await terminal.until("Next:")
            assert "Signed in: person (builder-id, person@example.com" in text
            assert await terminal.end() == 0
            assert terminal.restored
        (account,) = await here.accounts()
        assert (account["name"], account["kind"], account["state"]) == ("person", "builder-id", "ready")


async def test_without_a_kind_one_is_asked_for(desk: Seat) -> None:
    async with desk() as here, here.at("login", "--device") as terminal:
        await terminal.until("Number [1]")
        terminal.type("9\n")
        await terminal.until("a number from 1 to 5")
        terminal.type("1\n")
        await terminal.until("Whose account is it?")
        terminal.type("github\n")
        await terminal.until("Signed in: person (social")
        assert await terminal.end() == 0


async def test_a_refusal_in_the_browser_ends_it_and_keeps_nothing(desk: Seat) -> None:
    async with desk() as here:
        here.simulator.person.does = "deny"
        async with here.at("login", "builder-id", "--device") as terminal:
            text = await terminal.until("kirotrio login")
            assert "refused" in text
            assert await terminal.end() == 1
            assert terminal.restored
        assert await here.accounts() == []


async def test_a_code_that_expires_says_what_to_run(desk: Seat) -> None:
    async with desk() as here:
        here.simulator.person.does = "never"
        here.simulator.sign_ins.device_life = 1.0
        async with here.at("login", "social", "--provider", "google", "--device") as terminal:
            text = await terminal.until("kirotrio login")
            assert "in time" in text
            assert await terminal.end() == 1
            assert terminal.restored


async def test_slow_down_is_told_and_ctrl_c_leaves_nothing_behind(desk: Seat) -> None:
    async with desk() as here:
        here.simulator.person.does = "never"
        async with here.at("login", "builder-id", "--device") as terminal:
            await terminal.until("left")
            assert "\x1b[?25l" in terminal.raw, "the spinner hides the cursor, or the next assertions mean nothing"
            (device,) = here.simulator.sign_ins._devices.values()
            device.interval = 2.0
            await terminal.until("slow_down")
            terminal.type(CTRL_C)
            assert await terminal.end() == 130
            assert terminal.restored
            assert terminal.text.endswith("\nStopped; nothing was kept.\n")
        assert await here.accounts() == []


async def test_of_several_profiles_one_is_chosen(desk: Seat) -> None:
    async with desk() as here:
        start = ("login", "identity-center", "--start-url", "https://d-1234567890.awsapps.com/start", "--device")
        async with here.at(*start) as terminal:
            text = await terminal.until("Number [1]")
            arns = [word for word in text.split() if word.startswith("arn:aws")]
            assert len(arns) > 1
            terminal.type("2\n")
            await terminal.until("Signed in")
            assert await terminal.end() == 0
        (account,) = await here.accounts()
        assert account["profile_arn"] == arns[1]

        async with here.at(*start) as terminal:
            await terminal.until("Number [1]")
            terminal.type(CTRL_C)
            assert await terminal.end() == 130, "a question can be left"
            assert terminal.text.endswith("\nStopped; nothing was kept.\n")
            assert terminal.restored

        piped = await here.run(*start)
        assert piped.returncode == 1
        assert f"{', '.join(arns)}; say which with --profile" in piped.stderr.decode(), "off a terminal nobody is asked"
        named = await here.run(*start, "--profile", arns[0], "--name", "other")
        assert named.returncode == 0, named.stderr.decode()
        assert {account["profile_arn"] for account in await here.accounts()} == {arns[0], arns[1]}


async def test_an_api_key_is_typed_unseen_and_kept_once(desk: Seat) -> None:
    async with desk() as here:
        async with here.at("login", "api-key", "--name", "key") as terminal:
            await terminal.until("is not shown")
            terminal.type(f"{DEMO_API_KEY}\n")
            await terminal.until("Signed in: key")
            assert await terminal.end() == 0
            assert terminal.restored, "what was typed next would not be seen"
            assert DEMO_API_KEY not in terminal.raw
        async with here.at("login", "api-key") as terminal:
            await terminal.until("is not shown")
            terminal.type(CTRL_C)
            assert await terminal.end() == 130
            assert terminal.restored
        again = await here.run("login", "api-key", stdin=DEMO_API_KEY.encode())
        assert again.returncode == 0
        assert b"the account key already" in again.stdout
        assert len(await here.accounts()) == 1


def _browser(folder: Path) -> str:
    """A browser that follows every redirect and notes where it was."""
    script = folder / "browser"
    script.write_text(
        f"#!{sys.executable}\nimport pathlib, sys, urllib.request\n"
        "page = urllib.request.urlopen(sys.argv[1], timeout=10)\n"
        f"pathlib.Path({str(folder / 'visited')!r}).write_text(page.url + '\\n' + page.read().decode())\n"
    )
    script.chmod(0o700)
    return str(script)


@pytest.mark.parametrize(
    "kind",
    [
        ("social", "--provider", "google"),
        ("builder-id",),
        ("external", "--domain", "example.com"),
    ],
    ids=lambda kind: kind[0],
)
async def test_a_browser_on_this_machine_comes_back_by_itself(kind: Sequence[str], desk: Seat) -> None:
    async with desk() as here, here.at("login", *kind, "--browser", BROWSER=_browser(here.home)) as terminal:
        if kind[0] == "external":
            await terminal.until("Which profile")
            terminal.type("1\n")
        text = await terminal.until("Next:")
        assert f"Signed in: person ({kind[0]}" in text
        assert "http" in text.partition("Signed in")[0], "the address is shown, too: no browser might have opened"
        assert await terminal.end() == 0
        assert terminal.restored
        visited = (here.home / "visited").read_text()
        assert "You can close this window" in visited


async def test_signing_in_anew_keeps_name_and_settings(desk: Seat) -> None:
    async with desk() as here:
        assert (await here.run("login", "builder-id", "--device", "--name", "work")).returncode == 0
        assert (await here.run("accounts", "set", "work", "--priority", "7", "--proxy", "none")).returncode == 0
        done = await here.run("login", "--again", "work", "--device", "--proxy", "none")
        assert done.returncode == 0, done.stderr.decode()
        assert b"Signed in anew: work" in done.stdout
        (account,) = await here.accounts()
        assert (account["priority"], account["proxy"]) == (7, "none")

        same = await here.run("login", "builder-id", "--device", "--name", "other")
        assert b"is the account work already" in same.stdout, "one person is one account"
        assert len(await here.accounts()) == 1

        here.simulator.person.email, here.simulator.person.user_id = "else@example.com", "d-0000000000.else"
        wrong = await here.run("login", "--again", "work", "--device")
        assert wrong.returncode == 1
        assert b"is not that of the account work" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("login",), "say how to sign in: social, builder-id"),
        (("login", "social", "--device"), "--provider google"),
        (("login", "identity-center", "--device"), "--start-url is missing"),
        (("login", "external", "--domain", "a.b", "--device"), "knows no codes"),
        (("login", "social", "--start-url", "https://a.b"), "--start-url does not go with social"),
        (("login", "social", "--region", "moon"), "us-east-1"),
        (("login", "social", "--proxy", "nonsense"), "socks5"),
        (("login", "social", "--name", "a b"), "can be a name"),
        (("login", "identity-center", "--start-url", "https://a.b", "--profile", "x"), "not the ARN"),
    ],
)
async def test_wrong_usage_says_what_would_be_right(arguments: Sequence[str], said: str, desk: Seat) -> None:
    async with desk() as here:
        done = await here.run(*arguments)
        assert done.returncode == 2, done.stdout
        assert said in done.stderr.decode()
