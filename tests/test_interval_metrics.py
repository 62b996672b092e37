from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mecli.errors import InputError
from mecli.interval_metrics import Spot, Tally, match, overlap, strs, tally


def spots() -> st.SearchStrategy[list[Spot]]:
    """Return intervals of one clip that may overlap one another."""
    kinds = st.sampled_from(["micro", "macro"])
    one = st.builds(
        lambda a, n, k: Spot(a, a + n, k), st.integers(0, 60), st.integers(0, 20), kinds
    )
    return st.lists(one, max_size=8)


def test_the_last_frame_counts() -> None:
    # Frames 0..9 and 5..9: 5 of 10 shared is a hit, though 4 of 9 without the last frames.
    assert overlap(Spot(0, 9), Spot(5, 9)) == 0.5
    assert match([Spot(0, 9)], [Spot(5, 9)]) == [(0, 0)]
    assert match([Spot(0, 9)], [Spot(6, 9)]) == []
    assert overlap(Spot(3, 3), Spot(3, 3)) == 1
    assert overlap(Spot(0, 4), Spot(5, 9)) == 0


def test_a_true_interval_is_hit_once_by_what_overlaps_most() -> None:
    true = [Spot(10, 19)]
    assert match(true, [Spot(10, 15), Spot(10, 18), Spot(9, 20)]) == [(0, 1)]
    assert match([Spot(10, 19), Spot(12, 21)], [Spot(11, 20)]) == [(0, 0)]


def test_one_f1_over_the_whole_database_equals_the_hand_count() -> None:
    true = {
        "a": [Spot(10, 19), Spot(40, 49), Spot(100, 159, "macro")],
        "b": [Spot(5, 14)],
        "c": [],
    }
    found = {
        # A hit at the very edge (5 of 10), a miss just beside it (4 of 10), a hit of a macro.
        "a": [Spot(15, 19), Spot(46, 49), Spot(90, 159, "macro")],
        # The right frames, but of the wrong kind.
        "b": [Spot(5, 14, "macro")],
        "c": [Spot(1, 9)],
    }
    sums = tally(true, found)
    assert sums == {"micro": Tally(1, 3, 3), "macro": Tally(1, 2, 1), "overall": Tally(2, 5, 4)}
    assert sums["micro"].precision == sums["micro"].recall == pytest.approx(1 / 3)
    assert (sums["macro"].precision, sums["macro"].recall) == (0.5, 1)
    assert sums["macro"].f1 == pytest.approx(2 / 3)
    # The mean of the clips' F1 (4/6, 0, 0) would be .222.
    assert sums["overall"].f1 == pytest.approx(4 / 9)
    assert strs(sums["overall"].f1, 0.75) == pytest.approx(1 / 3)


def test_a_clip_nothing_was_spotted_in_still_counts() -> None:
    sums = tally({"a": [Spot(1, 5)], "b": [Spot(1, 5)]}, {"a": [Spot(1, 5)]})
    assert sums["overall"] == Tally(1, 1, 2)
    empty = tally({"a": []}, {})["overall"]
    assert (empty.precision, empty.recall, empty.f1) == (0, 0, 0)


@given(true=spots(), found=spots())
def test_hits_are_one_to_one_and_all_of_an_interval_hits_itself(
    true: list[Spot], found: list[Spot]
) -> None:
    hits = match(true, found)
    assert len({i for i, _ in hits}) == len({k for _, k in hits}) == len(hits)
    for i, k in hits:
        assert true[i].kind == found[k].kind
        assert overlap(true[i], found[k]) == overlap(found[k], true[i]) >= 0.5
    assert match(true, true) == [(i, i) for i in range(len(true))]


def test_what_is_no_interval_is_refused() -> None:
    with pytest.raises(InputError, match="ends at frame 2 before it starts at 3"):
        match([Spot(3, 2)], [])
    with pytest.raises(InputError, match="'long', expected one of micro, macro"):
        match([], [Spot(1, 2, "long")])
    with pytest.raises(InputError, match="clip x was spotted in but has no annotation"):
        tally({}, {"x": []})
