from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import find_peaks

from mecli import temporal
from mecli.errors import InputError

COUNTS = st.integers(1, 60)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def literal_tim(frames: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """The published algorithm step by step: PCA, linear graph embedding, sines, way back."""
    count = len(frames)
    images = frames.reshape(count, -1).T
    mean = images.mean(axis=1, keepdims=True)
    base, values, right = np.linalg.svd(images - mean, full_matrices=False)
    keep = count - 1
    base, inside = base[:, :keep], np.diag(values[:keep]) @ right[:keep]
    path = np.eye(count, k=1) + np.eye(count, k=-1)
    laplacian = np.diag(path.sum(axis=0)) - path
    # Q L Qᵀ w = λ Q Qᵀ w, solved in the whitened space of the frames.
    root = np.linalg.inv(np.linalg.cholesky(inside @ inside.T))
    _, vectors = np.linalg.eigh(root @ inside @ laplacian @ inside.T @ root.T)
    projection = root.T @ vectors
    order = np.arange(1, count)

    def curve(t: float) -> NDArray[np.float64]:
        return np.sin(np.pi * order * t + np.pi * (count - order) / (2 * count))

    embedded = projection.T @ inside
    at_first = curve(1 / count)
    scale = np.diag(embedded[:, 0] / at_first)
    back = base @ np.linalg.inv(projection.T) @ scale
    times = np.linspace(1 / count, 1, steps)
    made = np.stack([back @ curve(t) + mean[:, 0] for t in times])
    return np.asarray(made.reshape(steps, *frames.shape[1:]))


def noise_clip(count: int, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    slow = np.cumsum(rng.normal(0, 4, (count, 24, 20)), axis=0)
    return np.asarray(np.clip(128 + slow, 0, 255))


@pytest.mark.parametrize(("count", "steps"), [(2, 5), (9, 16), (40, 16), (25, 25), (70, 10)])
def test_tim_equals_the_published_algorithm(count: int, steps: int) -> None:
    frames = noise_clip(count)
    ours = temporal.tim(frames, steps)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, literal_tim(frames, steps), atol=1e-3)


@given(COUNTS, COUNTS)
def test_weights_of_every_step_add_up_to_one(count: int, steps: int) -> None:
    for matrix in (temporal.tim_matrix, temporal.uniform_matrix):
        weights = matrix(count, steps)
        assert weights.shape == (steps, count)
        assert weights.dtype == np.float32
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)


@given(COUNTS)
def test_as_many_steps_as_frames_returns_the_frames(count: int) -> None:
    for matrix in (temporal.tim_matrix, temporal.uniform_matrix):
        np.testing.assert_allclose(matrix(count, count), np.eye(count), atol=1e-5)


@given(COUNTS, COUNTS)
def test_positions_run_from_the_first_to_the_last_frame(count: int, steps: int) -> None:
    places = temporal.positions(count, steps)
    assert places.shape == (steps,)
    assert places[0] == 0
    assert steps == 1 or places[-1] == count - 1
    assert (np.diff(places) >= 0).all()


def test_uniform_follows_a_linear_movement_exactly() -> None:
    frames = np.arange(7, dtype=np.float32)[:, None] * np.array([1.0, -2.0], dtype=np.float32)
    made = temporal.uniform(frames, 13)
    np.testing.assert_allclose(made[:, 0], temporal.positions(7, 13), atol=1e-6)
    np.testing.assert_allclose(made[:, 1], -2 * temporal.positions(7, 13), atol=1e-6)


@pytest.mark.parametrize("make", [temporal.tim, temporal.uniform])
def test_uint8_frames_stay_uint8_and_never_wrap(
    make: Callable[[NDArray[np.uint8], int], NDArray[np.uint8]],
) -> None:
    frames = np.zeros((6, 4, 4, 3), dtype=np.uint8)
    frames[3:] = 255
    made = make(frames, 17)
    assert made.dtype == np.uint8
    assert made.shape == (17, 4, 4, 3)
    assert (made[:6] < 60).all()
    assert (made[-6:] > 195).all()


def test_one_frame_is_repeated() -> None:
    frames = np.full((1, 3), 7.0, dtype=np.float32)
    for make in (temporal.tim, temporal.uniform):
        np.testing.assert_allclose(make(frames, 4), np.full((4, 3), 7.0))


def test_a_cached_matrix_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        temporal.tim_matrix(5, 3)[0, 0] = 9


@pytest.mark.parametrize(("count", "steps"), [(0, 4), (4, 0)])
def test_no_frames_or_no_steps_is_refused(count: int, steps: int) -> None:
    message = f"{count} frames and {steps} steps"
    with pytest.raises(InputError, match=message):
        temporal.positions(count, steps)
    with pytest.raises(InputError, match=message):
        temporal.tim(np.zeros((count, 2)), steps)


def test_a_single_number_is_no_clip() -> None:
    with pytest.raises(InputError, match="single number"):
        temporal.uniform(np.array(3.0), 4)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_peaks_are_those_of_scipy(heights: list[int]) -> None:
    found, prominences = temporal.peaks(np.array(heights))
    expected, about = find_peaks(heights, prominence=0)
    assert found.tolist() == expected.tolist()
    assert prominences.tolist() == about["prominences"].tolist()
