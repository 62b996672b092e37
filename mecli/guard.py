"""Let C code read a file in a process of its own, so that a crash there is an answer here.

A crafted file can make a library crash, loop or take all memory. What reads it lives in a
fork of this process, is asked over a pipe and may use so much memory and so much processor
time an answer. A fork costs milliseconds; it happens on Linux alone, elsewhere the object
lives in this process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
import traceback
import warnings
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from mecli.errors import InputError, MecliError

if sys.platform == "linux":
    import resource  # a process that is forked may find nothing to import any more

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from multiprocessing.connection import Connection

R = TypeVar("R")

MEMORY = 4 << 30
"""Bytes of data beyond what this process has."""
CPU_S = 10
_BYTES_A_SECOND = 10 << 20


def patience_s(paths: Collection[Path]) -> int:
    """Return the processor time that reading `paths` may take: by what they fill on the disk."""
    filled = sum(path.stat().st_blocks for path in paths if path.exists()) * 512
    return CPU_S + len(paths) + filled // _BYTES_A_SECOND


class Guarded:
    """An object in a process of its own; `ask` calls its methods, `close` ends it.

    What `make` and the methods raise is raised here, and `InputError`, which names `what`, if
    the process crashes or takes more than `cpu_s` of processor time for one answer or more
    than `memory` bytes.
    """

    def __init__(
        self, make: Callable[[], object], what: str, cpu_s: int = CPU_S, memory: int = MEMORY
    ) -> None:
        self._what, self._cpu_s = what, cpu_s
        self._end: str | None = None
        self._here: object = None
        self.pid = 0
        if sys.platform != "linux":
            self._here = make()
            return
        self._pipe, its = Pipe()
        with warnings.catch_warnings():
            # What runs there takes no lock that a thread beside this one could hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _live(make, its, cpu_s, memory)
        its.close()
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def ask(self, method: str, *given: Any) -> Any:
        """Return what the method of the object returns."""
        if not self.pid:
            return getattr(self._here, method)(*given)
        # That nobody listens any more is told by the lack of an answer.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._pipe.send((method, given))
        return self._answer()

    def close(self) -> None:
        """End the process, whatever it does; again does no harm."""
        if self.pid:
            self._pipe.close()
            if self._end is None:
                os.kill(self.pid, signal.SIGKILL)
                self._wait()

    def _answer(self) -> Any:
        try:
            value, error = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            end = self._end or self._wait()
            raise InputError(
                f"{self._what}: {end}; the file is damaged or made to do so, make or copy it anew"
            ) from None
        if isinstance(error, MemoryError):
            raise InputError(f"{self._what}: takes more memory to read than it may") from error
        if error is not None:
            raise error
        return value

    def _wait(self) -> str:
        """Wait for the end of the process; return how it ended, in words."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._end = f"crashed its reader ({how})"
        if code == -signal.SIGXCPU:
            self._end = f"took its reader more than {self._cpu_s} s of processor time"
        return self._end


def call(function: Callable[..., R], *given: Any, what: str, cpu_s: int = CPU_S) -> R:
    """Return what `function` returns, called in a process of its own; raises as `Guarded`."""
    there = Guarded(lambda: functools.partial(function, *given), what, cpu_s)
    try:
        answer: R = there.ask("__call__")
    finally:
        there.close()
    return answer


def _live(make: Callable[[], object], pipe: Connection, cpu_s: int, memory: int) -> NoReturn:
    """Be the process: answer until nobody asks any more."""
    try:
        for number in (signal.SIGINT, signal.SIGHUP):  # which the parent answers
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Ends of other pipes, held here, would let their processes wait for ever. Limits on
        # open files can be a thousand million, so what is open is looked up.
        for name in [path.name for path in Path("/proc/self/fd").iterdir()]:
            if int(name) not in {0, 1, 2, pipe.fileno()}:
                with contextlib.suppress(OSError):  # the one by which they were listed
                    os.close(int(name))
        used = int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
        _limit("RLIMIT_DATA", used + memory)
        serve(make, pipe, lambda: _limit("RLIMIT_CPU", 1 + int(time.process_time()) + cpu_s))
    except BaseException:  # noqa: BLE001 - a bug, which has nobody else to tell it to
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(1)


def serve(
    make: Callable[[], object], pipe: Connection, before: Callable[[], None] = lambda: None
) -> None:
    """Make an object, then call its methods as `pipe` asks; each time `before` comes first."""
    before()
    made, error = _outcome(make)
    with contextlib.suppress(EOFError, ConnectionError):
        pipe.send((None, error))
        while True:
            method, given = pipe.recv()
            before()
            pipe.send(_outcome(getattr(made, method), *given))


def _outcome(work: Callable[..., object], *given: object) -> tuple[object, BaseException | None]:
    try:
        return work(*given), None
    except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
        if not isinstance(error, MecliError):
            error.add_note(traceback.format_exc())
        return None, error


def _limit(name: str, most: int) -> None:
    kind = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
