"""The sign-in flow's side of the terminal: a code or an address is shown, a profile is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from kirotrio.accounts.profiles import Profile
from kirotrio.cli.terminal import (
    Waiting,
    can_ask,
    choose_meanwhile,
    console_of_output,
    hyperlink,
    open_page,
    printable,
)
from kirotrio.errors import SettingsError


class TerminalPrompt:
    """A `sign_in.Prompt`, and a context manager: leaving it ends what moves on the terminal.

    `profile` is the ARN that was named, `before` the one of the account that signs in anew; "" if none.
    """

    def __init__(self, profile: str = "", before: str = "") -> None:
        self._console = console_of_output()
        self._waiting = Waiting(self._console)
        self._profile = profile
        self._before = before
        self.unsettled = ""
        """Why the profile has to be named once more, "" where it has not. The sign-in is good all the same."""

    def __enter__(self) -> TerminalPrompt:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.stop()

    def code(self, user_code: str, address: str, complete_address: str, seconds: float) -> None:
        self._waiting.stop()
        self._address("Open this address in a browser, on any machine:", address)
        click.echo(f"and enter this code there:\n\n    {printable(user_code)}\n")
        if complete_address and complete_address != address:
            self._address("Or open this one, which has the code in it:", complete_address)
        self._waiting.begin("Waiting for you to confirm", seconds)

    def browser(self, address: str, seconds: float, came_back: Callable[[str], bool]) -> None:
        self._waiting.stop()
        self._address("Sign in with a browser on this machine; if none opens by itself, open:", address)
        open_page(address)
        self._waiting.begin("Waiting for you to sign in", seconds)

    def waiting(self, note: str) -> None:
        self._waiting.note(printable(note))

    async def choose_profile(self, profiles: Sequence[Profile]) -> Profile:
        """The one that was named, or the one that the person picks; off a terminal the one that the account has had,
        also where this sign-in has it no more: the tokens are kept then, and `unsettled` is set.

        Raises SettingsError where nobody can be asked and nothing is known.
        """
        by_arn = {profile.arn: profile for profile in profiles}
        if self._profile in by_arn:
            return by_arn[self._profile]
        missing = self._profile or (self._before if self._before not in by_arn else "")
        if not can_ask():
            return self._unasked(by_arn, missing)
        self._waiting.stop()
        if missing:
            click.echo(f"This sign-in has no profile {missing}.")
        told = [_described(profile) for profile in profiles]
        default = list(by_arn).index(self._before) + 1 if self._before in by_arn else 1
        chosen = by_arn[await choose_meanwhile("Which profile is to be used?", list(by_arn), told, default)]
        self._waiting.begin("Asking Kiro about the account")
        return chosen

    def _unasked(self, by_arn: dict[str, Profile], missing: str) -> Profile:
        if self._before in by_arn and not missing:
            return by_arn[self._before]
        has = f"it has {', '.join(by_arn)}"
        if not self._before:
            what = f"has no profile {missing}; {has}" if missing else f"has several profiles; {has}"
            raise SettingsError(f"this sign-in {what}; say which with --profile")
        self.unsettled = f"this sign-in has no profile {missing}; {has}"
        return by_arn.get(self._before) or Profile(self._before)

    def _address(self, sentence: str, address: str) -> None:
        click.echo(f"{sentence}\n")
        self._console.print("    ", hyperlink(printable(address)), sep="", soft_wrap=True)
        click.echo()


def _described(profile: Profile) -> str:
    status = "" if profile.active else f"({profile.status.lower()})"
    return printable(" ".join(part for part in (profile.name, status) if part))
