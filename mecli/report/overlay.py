"""The film of a clip: face box, ROIs, magnified flow, and a timeline with the class scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mecli.alignment import apply, compose, invert
from mecli.report import timeline
from mecli.report.timeline import (
    AMBER,
    BLUE,
    FAINT,
    GRID,
    INK,
    MARGIN_PX,
    PANEL_PX,
    SIDE_PX,
    Band,
    Track,
)
from mecli.rois import FACE_SIZE, ROI_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from mecli.records import ClipRecord
    from mecli.report.answers import Answer, Watched
    from mecli.report.pictures import Page

    Image = NDArray[np.uint8]

SLOW_FPS = 25.0
"""Short clips are shown at this rate, every frame of them: slow motion."""
SLOW_S = 10.0

_ROW = 22
_GREEN = (60, 220, 110)
_EVERY = 5
_ARROW_PX, _LEAST_ARROW_PX = 26.0, 3.0
_RIM = 10
_LEAST_FLOW_PX = 0.3


@dataclass(frozen=True, slots=True)
class Scene:
    """One answer with what is needed to draw it onto frames enlarged by `scale`."""

    answer: Answer
    record: ClipRecord
    scale: float
    magnify: float
    """Pixels drawn per face pixel of flow."""

    def to_frame(self, position: int) -> NDArray[np.float32]:
        """Return the (2, 3) map from face pixels to those of the enlarged frame."""
        last = len(self.record.transforms) - 1
        place = int(np.clip(position - self.record.first_frame, 0, last))
        enlarge = np.array([[self.scale, 0, 0], [0, self.scale, 0]], dtype=np.float32)
        return compose(enlarge, invert(self.record.transforms[place]))

    def covers(self, position: int) -> bool:
        """Return whether frame `position` is in the interval."""
        return (self.answer.onset or 0) <= position <= (self.answer.offset or 0)

    def flow(self, position: int) -> NDArray[np.float32] | None:
        """Return the flow (H, W, 2) since the onset, between steps too; None outside."""
        steps = self.record.steps
        if not len(steps) or not steps[0] <= position <= steps[-1]:
            return None
        at = float(np.interp(position, steps, np.arange(len(steps))))
        low = min(int(at), len(steps) - 2)
        share = at - low
        return np.asarray(
            self.record.flow[low] * (1 - share) + self.record.flow[low + 1] * share, np.float32
        )


def shown_fps(fps: float | None, count: int) -> float:
    """Return the rate at which the film of a clip of `count` frames is to be shown."""
    if fps is None or count / fps <= SLOW_S:
        return min(fps or SLOW_FPS, SLOW_FPS)
    return fps


def film(
    frames: Iterable[tuple[int, Image]],
    judged: Sequence[tuple[Answer, ClipRecord]],
    last: int,
    watched: Sequence[Watched] = (),
) -> Iterator[Image]:
    """Yield each (position, RGB frame) with `judged` drawn over and a timeline up to `last` under.

    The timeline shows the curves of a long video that was `watched`, else those of `judged`.
    Frames narrower than 640 px are enlarged; sides are even, as H.264 wants them.
    """
    scenes: list[Scene] = []
    base: Image | None = None
    for position, image in frames:
        scale, size = timeline.scale_of(image)
        if base is None:
            scenes = [_scene(answer, record, scale) for answer, record in judged]
            base = _panel(scenes, size[0], last, watched)
        canvas = timeline.fitted(image, size, scale)
        # A long video has many intervals: a face is drawn for the one that is on.
        for scene in scenes if not watched else [s for s in scenes if s.covers(position)]:
            _draw_face(canvas, scene, position)
        yield np.vstack([canvas, _played(base, scenes, position, last)])


def _scene(answer: Answer, record: ClipRecord, scale: float) -> Scene:
    # Hair and background at the rim of the box move most and mean least.
    lengths = np.linalg.norm(record.flow[:, _RIM:-_RIM, _RIM:-_RIM], axis=-1)
    strong = max(float(np.quantile(lengths, 0.99)) if lengths.size else 0.0, _LEAST_FLOW_PX)
    return Scene(answer, record, scale, _ARROW_PX / strong)


def _draw_face(canvas: Image, scene: Scene, position: int) -> None:
    move = scene.to_frame(position)
    height, width = FACE_SIZE
    _polygon(canvas, move, (0, 0, width, height), _GREEN, 2)
    strongest = max(scene.answer.rois, key=lambda name: scene.answer.rois[name], default="")
    for name, box in zip(ROI_NAMES, scene.record.roi_boxes.tolist(), strict=True):
        _polygon(canvas, move, box, AMBER, 2 if name == strongest else 1)
    flow = scene.flow(position)
    if flow is not None:
        _arrows(canvas, move, flow, scene.magnify)


def _polygon(
    canvas: Image,
    move: NDArray[np.float32],
    box: Sequence[float],
    colour: tuple[int, int, int],
    width: int,
) -> None:
    x0, y0, x1, y1 = box
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float32)
    timeline.outline(canvas, apply(move, corners), colour, width)


def _arrows(
    canvas: Image, move: NDArray[np.float32], flow: NDArray[np.float32], magnify: float
) -> None:
    """Draw every fifth vector of the grid, `magnify` times as long as it is."""
    thin = flow[_EVERY // 2 :: _EVERY, _EVERY // 2 :: _EVERY]
    cell = FACE_SIZE[0] / flow.shape[0]
    rows, columns = np.mgrid[0 : thin.shape[0], 0 : thin.shape[1]]
    places = (np.stack([columns, rows], axis=-1) * _EVERY + _EVERY // 2 + 0.5) * cell
    turn = move[:, :2] / np.sqrt(abs(np.linalg.det(move[:, :2])))
    ways = thin.reshape(-1, 2) @ turn.T * magnify
    for start, way in zip(apply(move, places.reshape(-1, 2)), ways, strict=True):
        if np.hypot(*way) >= _LEAST_ARROW_PX:
            ends = np.rint(np.stack([start, start + way]) * 8).astype(int)
            cv2.arrowedLine(
                canvas, tuple(ends[0]), tuple(ends[1]), BLUE, 2, cv2.LINE_AA, 3, tipLength=0.35
            )


def _panel(scenes: Sequence[Scene], width: int, last: int, watched: Sequence[Watched]) -> Image:
    """Return what of the panel never moves: intervals, motion curve and captions."""
    answers = [scene.answer for scene in scenes]
    bands = [
        Band(a.onset, a.apex, a.offset, a.kind == "macro")
        for a in answers
        if a.onset is not None and a.offset is not None
    ]
    tracks = [Track(0, seen.step, seen.curve) for seen in watched] or [
        Track(scene.record.first_frame, 1, scene.record.curve) for scene in scenes
    ]
    unit = "times its noise" if watched else "px of the face"
    return timeline.panel(bands, tracks, width, last, unit)


def _played(base: Image, scenes: Sequence[Scene], position: int, last: int) -> Image:
    """Return the panel at one moment: play head, time, and scores and scale of what is on."""
    fps = next((s.answer.fps for s in scenes if s.answer.fps), None)
    now = [scene for scene in scenes if scene.covers(position)][:1]
    flow = "".join(f"   flow drawn {s.magnify / s.scale:.0f} times larger" for s in now)
    page = timeline.played(base, position, last, fps, flow)
    for scene in now:
        _write_scores(page, scene.answer, base.shape[1] - SIDE_PX - MARGIN_PX)
    return page.done()


def _write_scores(page: Page, answer: Answer, x: int) -> None:
    title = f"{answer.kind} {answer.prediction}".strip()
    page.write(x, 10, f"{title}{' (unsure)' if answer.unsure else ''}", 14, INK)
    room = (PANEL_PX - 44) // _ROW
    for place, (name, score) in enumerate(list(answer.scores.items())[:room]):
        y = 36 + place * _ROW
        best = name == answer.prediction
        page.write(x, y - 1, name[:11], 12, INK if best else FAINT)
        end = x + 86 + round(score * (SIDE_PX - 86 - 40))
        cv2.rectangle(page.pixels, (x + 86, y), (end, y + 12), BLUE if best else GRID, -1)
        page.write(x + SIDE_PX - 34, y - 1, f"{score:.2f}", 12, INK if best else FAINT)
