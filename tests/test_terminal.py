from __future__ import annotations

import io
import itertools
import json
import os
import re
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mecli import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def watch(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Put a terminal in place of stderr; in the test itself, since pytest resets it before."""
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    return screen


def test_a_quick_job_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watch(monkeypatch)
    with terminal.progress("extract") as report:
        report(1, 2, "a")
    assert "extract" not in screen.getvalue()


def test_a_long_job_shows_what_is_done_and_the_latest_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = watch(monkeypatch)
    monkeypatch.setattr(terminal, "_SHOW_AFTER_S", -1.0)
    with terminal.progress("extract") as report:
        report(1, 2, "clip [a]")
        report(2, 2, "clip [b]")
    assert "extract" in screen.getvalue()
    assert "2/2" in screen.getvalue()
    assert "clip [b]" in screen.getvalue()


def test_long_parts_have_bars_of_their_own_while_they_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = watch(monkeypatch)
    monkeypatch.setattr(terminal, "_SHOW_AFTER_S", -1.0)
    with terminal.progress("spot") as report:
        report(0.6, 3, "b", {"a": 0.25, "[b]": 0.35})
        report(1.5, 3, "b", {"[b]": 0.5})
    drawn = screen.getvalue()
    assert "25%" in drawn
    last = drawn[drawn.rindex("spot") :]
    assert "1/3" in last
    assert re.search(r" {2}\[b\] .*50%", last)
    assert "25%" not in last


def test_one_long_part_alone_is_told_in_per_cent(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watch(monkeypatch)
    monkeypatch.setattr(terminal, "_SHOW_AFTER_S", -1.0)
    with terminal.progress("spot") as report:
        report(0.37, 1, "interview", {"interview": 0.37})
    drawn = screen.getvalue()
    assert drawn.count("37%") == drawn.count("interview") > 0


def test_time_left_is_told_however_long_a_part_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watch(monkeypatch)
    clock = itertools.repeat(0.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with terminal.progress("train") as report:
        for done in range(3):
            clock = itertools.repeat(600.0 * (done + 1))
            report(done, 5, f"fold {done}")
    assert "2/5" in screen.getvalue()
    assert "30:00" in screen.getvalue()


def test_nothing_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress("extract") as report:
        report(1, 2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("CI", "true")])
def test_a_long_job_says_plain_lines_where_no_bar_can_move(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    screen = watch(monkeypatch)
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(terminal, "_SAY_EVERY_S", 0.0)
    with terminal.progress("train") as report:
        report(0, 4, "")
        report(1, 4, "fold s01")
        report(1.2, 4, "b", {"b": 0.2})
    lines = screen.getvalue().splitlines()
    assert re.fullmatch(r"train 1/4, \d+:\d\d min left, fold s01", lines[0])
    assert re.fullmatch(r"train 1/4, \d+:\d\d min left, b 20%", lines[1])


def test_time_left_is_not_told_from_what_an_earlier_call_had_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = watch(monkeypatch)
    monkeypatch.setenv("CI", "true")
    clock = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    with terminal.progress("train") as report:
        report(30, 40, "30 folds were there already")
        clock = 60.0
        report(30, 40, "still nothing")
        report(31, 40, "fold s31")
    assert screen.getvalue() == "train 31/40, 9:00 min left, fold s31\n"


def test_results_go_to_stdout_and_notes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show("a result")
    terminal.show_json({"ä": 1.5})
    terminal.show_json_lines(iter([{"a": 1}, {"b": None}]))
    terminal.note("a note")
    said = capsys.readouterr()
    assert said.out == 'a result\n{\n  "ä": 1.5\n}\n{"a": 1}\n{"b": null}\n'
    assert said.err == "a note\n"


def test_a_note_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.note("warning: class '\x1b[2J\x9b1mjoy\r'\nsecond")
    assert capsys.readouterr().err == "warning: class '\\x1b[2J\\x9b1mjoy\\r'\nsecond\n"


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, "143"), (signal.SIGHUP, "129")])
def test_a_signal_leaves_by_an_exception_with_the_shells_code(number: int, code: str) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    terminal.raise_on_signals()
    with pytest.raises(SystemExit, match=code):
        signal.raise_signal(number)


@pytest.mark.usefixtures("handlers")
def test_what_nohup_started_outlives_its_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    terminal.raise_on_signals()
    signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


class Teletype(io.TextIOWrapper):
    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def told(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize(
    ("encoding", "text", "json"),
    [
        ("ascii", "a -> b 0.1-0.2 ?", '"a \\u2192 \\u96ea"'),
        ("latin-1", "a -> b 0.1-0.2 ?", '"a \\u2192 \\u96ea"'),
        ("utf-8", "a → b 0.1–0.2 雪", '"a → 雪"'),
    ],
)
def test_an_old_terminal_gets_words_it_can_show_and_json_that_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, encoding: str, text: str, json: str
) -> None:
    screen = Teletype(encoding)
    monkeypatch.setattr(sys, "stdout", screen)
    terminal.spell_out()
    terminal.show("a → b 0.1–0.2 雪")
    terminal.show_json("a → 雪")
    terminal.show_json_lines(["a → 雪"])
    assert screen.told().splitlines() == [text, json, json]


def test_a_file_name_that_is_no_text_ends_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Teletype("utf-8")
    monkeypatch.setattr(sys, "stdout", screen)
    terminal.spell_out()
    name = os.fsdecode(b"bad\xff.mp4")
    terminal.show(name)
    terminal.show_json_lines([name])
    shown, line = screen.told().splitlines()
    assert (shown, json.loads(line)) == ("bad\\udcff.mp4", name)
