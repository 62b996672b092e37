"""The panel below a film: intervals, the curve of motion and where the film is now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mecli.report.pictures import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

PANEL_PX, MARGIN_PX, SIDE_PX = 168, 14, 250
"""Height of the panel, its margin, and the width that is free on the right for what is said."""
LEAST_WIDTH_PX = 640
"""Of a film; narrower frames are enlarged."""
INK, FAINT, GRID, BLUE, AMBER = (
    (230, 235, 240), (150, 160, 172), (60, 68, 80), (88, 166, 255), (255, 190, 60),
)  # fmt: skip
_DARK, _SPAN, _MACRO = (22, 27, 34), (40, 64, 96), (72, 52, 88)


class Band(NamedTuple):
    """One interval: its first and last frame, its apex, and whether it is a macro-expression."""

    onset: int
    apex: int | None
    offset: int
    macro: bool = False


class Track(NamedTuple):
    """One curve: a value for each `step`-th frame from frame `first` on."""

    first: int
    step: int
    heights: NDArray[np.float32]


def scale_of(image: Image) -> tuple[float, tuple[int, int]]:
    """Return how much a frame is enlarged for a film, and its even (width, height) then."""
    scale = max(1.0, LEAST_WIDTH_PX / image.shape[1])
    height, width = (int(round(side * scale) + 1) // 2 * 2 for side in image.shape[:2])
    return scale, (width, height)


def fitted(image: Image, size: tuple[int, int], scale: float) -> Image:
    """Return a copy of `image` of exactly `size` (width, height), enlarged or padded."""
    if scale > 1:
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    across, down = size[0] - image.shape[1], size[1] - image.shape[0]
    return np.pad(image, ((0, down), (0, across), (0, 0)), mode="edge")


def outline(
    canvas: Image, corners: NDArray[np.float32], colour: tuple[int, int, int], width: int
) -> None:
    """Draw a closed line through `corners` (N, 2) px onto `canvas`."""
    points = np.rint(corners * 16).astype(np.int32)
    cv2.polylines(canvas, [points], True, colour, width, cv2.LINE_AA, shift=4)


def panel(
    bands: Sequence[Band], tracks: Sequence[Track], width: int, last: int, unit: str
) -> Image:
    """Return what of the panel never moves, up to frame `last`; `unit` is that of the curves."""
    page = Page(np.full((PANEL_PX, width, 3), _DARK, dtype=np.uint8))
    left, right, top, bottom = _place(width)
    for band in bands:
        x0, x1 = (_across(at, width, last) for at in (band.onset, band.offset))
        colour = _MACRO if band.macro else _SPAN
        cv2.rectangle(page.pixels, (x0, top), (max(x1, x0 + 1), bottom), colour, -1)
    high = max((float(track.heights.max(initial=0.0)) for track in tracks), default=0.0) or 1.0
    for first, step, heights in tracks:
        xs = [_across(first + step * k, width, last) for k in range(len(heights))]
        ys = bottom - heights / high * (bottom - top)
        points = np.rint(np.stack([np.array(xs), ys], axis=-1) * 16).astype(np.int32)
        cv2.polylines(page.pixels, [points], False, BLUE, 1, cv2.LINE_AA, shift=4)
    for band in bands:
        if band.apex is not None:
            x = _across(band.apex, width, last)
            cv2.line(page.pixels, (x, top), (x, bottom), AMBER, 1)
    cv2.rectangle(page.pixels, (left, top), (right, bottom), GRID, 1)
    page.write(left, 10, f"motion, up to {high:.1f} {unit}", 12, FAINT)
    return page.done()


def played(base: Image, position: int, last: int, fps: float | None, note: str = "") -> Page:
    """Return the panel `base` with the play head at `position`, the time and a `note`."""
    page = Page(base.copy())
    width = base.shape[1]
    left, _, top, bottom = _place(width)
    x = _across(position, width, last)
    cv2.line(page.pixels, (x, top - 4), (x, bottom + 4), INK, 1)
    when = "" if fps is None else f"   {position / fps:.3f} s"
    page.write(left, bottom + 7, f"frame {position}{when}{note}", 12, FAINT)
    return page


def _place(width: int) -> tuple[int, int, int, int]:
    """Return left, right, top and bottom of the timeline in a panel of `width`."""
    return MARGIN_PX, width - SIDE_PX - 2 * MARGIN_PX, 34, PANEL_PX - 28


def _across(position: float, width: int, last: int) -> int:
    left, right, _, _ = _place(width)
    return round(left + position / max(last, 1) * (right - left))
