"""The film of a long video that was searched: face, timeline with its intervals, what is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli.report import timeline
from mecli.report.timeline import Band, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from mecli.report.spots import Spotted
    from mecli.spotting import Interval

    Image = NDArray[np.uint8]

_FACE, _MICRO, _MACRO = (60, 220, 110), (88, 166, 255), (190, 140, 255)


def spot_film(
    frames: Iterable[tuple[int, Image]], video: Spotted, track: Track, faces: NDArray[np.float32]
) -> Iterator[Image]:
    """Yield each (position, RGB frame) of `video` with its face and, below, the timeline.

    `track` is how much the face moves, `faces` (T, 4, 2) where its corners are in the same
    frames, px, NaN where it was not seen. Narrow frames are enlarged, sides are even.
    """
    last = video.frames - 1
    bands = [Band(i.onset, i.apex, i.offset, i.kind == "macro") for i in video.intervals]
    base: Image | None = None
    for position, image in frames:
        scale, size = timeline.scale_of(image)
        if base is None:
            base = timeline.panel(bands, [track], size[0], last, "times its noise")
        canvas = timeline.fitted(image, size, scale)
        on = next((i for i in video.intervals if i.onset <= position <= i.offset), None)
        corners = faces[min(position // track.step, len(faces) - 1)]
        if np.isfinite(corners).all():
            timeline.outline(canvas, corners * scale, _colour(on), 2 if on is None else 3)
        yield np.vstack([canvas, _below(base, video, on, position)])


def _colour(on: Interval | None) -> tuple[int, int, int]:
    if on is None:
        return _FACE
    return _MACRO if on.kind == "macro" else _MICRO


def _below(base: Image, video: Spotted, on: Interval | None, position: int) -> Image:
    page = timeline.played(base, position, video.frames - 1, video.fps)
    if on is not None:
        x = base.shape[1] - timeline.SIDE_PX - timeline.MARGIN_PX
        unsure = " (unsure)" if video.unsure else ""
        page.write(x, 10, f"{on.kind}-expression{unsure}", 14, _colour(on))
        said = (
            f"likelihood {on.score:.2f}",
            f"{video.seconds(on.onset):.2f} to {video.seconds(on.offset):.2f} s",
            f"most moved: {video.regions[on.region].replace('_', ' ')}",
        )
        for row, text in enumerate(said):
            page.write(x, 38 + 20 * row, text, 12, timeline.INK)
    return page.done()
