from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mecli import calibration
from mecli.errors import InputError


def drawn(temperature: float, n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return scores that are too sure by `temperature`, and labels drawn from the true ones."""
    rng = np.random.default_rng(seed)
    true = calibration.tempered(rng.dirichlet([1, 1, 1], n), 1)
    labels = np.array([rng.choice(3, p=row) for row in true])
    return calibration.tempered(true, 1 / temperature), labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoiled_the_scores_is_found(temperature: float) -> None:
    scores, labels = drawn(temperature)
    assert calibration.fit_temperature(scores, labels) == pytest.approx(temperature, rel=0.1)


def test_calibrated_scores_are_as_often_right_as_they_say() -> None:
    scores, labels = drawn(3.0)
    folds = [str(k % 5) for k in range(len(labels))]
    after = calibration.cross_fitted(scores, labels, folds)
    assert calibration.ece(scores, labels) > 0.15
    assert calibration.ece(after, labels) < 0.03
    assert np.array_equal(after.argmax(1), scores.argmax(1))


def test_the_temperature_of_a_fold_never_sees_its_own_clips() -> None:
    scores, labels = drawn(2.0, 60)
    folds = ["a"] * 20 + ["b"] * 40
    before = calibration.cross_fitted(scores, labels, folds)
    labels[:20] = (labels[:20] + 1) % 3
    assert np.array_equal(calibration.cross_fitted(scores, labels, folds)[:20], before[:20])


def test_few_clips_that_are_all_right_make_nobody_infinitely_sure() -> None:
    scores = np.full((10, 3), 0.2)
    scores[:, 0] = 0.6
    found = calibration.fit_temperature(scores, np.zeros(10, int))
    assert 0.2 < found < 0.4
    assert calibration.tempered(scores, found)[0, 0] < 1 - 0.5 / 12


def test_the_calibration_error_of_four_clips_is_the_one_by_hand() -> None:
    scores = [[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.65, 0.35]]
    # Bin 0.9 to 1: one of two right; bin 0.6 to 0.7: both right.
    expected = (abs(0.95 - 0.5) * 2 + abs(0.65 - 1) * 2) / 4
    assert calibration.ece(scores, [0, 1, 1, 0]) == pytest.approx(expected)
    assert calibration.ece([[1.0, 0.0]], [0]) == 0


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=5), st.floats(0.1, 10))
def test_tempering_keeps_order_and_sum(row: list[float], temperature: float) -> None:
    shares = calibration.tempered(row, temperature)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares[np.argsort(row, kind="stable")]) >= -1e-12).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"scores \(2,\) of labels \(2,\)"):
        calibration.fit_temperature([0.5, 0.5], [0, 1])
    with pytest.raises(InputError, match="labels hold 2, expected 0 to 1"):
        calibration.ece([[0.5, 0.5]], [2])
    with pytest.raises(InputError, match=r"1 fold\(s\) of 1 clips, expected 2"):
        calibration.cross_fitted([[0.5, 0.5]], [0], ["a"])
