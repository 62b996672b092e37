"""A terminal that is watched: what a command shows on it, when, and in which colours."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Cell = tuple[str, str]
"""A character and the codes of its style, such as ``1;36``."""
Line = tuple[Cell, ...]

_TOKEN = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)|\x1b")


@dataclass
class Screen:
    """As much of a terminal as rich and plain text ask for: lines, a cursor, styles."""

    columns: int
    lines: list[list[Cell]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    style: str = ""

    def feed(self, text: str) -> None:
        """Show `text`, obeying the codes in it."""
        for codes, command, control, plain in _TOKEN.findall(text):
            if plain:
                self._write(plain)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self._down()
            elif command:
                self._obey(command, codes)

    def _down(self) -> None:
        self.row += 1
        self.lines.extend([] for _ in range(self.row + 1 - len(self.lines)))

    def _write(self, plain: str) -> None:
        room = self.columns - self.column
        if len(plain) > room:
            self._write(plain[:room])
            self._down()
            self.column = 0
            self._write(plain[room:])
            return
        line = self.lines[self.row]
        line.extend([(" ", "")] * (self.column - len(line)))
        line[self.column : self.column + len(plain)] = [(c, self.style) for c in plain]
        self.column += len(plain)

    def _obey(self, command: str, codes: str) -> None:
        steps = int(codes) if codes.isdigit() else 1
        if command == "m":
            kept = "" if codes in {"", "0"} else f"{self.style};{codes}".strip(";")
            self.style = kept.rpartition(";0;")[2]
        elif command == "A":
            self.row = max(0, self.row - steps)
        elif command == "K":
            # Nobody here clears but a part of a line: all of it, or what is right of the cursor.
            del self.lines[self.row][0 if codes == "2" else self.column :]

    def shown(self) -> tuple[Line, ...]:
        """Return the lines as they stand, without empty ones below."""
        lines = [tuple(line) for line in self.lines]
        while lines and not any(c != " " for c, _ in lines[-1]):
            lines.pop()
        return tuple(lines)


def text_of(lines: Sequence[Line]) -> str:
    """Return what `lines` say, without their styles."""
    return "\n".join("".join(c for c, _ in line).rstrip() for line in lines)


@dataclass(frozen=True)
class Take:
    """One command on a cleared screen: (seconds since its start, what stood there then)."""

    command: str
    frames: Sequence[tuple[float, tuple[Line, ...]]]

    @property
    def last(self) -> tuple[Line, ...]:
        """What stands there when the command is done."""
        return self.frames[-1][1]


def watch(
    command: str, words: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int
) -> Take:
    """Run `words` in `folder` on a terminal of that many `columns` and return what it showed.

    `command` is what a person would have typed. Raises `CalledProcessError` if it fails.
    """
    above, below = pty.openpty()
    fcntl.ioctl(below, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    start = time.monotonic()
    process = subprocess.Popen(
        words, cwd=folder, env={**os.environ, **environment},
        stdin=subprocess.DEVNULL, stdout=below, stderr=below, close_fds=True,
    )  # fmt: skip
    os.close(below)
    screen, frames = Screen(columns), list[tuple[float, tuple[Line, ...]]]()
    decoder = codecs.getincrementaldecoder("utf-8")()
    while data := _read(above):
        screen.feed(decoder.decode(data))
        frames.append((time.monotonic() - start, screen.shown()))
    os.close(above)
    if code := process.wait():
        raise subprocess.CalledProcessError(code, words, text_of(screen.shown()))
    return Take(command, frames or [(0.0, ())])


def _read(above: int) -> bytes:
    try:
        return os.read(above, 1 << 16)
    except OSError:  # how Linux says that nobody writes any more
        return b""
