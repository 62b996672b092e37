from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mecli.errors import InputError
from mecli.motion import LIDS, REGIONS
from mecli.spotter import load_spotter
from mecli.spotting import Interval, bent, in_noise, intervals, strength

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Curves = NDArray[np.float32]

FPS = 30.0
NAMES = list(REGIONS)
BROWS = tuple(k for k, name in enumerate(NAMES) if "brow" in name)
CORNERS = tuple(k for k, name in enumerate(NAMES) if "corner" in name)
CHIN = (NAMES.index("lower_lip"), NAMES.index("chin"))


def still(seconds: float = 12.0, fps: float = FPS) -> tuple[Curves, Curves]:
    """Return a face and a head at rest: jitter of a twentieth pixel."""
    random = np.random.default_rng(3)
    count = round(seconds * fps)
    made = random.normal(0, 0.05, (count, len(REGIONS), 2)).astype(np.float32)
    return made, random.normal(0, 0.05, (count, 6)).astype(np.float32)


def move(made: Curves, regions: tuple[int, ...], onset: int, offset: int, dy: float) -> None:
    """Let `regions` move down by `dy` px and back between two frames."""
    course = np.sin(np.linspace(0, np.pi, offset - onset + 1)) ** 2 * dy
    made[onset : offset + 1, list(regions), 1] += course[:, None].astype(np.float32)


def found(made: Curves, head: Curves, fps: float = FPS, threshold: float = 0.8) -> list[Interval]:
    curves = in_noise(made, head, fps)
    return intervals(load_spotter().likelihood(bent(curves)), curves, LIDS, threshold)


def test_a_face_at_rest_expresses_nothing() -> None:
    assert found(*still(60.0)) == []


@pytest.mark.parametrize("fps", [25.0, 30.0, 50.0])
def test_raised_brows_are_found_where_they_were_raised(fps: float) -> None:
    made, head = still(fps=fps)
    move(made, BROWS, round(4 * fps), round(4.4 * fps), -1.5)
    (one,) = found(made, head, fps)
    assert one.kind == "micro"
    assert one.region in BROWS
    assert one.score >= 0.8
    for moment, true in ((one.onset, 120), (one.apex, 126), (one.offset, 132)):
        assert abs(moment - true) <= 4


def test_what_lasts_seconds_is_a_macro_expression() -> None:
    made, head = still()
    move(made, BROWS, 100, 160, -3.0)
    (one,) = found(made, head)
    assert one.kind == "macro"


def test_lids_alone_and_a_nod_are_no_expressions() -> None:
    made, head = still()
    move(made, LIDS, 60, 68, 4.0)
    nod = np.sin(np.linspace(0, np.pi, 16)) ** 2
    head[150:166, 1] += 6 * nod
    head[150:166, 5] -= 3 * nod
    assert found(made, head) == []


def test_curves_are_in_multiples_of_their_own_noise() -> None:
    made, head = still(30.0)
    move(made, CORNERS, 300, 312, 1.0)
    curves = in_noise(made, head, FPS)
    louder = in_noise(made * 4, head, FPS)
    assert curves.shape == (900, 2 * len(REGIONS) + 6)
    assert np.abs(louder - curves)[:, :-6].max() < 1.5
    # The unit is the noise: what is at rest is one of it away, as a rule.
    assert 0.5 < np.abs(curves[:200, :4]).mean() < 1.5
    assert strength(curves, LIDS)[306] > 3 * np.median(strength(curves, LIDS))


def test_noise_is_that_of_the_moments_that_show_the_face() -> None:
    made, head = still(30.0)
    seen = np.zeros(len(made), bool)
    seen[:300] = True
    made[300:], head[300:] = made[299], head[299]
    part = in_noise(made, head, FPS, seen)[:200]
    whole = in_noise(*still(30.0), FPS)[:200]
    assert np.abs(part).mean() == pytest.approx(np.abs(whole).mean(), rel=0.2)
    assert np.abs(in_noise(made, head, FPS)[:200]).mean() > 1.2 * np.abs(part).mean()
    assert np.isfinite(in_noise(made, head, FPS, np.zeros(len(made), bool))).all()


def test_a_pose_that_stays_is_taken_out() -> None:
    made, head = still(30.0)
    made[450:, 3:6, 0] += 3.0
    far = strength(in_noise(made, head, FPS), LIDS)
    assert far[:300].max() < 6
    assert far[600:].max() < 6


def test_lids_do_not_count_as_strength() -> None:
    made, head = still()
    move(made, LIDS, 100, 110, 9.0)
    assert strength(in_noise(made, head, FPS), LIDS).max() < 6


def says(*parts: tuple[int, float, float]) -> Curves:
    """Return likelihoods of so many moments each, micro and macro."""
    rows = [(1 - a - b, a, b) for count, a, b in parts for _ in range(count)]
    return np.array(rows, np.float32)


def test_intervals_are_cut_at_seven_tenths_of_their_summit() -> None:
    likelihood = says((5, 0, 0), (2, 0.6, 0), (4, 0.9, 0), (3, 0.55, 0), (6, 0.1, 0.1))
    curves = np.zeros((len(likelihood), 2 * len(REGIONS) + 6), np.float32)
    curves[9, 1] = 5.0
    (one,) = intervals(likelihood, curves, LIDS)
    assert (one.onset, one.apex, one.offset, one.kind) == (7, 9, 10, "micro")
    assert (one.score, one.region) == (0.9, 0)
    assert intervals(likelihood, curves, LIDS, 0.95) == []


def test_the_kind_is_what_its_moments_say_together_and_single_moments_say_nothing() -> None:
    likelihood = says((3, 0, 0), (2, 0.6, 0.3), (4, 0.1, 0.8), (3, 0, 0), (2, 1, 0), (3, 0, 0))
    curves = np.zeros((len(likelihood), 2 * len(REGIONS) + 6), np.float32)
    (one,) = intervals(likelihood, curves, LIDS)
    assert (one.onset, one.offset, one.kind) == (3, 8, "macro")


def test_what_is_no_motion_is_refused() -> None:
    made, head = still()
    with pytest.raises(InputError, match=r"shape \(1, 13, 2\), expected \(T ≥ 2, R, 2\)"):
        in_noise(made[:1], head[:1], FPS)
    with pytest.raises(InputError, match=r"head has shape \(3, 6\), expected \(360, 6\)"):
        in_noise(made, head[:3], FPS)
    with pytest.raises(InputError, match="fps is 0"):
        in_noise(made, head, 0)
    assert in_noise(made[:5], head[:5], FPS).shape == (5, 32)


def test_a_long_video_needs_no_more_memory_than_its_curves() -> None:
    made, head = still(600.0)
    tracemalloc.start()
    curves = in_noise(made, head, FPS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * curves.nbytes
