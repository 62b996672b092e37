from __future__ import annotations

import numpy as np
import pytest

from mecli import quality


def test_blocks_are_seen_wherever_the_picture_was_cut_out() -> None:
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(60, 180, (20, 20)), np.ones((8, 8), int))
    frame = (blocks + rng.integers(0, 6, blocks.shape)).astype(np.uint8)
    whole = quality.blockiness(frame)
    assert whole > 5
    assert quality.blockiness(frame[11:, 5:], (5, 11)) == pytest.approx(whole, rel=0.1)
    assert quality.blockiness(frame[11:, 5:], (0, 0)) < 1
    noise = rng.integers(0, 255, (160, 160), dtype=np.uint8)
    assert quality.blockiness(noise) == pytest.approx(1, abs=0.05)


def test_a_flat_or_tiny_picture_shows_no_blocks() -> None:
    assert quality.blockiness(np.full((32, 32), 7, np.uint8)) == 1
    assert quality.blockiness(np.zeros((4, 4), np.uint8)) == 1


def test_gaps_between_time_stamps_are_missing_frames() -> None:
    assert quality.missing_frames([0.0, 0.01, 0.02, 0.05, 0.06, 0.08]) == 3
    assert quality.missing_frames([k / 29.97 for k in range(90)]) == 0
    assert quality.missing_frames([None] * 5) == 0
    assert quality.missing_frames([0.0, 1.0]) == 0
    # Every third of frames 0 to 21, of which 10 and 11 are gone; stamps are whole milliseconds.
    there = [k for k in range(24) if k not in {10, 11}]
    stamps = [round(k / 120, 3) for k in there[::3]]
    assert quality.missing_frames(stamps, 3) == 2
    assert quality.missing_frames([round(k / 120, 3) for k in range(0, 90, 3)], 3) == 0


def test_frames_that_show_the_same_again_are_counted() -> None:
    frames = [np.full((16, 16, 3), value, np.uint8) for value in (1, 1, 2, 2, 2, 1)]
    assert quality.repeated_frames(frames) == 3
