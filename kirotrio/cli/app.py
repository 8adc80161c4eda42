"""The command line's root: finds the verb, loads only its file, and turns every failure into one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from kirotrio import __version__
from kirotrio.errors import KirotrioError

_VERBS = ("serve", "demo", "simulate", "doctor", "lint", "keys", "settings")
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
            case "keys":
                from kirotrio.cli.keys import keys

                return keys
            case "settings":
                from kirotrio.cli.settings import settings

                return settings
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`kirotrio --port 9000` is `kirotrio serve --port 9000`."""
        if not args or (args[0].startswith("-") and args[0] not in _OWN_OPTIONS):
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def run(self, args: Sequence[str]) -> int:
        """Call a verb. Returns the exit code: 0 fine, 1 something is wrong, 2 wrong usage."""
        try:
            code = super().main(list(args), prog_name="kirotrio", standalone_mode=False)
        except click.UsageError as error:
            place = error.ctx.command_path if error.ctx else "kirotrio"
            return _say(f"{_clause(error.format_message())}; see `{place} --help`", USAGE)
        except click.ClickException as error:
            return _say(_clause(error.format_message()), WRONG)
        except KirotrioError as error:
            return _say(error.message, WRONG)
        except (KeyboardInterrupt, click.Abort):
            return INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has gone. Nothing is left to say; keep the interpreter from trying at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return WRONG
        return code if isinstance(code, int) else 0

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        """What click's own callers (its test runner) call."""
        sys.exit(self.run(sys.argv[1:] if args is None else args))


def _clause(message: str) -> str:
    """Click's sentences without their final stop and without their lines."""
    message = " ".join(message.split()).rstrip(".")
    return message[:1].lower() + message[1:]


def _say(sentence: str, code: int) -> int:
    click.echo(f"kirotrio: {sentence}", err=True)
    return code


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a command, kirotrio serves: `kirotrio --port 9000` is `kirotrio serve --port 9000`.",
)
@click.version_option(__version__, message="kirotrio %(version)s", help="Print the version.")
def kirotrio() -> None:
    """Use your own Kiro subscription from programs that speak the Anthropic Messages API."""
