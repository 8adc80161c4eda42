"""`kirotrio top`: what the gateway does right now, in a terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from kirotrio.cli.options import DATA, SERVING, with_settings
from kirotrio.config import LoadedSettings
from kirotrio.errors import KirotrioError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from kirotrio.cli.gateways import Look

_AROUND = 8
"""Lines of the page that are no answers, accounts aside."""


@click.command(short_help="Watch running answers and accounts.")
@click.option("--url", metavar="URL", help="Address of the gateway. Default: what server.host and server.port say.")
@click.option(
    "--every", type=click.FloatRange(0.1, 60), default=1.0, metavar="SECONDS", help="Between two looks. Default: 1."
)
@click.option("--json", "as_json", is_flag=True, help="Print one look as JSON. Default: no.")
@with_settings(*SERVING, *DATA)
def top(loaded: LoadedSettings, url: str | None, every: float, as_json: bool) -> int:
    """Show what runs right now: each answer with its age, state and tokens so far, and each account.

    It looks once a second until q or Ctrl-C; a gateway that is gone is waited for. Where the output is no terminal, it
    is one look and no more. It asks with the gateway's own key, and on the gateway's own machine.
    """
    from kirotrio.cli.gateways import look
    from kirotrio.cli.launch import gateway_address, gateway_key
    from kirotrio.cli.terminal import console_of_output, run_to_end

    root, _ = gateway_address(loaded, url, buffered=False)
    key = gateway_key(loaded, root)
    settings = loaded.settings
    there = look(root, key.value, key.origin, settings.deadlines, settings.upstream)
    console = console_of_output()
    if as_json or not console.is_terminal or console.is_dumb_terminal:
        told = run_to_end(there.live)
        _print(console, told, as_json=as_json)
        return 0
    with contextlib.suppress(KeyboardInterrupt):  # the usual way out
        run_to_end(lambda: _watch(there, console, every))
    return 0


def _print(console: Console, told: dict[str, Any], *, as_json: bool) -> None:
    import json

    from kirotrio.cli.live_view import page

    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        console.print(page(told))


async def _watch(there: Look, console: Console, every: float) -> None:
    """Until q is pressed. Cancelled, it gives the terminal back as it was."""
    import trio
    from rich.live import Live

    with _single_keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        async with trio.open_nursery() as nursery:
            page = _Page(live, console)
            nursery.start_soon(_look_on, there, page, every)
            nursery.start_soon(_follow_size, page)
            await _until_q()
            nursery.cancel_scope.cancel()


class _Page:
    """What is on the screen."""

    def __init__(self, live: Live, console: Console) -> None:
        self._live = live
        self._console = console
        self._told: dict[str, Any] | None = None
        self._problem = ""

    def show(self, told: dict[str, Any] | None, problem: str = "") -> None:
        self._told, self._problem = told or self._told, problem
        self.draw()

    def draw(self) -> None:
        from rich.console import Group
        from rich.text import Text

        from kirotrio.cli.live_view import page
        from kirotrio.cli.terminal import printable

        lines: list[Any] = []
        if self._problem:
            lines.append(Text(printable(f"{self._problem}. Looking again."), style="red"))
        if self._told is not None:
            lines.append(page(self._told, rows=self._console.height - _AROUND - len(self._told["accounts"])))
        lines.append(Text("q ends", style="dim"))
        self._live.update(Group(*lines), refresh=True)


async def _look_on(there: Look, page: _Page, every: float) -> None:
    import trio

    while True:
        try:
            page.show(await there.live())
        except KirotrioError as error:
            page.show(None, error.in_full.rstrip("."))
        await trio.sleep(every)


async def _follow_size(page: _Page) -> None:
    import trio

    if sys.platform == "win32":
        await trio.sleep_forever()
    with trio.open_signal_receiver(signal.SIGWINCH) as resizes:
        async for _ in resizes:
            page.draw()


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Keys come as they are pressed and are not echoed; Ctrl-C stays what it is."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin.fileno())
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


async def _until_q() -> None:
    import trio

    if sys.platform == "win32" or not sys.stdin.isatty():
        await trio.sleep_forever()
    while True:
        await trio.lowlevel.wait_readable(sys.stdin)
        pressed = os.read(sys.stdin.fileno(), 64)
        if not pressed or b"q" in pressed or b"Q" in pressed:
            return
