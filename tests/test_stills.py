"""The pictures of the README: the terminal that is filmed, and the files that are shown."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.stills import draw
from tests.stills.pictures import PICTURES, SAMPLE
from tests.stills.terminal import Screen, Take, text_of, watch

if TYPE_CHECKING:
    from pathlib import Path

README = SAMPLE.parent / "README.md"
_MOST_BYTES = 6_000_000


def shown(text: str, columns: int = 20) -> str:
    screen = Screen(columns)
    screen.feed(text)
    return text_of(screen.shown())


def test_a_bar_that_moves_up_and_is_wiped_leaves_what_came_after() -> None:
    assert shown("a 1/2\r\x1b[2K\x1b[?25la 2/2\n\x1b[1A\r\x1b[2Kdone\n\n") == "done"
    assert shown("abcdef\rAB\x1b[K") == "AB"
    assert shown("one\r\ntwo") == "one\ntwo"


def test_a_long_line_goes_on_below() -> None:
    assert shown("abcdefgh", columns=3) == "abc\ndef\ngh"


def test_styles_are_kept_until_they_are_taken_back() -> None:
    screen = Screen(9)
    screen.feed("\x1b[1m\x1b[31ma\x1b[0mb")
    assert screen.shown() == ((("a", "1;31"), ("b", "")),)


def test_a_command_is_watched_as_on_a_terminal_and_its_failure_told(tmp_path: Path) -> None:
    program = "import os, sys; print(os.get_terminal_size().columns, sys.stdout.isatty())"
    take = watch("x", [sys.executable, "-c", program], tmp_path, {}, 77)
    assert text_of(take.last) == "77 True"
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):
        watch("x", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path, {}, 77)


def lines(*words: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(tuple((c, "") for c in word) for word in words)


def test_a_film_shows_each_line_in_its_time_and_ends_on_the_last_screen() -> None:
    takes = [
        Take("mecli a", [(0.5, lines("busy")), (1.0, lines("done", "<b>"))]),
        Take("mecli b", [(0.0, lines("last"))]),
    ]
    drawn = draw.film(takes, 40)
    root = ET.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    hidden = {
        "".join(g.itertext()): g.get("visibility") == "hidden" for g in root.iter(f"{space}g")
    }
    assert (hidden["busy"], hidden["done"], hidden["<b>"], hidden["last"]) == (
        True, True, True, False,
    )  # fmt: skip
    assert hidden["$mecli b"] is False
    assert "prefers-reduced-motion" in drawn
    still = ET.fromstring(draw.still(takes[0], 40))
    assert [t.text for t in still.iter(f"{space}text")] == ["$", "mecli a", "done", "<b>"]


def test_every_picture_is_there_small_and_fetches_nothing() -> None:
    folder = SAMPLE / "pictures"
    assert {path.name for path in folder.iterdir()} == PICTURES.keys()
    for path in folder.glob("*.svg"):
        drawn = path.read_text()
        ET.fromstring(drawn)
        assert not re.search(r"(?:href|src)=|url\(|@import|@font-face|<script", drawn)
        assert "/tmp" not in drawn
    assert sum(p.stat().st_size for p in SAMPLE.rglob("*") if p.is_file()) <= _MOST_BYTES


def test_the_readme_shows_pictures_that_are_there_and_says_what_is_on_them() -> None:
    found = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", README.read_text(encoding="utf-8"))
    assert found
    for said, path in found:
        assert len(said) > 10, path
        assert (README.parent / path).is_file(), path
