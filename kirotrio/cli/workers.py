"""`kirotrio serve --workers N`: the process that listens, and starts, watches and stops those that do the work.

It binds the port and forks, before any thread or Trio run exists in it: so every worker has the listening sockets and
the modules (in memory that they share), in the one-file executable too, which a fresh start would unpack again. It goes
on without either, waiting for signals and for what its children say, so that it can fork again where one dies.

Each child is told to stop by a pipe, not by signals: a Ctrl-C goes to the whole group of processes, and would count
twice. A child whose pipe ends has lost us, and stops as well.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import field

from kirotrio.classes import define
from kirotrio.cli.signals import EarlySignals
from kirotrio.cli.streams import say
from kirotrio.config import LoadedSettings
from kirotrio.errors import KirotrioError, SettingsError
from kirotrio.telemetry.log import Log
from kirotrio.web.server import base_url, cannot_listen
from kirotrio.web.workers.listening import Load

INTERRUPTED = 130
_DESK = 0
_READY, _STOP, _GREET, _FAILED = b"r", b"s", b"g", b"!"
_BACKLOG = 2048
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
"""Seconds until a child that died is started again, doubled for each that dies soon."""
_LIVES = 60.0
"""Seconds after which a child's death does not count as soon."""


def serve_with_workers(loaded: LoadedSettings, log: Log, early: EarlySignals) -> int:
    """Run a gateway of several processes until it is stopped; the exit code, as `run_until_stopped` has it.

    Raises SettingsError where this system cannot do that or the address is not to be had, and what kept a worker from
    starting for the first time.
    """
    if not hasattr(os, "fork") or not hasattr(socket, "AF_UNIX"):
        raise SettingsError("server.workers: several processes cannot share a port on this system; set it to 1")
    server = loaded.settings.server
    listening = _listen(server.host, server.port)
    folder = Path(tempfile.mkdtemp(prefix="kirotrio-"))
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as desk:
            path = folder / "desk"
            desk.bind(str(path))
            desk.listen(_BACKLOG)
            return _Parent(loaded, log, early, listening, desk, path).run()
    finally:
        for one in listening:
            one.close()
        shutil.rmtree(folder, ignore_errors=True)


def _listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of `host`. Raises SettingsError with what to change."""
    listening: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            one = socket.socket(family, kind, protocol)
            listening.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(_BACKLOG)
    except OSError as error:
        for one in listening:
            one.close()
        raise cannot_listen(host, port, error) from error
    return listening


@define(eq=False)
class _Child:
    """`number` counts workers from 1. `control` is written to it, `news` is read from it. `again`: it takes the
    place of one that ended."""

    number: int
    pid: int
    control: int
    news: int
    began: float
    again: bool = False
    is_ready: bool = False
    said: bytes = b""

    @property
    def reason(self) -> str:
        """Why it ended, in its own words."""
        return self.said.partition(_FAILED)[2].decode(errors="replace")

    @property
    def name(self) -> dict[str, Any]:
        """What it is called in the log."""
        return {"process": "desk"} if self.number == _DESK else {"worker": self.number}

    def hear(self) -> None:
        """Take what it has said by now."""
        with contextlib.suppress(BlockingIOError):
            while said := os.read(self.news, 65536):
                self.said += said

    def tell(self, what: bytes) -> None:
        with contextlib.suppress(OSError):  # it has ended, which is seen soon
            os.write(self.control, what)


@define(eq=False)
class _Parent:
    loaded: LoadedSettings
    log: Log
    early: EarlySignals
    listening: list[socket.socket]
    desk: socket.socket
    path: Path
    _children: dict[int, _Child] = field(factory=dict, init=False)
    """By number."""
    _due: dict[int, float] = field(factory=dict, init=False)
    """When those that died are started again, by the monotonic clock."""
    _deaths: dict[int, int] = field(factory=dict, init=False)
    """How many times in a row each died soon."""
    _failure: KirotrioError | None = field(default=None, init=False)
    _is_ready: bool = field(default=False, init=False)
    _stops: int = field(default=0, init=False)
    """How often we were asked to stop and have obeyed."""
    _load: Load = field(init=False)
    _wake: tuple[int, int] = field(init=False)

    def run(self) -> int:
        _import_all()
        gc.freeze()  # what is there by now is shared, and stays so as long as nobody moves it about
        self._load = Load(self._workers)
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        before = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        child = signal.signal(signal.SIGCHLD, lambda *_: None)
        asked = [signal.signal(number, self._asked) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            self._start(_DESK)
            self._start(1)
            self._watch()
        finally:
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), asked, strict=True):
                signal.signal(number, handler)
            signal.signal(signal.SIGCHLD, child)
            signal.set_wakeup_fd(before)
            for one in list(self._children.values()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
                os.waitpid(one.pid, 0)
                self._forget(one)
            for end in self._wake:
                os.close(end)
        if self._failure is not None:
            raise self._failure
        return INTERRUPTED if self._stops > 1 else 0

    @property
    def _workers(self) -> int:
        return self.loaded.settings.server.workers

    def _asked(self, *_: Any) -> None:
        self.early.count += 1

    # Watching

    def _watch(self) -> None:
        """Until every child has ended because we were asked to stop, or because one could not start."""
        while self._children:
            self._obey()
            now = time.monotonic()
            for number in [number for number, due in self._due.items() if due <= now]:
                del self._due[number]
                self._start(number, again=True)
            patience = max(min(self._due.values()) - now, 0.0) if self._due else None
            news = {child.news: child for child in self._children.values()}
            readable, _, _ = select.select([self._wake[0], *news], [], [], patience)
            for end in readable:
                if end in news:
                    self._hear(news[end])
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(end, 4096)
            self._reap()

    def _obey(self) -> None:
        """Pass on how often we were asked to stop: once for a drain, twice for now, three times for a kill."""
        while self._stops < self.early.count:
            self._stops += 1
            self._due.clear()
            for one in self.listening:
                one.close()
            for child in list(self._children.values()):
                if self._stops > 2:
                    os.kill(child.pid, signal.SIGKILL)
                elif child.number != _DESK:
                    child.tell(_STOP)
        if self._stops and set(self._children) == {_DESK}:
            self._children[_DESK].tell(_STOP)

    def _hear(self, child: _Child) -> None:
        child.hear()
        if not child.is_ready and child.said.startswith(_READY):
            child.is_ready = True
            if child.again:
                self.log.info("a process of the gateway is back", **child.name)
            self._one_is_ready(child)

    def _one_is_ready(self, child: _Child) -> None:
        if self._is_ready or child.number == _DESK or self._stops:
            return
        if child.number == 1:
            # Only now the others: whatever a first start makes in the data folder is made once.
            for number in range(2, self._workers + 1):
                self._start(number)
        if all((one := self._children.get(number)) and one.is_ready for number in range(1, self._workers + 1)):
            self._is_ready = True
            say(f"kirotrio ready on {base_url(self.listening[0].getsockname())}")
            self._children[1].tell(_GREET)

    def _reap(self) -> None:
        for child in list(self._children.values()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            child.hear()
            self._forget(child)
            if not self._stops:
                self._died(child, os.waitstatus_to_exitcode(status))

    def _died(self, child: _Child, code: int) -> None:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if not self._is_ready:
            reason = child.reason or f"a process of the gateway ended ({how}) before it was ready; its log has more"
            self._failure = self._failure or KirotrioError(reason)
            self.early.count = max(self.early.count, 1)
            return
        if code == 0:
            # It was asked to end by a signal of its own, has finished what it had, and is no fault.
            self._deaths[child.number] = 0
            self._again(child, _FIRST_PAUSE)
            self.log.info("a process of the gateway has finished", **child.name, how="SIGTERM", again_in=_FIRST_PAUSE)
            return
        lived = time.monotonic() - child.began
        deaths = self._deaths[child.number] = 0 if lived > _LIVES else self._deaths.get(child.number, 0) + 1
        pause = min(_FIRST_PAUSE * 2.0 ** max(deaths - 1, 0), _LONGEST_PAUSE)
        self._again(child, pause)
        why = {"error": child.reason} if child.reason else {}
        self.log.error("a process of the gateway ended", **child.name, how=how, again_in=pause, **why)

    def _again(self, child: _Child, pause: float) -> None:
        self._due[child.number] = time.monotonic() + pause

    def _forget(self, child: _Child) -> None:
        del self._children[child.number]
        os.close(child.control)
        os.close(child.news)
        if child.number != _DESK:
            self._load.absent(child.number)

    # Starting

    def _start(self, number: int, *, again: bool = False) -> None:
        theirs, control = os.pipe()
        news, ours = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            os.close(theirs)
            os.close(ours)
            os.set_blocking(news, False)
            self._children[number] = _Child(number, pid, control, news, time.monotonic(), again)
            return
        code = 1
        try:
            for end in (control, news, *self._wake, *self._ends_of_others()):
                os.close(end)
            code = self._be(number, theirs, ours)
        except KirotrioError as error:
            os.write(ours, _FAILED + error.in_full.encode(errors="replace"))
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)  # what our caller has still to do is the parent's alone

    def _ends_of_others(self) -> list[int]:
        return [end for child in self._children.values() for end in (child.control, child.news)]

    def _be(self, number: int, control: int, news: int) -> int:
        """What a child does. Ctrl-C is the parent's alone to obey."""
        from kirotrio.cli.working import be_desk, be_worker

        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL if number else signal.SIG_IGN)

        def ready() -> None:
            os.write(news, _READY)

        if number == _DESK:
            for one in self.listening:
                one.close()
            code = be_desk(self.loaded.settings, self.desk, control, ready)
            shutil.rmtree(self.path.parent, ignore_errors=True)  # the parent's own work, where it can still do it
            return code
        self.desk.close()
        return be_worker(self.loaded, self.log, number, self.listening, self._load, self.path, control, ready)


def _import_all() -> Callable[..., object]:
    """What every worker needs, so that it is in memory once."""
    import sqlalchemy.dialects.sqlite  # noqa: F401 - only to have it in memory

    from kirotrio.web.serving import serve_gateway

    return serve_gateway
