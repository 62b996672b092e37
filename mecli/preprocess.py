"""One clip in, one record out: face, landmarks, alignment, steps, flow. No cache, no processes.

The face is found once, on the onset frame. Every later frame is aligned to it by tracked
points, mapped into the upright 240×280 face, and compared with the onset frame by dense
flow at half that size. Where tracking loses the face, the landmarker is asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli import magnification, quality
from mecli.alignment import apply, compose, face_transform, gray, warp
from mecli.corpora.frames import missing_numbers
from mecli.errors import InputError
from mecli.flow_images import record_of_images
from mecli.footage import (
    Footage,
    Stopwatch,
    check_end,
    checked_interval,
    measured_fps,
    read_footage,
)
from mecli.records import ClipRecord, described
from mecli.rois import FACE_SIZE
from mecli.steps import EVERYTHING, GRID, Aligned, Need, measure
from mecli.temporal import summit
from mecli.tracking import Tracking, track

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mecli.clips import Clip
    from mecli.interfaces import Face, Landmarker
    from mecli.pictures import Frame
    from mecli.recipe import Recipe

_CURVE_SIZE = GRID
_CURVE_POINTS = 20
_CURVE_SHARE = 0.98
_TRACKED_FPS = 60.0
"""Heads are slow: faster videos are tracked on every second frame, or third, and so on."""


def preprocess(
    clip: Clip,
    recipe: Recipe,
    landmarker: Landmarker,
    watch: Stopwatch | None = None,
    face: int | NDArray[np.float32] = 0,
    frames: Iterator[Frame] | None = None,
    need: Need = EVERYTHING,
) -> ClipRecord:
    """Return the record of `clip`; raise `InputError` naming what is wrong with it.

    `face` is the place among the faces of the onset frame, the largest first, or where in
    it the middle (2,) of the face is expected, pixels. `frames` are those from onset to
    offset where somebody reads the clip already. What is beyond `need` is left out.

    Unknown onset and offset are the first and last frame; an unknown apex is the frame
    with the most motion since the onset. All three are marked as estimated then.
    """
    if clip.pixels == ():
        reasons = dict.fromkeys(("no frames on disk", *clip.issues))
        raise InputError(f"clip {clip.clip_id}: {'; '.join(reasons)}")
    watch = watch or Stopwatch()
    if clip.holds_flow:
        if recipe.magnify != magnification.NONE:
            raise InputError(
                f"clip {clip.clip_id}: holds flow, not faces, so that --magnify "
                f"{recipe.magnify} cannot be done; leave it away"
            )
        with watch.stage("decode"):
            return record_of_images(clip, recipe.images)
    issues = list(clip.issues)
    interval = checked_interval(clip, issues)
    footage = read_footage(clip, interval, landmarker, watch, face, frames)
    count = len(footage.crops)
    last = footage.first + count - 1
    check_end(clip, interval, last, issues)
    with watch.stage("align"):
        followed = _followed(count, clip.fps or measured_fps(clip, footage))
        tracking = _track(footage, landmarker, followed)
        to_face = face_transform(footage.landmarks)
        known = np.stack([compose(to_face, t) for t in tracking.transforms])
        transforms = _between(known, followed, count)
    with watch.stage("curve"):
        curve = _curve(footage, transforms)
    known_apex = interval.apex is not None and interval.apex <= last
    apex = interval.apex if known_apex else footage.first + summit(curve)
    assert apex is not None
    aligned = Aligned(footage, transforms, apex - footage.first)
    try:
        arrays = measure(aligned, recipe, need, watch)
    except InputError as error:
        raise InputError(f"{clip.location}: clip {clip.clip_id}: {error}") from error
    with watch.stage("landmarks"):
        points, positions = _landmarks(footage, landmarker, apex if need.pictures else None)
    return ClipRecord(
        **described(clip),
        fps=clip.fps or measured_fps(clip, footage),
        onset=footage.first,
        apex=apex,
        offset=last,
        onset_estimated=clip.onset is None,
        apex_estimated=not known_apex,
        offset_estimated=clip.offset is None,
        first_frame=footage.first,
        frame_count=count,
        landmarker=landmarker.name,
        quality=_quality(clip, footage, tracking, transforms),
        issues=tuple(issues),
        landmarks=points,
        landmark_positions=positions,
        transforms=(transforms @ _shift(footage.corner)).astype(np.float32),
        curve=curve,
        **arrays,
    )


def _followed(count: int, fps: float | None) -> NDArray[np.int64]:
    """Return the positions of the frames to track: as many a second as a head needs."""
    step = max(1, int((fps or 0.0) / _TRACKED_FPS))
    return np.unique([*range(0, count, step), count - 1])


def _between(
    transforms: NDArray[np.float32], positions: NDArray[np.int64], count: int
) -> NDArray[np.float32]:
    """Return (count, 2, 3): every point moves evenly between the frames that were tracked."""
    columns = transforms.reshape(len(positions), -1).T
    every = [np.interp(np.arange(count), positions, column) for column in columns]
    return np.stack(every, axis=1).reshape(count, 2, 3).astype(np.float32)


def _track(footage: Footage, landmarker: Landmarker, followed: NDArray[np.int64]) -> Tracking:
    crops = [footage.crops[k] for k in followed]

    def relocate(index: int) -> NDArray[np.float32] | None:
        return _nearest(landmarker.find(crops[index][None])[0], footage)

    return track(map(gray, crops), footage.landmarks, relocate)


def _nearest(faces: list[Face], footage: Footage) -> NDArray[np.float32] | None:
    """Return the landmarks (68, 2) of the face that lies nearest to where the onset has it."""
    here = footage.landmarks.mean(axis=0)
    found = [face.landmarks for face in faces]
    return min(found, key=lambda points: float(np.hypot(*(points.mean(0) - here))), default=None)


def _shift(corner: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 3×3 map from pixels of the source frame to pixels of the crop."""
    matrix = np.eye(3, dtype=np.float32)
    matrix[:2, 2] = -corner
    return matrix


def _scaled(transform: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return `transform` into the 240×280 face changed to lead into a face of `size`."""
    factor = size[0] / FACE_SIZE[0]
    scaled = transform * factor
    # Pixel centres, not corners, keep their place: x' + ½ = factor · (x + ½).
    scaled[:, 2] += (factor - 1) / 2
    return scaled.astype(np.float32)


def _gray_face(
    crop: NDArray[np.uint8], transform: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.uint8]:
    return warp(gray(crop), _scaled(transform, size), size)


def _curve(footage: Footage, transforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (F,) the motion since the first frame, face pixels: a high quantile over cells.

    Measured on `_CURVE_POINTS` frames at most and interpolated between them.
    """
    engine: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    unit = FACE_SIZE[0] / _CURVE_SIZE[0]
    reference = _gray_face(footage.crops[0], transforms[0], _CURVE_SIZE)
    count = len(footage.crops)
    measured = np.unique(np.linspace(0, count - 1, min(count, _CURVE_POINTS)).round().astype(int))
    heights = [0.0]
    for k in measured[1:]:
        frame = _gray_face(footage.crops[k], transforms[k], _CURVE_SIZE)
        flow = engine.calc(reference, frame, None)
        flow -= np.median(flow, axis=(0, 1))
        heights.append(np.quantile(np.hypot(flow[..., 0], flow[..., 1]), _CURVE_SHARE) * unit)
    return np.interp(np.arange(count), measured, heights).astype(np.float32)


def _landmarks(
    footage: Footage, landmarker: Landmarker, apex: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the landmarks (M, 68, 2) at the onset and at `apex`, if asked for, and where."""
    rows, positions = [footage.face.landmarks], [footage.first]
    if apex is None:
        return np.stack(rows), np.array(positions, dtype=np.int32)
    found = _nearest(landmarker.find(footage.crops[apex - footage.first][None])[0], footage)
    if found is not None:
        rows.append(found + footage.corner)
        positions.append(apex)
    return np.stack(rows).astype(np.float32), np.array(positions, dtype=np.int32)


def _missing(clip: Clip, footage: Footage) -> int:
    """Return how many frames lack from onset to offset, by their time stamps or file names."""
    if isinstance(clip.pixels, tuple):
        return missing_numbers(clip.pixels[footage.first :][: len(footage.crops)])
    return quality.missing_frames(footage.times_s)


def _quality(
    clip: Clip, footage: Footage, tracking: Tracking, transforms: NDArray[np.float32]
) -> dict[str, float]:
    scale = float(np.sqrt(abs(np.linalg.det(transforms[0][:, :2]))))
    nose = footage.landmarks[30]
    there = apply(transforms[0], nose[None])[0]
    # Where a frame shows the point that `transform` leads to `there`.
    back = np.linalg.solve(transforms[:, :, :2], (there - transforms[:, :, 2])[..., None])[..., 0]
    return {
        "detection": float(footage.face.score),
        "face_px": float(np.linalg.norm(footage.landmarks[16] - footage.landmarks[0])),
        "residual_px": float(tracking.residual_px) * scale,
        "inliers": float(np.mean(tracking.inliers)),
        "head_motion_px": float(np.linalg.norm(back - back[0], axis=1).max()) * scale,
        "faces": float(footage.faces),
        "lost": float(np.mean(tracking.inliers[1:] == 0)),
        "missing": float(_missing(clip, footage)),
        "repeated": quality.repeated_frames(footage.crops) / (len(footage.crops) - 1),
        "blockiness": quality.blockiness(gray(footage.crops[0]), footage.corner),
    }
