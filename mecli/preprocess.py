"""One clip in, one record out: face, landmarks, alignment, steps, flow. No cache, no processes.

The face is found once, on the onset frame. Every later frame is aligned to it by tracked
points, mapped into the upright 240×280 face, and compared with the onset frame by dense
flow at half that size. Where tracking loses the face, the landmarker is asked again.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from scipy.signal import find_peaks

from mecli import magnification, registry
from mecli.alignment import Tracking, compose, face_transform, invert, track, warp
from mecli.errors import InputError, UsageError
from mecli.flow import dense_flow, reduce, remove_head_motion
from mecli.flow_images import record_of_images
from mecli.records import ClipRecord
from mecli.rois import FACE_SIZE, crop_rois, roi_boxes
from mecli.video import Frame, probe, read_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from mecli.clips import Clip
    from mecli.interfaces import Face, Landmarker

GRID = (70, 60)
"""Rows and columns of the flow that is kept: one cell is 4×4 pixels of the face."""

_FLOW_SIZE = (FACE_SIZE[0] // 2, FACE_SIZE[1] // 2)
_CURVE_SIZE = GRID
_CURVE_POINTS = 24
_MARGIN = 0.4
_MAX_PIXEL_BYTES = 1 << 30
_CURVE_SHARE = 0.98
_PROMINENCE = 0.25


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides a record besides the clip itself; stored in every cache and checkpoint."""

    steps: int = 16
    temporal: str = "uniform"
    flow: str = "dis"
    landmarks: str = "embedded"
    images: tuple[int, ...] = (0,)
    """Which images of a clip make its sequence, where a corpus holds flow images."""
    magnify: str = magnification.NONE
    """Method and strength of motion magnification, as ``lagrangian:5``."""

    def __post_init__(self) -> None:
        if not self.images or min(self.images) < 0:
            raise UsageError(f"--images is {self.images}, expected numbers from 0")
        registry.check_name("temporal normalisation", self.temporal)
        registry.check_name("flow", self.flow)
        registry.check_name("landmarker", self.landmarks)
        magnification.parse(self.magnify)
        if not 2 <= self.steps <= 512:
            raise UsageError(f"--steps is {self.steps}, expected 2 to 512")

    def as_options(self) -> dict[str, Any]:
        """Return the recipe as the cache stores it."""
        return {**asdict(self), "images": list(self.images)}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Recipe:
        """Return the recipe that a cache or checkpoint stores; `InputError` if it is none."""
        try:
            return cls(**{**options, "images": tuple(options["images"])})
        except (KeyError, TypeError) as error:
            raise InputError(
                f"extraction options {dict(options)} are not those of a clip"
            ) from error


@dataclass(slots=True)
class Stopwatch:
    """CPU seconds spent per stage of one clip."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to stage `name`."""
        start = time.process_time()
        try:
            yield
        finally:
            spent = time.process_time() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent


@dataclass(slots=True)
class _Footage:
    """The frames from onset to offset, cut down to the surroundings of the face."""

    face: Face
    corner: NDArray[np.float32]
    crops: list[NDArray[np.uint8]]
    times_s: list[float | None]
    first: int

    @property
    def landmarks(self) -> NDArray[np.float32]:
        return self.face.landmarks - self.corner


@dataclass(frozen=True, slots=True)
class Interval:
    """Frame positions in the clip, 0-based and inclusive; None is the first or last frame."""

    onset: int | None
    apex: int | None
    offset: int | None


def preprocess(
    clip: Clip, recipe: Recipe, landmarker: Landmarker, watch: Stopwatch | None = None
) -> ClipRecord:
    """Return the record of `clip`; raise `InputError` naming what is wrong with it.

    Unknown onset and offset are the first and last frame; an unknown apex is the frame
    with the most motion since the onset. All three are marked as estimated then.
    """
    if clip.frames == ():
        raise InputError(f"clip {clip.clip_id}: no frames on disk; {'; '.join(clip.issues)}")
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
    interval = _checked_interval(clip, issues)
    footage = _read(clip, interval, landmarker, watch)
    count = len(footage.crops)
    last = footage.first + count - 1
    _check_end(clip, interval, last, issues)
    with watch.stage("align"):
        tracking = _track(footage, landmarker)
        to_face = face_transform(footage.landmarks)
        transforms = np.stack([compose(to_face, t) for t in tracking.transforms])
    with watch.stage("curve"):
        curve = _curve(footage, transforms)
    known_apex = interval.apex is not None and interval.apex <= last
    apex = interval.apex if known_apex else footage.first + _peak(curve)
    assert apex is not None
    arrays = _measure(footage, transforms, apex - footage.first, recipe, watch)
    with watch.stage("landmarks"):
        points, positions = _landmarks(footage, landmarker, apex)
    return ClipRecord(
        clip_id=clip.clip_id,
        corpus=clip.corpus,
        subject=clip.subject,
        name=clip.name,
        source=clip.location,
        labels=dict(clip.labels),
        fps=clip.fps or _fps(clip, footage),
        onset=footage.first,
        apex=apex,
        offset=last,
        onset_estimated=clip.onset is None,
        apex_estimated=not known_apex,
        offset_estimated=clip.offset is None,
        first_frame=footage.first,
        frame_count=count,
        landmarker=landmarker.name,
        quality=_quality(footage, tracking, transforms),
        issues=tuple(issues),
        landmarks=points,
        landmark_positions=positions,
        transforms=(transforms @ _shift(footage.corner)).astype(np.float32),
        curve=curve,
        **arrays,
    )


def _checked_interval(clip: Clip, issues: list[str]) -> Interval:
    onset, apex, offset = clip.onset, clip.apex, clip.offset
    start = onset or 0
    if offset is not None and offset <= start:
        raise InputError(
            f"clip {clip.clip_id}: offset {offset} is not after onset {start}; "
            "a clip needs two frames or more"
        )
    if apex is not None and (apex < start or (offset is not None and apex > offset)):
        issues.append(f"apex {apex} lies outside onset {start} to offset {offset}: estimated")
        apex = None
    elif apex == start:
        issues.append("apex equals onset: estimated")
        apex = None
    return Interval(onset, apex, offset)


def _check_end(clip: Clip, interval: Interval, last: int, issues: list[str]) -> None:
    if interval.offset is not None and last < interval.offset:
        issues.append(f"offset {interval.offset} lies behind the last frame {last}: cut there")
    if interval.apex is not None and last < interval.apex:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: annotation names apex frame {interval.apex}, "
            f"but the last frame is {last}; check the sheet against the frames"
        )


def _read(clip: Clip, interval: Interval, landmarker: Landmarker, watch: Stopwatch) -> _Footage:
    start = interval.onset or 0
    frames = _timed(read_frames(clip.frames, start, interval.offset), watch)
    first = next(frames, None)
    if first is None:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: annotation names onset frame {start}, "
            "but the clip ends before it; check the sheet against the frames"
        )
    with watch.stage("landmarks"):
        faces = landmarker.find(first.image[None], clip, [first.position])[0]
    if not faces:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: no face found in onset frame {start}"
        )
    x0, y0, x1, y1 = _surroundings(faces[0], first.image.shape[:2])
    footage = _Footage(faces[0], np.array([x0, y0], dtype=np.float32), [], [], first.position)
    room = _MAX_PIXEL_BYTES // ((x1 - x0) * (y1 - y0) * 3)
    for frame in _chain(first, frames):
        if len(footage.crops) >= room:
            raise InputError(
                f"{clip.location}: clip {clip.clip_id}: more than {room} frames from onset to "
                "offset; a micro-expression lasts half a second, so name its onset and offset"
            )
        footage.crops.append(np.ascontiguousarray(frame.image[y0:y1, x0:x1]))
        footage.times_s.append(frame.time_s)
    if len(footage.crops) < 2:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: one frame only; expected two or more "
            "from onset to offset"
        )
    return footage


def _timed(frames: Iterator[Frame], watch: Stopwatch) -> Iterator[Frame]:
    while True:
        with watch.stage("decode"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _chain(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from rest


def _surroundings(face: Face, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of the face and what it may drift into, inside the frame."""
    low, high = face.landmarks.min(axis=0), face.landmarks.max(axis=0)
    margin = _MARGIN * float((high - low).max())
    x0, y0 = np.maximum(np.floor(low - margin), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(high + margin), [shape[1], shape[0]]).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


def _track(footage: _Footage, landmarker: Landmarker) -> Tracking:
    def relocate(index: int) -> NDArray[np.float32] | None:
        faces = landmarker.find(footage.crops[index][None])[0]
        return faces[0].landmarks if faces else None

    return track(map(_gray, footage.crops), footage.landmarks, relocate)


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


def _gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _gray_face(
    crop: NDArray[np.uint8], transform: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.uint8]:
    return warp(_gray(crop), _scaled(transform, size), size)


def _curve(footage: _Footage, transforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (F,) the motion since the first frame, face pixels: a high quantile over cells.

    Measured on `_CURVE_POINTS` frames at most and interpolated between them.
    """
    engine: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
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


def _peak(curve: NDArray[np.float32]) -> int:
    """Return the index where the smoothed `curve` stands out most, never the first.

    A peak counts by its prominence, so that slow drift towards the end of a clip does not
    win over a short movement; without a peak (a face that stays moved) it is the maximum.
    """
    width = max(1, len(curve) // 12)
    kernel = np.ones(2 * width + 1) / (2 * width + 1)
    smooth = np.convolve(np.pad(curve, width, mode="edge"), kernel, mode="valid")
    peaks, about = find_peaks(smooth, prominence=_PROMINENCE * float(np.ptp(smooth)) + 1e-6)
    if len(peaks):
        return int(peaks[np.argmax(about["prominences"])])
    return 1 + int(np.argmax(smooth[1:]))


def _measure(
    footage: _Footage,
    transforms: NDArray[np.float32],
    apex: int,
    recipe: Recipe,
    watch: Stopwatch,
) -> dict[str, Any]:
    """Return the steps with their ROI pictures and flow, and the flow of frame `apex`."""
    count = len(footage.crops)
    with watch.stage("warp"):
        weights = registry.load("temporal normalisation", recipe.temporal)(count, recipe.steps)
        used = np.flatnonzero(np.abs(weights).max(axis=0) > 1e-6)
        faces = np.stack([warp(footage.crops[k], transforms[k]) for k in used])
        steps = _mix(weights[:, used], faces)
        apex_face = warp(footage.crops[apex], transforms[apex])
        onset_face = warp(footage.crops[0], transforms[0])
    if recipe.magnify != magnification.NONE:
        with watch.stage("magnify"):
            magnify = partial(magnification.magnify, recipe.magnify, onset_face)
            steps, apex_face = np.stack([magnify(face) for face in steps]), magnify(apex_face)
    with watch.stage("warp"):
        boxes = roi_boxes(_apply(transforms[0], footage.landmarks))
        roi_frames = np.stack([crop_rois(face, boxes) for face in steps])
    with watch.stage("flow"):
        reference = _half(onset_face)
        flow = [_flow(reference, _half(face), recipe.flow) for face in (*steps, apex_face)]
    return {
        "flow": np.stack(flow[:-1]),
        "apex_flow": flow[-1],
        "roi_frames": roi_frames,
        "roi_boxes": boxes,
        "steps": footage.first + np.linspace(0, count - 1, recipe.steps, dtype=np.float32),
    }


def _mix(weights: NDArray[np.float32], faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    flat = faces.reshape(len(faces), -1).astype(np.float32)
    mixed = np.clip(np.rint(weights @ flat), 0, 255).reshape(len(weights), *faces.shape[1:])
    return np.asarray(mixed, dtype=np.uint8)


def _half(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small = cv2.resize(_gray(face), _FLOW_SIZE[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def _flow(
    reference: NDArray[np.uint8], frame: NDArray[np.uint8], method: str
) -> NDArray[np.float32]:
    unit = FACE_SIZE[0] / _FLOW_SIZE[0]
    return remove_head_motion(reduce(dense_flow(reference, frame, method), GRID)) * unit


def _apply(transform: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    return (points @ transform[:, :2].T + transform[:, 2]).astype(np.float32)


def _landmarks(
    footage: _Footage, landmarker: Landmarker, apex: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    rows, positions = [footage.face.landmarks], [footage.first]
    faces = landmarker.find(footage.crops[apex - footage.first][None])[0]
    if faces:
        rows.append(faces[0].landmarks + footage.corner)
        positions.append(apex)
    return np.stack(rows).astype(np.float32), np.array(positions, dtype=np.int32)


def _fps(clip: Clip, footage: _Footage) -> float | None:
    times = [t for t in footage.times_s if t is not None]
    if len(times) == len(footage.times_s) and times[-1] > times[0]:
        return (len(times) - 1) / (times[-1] - times[0])
    return probe(clip.frames).fps


def _quality(
    footage: _Footage, tracking: Tracking, transforms: NDArray[np.float32]
) -> dict[str, float]:
    scale = float(np.sqrt(abs(np.linalg.det(transforms[0][:, :2]))))
    nose = footage.landmarks[30]
    back = np.stack([_apply(invert(t), _apply(transforms[0], nose[None]))[0] for t in transforms])
    return {
        "detection": float(footage.face.score),
        "face_px": float(np.linalg.norm(footage.landmarks[16] - footage.landmarks[0])),
        "residual_px": float(tracking.residual_px) * scale,
        "inliers": float(np.mean(tracking.inliers)),
        "head_motion_px": float(np.linalg.norm(back - back[0], axis=1).max()) * scale,
    }
