"""`kirotrio users list` and `sessions`."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.terminal import console_of_output, printable, run_to_end
from kirotrio.cli.users.opening import named, with_people
from kirotrio.config import LoadedSettings

if TYPE_CHECKING:
    from kirotrio.access.people import People
    from kirotrio.store.user_record import Session, User

_HEADINGS = ("name", "role", "state", "second factor", "e-mail", "last sign-in")
_FIRST = ("role", "state", "last sign-in", "second factor")


@click.command("list", short_help="List the users and their states.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table. Default: no.")
@with_settings(*DATA)
def list_(loaded: LoadedSettings, as_json: bool) -> int:
    """List the users, with role, state, whether there is a second factor, and when each signed in last."""
    with with_people(loaded) as (people, _):
        users = run_to_end(functools.partial(_all, people))
    if as_json:
        click.echo(json.dumps([_described(user) for user in users], indent=2, ensure_ascii=False))
        return 0
    if not users:
        click.echo("There is no user yet. `kirotrio users create NAME --role operator` makes the first one.")
        return 0
    now = time.time()
    cells = [
        (
            user.name,
            user.role.value,
            user.state.value,
            "on" if user.second_factor_at is not None else "off",
            user.email or "-",
            _ago(user.last_sign_in_at, now),
        )
        for user in users
    ]
    _print(_HEADINGS, cells, _FIRST)
    if any(user.state.value == "waiting" for user in users):
        click.echo("Who waits is let in by `kirotrio users approve NAME`, and refused by `kirotrio users remove NAME`.")
    return 0


@click.command(short_help="List where a user is signed in.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table. Default: no.")
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
def sessions(loaded: LoadedSettings, name: str, as_json: bool) -> int:
    """List where the user NAME is signed in to the console, the sign-in that was used last first."""
    with with_people(loaded) as (people, stores):
        user = named(stores, name)
        found = run_to_end(lambda: people.sessions_of(user.id))
    if as_json:
        click.echo(json.dumps([_told(session) for session in found], indent=2, ensure_ascii=False))
        return 0
    if not found:
        click.echo(f"{user.name} is not signed in anywhere.")
        return 0
    now = time.time()
    cells = [
        (session.id, _ago(session.seen_at, now), session.address or "-", printable(session.agent) or "-")
        for session in found
    ]
    _print(("id", "last seen", "address", "browser"), cells, ("last seen", "address"))
    return 0


async def _all(people: People) -> list[User]:
    from kirotrio.store.listing import LARGEST_PAGE, Listing

    users: list[User] = []
    while True:
        page = await people.users(Listing(page=len(users) // LARGEST_PAGE + 1, size=LARGEST_PAGE))
        users += page.rows
        if not page.rows or len(users) >= page.total:
            return users


def _print(headings: Sequence[str], cells: Sequence[Sequence[str]], first: Sequence[str]) -> None:
    from rich import box
    from rich.text import Text

    from kirotrio.cli.tables import print_table

    console = console_of_output()
    rows = [[Text(cell) for cell in row] for row in cells]
    print_table(console, headings, rows, first=first, box=box.SIMPLE_HEAD if console.is_terminal else None)


def _ago(at: float | None, now: float) -> str:
    from kirotrio.cli.accounts.states import span

    return "-" if at is None else f"{span(max(0.0, now - at))} ago"


def _described(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "display": user.display,
        "email": user.email,
        "role": user.role.value,
        "state": user.state.value,
        "password": user.has_password,
        "second_factor": user.second_factor_at is not None,
        "created_at": user.created_at,
        "last_sign_in": user.last_sign_in_at,
    }


def _told(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "created_at": session.created_at,
        "seen_at": session.seen_at,
        "expires_at": session.expires_at,
        "address": session.address,
        "browser": session.agent,
    }
