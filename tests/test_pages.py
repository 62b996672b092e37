"""Pages for everybody: read aloud, in the dark, on paper, on a telephone, with the oddest names."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mecli.report.evaluation_page import page as evaluation_page
from mecli.report.page import anchor, fragment
from mecli.report.page import page as answers_page
from mecli.report.preview_page import page as preview_page
from mecli.report.style import EVALUATION_STYLE, STYLE
from tests import hard_cases
from tests.moving_records import record
from tests.test_evaluation_page import CHROMIUM, browsed
from tests.test_report_page import ANSWER

if TYPE_CHECKING:
    from pathlib import Path

_ROOT = re.compile(r"(@media[^{]*\{)?:root\{([^}]*)\}")
WORDS = [
    ("ink", "paper"), ("faint", "paper"), ("accent", "paper"), ("warn", "paper"),
    ("ink", "panel"), ("faint", "panel"), ("ink", "warn-soft"), ("warn", "warn-soft"),
]  # fmt: skip
SHAPES = ["for", "against", "c1", "c2", "c3", "c4", "c5", "other", "accent", "warn"]


def themes() -> dict[str, dict[str, str]]:
    """Return the colours by name of each theme, on top of those of the light one."""
    found: dict[str, dict[str, str]] = {"light": {}, "dark": {}, "print": {}}
    for media, body in _ROOT.findall(STYLE + EVALUATION_STYLE):
        name = "dark" if "dark" in media else "print" if "print" in media else "light"
        found[name] |= dict(re.findall(r"--([\w-]+):(#[0-9a-f]+)", body))
    return {name: {**found["light"], **own} for name, own in found.items()}


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rgb`` or ``#rrggbb`` (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    assert len(digits) == 6, colour
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", themes())
def test_words_and_shapes_stand_out_from_what_is_behind_them(theme: str) -> None:
    colours = themes()[theme]
    for word, paper in WORDS:
        assert contrast(colours[word], colours[paper]) >= 4.5, (word, paper)
    for shape in SHAPES:
        assert contrast(colours[shape], colours["paper"]) >= 3, shape


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


class Outline(HTMLParser):
    """What a screen reader makes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.within: list[str] = []
        self.tables: list[dict[str, int]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if tag == "table":
            self.tables.append({"caption": 0, "bare": 0})
        if tag == "caption":
            self.tables[-1]["caption"] += 1
        if tag == "th" and "scope" not in attributes:
            self.tables[-1]["bare"] += 1

    def every(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in tags]


def predicted() -> str:
    """Return predict's page on a clip with an odd name."""
    shown = replace(
        record("s1", "c1", 0, steps=8), first_frame=0, curve=np.arange(8, dtype=np.float32),
        transforms=np.repeat(np.eye(2, 3, dtype=np.float32)[None], 8, 0),
    )  # fmt: skip
    part = fragment(ANSWER, shown, {0: np.zeros((60, 60, 3), np.uint8)}, anchor(0, 0))
    return "".join(answers_page(hard_cases.LONG, [(anchor(0, 0), ANSWER)], [part]))


NAMES = ("runs", "action-units", "answers", "preview")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {
        "runs": "".join(evaluation_page(*hard_cases.evaluation())),
        "action-units": "".join(evaluation_page(*hard_cases.action_units())),
        "answers": predicted(),
        "preview": preview_page({hard_cases.LONG: np.zeros((9, 900, 3), np.uint8)}),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_screen_reader_finds_headings_tables_and_pictures_by_name(
    name: str, pages: dict[str, str]
) -> None:
    outline = Outline(pages[name])
    assert outline.every("html") == [{"lang": "en"}]
    assert len(outline.every("main")) == len(outline.every("h1")) == 1
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert bool(outline.tables) == (name != "preview")
    assert all(found == {"caption": 1, "bare": 0} for found in outline.tables)
    assert all(picture.get("alt") for picture in outline.every("img"))
    drawn = outline.every("svg")
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in drawn)
    assert all(one.get("aria-label") for one in outline.every("nav"))
    # What scrolls can be scrolled by keyboard, and says what it is.
    wide = [one for one in outline.every("div") if one.get("class") == "wide"]
    assert all(one.get("tabindex") == "0" and one.get("aria-label") for one in wide)


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_markup_and_no_two_things_have_one_name(
    name: str, pages: dict[str, str]
) -> None:
    outline = Outline(pages[name])
    assert len(outline.every("script")) == (name in {"runs", "action-units"})
    assert not outline.every("u", "i")
    names = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(names) == len(set(names))


def test_whatever_the_held_out_subjects_picked_says_so(pages: dict[str, str]) -> None:
    html = pages["runs"]
    whole, first, leaked = re.split(r'(?=<section class="run")', html)
    assert "LEAKED" not in first
    assert leaked.count("LEAKED") >= 7
    assert whole.count("LEAKED") >= 6
    assert "Stage spatial: epochs chosen on training subjects" in first
    assert "3 to 30, median 10.5" in first
    assert "Seeds 0, 1, 2, 3, 4, 5, 6, 7, 8, 9;" in first
    assert "(1 fold)" in leaked


def test_runs_that_judge_action_units_are_named_by_them(pages: dict[str, str]) -> None:
    assert "<h1>Evaluation: 4 runs</h1>" in pages["action-units"]
    assert '<a href="#run3">roi-flow-lstm (au4)</a>' in pages["action-units"]


_FRAMES = """<!doctype html>{}<script>addEventListener('load',()=>{{
document.title=[...document.querySelectorAll('iframe')].map(
one=>one.contentDocument.documentElement.scrollWidth).join()}})</script>"""
_FRAME = '<iframe src="{}.html" style="width:360px;height:900px;border:0"></iframe>'


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_on_a_telephone_nothing_but_tables_scrolls_sideways(
    pages: dict[str, str], tmp_path: Path
) -> None:
    for name, html in pages.items():
        (tmp_path / f"{name}.html").write_text(html)
    frames = tmp_path / "frames.html"
    frames.write_text(_FRAMES.format("".join(map(_FRAME.format, pages))))
    flags = "--allow-file-access-from-files", "--hide-scrollbars"
    assert "<title>360,360,360,360</title>" in browsed(frames, tmp_path / "profile", *flags)
