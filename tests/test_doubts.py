from __future__ import annotations

from typing import Any

import pytest

from mecli.doubts import REASONS, check_rate, doubts, of_length
from mecli.errors import InputError

GOOD = {
    "face_px": 200.0,
    "blockiness": 1.1,
    "bits_per_pixel": 0.05,
    "head_motion_px": 3.0,
    "motion_px": 0.5,
    "faces": 1.0,
    "lost": 0.0,
    "missing": 0.0,
    "repeated": 0.0,
}
SURE = {"negative": 0.7, "positive": 0.3}


def reasons(*, chosen: bool = False, **changes: Any) -> list[str]:
    fps = changes.pop("fps", 100.0)
    return [d.reason for d in doubts({**GOOD, **changes}, fps, SURE, chosen=chosen)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"face_px": 119.0}, "small-face"),
        ({"blockiness": 1.4}, "compression"),
        ({"bits_per_pixel": 0.001}, "compression"),
        ({"head_motion_px": 30.0}, "head-motion"),
        ({"motion_px": 0.09}, "no-motion"),
        ({"faces": 2.0}, "several-faces"),
        ({"lost": 0.1}, "face-lost"),
        ({"missing": 1.0}, "dropped-frames"),
        ({"repeated": 0.5}, "repeated-frames"),
        ({"fps": 50.0}, "low-frame-rate"),
        ({"fps": None}, "unknown-frame-rate"),
    ],
)
def test_each_fault_is_named_alone(changes: dict[str, Any], reason: str) -> None:
    assert reason in REASONS
    assert reasons() == []
    assert reasons(**changes) == [reason]


def test_a_face_that_was_asked_for_is_no_surprise() -> None:
    assert reasons(faces=3.0, chosen=True) == []


def test_a_close_call_names_both_classes() -> None:
    (doubt,) = doubts(GOOD, 100.0, {"a": 0.4, "b": 0.38, "c": 0.22}, chosen=False)
    assert doubt.reason == "low-confidence"
    assert doubt.detail.startswith("a 0.40, b 0.38")


def test_a_long_clip_without_an_interval_is_doubted() -> None:
    assert of_length(400, 200.0) == of_length(120, None) == ()
    (doubt,) = of_length(600, 30.0)
    assert (doubt.reason, doubt.detail[:6]) == ("long-clip", "20.0 s")
    (doubt,) = of_length(121, None)
    assert (
        "121 frames judged as one movement: let it be searched by naming its rate with --fps"
        in (doubt.detail)
    )


def test_what_was_not_measured_raises_no_doubt() -> None:
    assert doubts({}, 100.0, {}, chosen=False) == ()


def test_videos_too_slow_are_refused_unless_forced() -> None:
    with pytest.raises(InputError, match=r"x\.mp4: 12 frames/s .* --force"):
        check_rate("x.mp4", 12.0, force=False)
    check_rate("x.mp4", 12.0, force=True)
    check_rate("x.mp4", 25.0, force=False)
    check_rate("x.mp4", None, force=False)
