"""Ready-made flow images as the field passes them on, made into records like any other.

An image holds u in red and v in green, each stretched to 0–255 by its own minimum and
maximum, so that the zero and the size of the motion are lost. The zero comes back as the
motion that most of the face shares; the size does not, and is set to a nominal one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli.errors import InputError
from mecli.flow import remove_head_motion
from mecli.records import NO_LANDMARKER, ClipRecord, described
from mecli.rois import ROI_BOXES
from mecli.video import read_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mecli.clips import Clip

NOMINAL_RMS_PX = 0.5
"""Root mean square of u and v over a map after scaling, in pixels of the 240×280 face."""


def flow_of_image(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the flow (H, W, 2) float32 behind one (H, W, 3) uint8 image, at nominal size.

    The motion of the head (up to the second degree) is taken out, then both components
    are divided by their common root mean square: the release scales u and v each by its
    own range, and undoing that by the strain channel brought nothing on real maps.
    """
    flow = image[..., :2].astype(np.float32) / 255.0
    left = remove_head_motion(flow, floor_px=1e-3)
    size = float(np.sqrt((left**2).mean()))
    return left * np.float32(NOMINAL_RMS_PX / size) if size > 1e-6 else np.zeros_like(left)


def record_of_images(clip: Clip, chosen: Sequence[int]) -> ClipRecord:
    """Return the record of a clip of flow images; the first of `chosen` is onset→apex.

    Raises `InputError` if the clip lacks a chosen image.
    """
    images = clip.frames if isinstance(clip.frames, tuple) else ()
    absent = [number for number in chosen if number >= len(images)]
    if absent or not images:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: flow image {absent[0] if absent else 0} asked "
            f"for, but it has {len(images)}; choose others with --images"
        )
    read = read_frames(tuple(images[number] for number in chosen))
    maps = np.stack([flow_of_image(frame.image) for frame in read])
    # Step 0 is the onset, which has not moved, as in a record made from frames.
    flow = np.concatenate([np.zeros_like(maps[:1]), maps])
    return ClipRecord(
        **described(clip),
        fps=clip.fps,
        landmarker=NO_LANDMARKER,
        issues=clip.issues,
        flow=flow,
        apex_flow=maps[0],
        roi_boxes=ROI_BOXES.copy(),
        steps=np.arange(len(flow), dtype=np.float32),
    )
