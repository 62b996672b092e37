"""The tree of expected failures, each with the exit code the shell sees.

::

    MecliError                 1   (never raised itself)
    ├── InputError             3   a file, clip, cache or run is not what it should be
    │   └── NotWritten         3   a file cannot be written: no room, no permission
    ├── UsageError             2   an option or a combination of options makes no sense
    │   └── UnknownName        2   a name that no registry knows; suggests the nearest
    └── MissingDependency      4   something has to be installed, downloaded or run first

A message is one line: which file and clip, what is wrong, got versus expected,
what to do. Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

INTERRUPTED = 130
_LONGEST = 2000

EXIT_CODES: Mapping[int, str] = {
    0: "done",
    1: "a bug",
    2: "usage",
    3: "bad input",
    4: "something missing",
    INTERRUPTED: "interrupted",
}


def printable(text: str) -> str:
    """Return `text` in one line, whatever it would have a terminal do escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class MecliError(Exception):
    """An expected failure: the shell sees one line and `exit_code`."""

    exit_code = 1

    def __str__(self) -> str:
        """Return one line, however long and whatever a file would have it say to a terminal."""
        text = super().__str__()
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
        return printable(text)


class InputError(MecliError, ValueError):
    """A file, clip, cache, run or checkpoint is not what it should be."""

    exit_code = 3


class NotWritten(InputError):
    """A file cannot be written: no room, no permission. Never the fault of one clip."""


class UsageError(MecliError, ValueError):
    """An option, or a combination of options, makes no sense."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that no registry knows; says what is known and which name is nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        near = get_close_matches(name.casefold(), self.known, n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        choices = ", ".join(self.known) or "none"
        super().__init__(f"unknown {kind} '{name}'{hint} (known: {choices})")

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, str, tuple[str, ...]]]:
        """Travel from a worker to its parent by what the message is made of."""
        return UnknownName, (self.kind, self.name, self.known)


class MissingDependency(MecliError):
    """Something has to be installed, downloaded or run first; the message says the command."""

    exit_code = 4
