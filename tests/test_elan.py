from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from mecli.doubts import Doubt
from mecli.report.answers import Answer
from mecli.report.elan import Span, elan, tiers_of


def read(text: str) -> dict[str, list[tuple[int, int, str]]]:
    """Read a document as ELAN does: annotations by their time slots."""
    root = ET.fromstring(text.encode())
    times = {
        slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")
    }
    assert list(times.values()) == sorted(times.values())
    return {
        tier.get("TIER_ID", ""): [
            (
                times[a.get("TIME_SLOT_REF1")],
                times[a.get("TIME_SLOT_REF2")],
                a.findtext("ANNOTATION_VALUE", ""),
            )
            for a in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        for tier in root.iter("TIER")
    }


def test_an_answer_becomes_its_interval_its_apex_and_its_doubts() -> None:
    answer = Answer(
        "a/b/c", "c.mp4", prediction="su<b>", scores={"su<b>": 0.75}, onset=10, apex=15, offset=19,
        fps=100.0, unsure=(Doubt("small-face", "x"), Doubt("head-motion", "y")),
    )  # fmt: skip
    second = Answer("a/b/c", "c.mp4", prediction="p", scores={"p": 1.0}, face=2, kind="macro",
                    onset=0, apex=None, offset=4, fps=100.0)  # fmt: skip
    failed = Answer("a/b/d", "d.mp4", error="broken")
    text = elan(Path("/v/my c.mp4"), tiers_of([answer, second, failed]))
    assert read(text) == {
        "micro-expression": [(100, 200, "su<b> 0.75")],
        "apex": [(150, 160, "apex")],
        "unsure": [(100, 200, "small-face, head-motion")],
        "macro-expression (face 2)": [(0, 50, "p 1.00")],
    }
    media = ET.fromstring(text.encode()).find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None
    assert (media.get("MEDIA_URL"), media.get("MIME_TYPE")) == ("file:///v/my%20c.mp4", "video/mp4")


def test_frames_shorter_than_a_millisecond_keep_one() -> None:
    text = elan(None, {"x": [Span(0.5, 0.5002, "a")]})
    assert read(text) == {"x": [(500, 501, "a")]}
    assert "MEDIA_DESCRIPTOR" not in text
