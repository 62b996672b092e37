from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from mecli.doubts import Doubt
from mecli.report import svg
from mecli.report.answers import Answer
from mecli.report.overlay import film, shown_fps
from mecli.report.page import anchor, fragment, page
from mecli.rois import ROI_BOXES, ROI_NAMES
from tests.records import make_record

ANSWER = Answer(
    "toy/s1/a<b>", "a.mp4", prediction="surprise",
    scores={"negative": 0.2, "surprise": 0.8}, onset=0, apex=2, offset=4, found=("apex",),
    unsure=(Doubt("small-face", "84 px & less"),), fps=50.0, attribution="weights",
    rois=dict(zip(ROI_NAMES, (0.5, -0.25, 0.0, 0.1, -0.001, 0.2), strict=True)),
)  # fmt: skip


def shapes(text: str, kind: str) -> list[ET.Element]:
    root = ET.fromstring(text)
    return [e for e in root.iter() if kind in e.get("class", "").split()]


def test_bars_are_as_long_as_their_values_from_one_zero() -> None:
    drawn = svg.bars({"a": 0.5, "b": -0.25, "c_d": 1.0}, "parts", strongest="c_d")
    widths = [float(bar.get("width", "")) for bar in shapes(drawn, "bar")]
    lefts = [float(bar.get("x", "")) for bar in shapes(drawn, "bar")]
    assert widths[0] / widths[2] == pytest.approx(0.5, abs=0.01)
    assert lefts[1] + widths[1] == pytest.approx(lefts[0], abs=0.2)
    assert len(shapes(drawn, "strong")) == 1
    assert "c d 1.00" in ET.fromstring(drawn).get("aria-label", "")
    (bar,) = shapes(svg.bars({"a": 0.5}, "scores", full=1.0), "bar")
    assert float(bar.get("width", "")) == pytest.approx(75)


def test_a_region_is_as_dark_as_it_counts_and_hatched_if_it_speaks_against() -> None:
    points = np.random.default_rng(0).uniform(20, 200, (68, 2)).astype(np.float32)
    drawn = svg.face(points, ROI_BOXES, ANSWER.rois, "regions")
    regions = shapes(drawn, "roi")
    assert [float(r.get("fill-opacity", "")) for r in regions[:3]] == [0.75, 0.38, 0.0]
    assert len(shapes(drawn, "against")) == 2
    assert "−0.00" not in drawn
    assert svg.face(points, ROI_BOXES, {}, "none").count('fill-opacity="0.00"') == 6


def test_the_curve_has_its_interval_where_it_is() -> None:
    drawn = svg.curve([0, 1, 2, 1, 0], 10, [(11, 12, 13, "x")], 100.0, "motion")
    (span,) = shapes(drawn, "span")
    (line,) = shapes(drawn, "line")
    xs = [float(p.split(",")[0]) for p in line.get("points", "").split()]
    assert float(span.get("x", "")) == pytest.approx(xs[1], abs=0.1)
    assert float(span.get("width", "")) == pytest.approx(xs[3] - xs[1], abs=0.2)
    assert "0.10 s" in drawn
    assert ">10<" in svg.curve([0, 1], 10, [], None, "motion")


def test_a_page_needs_nothing_from_elsewhere_and_names_every_doubt() -> None:
    record = make_record("toy/s1/a")
    frames = {k: np.full((60, 60, 3), 90, np.uint8) for k in (0, 2, 4)}
    record = replace(
        record, first_frame=0, transforms=np.repeat(np.eye(2, 3, dtype=np.float32)[None], 5, 0),
        curve=np.arange(5, dtype=np.float32), roi_boxes=ROI_BOXES,
    )  # fmt: skip
    failed = Answer("toy/s1/c", "c.mp4", error="c.mp4: broken & cut")
    part = fragment(ANSWER, record, frames, anchor(0, 0))
    text = "".join(page("title", [(anchor(0, 0), ANSWER), ("", failed)], [part]))
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text)
    assert "<script" not in text
    assert "url(" not in text
    assert '<a href="#clip0-0">' in text
    assert '<article id="clip0-0">' in text
    assert "toy/s1/a&lt;b&gt;" in text
    assert "a<b>" not in text
    assert "<b>small-face</b>: 84 px &amp; less" in text
    assert "broken &amp; cut" in text
    assert "not calibrated" in text
    images = re.findall(r"<img [^>]*>", text)
    assert len(images) == 5
    assert all(re.search(r'alt="[^"]+"', image) for image in images)
    assert text.count('role="img" aria-label=') == 4
    flow_only = replace(record, transforms=record.transforms[:0], curve=record.curve[:0])
    bare = fragment(replace(ANSWER, unsure=(), face=2, kind="micro"), flow_only, {}, "x")
    assert "Aligned face" not in bare
    assert "Reasons for doubt" not in bare
    assert "a&lt;b&gt;, face 2" in bare
    assert "micro-expression: surprise 80%" in bare
    later = "".join(page("t", [("x", replace(ANSWER, face=2))], []))
    assert "a&lt;b&gt;, face 2</a>" in later


def test_a_film_shows_every_frame_enlarged_with_a_timeline_under_it() -> None:
    record = make_record("toy/s1/a")
    steps = len(record.flow)
    move = np.array([[2, 0, -60], [0, 2, -60]], dtype=np.float32)
    record = replace(
        record, first_frame=2, transforms=np.repeat(move[None], 5, 0), roi_boxes=ROI_BOXES,
        curve=np.arange(5, dtype=np.float32), steps=np.linspace(2, 6, steps, dtype=np.float32),
        flow=np.full((steps, 70, 60, 2), 1.0, np.float32),
    )  # fmt: skip
    answer = replace(ANSWER, onset=2, apex=4, offset=6)
    frames = [(k, np.full((181, 321, 3), 40, np.uint8)) for k in range(9)]
    pictures = list(film(frames, [(answer, record)], 8))
    assert len(pictures) == 9
    assert {p.shape for p in pictures} == {(360 + 168 + 2, 640, 3)}
    inside = pictures[4][:360].astype(int)
    assert (np.abs(inside - 40).max(axis=2) > 60).mean() > 0.01
    heads = [int((p[-26, :370].astype(int).sum(1) > 600).argmax()) for p in pictures]
    assert all(b > a for a, b in pairwise(heads))
    bars = [p[-120:, 400:].astype(int).max(axis=2) > 200 for p in pictures]
    assert [bool(b.any()) for b in bars] == [False, False, *[True] * 5, False, False]
    wide = next(iter(film([(0, np.zeros((361, 701, 3), np.uint8))], [], 0)))
    assert wide.shape == (362 + 168, 702, 3)


def test_short_clips_are_shown_in_slow_motion_and_long_ones_as_they_are() -> None:
    assert shown_fps(200.0, 200) == 25
    assert shown_fps(15.0, 20) == 15
    assert shown_fps(None, 20) == 25
    assert shown_fps(60.0, 6000) == 60
