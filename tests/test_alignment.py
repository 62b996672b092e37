from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mecli.alignment import compose, face_transform, from_landmarks, invert, track, warp
from mecli.errors import InputError
from mecli.rois import FACE_SIZE, ROI_BOXES, roi_boxes
from tests.test_rois import upright_landmarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

HEIGHT, WIDTH = 300, 320
CENTRE = np.array([160.0, 150.0])
LANDMARKS = (0.62 * (upright_landmarks() - [120, 140]) + CENTRE).astype(np.float32)


def similarity(
    angle_deg: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """The (2, 3) similarity about `CENTRE` that is followed by `shift`."""
    angle = np.deg2rad(angle_deg)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, CENTRE + shift - turn @ CENTRE])


def apply(transform: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(points @ transform[:, :2].T + transform[:, 2], dtype=np.float64)


class Scene:
    """A textured picture known at every real place, so that it moves without resampling."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        pace = 2 * np.pi / random.uniform(9, 60, 40)
        angle = random.uniform(0, 2 * np.pi, 40)
        self.waves = pace[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        self.phases = random.uniform(0, 2 * np.pi, 40)
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
        self.grid = np.stack([x, y], axis=-1).reshape(-1, 2)

    def show(
        self,
        to_onset: NDArray[np.float64],
        local: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
        noise: float = 1.0,
        seed: int = 0,
    ) -> NDArray[np.uint8]:
        """The frame whose pixels `to_onset` maps to the scene; `local` moves it there too."""
        places = apply(to_onset, self.grid)
        if local is not None:
            places = places - local(places)
        light = np.sin(places @ self.waves.T + self.phases).sum(axis=1).reshape(HEIGHT, WIDTH)
        grain = np.random.default_rng(seed).normal(0, noise, light.shape)
        return np.asarray(np.clip(np.rint(128 + 14 * light + grain), 0, 255), dtype=np.uint8)


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


def test_the_aligned_face_is_upright_and_fills_the_frame() -> None:
    for angle in (0.0, 20.0, -35.0, 170.0):
        source = apply(similarity(angle, 0.8, (30, -10)), LANDMARKS)
        face = apply(face_transform(source), source)
        eyes = face[42:48].mean(axis=0) - face[36:42].mean(axis=0)
        assert eyes[0] > 60
        assert abs(eyes[1]) < 1e-3
        brow, chin = min(face[18, 1], face[25, 1]), face[8, 1]
        assert 15 < brow < 40
        assert chin < FACE_SIZE[0]
        assert face[17, 0] > -1
        assert face[26, 0] < FACE_SIZE[1]
        np.testing.assert_allclose(roi_boxes(face), ROI_BOXES, atol=30)


def test_a_long_and_a_wide_face_are_letterboxed_alike() -> None:
    long = LANDMARKS * [1.0, 1.4]
    wide = LANDMARKS * [1.4, 1.0]
    height, width = FACE_SIZE
    for points in (long, wide):
        face = apply(face_transform(points), points)
        top, bottom = face[18, 1], face[8, 1]
        top -= 0.1 * (bottom - top)
        left, right = face[17, 0], face[26, 0]
        assert (left + right) / 2 == pytest.approx((width - 1) / 2, abs=1e-3)
        assert (top + bottom) / 2 == pytest.approx((height - 1) / 2, abs=1e-3)
        assert max((right - left) / width, (bottom - top) / height) == pytest.approx(1, abs=1e-3)


def test_points_that_are_no_face_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected \(68, 2\) finite pixels"):
        face_transform(np.zeros((5, 2)))
    with pytest.raises(InputError, match="eyes lie on one another"):
        face_transform(np.zeros((68, 2)))
    flat = LANDMARKS * [1.0, 1e-6]
    with pytest.raises(InputError, match="brows and chin"):
        face_transform(flat)
    with pytest.raises(InputError, match="lie on one another"):
        from_landmarks(np.zeros((68, 2)), LANDMARKS)


SIMILARITIES = st.builds(
    similarity,
    st.floats(-180, 180),
    st.floats(0.3, 3),
    st.tuples(st.floats(-200, 200), st.floats(-200, 200)),
)


@given(SIMILARITIES)
def test_landmarks_give_back_the_similarity_between_them(true: NDArray[np.float64]) -> None:
    moved = apply(true, LANDMARKS)
    np.testing.assert_allclose(apply(from_landmarks(moved, LANDMARKS), moved), LANDMARKS, atol=0.01)


def test_mouth_and_jaw_do_not_move_the_head() -> None:
    speaking = LANDMARKS.copy()
    speaking[48:] += (0, 12)
    speaking[:17] += (0, 9)
    np.testing.assert_allclose(from_landmarks(speaking, LANDMARKS), np.eye(2, 3), atol=1e-4)


@given(SIMILARITIES, SIMILARITIES)
def test_compose_does_the_inner_transform_first(
    outer: NDArray[np.float64], inner: NDArray[np.float64]
) -> None:
    both = compose(outer.astype(np.float32), inner.astype(np.float32))
    np.testing.assert_allclose(
        apply(both, LANDMARKS), apply(outer, apply(inner, LANDMARKS)), atol=0.02
    )


@given(SIMILARITIES)
def test_invert_undoes_a_transform(transform: NDArray[np.float64]) -> None:
    there = transform.astype(np.float32)
    np.testing.assert_allclose(compose(invert(there), there), np.eye(2, 3), atol=2e-2)


def test_a_flat_transform_cannot_be_undone() -> None:
    with pytest.raises(InputError, match="cannot be undone"):
        invert(np.zeros((2, 3), dtype=np.float32))


def test_warping_brings_a_moved_frame_back_onto_the_onset() -> None:
    scene, to_onset = Scene(), similarity(4, 1.03, (3.3, -2.7))
    onset, moved = (scene.show(t, noise=0) for t in (similarity(), to_onset))
    back = warp(moved, to_onset.astype(np.float32), (HEIGHT, WIDTH))
    inner = (back.astype(int) - onset)[30:-30, 30:-30]
    assert np.abs(inner).mean() < 2


def test_warping_keeps_colour_and_repeats_the_border() -> None:
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[..., 1] = 200
    face = warp(image, similarity(shift=(500, 500)).astype(np.float32))
    assert face.shape == (*FACE_SIZE, 3)
    assert (face == [0, 200, 0]).all()


def test_shrinking_averages_detail_away() -> None:
    board = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    quarter = np.array([[0.25, 0, 0.1], [0, 0.25, 0.1]], dtype=np.float32)
    assert warp(board, quarter, (100, 100)).std() < 10
