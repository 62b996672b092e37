"""A clip as the cache keeps it: its regions and its flow at a few moments, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mecli.report.colours import flow_colours, flow_scale, resize
from mecli.report.pictures import boxed, whole_boxes
from mecli.report.shell import text, webp_uri
from mecli.rois import FACE_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.records import ClipRecord

    Image = NDArray[np.uint8]

_MOMENTS = 5
_GREY = (90, 90, 90)
_QUALITY = 80


def filmstrip(record: ClipRecord) -> str:
    """Return figures of some steps from onset to offset, the apex with its own flow."""
    full = flow_scale(record)
    figures = []
    for step in _steps(record):
        is_apex = step == _apex(record)
        said = _said(record, step, is_apex=is_apex)
        flow = record.apex_flow if is_apex else record.flow[step]
        shown = boxed(flow_colours(resize(flow, FACE_SIZE), full), record, _GREY)
        seen = len(record.roi_frames) > 0
        face = _picture(mosaic(record, step), f"regions of the face, {said}") if seen else ""
        figures.append(
            f"<figure>{face}{_picture(shown, f'flow since the onset, {said}')}"
            f"<figcaption>{text(said)}</figcaption></figure>"
        )
    return f'<div class="film">{"".join(figures)}</div>'


def mosaic(record: ClipRecord, step: int) -> Image:
    """Return the ROI pictures of `step` in their places, (280, 240, 4) RGBA, clear between."""
    face = np.zeros((*FACE_SIZE, 4), dtype=np.uint8)
    for picture, (x0, y0, x1, y1) in zip(record.roi_frames[step], whole_boxes(record), strict=True):
        enlarged = cv2.resize(picture, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
        face[y0:y1, x0:x1, :3] = enlarged
        face[y0:y1, x0:x1, 3] = 255
    return face


def _apex(record: ClipRecord) -> int | None:
    """Return the step nearest to the apex."""
    if record.apex is None or not len(record.steps):
        return None
    return int(np.abs(record.steps - record.apex).argmin())


def _steps(record: ClipRecord) -> list[int]:
    """Return `_MOMENTS` steps from the first to the last; the one nearest to the apex is it."""
    steps = np.unique(np.linspace(0, len(record.flow) - 1, _MOMENTS).round().astype(int))
    apex = _apex(record)
    if apex is not None and len(steps) > 2:
        steps[1 + int(np.abs(steps[1:-1] - apex).argmin())] = apex
    return [int(step) for step in np.unique(steps)]


def _said(record: ClipRecord, step: int, *, is_apex: bool) -> str:
    if is_apex:
        return f"apex, frame {record.apex}"
    name = {0: "onset, ", len(record.flow) - 1: "offset, "}.get(step, "")
    frame = f"{record.steps[step]:.0f}" if step < len(record.steps) else f"{step}"
    return f"{name}frame {frame}"


def _picture(image: Image, said: str) -> str:
    return f'<img alt="{text(said)}" src="{webp_uri(image, _QUALITY)}" width="120" height="140">'
