"""The film of a clip: face box, ROIs, magnified flow, and a timeline with the class scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mecli.alignment import apply, compose, invert
from mecli.report.pictures import Page
from mecli.rois import FACE_SIZE, ROI_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from mecli.records import ClipRecord
    from mecli.report.answers import Answer, Watched

    Image = NDArray[np.uint8]

SLOW_FPS = 25.0
"""Short clips are shown at this rate, every frame of them: slow motion."""
SLOW_S = 10.0

_LEAST_WIDTH_PX, _PANEL_PX = 640, 168
_MARGIN, _BARS_PX, _ROW = 14, 250, 22
_DARK, _INK, _FAINT, _GRID = (22, 27, 34), (230, 235, 240), (150, 160, 172), (60, 68, 80)
_BLUE, _AMBER, _GREEN, _SPAN = (88, 166, 255), (255, 190, 60), (60, 220, 110), (40, 64, 96)
_MACRO = (72, 52, 88)
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
        scale = max(1.0, _LEAST_WIDTH_PX / image.shape[1])
        size = tuple(int(round(side * scale) + 1) // 2 * 2 for side in image.shape[1::-1])
        if base is None:
            scenes = [_scene(answer, record, scale) for answer, record in judged]
            base = _panel(scenes, size[0], last, watched)
        canvas = _fitted(image, size, scale)
        # A long video has many intervals: a face is drawn for the one that is on.
        for scene in scenes if not watched else [s for s in scenes if s.covers(position)]:
            _draw_face(canvas, scene, position)
        yield np.vstack([canvas, _played(base, scenes, position, last)])


def _fitted(image: Image, size: tuple[int, ...], scale: float) -> Image:
    """Return a copy of `image` of exactly `size` (width, height), enlarged or padded."""
    if scale > 1:
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    across, down = size[0] - image.shape[1], size[1] - image.shape[0]
    return np.pad(image, ((0, down), (0, across), (0, 0)), mode="edge")


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
        _polygon(canvas, move, box, _AMBER, 2 if name == strongest else 1)
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
    points = np.rint(apply(move, corners) * 16).astype(np.int32)
    cv2.polylines(canvas, [points], True, colour, width, cv2.LINE_AA, shift=4)


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
                canvas, tuple(ends[0]), tuple(ends[1]), _BLUE, 2, cv2.LINE_AA, 3, tipLength=0.35
            )


def _timeline(width: int) -> tuple[int, int, int, int]:
    """Return left, right, top and bottom of the timeline in a panel of `width`."""
    return _MARGIN, width - _BARS_PX - 2 * _MARGIN, 34, _PANEL_PX - 28


def _across(position: float, width: int, last: int) -> int:
    left, right, _, _ = _timeline(width)
    return round(left + position / max(last, 1) * (right - left))


def _panel(scenes: Sequence[Scene], width: int, last: int, watched: Sequence[Watched]) -> Image:
    """Return what of the panel never moves: intervals, motion curve and captions."""
    page = Page(np.full((_PANEL_PX, width, 3), _DARK, dtype=np.uint8))
    left, right, top, bottom = _timeline(width)
    for answer in (scene.answer for scene in scenes):
        if answer.onset is None or answer.offset is None:
            continue
        x0, x1 = (_across(at, width, last) for at in (answer.onset, answer.offset))
        colour = _MACRO if answer.kind == "macro" else _SPAN
        cv2.rectangle(page.pixels, (x0, top), (max(x1, x0 + 1), bottom), colour, -1)
    curves = [(0, seen.step, seen.curve) for seen in watched] or [
        (scene.record.first_frame, 1, scene.record.curve) for scene in scenes
    ]
    high = max((float(curve.max(initial=0.0)) for _, _, curve in curves), default=0.0) or 1.0
    for first, step, curve in curves:
        xs = [_across(first + step * k, width, last) for k in range(len(curve))]
        ys = bottom - curve / high * (bottom - top)
        points = np.rint(np.stack([np.array(xs), ys], axis=-1) * 16).astype(np.int32)
        cv2.polylines(page.pixels, [points], False, _BLUE, 1, cv2.LINE_AA, shift=4)
    for answer in (scene.answer for scene in scenes):
        if answer.apex is not None:
            x = _across(answer.apex, width, last)
            cv2.line(page.pixels, (x, top), (x, bottom), _AMBER, 1)
    cv2.rectangle(page.pixels, (left, top), (right, bottom), _GRID, 1)
    unit = " times its noise" if watched else " px of the face"
    page.write(left, 10, f"motion, up to {high:.1f}{unit}", 12, _FAINT)
    return page.done()


def _played(base: Image, scenes: Sequence[Scene], position: int, last: int) -> Image:
    """Return the panel at one moment: play head, time, and scores and scale of what is on."""
    page = Page(base.copy())
    width = base.shape[1]
    left, _, top, bottom = _timeline(width)
    x = _across(position, width, last)
    cv2.line(page.pixels, (x, top - 4), (x, bottom + 4), _INK, 1)
    fps = next((s.answer.fps for s in scenes if s.answer.fps), None)
    when = "" if fps is None else f"   {position / fps:.3f} s"
    now = [scene for scene in scenes if scene.covers(position)][:1]
    flow = "".join(f"   flow drawn {s.magnify / s.scale:.0f} times larger" for s in now)
    page.write(left, bottom + 7, f"frame {position}{when}{flow}", 12, _FAINT)
    for scene in now:
        _write_scores(page, scene.answer, width - _BARS_PX - _MARGIN)
    return page.done()


def _write_scores(page: Page, answer: Answer, x: int) -> None:
    title = f"{answer.kind} {answer.prediction}".strip()
    page.write(x, 10, f"{title}{' (unsure)' if answer.unsure else ''}", 14, _INK)
    room = (_PANEL_PX - 44) // _ROW
    for place, (name, score) in enumerate(list(answer.scores.items())[:room]):
        y = 36 + place * _ROW
        best = name == answer.prediction
        page.write(x, y - 1, name[:11], 12, _INK if best else _FAINT)
        end = x + 86 + round(score * (_BARS_PX - 86 - 40))
        cv2.rectangle(page.pixels, (x + 86, y), (end, y + 12), _BLUE if best else _GRID, -1)
        page.write(x + _BARS_PX - 34, y - 1, f"{score:.2f}", 12, _INK if best else _FAINT)
