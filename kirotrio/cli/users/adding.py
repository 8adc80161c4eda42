"""`kirotrio users create`, `invite` and `set-password`."""

from __future__ import annotations

import getpass

import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.person import whoever_calls
from kirotrio.cli.terminal import can_ask, run_to_end, secret_from_person
from kirotrio.cli.users.opening import ROLES, named, with_people
from kirotrio.config import LoadedSettings
from kirotrio.errors import SettingsError

_ROLE = click.option(
    "--role",
    type=click.Choice(ROLES),
    default="member",
    show_default=False,
    help="operator: everything; member: own keys and accounts; viewer: looks only. Default: member.",
)
_EMAIL = click.option("--email", default="", metavar="ADDRESS", help="Shown beside the name. Default: none.")


@click.command(short_help="Make a user with a password.")
@_ROLE
@_EMAIL
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
def create(loaded: LoadedSettings, name: str, role: str, email: str) -> int:
    """Make the user NAME.

    The password is asked for on a terminal, and read from standard input (one line) elsewhere.
    """
    from kirotrio.access import names
    from kirotrio.store.user_record import Role

    names.user_name(name)  # before somebody thinks of a password
    names.email(email)
    with with_people(loaded) as (people, _):
        password = _new_password()
        user = run_to_end(lambda: people.create_user(whoever_calls(), name, password, Role(role), email))
    click.echo(f"{user.name} is {_told(role)} now")
    return 0


@click.command(short_help="Make an invitation, which makes its holder a user.")
@_ROLE
@_EMAIL
@with_settings(*DATA)
def invite(loaded: LoadedSettings, role: str, email: str) -> int:
    """Make an invitation and print its path, which is told only now.

    Put the gateway's own address in front of it. Whoever opens it chooses a name and a password, once.
    """
    from kirotrio.store.user_record import Role

    with with_people(loaded) as (people, _):
        token = run_to_end(lambda: people.invite(whoever_calls(), Role(role), email))
    click.echo(f"/console/invitation/{token}")
    days = loaded.settings.users.invitation_lifetime / 86_400
    click.echo(f"It makes {_told(role)} of whoever opens it first, within {days:g} days.", err=True)
    return 0


@click.command("set-password", short_help="Give a user another password.")
@with_settings(*DATA)
@click.argument("name", metavar="NAME")
def set_password(loaded: LoadedSettings, name: str) -> int:
    """Give the user NAME another password. All their sign-ins end.

    It is asked for on a terminal, and read from standard input (one line) elsewhere.
    """

    with with_people(loaded) as (people, stores):
        user = named(stores, name)
        password = _new_password()
        run_to_end(lambda: people.set_password(whoever_calls(), user.id, password))
    click.echo(f"the password of {user.name} is changed; all sign-ins of before have ended")
    return 0


def _new_password() -> str:
    """Typed twice where a person types it. Raises SettingsError; click.Abort at Ctrl-C."""
    password = secret_from_person("password")
    if can_ask():
        try:
            again = getpass.getpass("the password again: ").strip()
        except (KeyboardInterrupt, EOFError):
            click.echo()
            raise click.Abort from None
        if again != password:
            raise SettingsError("the two passwords are not the same; nothing was changed")
    return password


def _told(role: str) -> str:
    return f"an {role}" if role == "operator" else f"a {role}"
