"""Talking to a person at a terminal: what is asked, what is shown while something is waited for."""

from __future__ import annotations

import contextlib
import getpass
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import click

from kirotrio.cli.programs import child_environment
from kirotrio.config.process import replace_environment, variables, wants_colour, whole_environment
from kirotrio.errors import KirotrioError, SettingsError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.spinner import Spinner
    from rich.text import Text

_T = TypeVar("_T")

_PIPED_WIDTH = 10_000
"""Columns where no terminal is: lines are for other programs, which want them whole."""
_LONGEST_SECRET = 64 * 1024


def can_ask() -> bool:
    """Whether there is a person who could answer a question."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def console_of_output() -> Console:
    """Standard output. Lines are never cut or wrapped where it is no terminal."""
    from rich.console import Console

    return Console(
        file=sys.stdout,
        width=None if sys.stdout.isatty() else _PIPED_WIDTH,
        no_color=not wants_colour(sys.stdout),
        highlight=False,
        markup=False,
        emoji=False,
    )


def hyperlink(address: str) -> Text:
    """An address that a terminal opens when it is clicked; it can be read and copied all the same."""
    from rich.text import Text

    return Text(address, style=f"link {address}")


def printable(text: str) -> str:
    """`text` of another party, with what a terminal would obey written out."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


@contextlib.contextmanager
def told_when_stopped(sentence: str) -> Iterator[None]:
    """Who stops it with Ctrl-C, or Ctrl-D at a question, reads `sentence`."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        # A terminal stands behind the question, or the ^C that it has shown.
        click.echo(f"\n{sentence}" if sys.stderr.isatty() else sentence, err=True)
        raise click.Abort from None  # click writes an empty line below any other


def browser_is_here(platform: str = sys.platform) -> bool:
    """Whether a page opened on this machine would be seen by whoever sits at the terminal."""
    if variables("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"):
        return False
    return platform in ("darwin", "win32") or bool(variables("DISPLAY", "WAYLAND_DISPLAY"))


def open_page(address: str) -> None:
    """Open `address` in the person's browser, without waiting for it; one that cannot be opened is no failure, since
    the address is shown as well."""
    replace_environment(child_environment(whole_environment()))

    def opening() -> None:
        import webbrowser

        with contextlib.suppress(Exception):
            webbrowser.open(address)

    threading.Thread(target=opening, name="browser", daemon=True).start()


def secret_from_person(what: str) -> str:
    """A secret: typed without being shown, or a line of standard input where that is no terminal. Never an argument,
    which every user of the machine can read. Raises SettingsError where nothing comes; click.Abort at Ctrl-C."""
    if can_ask():
        try:
            given = getpass.getpass(f"{what} (is not shown): ")
        except (KeyboardInterrupt, EOFError):
            click.echo()
            raise click.Abort from None
    else:
        given = sys.stdin.readline(_LONGEST_SECRET)
    given = given.strip()
    if not given:
        way = "type it when asked" if can_ask() else "give it on standard input, on one line"
        raise SettingsError(f"there is no {what}; {way}")
    return given


def choose(question: str, names: list[str], told: list[str], default: int = 1) -> str:
    """One of `names`, by number or by name; `default` is the number for who says none. `told`: a clause on each.
    Raises click.Abort at Ctrl-C."""
    _offer(question, names, told)
    return str(click.prompt("Number", value_proc=lambda answer: _picked(answer, names), default=str(default)))


async def choose_meanwhile(question: str, names: list[str], told: list[str], default: int = 1) -> str:
    """The same within `run_to_end`, which Ctrl-C cancels. Raises click.Abort at the end of the input."""
    import trio

    if sys.platform == "win32":  # a console there cannot be waited for
        with _interrupted_by_ctrl_c():
            return choose(question, names, told, default)
    _offer(question, names, told)
    while True:
        click.echo(f"Number [{default}]: ", nl=False)
        sys.stdout.flush()
        # Not a read that blocks: a signal that comes just before one would be noticed only after it.
        await trio.lowlevel.wait_readable(sys.stdin)
        answer = sys.stdin.readline()
        if not answer:
            raise click.Abort
        try:
            return _picked(answer.strip() or str(default), names)
        except click.UsageError as error:
            click.echo(f"Error: {error.message}")


def _offer(question: str, names: list[str], told: list[str]) -> None:
    click.echo(question)
    wide = max(map(len, names))
    for number, (name, clause) in enumerate(zip(names, told, strict=True), 1):
        click.echo(f"  {number}  {name:{wide}}  {clause}".rstrip())


def _picked(answer: str, names: list[str]) -> str:
    answer = answer.strip()
    if answer in names:
        return answer
    if answer.isdecimal() and 0 < int(answer) <= len(names):
        return names[int(answer) - 1]
    raise click.UsageError(f"a number from 1 to {len(names)}, or a name of the list")


class Waiting:
    """A line that moves while something is waited for: `sentence`, a note, and the time left. Where no terminal is,
    the sentence and each note are lines of their own.

    A context manager; leaving it, in whatever way, gives the terminal back as it was. `until`: by time.monotonic.
    """

    def __init__(self, console: Console) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._console = console
        self._moves = console.is_terminal and not console.is_dumb_terminal
        ascii_only = not console.encoding.startswith("utf")
        self._spinner = Spinner("line" if ascii_only else "dots")
        self._sentence = ""
        self._note = ""
        self._until: float | None = None
        self._live = Live(console=console, get_renderable=self._shown, refresh_per_second=8, transient=True)

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def begin(self, sentence: str, seconds: float | None = None) -> None:
        """From now on this is waited for, `seconds` at most; without them it is no person who is waited for."""
        self._sentence, self._note = sentence, ""
        self._until = None if seconds is None else time.monotonic() + seconds
        if self._moves:
            self._live.start()
        elif seconds is not None:
            click.echo(f"{sentence}, {_span(seconds)} at most")

    def note(self, note: str) -> None:
        """Why it takes longer."""
        if note != self._note and not self._live.is_started:
            click.echo(note)
        self._note = note

    def stop(self) -> None:
        self._live.stop()

    def _shown(self) -> Spinner:
        left = "" if self._until is None else f", {_span(max(0.0, self._until - time.monotonic()))} left"
        note = f" ({self._note})" if self._note else ""
        self._spinner.update(text=f"{self._sentence}{note}{left}")
        return self._spinner


def _span(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"


@contextlib.contextmanager
def _interrupted_by_ctrl_c() -> Iterator[None]:
    """While a person is asked something within `run_to_end`, Ctrl-C interrupts the question itself."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run_to_end(work: Callable[[], Awaitable[_T]]) -> _T:
    """Run `work` in Trio. Ctrl-C and SIGTERM cancel it, so that what is shielded (a refresh and the writing of its
    token) ends first.

    Raises the one failure of ours that ended it, out of whatever groups it came in; KeyboardInterrupt where it was
    cut short.
    """
    import trio

    results: list[_T] = []

    async def main() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:

                async def watch() -> None:
                    async for _ in signals:
                        nursery.cancel_scope.cancel()

                nursery.start_soon(watch)
                results.append(await work())
                nursery.cancel_scope.cancel()

    try:
        trio.run(main)
    except BaseExceptionGroup as group:
        if group.split((KeyboardInterrupt, click.Abort))[0] is not None:
            raise KeyboardInterrupt from None
        ours, others = group.split((KirotrioError, click.ClickException))
        if ours is None or others is not None:
            raise
        error: BaseException = ours
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
    if not results:
        raise KeyboardInterrupt
    return results[0]
