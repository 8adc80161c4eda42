"""The command line's root: finds the verb, loads only its file, and turns every failure into one sentence."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from kirotrio import __version__
from kirotrio.cli.streams import give_up_lost_output, open_missing_streams
from kirotrio.errors import KirotrioError

_VERBS = (
    "serve",
    "demo",
    "simulate",
    "doctor",
    "lint",
    "login",
    "accounts",
    "keys",
    "users",
    "mode",
    "launch",
    "top",
    "replay",
    "report",
    "settings",
    "backup",
    "restore",
    "store",
)
"""In the order of the help text."""

_OWN_OPTIONS = ("--help", "-h", "--version")
WRONG, USAGE, INTERRUPTED = 1, 2, 130


class Program(click.Group):
    """A group whose verbs are imported when they are called, and whose bare call is `serve`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # Plain import statements, because the program that makes the executable reads them.
        match cmd_name:
            case "serve":
                from kirotrio.cli.serve import serve

                return serve
            case "demo":
                from kirotrio.cli.demo import demo

                return demo
            case "simulate":
                from kirotrio.cli.simulate import simulate

                return simulate
            case "doctor":
                from kirotrio.cli.doctor import doctor

                return doctor
            case "lint":
                from kirotrio.cli.lint import lint

                return lint
            case "login":
                from kirotrio.cli.login import login

                return login
            case "accounts":
                from kirotrio.cli.accounts import accounts

                return accounts
            case "keys":
                from kirotrio.cli.keys import keys

                return keys
            case "mode":
                from kirotrio.cli.mode import mode

                return mode
            case "users":
                from kirotrio.cli.users import users

                return users
            case "launch":
                from kirotrio.cli.launch import launch

                return launch
            case "top":
                from kirotrio.cli.top import top

                return top
            case "replay":
                from kirotrio.cli.replay import replay

                return replay
            case "report":
                from kirotrio.cli.report import report

                return report
            case "settings":
                from kirotrio.cli.settings import settings

                return settings
            case "backup":
                from kirotrio.cli.backup import backup

                return backup
            case "restore":
                from kirotrio.cli.restore import restore

                return restore
            case "store":
                from kirotrio.cli.store import store

                return store
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`kirotrio --port 9000` is `kirotrio serve --port 9000`."""
        if not args or (args[0].startswith("-") and args[0] not in _OWN_OPTIONS):
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def run(self, args: Sequence[str]) -> int:
        """Call a verb. Returns the exit code: 0 fine, 1 something is wrong, 2 wrong usage."""
        open_missing_streams()
        try:
            code = super().main(list(args), prog_name="kirotrio", standalone_mode=False)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            place = error.ctx.command_path
            return _say(f"something is missing after `{place}`; see `{place} --help`", USAGE)
        except click.UsageError as error:
            place = error.ctx.command_path if error.ctx else _place(args)
            return _say(f"{_clause(error.format_message())}; see `{place} --help`", USAGE)
        except click.ClickException as error:
            return _say(_clause(error.format_message()), WRONG)
        except KirotrioError as error:
            return _say(error.in_full, WRONG)
        except (KeyboardInterrupt, click.Abort):
            return INTERRUPTED
        except OSError as error:
            give_up_lost_output()
            if isinstance(error, BrokenPipeError):
                return WRONG  # whoever read our output has gone, and nothing is left to say
            return _say(_of_the_system(error), WRONG)
        return code if isinstance(code, int) else 0

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        """What click's own callers (its test runner) call."""
        sys.exit(self.run(sys.argv[1:] if args is None else args))


def _clause(message: str) -> str:
    """Click's sentences without their final stop and without their lines."""
    message = " ".join(message.split()).rstrip(".")
    return message[:1].lower() + message[1:]


def _place(args: Sequence[str]) -> str:
    """The verb that was called, for errors that click raises without saying where."""
    words = list(itertools.takewhile(lambda word: not word.startswith("-"), args))
    return " ".join(
        ["kirotrio", *(words[: 2 if words[:1] in (["keys"], ["accounts"], ["users"], ["store"]) else 1] or ["serve"])]
    )


def _of_the_system(error: OSError) -> str:
    reason = (error.strerror or type(error).__name__).lower()
    if error.filename is None:
        return f"the output cannot be written ({reason}); make room, or let it go elsewhere"
    return f"{error.filename}: {reason}; check the path and its permissions"


def _say(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):  # the exit code says it too
        click.echo(f"kirotrio: {sentence}", err=True)
    return code


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a command, kirotrio serves: `kirotrio --port 9000` is `kirotrio serve --port 9000`.",
)
@click.version_option(__version__, message="kirotrio %(version)s", help="Print the version.")
def kirotrio() -> None:
    """Use your own Kiro subscription from programs that speak the Anthropic Messages, OpenAI Chat Completions or OpenAI
    Responses API."""
