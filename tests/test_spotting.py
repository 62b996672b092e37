from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mecli.errors import InputError
from mecli.spotting import movement, spot

if TYPE_CHECKING:
    from numpy.typing import NDArray

FPS, LIDS = 50.0, (0, 1)


def still(seconds: float = 12.0, regions: int = 8) -> NDArray[np.float32]:
    """Return a face at rest: jitter of a twentieth pixel."""
    random = np.random.default_rng(3)
    return random.normal(0, 0.05, (round(seconds * FPS), regions, 2)).astype(np.float32)


def move(
    made: NDArray[np.float32], regions: tuple[int, ...], onset: int, offset: int, px: float
) -> None:
    """Let `regions` move down and back between two frames."""
    course = np.sin(np.linspace(0, np.pi, offset - onset + 1)) ** 2 * px
    made[onset : offset + 1, list(regions), 1] += course[:, None].astype(np.float32)


def test_a_face_at_rest_expresses_nothing() -> None:
    assert spot(still(60.0), FPS, LIDS) == []


def test_onset_apex_and_offset_are_found_where_they_were_made() -> None:
    made = still()
    move(made, (3, 4, 5), 200, 220, 1.0)
    (found,) = spot(made, FPS, LIDS)
    assert found.kind == "micro"
    assert found.region in (3, 4, 5)
    assert found.score > 20
    for position, true in ((found.onset, 200), (found.apex, 210), (found.offset, 220)):
        assert abs(position - true) <= 3


def test_what_lasts_longer_than_half_a_second_is_a_macro_expression() -> None:
    made = still()
    move(made, (3, 4, 5), 100, 175, 2.0)
    move(made, (2, 3, 6), 400, 418, 1.0)
    assert [found.kind for found in spot(made, FPS, LIDS)] == ["macro", "micro"]


def test_a_blink_is_no_expression_but_lids_may_take_part_in_one() -> None:
    made = still()
    move(made, (0, 1), 100, 115, 3.0)
    move(made, (2, 3, 4), 100, 115, 0.8)
    assert spot(made, FPS, LIDS) == []
    move(made, (2, 3, 4), 300, 315, 2.0)
    move(made, (0, 1), 300, 315, 0.5)
    # One eye alone does not blink.
    move(made, (0, 5, 6, 7), 450, 465, 2.0)
    assert [300 <= f.apex <= 315 or 450 <= f.apex <= 465 for f in spot(made, FPS, LIDS)] == [
        True
    ] * 2


def test_talking_is_no_row_of_micro_expressions() -> None:
    made = still()
    move(made, (5, 6, 7), 100, 118, 1.0)
    for start in range(400, 560, 10):
        move(made, (5, 6, 7), start, start + 9, 2.0)
    (found,) = spot(made, FPS, LIDS)
    assert 100 <= found.apex <= 118


def test_a_pose_that_stays_is_no_expression() -> None:
    made = still(30.0)
    made[700:, 3:6, 0] += 3.0
    moved = movement(made, FPS)
    assert moved[:300].max() < 0.3
    assert moved[1100:].max() < 0.3
    assert all(abs(found.apex - 700) < 3.5 * FPS for found in spot(made, FPS, LIDS))


def test_the_strongest_of_intervals_that_overlap_is_kept() -> None:
    made = still()
    move(made, (3, 4, 5), 100, 112, 2.0)
    move(made, (3, 4, 5), 108, 124, 1.2)
    found = spot(made, FPS, LIDS)
    assert all(a.offset < b.onset for a, b in pairwise(found))
    assert max(found, key=lambda f: f.score).apex in range(103, 112)


def test_more_is_asked_of_an_interval_by_a_higher_threshold() -> None:
    made = still()
    move(made, (3, 4, 5), 200, 220, 1.0)
    (found,) = spot(made, FPS, LIDS)
    assert spot(made, FPS, LIDS, found.score + 0.1) == []


def test_what_is_no_displacement_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(1, 8, 2\), expected \(T ≥ 2, R, 2\)"):
        spot(still()[:1], FPS, LIDS)
    with pytest.raises(InputError, match="fps is 0"):
        spot(still(), 0, LIDS)
