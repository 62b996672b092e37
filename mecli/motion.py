"""A long video as a stream: how far each region of the face has moved, frame after frame.

The face is found anew every two seconds, sooner where it was not there. The frames of such a
stretch are aligned to its first one by tracked points and compared with it by dense flow at
half size; what the head does is taken out and kept beside. The first frame of a stretch is the
last one of the stretch before, so that displacements join up. One stretch of frames is held at
a time.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from mecli.alignment import apply, compose, face_transform, gray, warp
from mecli.corpora.frames import missing_numbers
from mecli.errors import InputError
from mecli.flow import reduce
from mecli.following import People
from mecli.head_motion import remove_rigid_motion
from mecli.quality import missing_frames
from mecli.rois import FACE_SIZE
from mecli.tracking import track
from mecli.video import read_every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from mecli.clips import Clip
    from mecli.interfaces import Landmarker
    from mecli.pictures import Frame
    from mecli.records import ClipRecord

    Gray = NDArray[np.uint8]

REGIONS: dict[str, tuple[int, ...]] = {
    "left_outer_brow": (17, 18, 19),
    "left_inner_brow": (20, 21),
    "right_inner_brow": (22, 23),
    "right_outer_brow": (24, 25, 26),
    "left_eye": (36, 37, 38, 39, 40, 41),
    "right_eye": (42, 43, 44, 45, 46, 47),
    "left_nostril": (31, 31, 40),
    "right_nostril": (35, 35, 47),
    "left_mouth_corner": (48,),
    "right_mouth_corner": (54,),
    "upper_lip": (50, 51, 52),
    "lower_lip": (56, 57, 58),
    "chin": (57, 8),
}
"""The landmarks each region is centred on; a box of 28 pixels of the 240×280 face."""

LIDS = tuple(list(REGIONS).index(name) for name in ("left_eye", "right_eye"))
"""Places of the regions that a blink moves."""

ANALYSED_FPS = 30.0
"""Frames a second that are looked at, at least; up to twice as many."""

_STRETCH_S, _ABSENT_S = 2.0, 0.2
"""Seconds after which a face is looked for again: one that was found, one that was not."""
_GRID = (35, 30)
_HALF_BOX_PX = 14.0
_COLUMNS = 2 * len(REGIONS) + 6
_SIZE = (FACE_SIZE[0] // 2, FACE_SIZE[1] // 2)


@dataclass(frozen=True, slots=True)
class Motion:
    """How the regions of one face move through a video."""

    displacement: NDArray[np.float32]
    """(T, R, 2) pixels of the 240×280 face since the first frame: dx right, dy down."""
    head: NDArray[np.float32]
    """(T, 6) how the head moved since then: x, y in the same pixels, roll in hundredths of a
    radian, size in per cent, and by how many pixels yaw and pitch shift what is half a face
    width nearer."""
    seen: NDArray[np.bool_]
    """(T,) whether a face was there to be measured; nothing moves where it was not."""
    face_px: float
    """From ear to ear where the face was first seen, pixels of the video."""
    centre: NDArray[np.float32]
    """(T, 2) pixels of the video: the middle of the face where it was looked for last; NaN
    where it was not there."""
    outline: NDArray[np.float32]
    """(T, 4, 2) pixels of the video: the corners of the upright face; NaN where it was not seen."""
    faces: int
    """How many people there are at least a tenth as often as the one who is most."""
    people: int
    """How many people there are at all."""
    step: int
    """Every how manieth frame of the video was looked at."""
    frame_count: int
    """Frames of the video."""
    missing: int
    """Frames that the video lacks by its time stamps, or by the names of its image files."""


def measure(
    clip: Clip,
    fps: float,
    landmarker: Landmarker,
    face: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Motion:
    """Return how each of `REGIONS` moves through `clip`, decoded once, in bounded memory.

    `face` is whose, in the order of `mecli.following.People`. `progress` is told after each
    stretch how many frames are done. Raises `InputError` for a video that cannot be
    decoded, has fewer than two frames or never shows that face.
    """
    step = max(1, int(fps / ANALYSED_FPS))
    length = max(2, round(_STRETCH_S * fps / step))
    look = _Look(clip, landmarker, face, length, max(1, round(_ABSENT_S * fps / step)))
    last = -1
    times_s: list[float | None] = []

    def looked_at() -> Iterator[Frame]:
        nonlocal last
        for frame in read_every(clip.pixels, step):
            last = frame.position
            if last % step == 0:
                times_s.append(frame.time_s)
                yield frame

    parts: list[NDArray[np.float32]] = []
    seen: list[bool] = []
    here = np.zeros(_COLUMNS, np.float32)
    centres: list[NDArray[np.float32]] = []
    outlines: list[NDArray[np.float32]] = []
    face_px = 0.0

    for found, grays in _stretches(looked_at(), look):
        if found is not None and not face_px:
            face_px = float(np.hypot(*(found[16] - found[0])))
        moved, there, outline = _moved(grays, found)
        fresh = slice(1 if parts else 0, None)
        parts.append((here + moved)[fresh])
        seen += there[fresh]
        outlines.append(outline[fresh])
        middle = np.full(2, np.nan, np.float32) if found is None else found.mean(axis=0)
        centres.append(np.repeat(middle[None], len(there[fresh]), axis=0))
        here = here + moved[-1]
        if progress is not None:
            progress(last + 1)
    where = f"{clip.location}: clip {clip.clip_id}"
    if len(seen) < 2:
        raise InputError(f"{where}: {last + 1} frame(s) only, too few to be searched")
    if not any(seen):
        raise InputError(f"{where}: no {f'face {face + 1}' if face else 'face'} found in any of it")
    moved, regions = np.concatenate(parts), 2 * len(REGIONS)
    displacement = moved[:, :regions].reshape(len(moved), -1, 2)
    return Motion(
        displacement,
        moved[:, regions:],
        np.array(seen),
        face_px,
        np.concatenate(centres),
        np.concatenate(outlines),
        sum(10 * frames >= max(look.often.values()) for frames in look.often.values()),
        len(look.often),
        step,
        last + 1,
        _missing(clip, times_s, step),
    )


def _missing(clip: Clip, times_s: list[float | None], step: int) -> int:
    if isinstance(clip.pixels, tuple):
        return missing_numbers(clip.pixels)
    return missing_frames(times_s, step)


class _Look:
    """Looks for everybody, above all for face number `face`, and says when to look again."""

    def __init__(
        self, clip: Clip, landmarker: Landmarker, face: int, there: int, absent: int
    ) -> None:
        """Look again after that many frames if the face is `there`, or `absent`."""
        self._find, self._clip, self._face = landmarker.find, clip, face
        self._frames, self._people = (absent, there), People()
        self.often: Counter[int] = Counter()
        """For how many frames each person was there, by their number."""

    def __call__(self, frame: Frame) -> tuple[NDArray[np.float32] | None, int]:
        """Return where the face is, if it is there, and the frames until the next look."""
        faces = self._find(frame.image[None], self._clip, [frame.position])[0]
        everybody = self._people.follow([one.landmarks for one in faces])
        found = everybody[self._face] if self._face < len(everybody) else None
        frames = self._frames[found is not None]
        self.often.update({k: frames for k, one in enumerate(everybody) if one is not None})
        return found, frames


def _stretches(
    frames: Iterator[Frame], look: _Look
) -> Iterator[tuple[NDArray[np.float32] | None, list[Gray]]]:
    """Yield where the face is in the first frame of each stretch, and its gray images.

    Each has one frame more than `look` says, with which the next one starts.
    """
    first = next(frames, None)
    grays = [] if first is None else [gray(first.image)]
    found, length = None, 0
    for frame in frames:
        if first is not None:
            (found, length), first = look(first), None
        grays.append(gray(frame.image))
        if len(grays) > length:
            yield found, grays
            first, grays = frame, grays[-1:]
    if len(grays) > 1:
        yield found, grays


class _Followed(NamedTuple):
    """A face through one stretch of F frames."""

    moved: NDArray[np.float32]
    """(F, 2R + 6) `displacement` and `head`."""
    there: list[bool]
    outline: NDArray[np.float32]
    """(F, 4, 2)."""


def _moved(grays: list[Gray], landmarks: NDArray[np.float32] | None) -> _Followed:
    """Return how the face moved through a stretch; it has none if there are no `landmarks`."""
    if landmarks is not None:
        # What was found may be no face that can be aligned: that stretch has none, then.
        with suppress(InputError):
            return _followed_through(grays, landmarks)
    nowhere = np.full((len(grays), 4, 2), np.nan, np.float32)
    return _Followed(np.zeros((len(grays), _COLUMNS), np.float32), [False] * len(grays), nowhere)


def _followed_through(grays: list[Gray], landmarks: NDArray[np.float32]) -> _Followed:
    to_face = face_transform(landmarks)
    points = apply(to_face, landmarks)
    # Half the size; pixel centres keep their place: x' + ½ = (x + ½) / 2.
    half = (to_face * 0.5).astype(np.float32)
    half[:, 2] -= 0.25
    tracking = track(grays, landmarks)
    transforms = [compose(half, t) for t in tracking.transforms]
    there = [True, *(tracking.inliers[1:] > 0).tolist()]
    engine: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    reference = warp(grays[0], transforms[0], _SIZE)
    flows = [np.zeros((*_GRID, 2), np.float32)]
    for image, transform, tracked in zip(grays[1:], transforms[1:], there[1:], strict=True):
        if not tracked:
            flows.append(flows[-1])
            continue
        flow = engine.calc(reference, warp(image, transform, _SIZE), None)
        flows.append(reduce(flow, _GRID) * 2)
    left, turned = remove_rigid_motion(np.stack(flows), points)
    regions = region_weights(points) @ left.reshape(len(flows), -1, 2)
    head = np.hstack([_head(np.stack(transforms)), turned])
    moved = np.hstack([regions.reshape(len(flows), -1), head]).astype(np.float32)
    return _Followed(moved, there, _outline(np.stack(transforms), there))


def _outline(transforms: NDArray[np.float32], there: list[bool]) -> NDArray[np.float32]:
    """Return (F, 4, 2) where each frame shows the corners of the upright face, NaN if not."""
    height, width = _SIZE
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    shifted = corners - transforms[:, None, :, 2]
    places = np.linalg.solve(transforms[:, None, :, :2], shifted[..., None])[..., 0]
    places[~np.array(there)] = np.nan
    return places.astype(np.float32)


def moved_px(record: ClipRecord) -> float:
    """Return how far the region that moves most has gone at the apex, pixels of the 240×280 face.

    The head's own motion is out of the flow; a region's mean leaves little of its noise.
    """
    points = apply(record.transforms[0], record.landmarks[0])
    cells = reduce(record.apex_flow, _GRID).reshape(-1, 2)
    return float(np.linalg.norm(region_weights(points) @ cells, axis=1).max())


def _head(transforms: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (F, 4) where the face has gone: x, y face pixels, roll 1/100 rad, size per cent."""
    turn, shift = transforms[:, :, :2].astype(np.float64), transforms[:, :, 2]
    scale = np.sqrt(np.abs(np.linalg.det(turn)))
    middle = (np.array(_SIZE[::-1]) - 1) / 2
    place = np.linalg.solve(turn, (middle - shift)[..., None])[..., 0] * 2 * scale[0]
    roll = 100 * np.arctan2(turn[:, 1, 0], turn[:, 0, 0])
    rows = np.column_stack([place, -roll, -100 * np.log(scale)])
    return np.asarray(rows - rows[0])


def region_weights(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (R, cells) weights that average the flow map over the box of each region."""
    height, width = _GRID
    unit = FACE_SIZE[0] / height
    y, x = np.mgrid[:height, :width] * unit + (unit - 1) / 2
    rows = []
    for members in REGIONS.values():
        cx, cy = points[list(members)].mean(axis=0)
        cx = np.clip(cx, _HALF_BOX_PX, FACE_SIZE[1] - 1 - _HALF_BOX_PX)
        cy = np.clip(cy, _HALF_BOX_PX, FACE_SIZE[0] - 1 - _HALF_BOX_PX)
        inside = (np.abs(x - cx) <= _HALF_BOX_PX) & (np.abs(y - cy) <= _HALF_BOX_PX)
        rows.append(inside.ravel() / inside.sum())
    return np.stack(rows).astype(np.float32)
