"""`kirotrio users approve`, `disable`, `enable`, `set-role`, `reset-second-factor`, `remove` and `sign-out`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.person import whoever_calls
from kirotrio.cli.terminal import can_ask, run_to_end
from kirotrio.cli.users.opening import ROLES, named, with_people
from kirotrio.config import LoadedSettings

if TYPE_CHECKING:
    from kirotrio.access.people import People
    from kirotrio.store.user_record import User


@click.command(short_help="Let in who waits for approval.")
@click.option("--role", type=click.Choice(ROLES), help="As that. Default: as users.new_role says.")
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
def approve(loaded: LoadedSettings, name: str, role: str | None) -> int:
    """Let the user NAME in, who asked to be one."""
    from kirotrio.store.user_record import Role

    wanted = None if role is None else Role(role)
    user = _changed(loaded, name, lambda people, user: people.approve(whoever_calls(), user.id, wanted))
    click.echo(f"{user.name} may sign in now; the role is {user.role.value}")
    return 0


@click.command(short_help="Keep a user from signing in.")
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
def disable(loaded: LoadedSettings, name: str) -> int:
    """Keep the user NAME from signing in. All their sign-ins end; what is theirs stays."""

    user = _changed(loaded, name, lambda people, user: people.disable(whoever_calls(), user.id))
    click.echo(f"{user.name} is disabled; all sign-ins have ended")
    return 0


@click.command(short_help="Let a user sign in again.")
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
def enable(loaded: LoadedSettings, name: str) -> int:
    """Let the user NAME sign in again, who was disabled."""

    user = _changed(loaded, name, lambda people, user: people.enable(whoever_calls(), user.id))
    click.echo(f"{user.name} is enabled")
    return 0


@click.command("set-role", short_help="Change what a user may do.")
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
@click.argument("role", type=click.Choice(ROLES), metavar="operator|member|viewer")
def set_role(loaded: LoadedSettings, name: str, role: str) -> int:
    """Give the user NAME another role. All their sign-ins end."""
    from kirotrio.store.user_record import Role

    user = _changed(loaded, name, lambda people, user: people.set_role(whoever_calls(), user.id, Role(role)))
    click.echo(f"{user.name}: the role is {user.role.value} now")
    return 0


@click.command("reset-second-factor", short_help="Take away a second factor that was lost.")
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
def reset_second_factor(loaded: LoadedSettings, name: str) -> int:
    """Ask the user NAME for no code any more, until they set a new one up. All their sign-ins end."""

    user = _changed(loaded, name, lambda people, user: people.reset_second_factor(whoever_calls(), user.id))
    click.echo(f"{user.name} signs in with the password alone now")
    return 0


@click.command(short_help="Remove a user and what is theirs.")
@click.option("--yes", is_flag=True, help="Do not ask. Default: ask on a terminal, refuse elsewhere.")
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
def remove(loaded: LoadedSettings, name: str, yes: bool) -> int:
    """Remove the user NAME, with their keys and the accounts that they brought."""

    with with_people(loaded) as (people, stores):
        user = named(stores, name)
        if not yes:
            if not can_ask():
                raise click.UsageError(f"to remove {user.name} without being asked, say --yes")
            if not click.confirm(f"Remove {user.name}, with their keys and the accounts that they brought?"):
                return 1
        run_to_end(lambda: people.remove_user(whoever_calls(), user.id))
    click.echo(f"{user.name} is removed")
    return 0


@click.command("sign-out", short_help="End a user's sign-ins.")
@click.option("--session", "session_id", metavar="ID", help="That one alone, as `users sessions` names it.")
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
def sign_out(loaded: LoadedSettings, name: str, session_id: str | None) -> int:
    """End all sign-ins of the user NAME to the console, within seconds."""

    with with_people(loaded) as (people, stores):
        user = named(stores, name)
        if session_id is None:
            ended = run_to_end(lambda: people.revoke_sessions(whoever_calls(), user))
        else:
            ended = int(run_to_end(lambda: people.revoke_session(whoever_calls(), session_id, user.id)))
    if not ended:
        click.echo(f"{user.name} has no such sign-in")
        return 0 if session_id is None else 1
    click.echo(f"{user.name}: {ended} sign-in{'s' if ended != 1 else ''} ended")
    return 0


def _changed(loaded: LoadedSettings, name: str, change: Callable[[People, User], Awaitable[User]]) -> User:
    with with_people(loaded) as (people, stores):
        user = named(stores, name)
        return run_to_end(lambda: change(people, user))
