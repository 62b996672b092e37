from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from mecli.errors import InputError
from mecli.tracking import track
from tests.scenes import HEIGHT, LANDMARKS, WIDTH, Scene, apply, similarity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


def drift(count: int) -> list[NDArray[np.float64]]:
    """Slow nodding: frame → onset, up to 6 px, 3 degrees and 2 percent."""
    phase = np.sin(np.linspace(0, 1.5 * np.pi, count))
    return [similarity(3 * p, 1 + 0.02 * p, (6 * p, -4 * p)) for p in phase]


def error_px(found: NDArray[np.float32], true: NDArray[np.float64]) -> float:
    """Largest distance of face points moved by the found and by the true transform."""
    gap = apply(found, LANDMARKS) - apply(true, LANDMARKS)
    return float(np.hypot(*gap.T).max())


def test_head_drift_is_followed_to_a_twentieth_of_a_pixel() -> None:
    scene, truth = Scene(), drift(24)
    frames = [scene.show(t, seed=k) for k, t in enumerate(truth)]
    tracking = track(iter(frames), LANDMARKS)
    assert tracking.transforms.shape == (24, 2, 3)
    assert tracking.transforms.dtype == np.float32
    assert max(map(error_px, tracking.transforms, truth)) < 0.05
    assert tracking.residual_px < 0.1
    assert (tracking.inliers > 40).all()


def test_one_glint_on_a_dark_face_does_not_end_the_tracking() -> None:
    scene, truth = Scene(), drift(8)
    frames = []
    for k, t in enumerate(truth):
        dark = (scene.show(t, seed=k) * 0.25).astype(np.uint8)
        x, y = np.rint(apply(np.linalg.inv(np.vstack([t, [0, 0, 1]]))[:2], LANDMARKS[30:31])[0])
        dark[int(y) - 3 : int(y) + 3, int(x) - 3 : int(x) + 3] = 255
        frames.append(dark)
    tracking = track(iter(frames), LANDMARKS)
    assert (tracking.inliers >= 12).all()
    assert max(map(error_px, tracking.transforms, truth)) < 0.6


def test_smoothing_hardly_lags_behind_a_fast_nod() -> None:
    scene, truth = Scene(), drift(12)
    tracking = track((scene.show(t, seed=k) for k, t in enumerate(truth)), LANDMARKS)
    assert max(map(error_px, tracking.transforms, truth)) < 0.15


def test_the_onset_frame_is_not_moved() -> None:
    scene = Scene()
    tracking = track((scene.show(t, seed=k) for k, t in enumerate(drift(9))), LANDMARKS)
    np.testing.assert_array_equal(tracking.transforms[0], np.eye(2, 3))


def test_raised_brows_do_not_move_the_head() -> None:
    scene = Scene(1)
    brows = LANDMARKS[17:27].mean(axis=0)

    def raise_brows(places: NDArray[np.float64]) -> NDArray[np.float64]:
        gap = (places - brows) / [60.0, 9.0]
        return np.asarray(np.exp(-0.5 * (gap**2).sum(axis=1))[:, None] * [0.0, -2.0])

    truth = drift(16)
    frames = (scene.show(t, raise_brows if k else None, seed=k) for k, t in enumerate(truth))
    tracking = track(frames, LANDMARKS)
    assert max(map(error_px, tracking.transforms, truth)) < 0.25


def test_tracking_is_deterministic_and_does_not_depend_on_what_ran_before() -> None:
    scene = Scene()
    frames = [scene.show(t, seed=k) for k, t in enumerate(drift(6))]
    first = track(iter(frames), LANDMARKS)
    cv2.setRNGSeed(77)
    track(iter(frames[::-1]), LANDMARKS)
    np.testing.assert_array_equal(first.transforms, track(iter(frames), LANDMARKS).transforms)


def test_frames_are_taken_one_at_a_time() -> None:
    scene, alive = Scene(), []

    def stream() -> Iterator[NDArray[np.uint8]]:
        import gc
        import weakref

        for k, transform in enumerate(drift(8)):
            frame = scene.show(transform, seed=k)
            alive.append(weakref.ref(frame))
            yield frame
            del frame
            gc.collect()
            # The onset frame may stay, and the frame just compared.
            assert sum(ref() is not None for ref in alive) <= 2

    track(stream(), LANDMARKS)
    assert len(alive) == 8


def test_landmarks_stand_in_where_tracking_fails() -> None:
    scene, truth = Scene(), drift(16)
    frames = [scene.show(t, seed=k) for k, t in enumerate(truth)]
    frames[5] = np.full_like(frames[5], 90)
    asked = []

    def relocate(index: int) -> NDArray[np.float32]:
        asked.append(index)
        back = np.linalg.inv(np.vstack([truth[index], [0, 0, 1]]))[:2]
        return apply(back, LANDMARKS).astype(np.float32)

    tracking = track(iter(frames), LANDMARKS, relocate)
    assert asked == [5]
    assert tracking.inliers[5] == 0
    assert (np.delete(tracking.inliers, 5) > 40).all()
    assert max(map(error_px, tracking.transforms, truth)) < 0.08


@pytest.mark.parametrize("relocate", [None, lambda index: None])
def test_neighbours_stand_in_where_no_face_is_found(
    relocate: Callable[[int], NDArray[np.float32] | None] | None,
) -> None:
    scene, truth = Scene(), drift(24)
    frames = [scene.show(t, seed=k) for k, t in enumerate(truth)]
    frames[10] = np.zeros_like(frames[10])
    tracking = track(iter(frames), LANDMARKS, relocate)
    assert np.flatnonzero(tracking.inliers == 0).tolist() == [10]
    assert error_px(tracking.transforms[10], truth[10]) < 0.2


def test_a_jump_too_large_to_track_is_handed_to_the_landmarks() -> None:
    scene = Scene()
    truth = [similarity(), similarity(), similarity(25, 1.2, (60, 40)), similarity()]
    frames = [scene.show(t, seed=k) for k, t in enumerate(truth)]
    tracking = track(iter(frames), LANDMARKS)
    assert tracking.inliers.tolist()[2] == 0
    assert tracking.inliers[3] > 40


def test_a_face_without_texture_asks_for_landmarks_every_time() -> None:
    flat = np.full((HEIGHT, WIDTH), 80, dtype=np.uint8)
    shifts = [np.array([2.0 * k, -k]) for k in range(5)]
    tracking = track(iter([flat] * 5), LANDMARKS, lambda k: LANDMARKS + shifts[k])
    assert tracking.inliers.tolist() == [0] * 5
    assert tracking.residual_px == 0
    for transform, shift in zip(tracking.transforms, shifts, strict=True):
        np.testing.assert_allclose(apply(transform, LANDMARKS + shift), LANDMARKS, atol=1e-3)


def test_one_frame_is_aligned_to_itself() -> None:
    tracking = track([Scene().show(similarity())], LANDMARKS)
    assert tracking.transforms.shape == (1, 2, 3)
    assert tracking.residual_px == 0


def test_no_frames_or_frames_of_another_size_are_refused() -> None:
    frame = Scene().show(similarity())
    with pytest.raises(InputError, match="no frames to align"):
        track([], LANDMARKS)
    with pytest.raises(InputError, match=r"frame to align is \(299, 320\), expected \(300, 320\)"):
        track([frame, frame[1:]], LANDMARKS)


@pytest.mark.parametrize("shift", [[1000, 0], [0, -400], [1e12, 1e12]])
def test_landmarks_outside_the_frame_are_refused(shift: list[float]) -> None:
    with pytest.raises(InputError, match="too little of the 320×300 frame"):
        track([Scene().show(similarity())], LANDMARKS + np.array(shift))
