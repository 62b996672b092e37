"""What the terminal sees besides results: progress, notes and errors, all on stderr."""

from __future__ import annotations

import codecs
import io
import json
import math
import os
import signal
import sys
import time
from contextlib import contextmanager
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from mecli.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import FrameType

    from rich.progress import TaskID

_SPELLED = {
    "→": "->", "–": "-", "−": "-", "×": "x", "±": "+-", "·": "-", "…": "...", "≥": ">=", "≤": "<=",
    "Δ": "d",
}  # fmt: skip
_SHOW_AFTER_S = 0.5
_SAY_EVERY_S = 30.0
_MOST_SHOWN = 8
_NOTHING: Mapping[str, float] = MappingProxyType({})


class Report(Protocol):
    """Tell how far a long job has come."""

    def __call__(self, done: int, total: int, message: str = "", /) -> None:
        """`done` of `total` parts are finished; `message` names the latest."""
        ...


class Detailed(Protocol):
    """Tell how far a job of long parts has come."""

    def __call__(
        self,
        done: float,
        total: int,
        message: str = "",
        running: Mapping[str, float] = _NOTHING,
        /,
    ) -> None:
        """`done` counts parts of parts too; else as `Report`.

        `running` is how much is done (0 to 1) of the parts that are under way, by name.
        """
        ...


@contextmanager
def progress(title: str) -> Iterator[Detailed]:
    """Show a bar on stderr while the block runs, if stderr is a terminal.

    The bar appears only when the job takes longer than half a second; long parts of it have
    bars of their own below. Where nobody looks (a file, a pipe, continuous integration) a
    plain line every half minute says the same.
    """
    if not _is_watched():
        yield _plain(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        Left(compact=True),
        TextColumn("{task.fields[message]}", markup=False),
    )
    # Parts may take minutes: time left is told from all of them, not from the last half minute.
    bar = Progress(
        *columns, console=Console(stderr=True), transient=True, get_time=time.monotonic,
        speed_estimate_period=math.inf,
    )  # fmt: skip
    job = bar.add_task(title, total=None, message="", count="")
    parts: dict[str, TaskID] = {}
    start = time.monotonic()

    def report(
        done: float, total: int, message: str = "", running: Mapping[str, float] = _NOTHING, /
    ) -> None:
        alone = total == 1 and bool(running)
        count = f"{done:.0%}" if alone else f"{int(done)}/{total}"
        bar.update(job, completed=done, total=total, message=message, count=count)
        shown = {} if alone else dict(islice(running.items(), _MOST_SHOWN))
        for name in parts.keys() - shown.keys():
            bar.remove_task(parts.pop(name))
        for name, share in shown.items():
            if name not in parts:
                parts[name] = bar.add_task(f"  {name}", total=1, message="", count="")
            bar.update(parts[name], completed=share, count=f"{share:.0%}")
        if not bar.live.is_started and time.monotonic() - start > _SHOW_AFTER_S:
            bar.start()

    try:
        yield report
    finally:
        bar.stop()


def _is_watched() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


def _plain(title: str) -> Detailed:
    start = said = time.monotonic()
    there: float | None = None

    def report(
        done: float, total: int, message: str = "", running: Mapping[str, float] = _NOTHING, /
    ) -> None:
        nonlocal said, there
        now = time.monotonic()
        # What an earlier call had finished says nothing of the speed of this one.
        there = done if there is None else there
        if done > there and now - said >= _SAY_EVERY_S:
            said = now
            left = int((now - start) * max(total - done, 0) / (done - there))
            parts = ", ".join(f"{name} {share:.0%}" for name, share in running.items())
            where = f"{title} {int(done)}/{total}"
            note(f"{where}, {left // 60}:{left % 60:02d} min left, {parts or message}")

    return report


def note(text: str) -> None:
    """Say `text` on stderr; a log on a full disk stops no work, a reader that left does.

    What a file would have it say to the terminal itself is escaped.
    """
    lines = map(printable, text.split("\n"))
    try:
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError:
        # Work goes on, and the exit code tells.
        return


def show(text: str) -> None:
    """Write a result to stdout."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def show_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    show(json.dumps(value, indent=2, ensure_ascii=not _is_unicode(sys.stdout), allow_nan=False))


def show_json_lines(values: Iterable[Any]) -> None:
    """Write one JSON object a line to stdout, each at once: a reader may be waiting for it."""
    ascii_only = not _is_unicode(sys.stdout)
    for value in values:
        show(json.dumps(value, ensure_ascii=ascii_only, allow_nan=False))
        sys.stdout.flush()


def hold_streams() -> None:
    """Keep stdin, stdout and stderr apart from files when the caller closed some of them.

    The next file opened would take the place of a closed one, and be read or written as such.
    What goes to a closed stdout fails as on a full disk, what goes to a closed stderr is lost.
    """
    for name, how in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, how)
            setattr(sys, name, os.fdopen(handle, "r" if name == "stdin" else "w"))


def spell_out() -> None:
    """Write what stdout and stderr have no character for in others, so that nothing fails.

    What a file name holds that is no text is escaped, which is what JSON wants, too.
    """
    codecs.register_error("mecli", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if _is_unicode(stream) else "mecli")


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").casefold().startswith("utf")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    unknown = error.object[error.start : error.end]
    return "".join(_SPELLED.get(c, "?") for c in unknown), error.end


def raise_on_signals() -> None:
    """Turn SIGTERM, and SIGHUP of a terminal that closes, into an exit that runs clean-up.

    The exit code is the shell's, 143 or 129. What ``nohup`` started stays deaf to SIGHUP.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handler: Callable[[int, FrameType | None], None] = leave
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, handler)
