"""Ready-made flow images as the field passes them on, made into records like any other.

An image holds u in red, v in green and the optical strain in blue, each stretched to 0–255
by its own minimum and maximum, so that the zero and the size of the motion are lost. The
zero comes back as the motion that most of the face shares; the size does not, and is set to
a nominal one. Where u and v are images of their own, or an array, they are made alike.
"""

from __future__ import annotations

import tokenize
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.errors import InputError
from mecli.flow import remove_head_motion, strain
from mecli.pictures import check_file, check_size
from mecli.records import NO_LANDMARKER, ClipRecord, described
from mecli.rois import ROI_BOXES
from mecli.video import read_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.clips import Clip

WINDOW_MIDDLE, WINDOW_EXTENT = (120.0, -57.0 + 341.0 / 2), (284.0, 341.0)
"""What the images of the field show, in pixels of the 240×280 face, across and down: more than
that face. Read off the class means of a public release."""

NOMINAL_RMS_PX = 0.5
"""Root mean square of u and v over a map after scaling, in pixels of the 240×280 face."""

# A damaged header is read as Python's own syntax, with all that this may say.
_BROKEN_ARRAY = (
    *(OSError, ValueError, EOFError, OverflowError),
    *(TypeError, SyntaxError, tokenize.TokenError),
)
_SURE = 0.1
"""By how much the correlation with strain must be higher for red than for blue."""


def flow_of_image(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the flow (H, W, 2) float32 behind one (H, W, 2 or 3) uint8 image, at nominal size.

    The motion of the head (up to the second degree) is taken out, then both components
    are divided by their common root mean square: the release scales u and v each by its
    own range, and undoing that by the strain channel brought nothing on real maps.
    """
    return _at_nominal_size(image[..., :2].astype(np.float32) / 255.0)


def record_of_images(clip: Clip, chosen: Sequence[int]) -> ClipRecord:
    """Return the record of a clip of flow images; the first of `chosen` is onset→apex.

    Raises `InputError` if the clip lacks a chosen image, or one of them shows no flow.
    """
    files = clip.frames if isinstance(clip.frames, tuple) else ()
    each = 2 if clip.apart else 1
    images = [files[first : first + each] for first in range(0, len(files), each)]
    absent = [number for number in chosen if number >= len(images)]
    if absent or not images:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: flow image {absent[0] if absent else 0} asked "
            f"for, but it has {len(images)}, counted from 0; choose others with --images"
        )
    issues = list(clip.issues)
    maps = np.stack([_read_map(clip, images[number], issues) for number in chosen])
    # Step 0 is the onset, which has not moved, as in a record made from frames.
    flow = np.concatenate([np.zeros_like(maps[:1]), maps])
    return ClipRecord(
        **described(clip),
        fps=clip.fps,
        landmarker=NO_LANDMARKER,
        issues=tuple(dict.fromkeys(issues)),
        flow=flow,
        apex_flow=maps[0],
        roi_boxes=ROI_BOXES.copy(),
        steps=np.arange(len(flow), dtype=np.float32),
    )


def _read_map(clip: Clip, paths: tuple[Path, ...], issues: list[str]) -> NDArray[np.float32]:
    """Return the flow (H, W, 2) px behind one image or array, or one of u and one of v."""
    if paths[0].suffix.casefold() == ".npy":
        arrays = [_array(path) for path in paths]
        if len(paths) == 1:
            return flow_of_array(_channels_last(paths[0], arrays[0]))
        return flow_of_array(np.dstack([_plane(*pair) for pair in zip(paths, arrays, strict=True)]))
    read = [frame.image for frame in read_frames(paths)]
    if len(read) == 2:
        return flow_of_image(np.dstack([image[..., 0] for image in read]))
    image = read[0]
    if np.ptp(image, axis=-1).max() == 0 and np.ptp(image) > 0:
        raise InputError(
            f"{paths[0]}: clip {clip.clip_id}: is grey, expected u in red and v in green; call "
            "images of u and v alone X_u and X_v, or keep them in folders u and v"
        )
    if swapped(image):
        issues.append("red and blue are swapped in its image: taken as strain, v, u")
        image = image[..., ::-1]
    return flow_of_image(image)


def swapped(image: NDArray[np.uint8]) -> bool:
    """Whether red, not blue, looks like the optical strain of the other two channels.

    Programs that keep channels as OpenCV does write u, v, strain into blue, green, red. Strain
    follows from u and v, so it is known by its correlation with what they give. The margin
    errs towards u in red: of 309 real images of 28×28 none was taken as swapped, and 304 were
    when their channels were turned around.
    """
    planes = image.astype(np.float32)
    red, blue = planes[..., 0], planes[..., 2]
    if not np.ptp(red) or not np.ptp(blue):
        return bool(np.ptp(blue))  # what is flat is a strain left out
    as_rgb = _likeness(strain(planes[..., :2]), blue)
    as_bgr = _likeness(strain(planes[..., 2:0:-1]), red)
    return as_bgr - as_rgb > _SURE


def flow_of_array(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return the flow (H, W, 2) float32 behind u and v (H, W, 2) of any unit, at nominal size."""
    flow = values.astype(np.float64)  # 1e300 is no float32
    reach = float(np.abs(flow).max())
    return _at_nominal_size((flow / reach if reach > 0 else flow).astype(np.float32))


def _at_nominal_size(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    left = remove_head_motion(flow, floor_px=1e-3)
    size = float(np.sqrt((left**2).mean()))
    return left * np.float32(NOMINAL_RMS_PX / size) if size > 1e-6 else np.zeros_like(left)


def _likeness(expected: NDArray[np.float32], seen: NDArray[np.float32]) -> float:
    """Return the correlation of two (H, W) maps, 0 where one of them is flat."""
    a, b = expected - expected.mean(), seen - seen.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0


def _array(path: Path) -> NDArray[Any]:
    """Return the numbers of an array file; nothing in it is executed."""
    try:
        with np.errstate(over="ignore"):
            values: Any = np.load(check_file(path), mmap_mode="r", allow_pickle=False)
    except _BROKEN_ARRAY as error:
        raise InputError(f"{path}: cannot be read as an array: {error}") from error
    numbers = isinstance(values, np.ndarray) and values.dtype.kind in "fiu"
    if not numbers or values.ndim not in (2, 3) or not values.size:
        raise InputError(
            f"{path}: is no array of numbers (H, W, 2), (H, W, 3), (2, H, W) or (H, W)"
        )
    check_size(path, *sorted(values.shape)[:-3:-1])
    if not np.isfinite(values).all():
        raise InputError(f"{path}: holds a number that is not finite")
    found: NDArray[Any] = values
    return found


def _channels_last(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    """Return u and v (H, W, 2) of an array whose channels come first or last."""
    for channels in (values, np.moveaxis(values, 0, -1)):
        if channels.ndim == 3 and channels.shape[-1] in (2, 3) and min(channels.shape[:2]) > 3:
            return channels[..., :2]
    raise InputError(
        f"{path}: is {values.shape}, expected (H, W, 2), (H, W, 3), (2, H, W) or two "
        "files (H, W) called X_u and X_v"
    )


def _plane(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 2:
        raise InputError(f"{path}: is {values.shape}, expected (H, W) of u or v alone")
    return values
