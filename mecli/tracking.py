"""Every frame brought back to the onset frame by points that are followed through the clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli.alignment import (
    LEFT_EYE,
    RIGHT_EYE,
    apply,
    checked_landmarks,
    from_landmarks,
    invert,
    similarity,
)
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike, NDArray

    Transform = NDArray[np.float32]
    Relocate = Callable[[int], NDArray[np.float32] | None]

cv2.setNumThreads(1)

_POINTS = 60
_FEWEST = 12
# Of the strongest corner. One glint makes all of a dark face weak beside it, though not blurred.
_QUALITIES = (0.005, 0.001)
_SMALLEST_PX = 32
_FORTH_AND_BACK_PX = 0.3
_SMOOTHED_FRAMES = 5


@dataclass(frozen=True, slots=True)
class Tracking:
    """How every frame lies against the onset frame, which is frame 0."""

    transforms: NDArray[np.float32]
    """(F, 2, 3) pixels of frame k → pixels of the onset frame; the first is the identity."""
    inliers: NDArray[np.int32]
    """(F,) points that agree with the transform; 0 where landmarks or neighbours stood in."""
    residual_px: float
    """Root mean square distance of the agreeing points after alignment, onset pixels."""


def track(
    frames: Iterable[NDArray[np.uint8]], landmarks: ArrayLike, relocate: Relocate | None = None
) -> Tracking:
    """Align gray `frames` (H, W) uint8 to their first, the onset frame with `landmarks` (68, 2).

    Corners of the upper face, away from eyelids and mouth, are followed from the onset
    frame to each frame by pyramidal Lucas-Kanade and back again; a similarity is fitted
    to those that return, outliers (local movements) rejected, and its parameters are
    smoothed over five frames by local parabolas. Where fewer than twelve points agree,
    `relocate(k)` may give the landmarks of frame k; if it is None or finds no face,
    the neighbours stand in. One frame at a time is held. Raises `InputError` for no frames,
    frames of unequal size or landmarks outside the frame.

    Sources: Bouguet 2001 (pyramidal LK); Shi, Tomasi, CVPR 1994, 10.1109/CVPR.1994.323794;
    Kalal, Mikolajczyk, Matas, ICPR 2010, 10.1109/ICPR.2010.675 (forth and back);
    Savitzky, Golay 1964, 10.1021/ac60214a047.
    """
    stream = iter(frames)
    onset = next(stream, None)
    if onset is None:
        raise InputError("no frames to align")
    points = checked_landmarks(landmarks)
    tracker = _Tracker(onset, points)
    found: list[Transform | None] = [np.eye(2, 3, dtype=np.float32)]
    inliers = [len(tracker.corners)]
    matches: list[NDArray[np.float32]] = [tracker.corners]
    for index, frame in enumerate(stream, start=1):
        transform, agreeing = tracker.follow(frame)
        if transform is None and relocate is not None:
            located = relocate(index)
            transform = None if located is None else from_landmarks(located, points)
        tracker.start_from(transform)
        found.append(transform)
        matches.append(agreeing)
        inliers.append(int(np.isfinite(agreeing[:, 0]).sum()))
    centre = points[27:36].mean(axis=0)
    transforms = _smooth(found, centre)
    return Tracking(
        transforms=transforms,
        inliers=np.array(inliers, dtype=np.int32),
        residual_px=_residual(tracker.corners, matches, transforms),
    )


class _Tracker:
    """The onset frame and its corners, cut to the surroundings of the face."""

    def __init__(self, onset: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> None:
        side = float(np.ptp(landmarks, axis=0).max())
        self._shape = onset.shape
        low, high = self._bounds(landmarks, 0.0)
        if (high - low).min() < _SMALLEST_PX or side > 10 * max(onset.shape):
            raise InputError(
                f"landmarks around x, y = {landmarks.mean(axis=0).round().tolist()} span too "
                f"little of the {onset.shape[1]}×{onset.shape[0]} frame to align a face"
            )
        self.corners = _corners(onset, landmarks, side)
        low, high = self._bounds(self.corners if len(self.corners) else landmarks, 0.3 * side)
        self._window = slice(low[1], high[1]), slice(low[0], high[0])
        self._onset = self._cut(onset)
        self._origin = low.astype(np.float32)
        self._local: NDArray[np.float32] = self.corners - self._origin
        self._guess = self._local
        patch = int(np.clip(side / 10, 9, 31)) | 1
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 0.005)
        self._lk: dict[str, Any] = {"winSize": (patch, patch), "maxLevel": 3, "criteria": stop}
        self._tolerance_px = max(0.3, side / 400)

    def _bounds(
        self, points: NDArray[Any], margin: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        height, width = self._shape
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        corners = np.clip([np.floor(low), np.ceil(high)], 0, [width, height]).astype(np.int64)
        return corners[0], corners[1]

    def follow(self, frame: NDArray[np.uint8]) -> tuple[Transform | None, NDArray[np.float32]]:
        """Return frame → onset and where the agreeing corners are in `frame`, NaN elsewhere."""
        if frame.shape != self._shape:
            raise InputError(f"frame to align is {frame.shape}, expected {self._shape}")
        agreeing = np.full_like(self._local, np.nan)
        if len(self._local) < _FEWEST:
            return None, agreeing
        area = self._cut(frame)
        there, ok, _ = cv2.calcOpticalFlowPyrLK(
            self._onset,
            area,
            self._local,
            self._guess.copy(),
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            **self._lk,
        )
        back, ok_back, _ = cv2.calcOpticalFlowPyrLK(
            area,
            self._onset,
            there,
            self._local.copy(),
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            **self._lk,
        )
        returned = np.hypot(*(back - self._local).T) < _FORTH_AND_BACK_PX
        kept = np.flatnonzero(returned & (ok[:, 0] == 1) & (ok_back[:, 0] == 1))
        kept = kept[self._agreeing(there[kept], self._local[kept])]
        if len(kept) < _FEWEST:
            return None, agreeing
        agreeing[kept] = there[kept] + self._origin
        return similarity(agreeing[kept], self.corners[kept]), agreeing

    def start_from(self, transform: Transform | None) -> None:
        """Look for the corners of the next frame where `transform` says they were."""
        if transform is None:
            self._guess = self._local
        else:
            self._guess = apply(invert(transform), self.corners) - self._origin

    def _agreeing(self, there: NDArray[Any], here: NDArray[Any]) -> NDArray[np.bool_]:
        # RANSAC draws from OpenCV's generator: seeded, a frame's result depends on nothing else.
        cv2.setRNGSeed(0)
        mask = None
        if len(there) >= _FEWEST:
            _, mask = cv2.estimateAffinePartial2D(
                there, here, method=cv2.RANSAC, ransacReprojThreshold=self._tolerance_px
            )
        return np.zeros(len(there), dtype=bool) if mask is None else np.asarray(mask[:, 0] == 1)

    def _cut(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(frame[self._window])


def _corners(
    onset: NDArray[np.uint8], landmarks: NDArray[np.float64], side: float
) -> NDArray[np.float32]:
    """Return up to 60 corners (N, 2) of forehead, temples, nose and upper cheeks."""
    mask = np.zeros(onset.shape, dtype=np.uint8)
    brows = landmarks[17:27]
    up = landmarks[27] - landmarks[33]
    outline = np.vstack([landmarks[[0, 1, 2]], landmarks[31:36], landmarks[[14, 15, 16]]])
    hull = np.vstack([outline, brows + 0.8 * up])
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(hull).astype(np.int32)), 255)
    margin = max(1, round(side / 30))
    for lids in (landmarks[LEFT_EYE], landmarks[RIGHT_EYE]):
        eye = np.zeros_like(mask)
        cv2.fillConvexPoly(eye, cv2.convexHull(np.rint(lids).astype(np.int32)), 255)
        mask[cv2.dilate(eye, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)) > 0] = 0
    found = np.zeros((0, 2), np.float32)
    for quality in _QUALITIES:
        corners = cv2.goodFeaturesToTrack(
            onset, _POINTS, qualityLevel=quality, minDistance=max(3.0, side / 22), mask=mask
        )
        found = found if corners is None else corners.reshape(-1, 2).astype(np.float32)
        if len(found) >= _FEWEST:
            break
    return found


def _smooth(found: list[Transform | None], centre: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return (F, 2, 3): gaps bridged, parameters smoothed, the first frame kept the identity.

    Parameters are the image of the face centre and the rotation and scale about it, so
    that noise in the angle does not shake the face.
    """
    known = np.array([k for k, t in enumerate(found) if t is not None])
    rows = np.array([t for t in found if t is not None], dtype=np.float64)
    moved = rows[:, :, :2] @ centre + rows[:, :, 2]
    track = np.column_stack([rows[:, 0, 0], rows[:, 1, 0], moved])
    every = range(len(found))
    filled = np.column_stack([np.interp(every, known, column) for column in track.T])
    weights = np.full(len(found), 0.1)
    weights[known] = 1.0
    weights[0] = 1e6
    smooth = np.array([_local_parabola(filled, weights, k) for k in every])
    turn = smooth[:, [0, 1, 1, 0]].reshape(-1, 2, 2) * [[1, -1], [1, 1]]
    shift = smooth[:, 2:] - turn @ centre
    transforms = np.concatenate([turn, shift[:, :, None]], axis=2).astype(np.float32)
    transforms[0] = np.eye(2, 3)
    return transforms


def _local_parabola(
    values: NDArray[np.float64], weights: NDArray[np.float64], place: int
) -> NDArray[np.float64]:
    reach = _SMOOTHED_FRAMES // 2
    near = slice(max(0, place - reach), place + reach + 1)
    steps = np.arange(near.start, min(near.stop, len(values))) - place
    basis = np.vander(steps.astype(np.float64), min(3, len(steps)), increasing=True)
    root = np.sqrt(weights[near])[:, None]
    fitted, *_ = np.linalg.lstsq(basis * root, values[near] * root, rcond=None)
    return np.asarray(fitted[0])


def _residual(
    corners: NDArray[np.float32], matches: list[NDArray[np.float32]], transforms: Transform
) -> float:
    squares = [
        ((apply(t, there) - corners) ** 2).sum(axis=1)
        for t, there in zip(transforms[1:], matches[1:], strict=True)
    ]
    every = np.concatenate(squares) if squares else np.zeros(0)
    every = every[np.isfinite(every)]
    return float(np.sqrt(every.mean())) if len(every) else 0.0
