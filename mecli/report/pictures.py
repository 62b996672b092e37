"""A contact sheet of one clip: frames, landmarks, ROIs, flow colours and the motion curve."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli.alignment import apply, compose, invert, warp
from mecli.errors import InputError
from mecli.report.colours import flow_colours, flow_scale, legend, resize
from mecli.rois import FACE_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mecli.records import ClipRecord

    Image = NDArray[np.uint8]
    Colour = tuple[int, int, int]

MOMENTS = ("onset", "apex", "offset")
_HEIGHT, _WIDTH = FACE_SIZE
_MARGIN, _GAP, _LABEL = 24, 16, 24
_SIDE_X = _MARGIN + 3 * (_WIDTH + _GAP) + 8
_PAGE_WIDTH = _SIDE_X + 312
_LINE = 19
_STRIP, _CURVE_HEIGHT = 16, 130
_PAPER, _INK, _FAINT = (255, 255, 255), (32, 36, 44), (120, 126, 136)
_GREEN, _AMBER, _BLUE, _WARN = (60, 220, 110), (255, 190, 60), (40, 100, 200), (176, 62, 22)


@dataclass(slots=True)
class Page:
    """A picture under construction; text is set last, over everything."""

    pixels: Image
    words: list[tuple[int, int, str, int, Colour]] = field(default_factory=list)

    def paste(self, image: Image, x: int, y: int) -> None:
        """Put `image` with its corner at x, y."""
        self.pixels[y : y + image.shape[0], x : x + image.shape[1]] = image

    def write(self, x: int, y: int, text: str, size: int = 14, colour: Colour = _INK) -> None:
        """Write `text` of `size` px with its corner at x, y."""
        self.words.append((x, y, text, size, colour))

    def done(self) -> Image:
        """Return the pixels with all that was written."""
        from PIL import Image as Picture
        from PIL import ImageDraw, ImageFont

        picture = Picture.fromarray(self.pixels)
        pen = ImageDraw.Draw(picture)
        for x, y, text, size, colour in self.words:
            pen.text((x, y), text, fill=colour, font=ImageFont.load_default(size))
        return np.asarray(picture, dtype=np.uint8)


def contact_sheet(record: ClipRecord, frames: Mapping[str, Image] | None = None) -> Image:
    """Return the contact sheet of `record` as an RGB picture.

    `frames` are the source frames of onset, apex and offset; without them faces are put
    together from the ROI pictures of the cache.
    """
    full = flow_scale(record)
    rows = _rows(record, frames or {}, full)
    notes = [line for issue in record.issues for line in textwrap.wrap(f"odd: {issue}", 130)]
    top = _MARGIN + 34 + _LINE * (1 + len(notes)) + 8
    facts = _facts(record)
    below = top + max(len(rows) * (_HEIGHT + _LABEL + _GAP), 290 + _LINE * len(facts))
    strip = 70 + 2 * _LABEL + 8
    height = below + strip + (_CURVE_HEIGHT + _LABEL + 20) * (len(record.curve) > 1) + _MARGIN
    page = Page(np.full((height, _PAGE_WIDTH, 3), _PAPER, dtype=np.uint8))
    page.write(_MARGIN, _MARGIN, record.clip_id, 22)
    labels = ", ".join(f"{k} {v}" for k, v in record.labels.items())
    page.write(_MARGIN, _MARGIN + 32, labels or "no labels", colour=_FAINT)
    for number, line in enumerate(notes, start=1):
        page.write(_MARGIN, _MARGIN + 32 + number * _LINE, line, 13, _WARN)
    for row, (title, pictures) in enumerate(rows):
        _write_row(page, top + row * (_HEIGHT + _LABEL + _GAP), title, pictures)
    _write_side(page, top, facts, full)
    _write_strip(page, below, record, full)
    if len(record.curve) > 1:
        _write_curve(page, below + strip, record)
    return page.done()


def _rows(
    record: ClipRecord, frames: Mapping[str, Image], full: float
) -> list[tuple[str, list[Image]]]:
    rows = []
    if frames:
        rows.append(("frame, landmarks", [_frame(record, frames, m) for m in MOMENTS]))
    faces = [_face(record, frames, moment) for moment in MOMENTS]
    if all(face is not None for face in faces):
        title = "aligned face, ROIs" if frames else "ROI pictures of the cache"
        rows.append((title, [boxed(f, record, _AMBER) for f in faces if f is not None]))
    flows = (record.flow[0], record.apex_flow, record.flow[-1]) if len(record.flow) else ()
    if flows:
        maps = [flow_colours(resize(flow, FACE_SIZE), full) for flow in flows]
        rows.append(("flow since the onset", [boxed(m, record, (90, 90, 90)) for m in maps]))
    return rows


def _frame(record: ClipRecord, frames: Mapping[str, Image], moment: str) -> Image:
    """Return the surroundings of the face in a source frame, with its landmarks."""
    onset = record.landmarks[0]
    low, high = onset.min(axis=0), onset.max(axis=0)
    scale = min(_WIDTH / (high - low)[0], _HEIGHT / (high - low)[1]) * 0.72
    shift = np.array([_WIDTH, _HEIGHT]) / 2 - scale * (low + high) / 2 - [0, 12]
    view = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], dtype=np.float32)
    image = warp(frames[moment], view)
    for x, y in scale * _landmarks(record, moment) + shift:
        centre = (round(float(x) * 16), round(float(y) * 16))
        cv2.circle(image, centre, 26, _GREEN, -1, cv2.LINE_AA, shift=4)
    return image


def _position(record: ClipRecord, moment: str) -> int:
    position = getattr(record, moment)
    return record.first_frame if position is None else int(position)


def _landmarks(record: ClipRecord, moment: str) -> NDArray[np.float32]:
    """Return the landmarks at `moment`: found ones, else those of the onset carried along."""
    position = _position(record, moment)
    for row, found in zip(record.landmarks, record.landmark_positions, strict=True):
        if found == position:
            return np.asarray(row, dtype=np.float32)
    move = compose(invert(_transform(record, moment)), record.transforms[0])
    return apply(move, record.landmarks[0])


def _transform(record: ClipRecord, moment: str) -> NDArray[np.float32]:
    transform: NDArray[np.float32] = record.transforms[
        _position(record, moment) - record.first_frame
    ]
    return transform


def _face(record: ClipRecord, frames: Mapping[str, Image], moment: str) -> Image | None:
    if frames:
        return warp(frames[moment], _transform(record, moment))
    if not len(record.roi_frames):
        return None
    step = int(np.abs(record.steps - _position(record, moment)).argmin())
    face = np.full((*FACE_SIZE, 3), 225, dtype=np.uint8)
    for picture, (x0, y0, x1, y1) in zip(record.roi_frames[step], whole_boxes(record), strict=True):
        face[y0:y1, x0:x1] = cv2.resize(picture, (x1 - x0, y1 - y0))
    return face


def whole_boxes(record: ClipRecord) -> list[tuple[int, int, int, int]]:
    """Return the ROIs in whole pixels of the face; `InputError` if one has no area."""
    limits = np.array([_WIDTH, _HEIGHT, _WIDTH, _HEIGHT])
    boxes = np.clip(np.rint(record.roi_boxes), 0, limits).astype(int)
    if not (boxes[:, 2:] > boxes[:, :2]).all():
        raise InputError(f"clip {record.clip_id}: has ROI boxes without area; extract it anew")
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in boxes]


def boxed(image: Image, record: ClipRecord, colour: Colour) -> Image:
    """Return `image` of the 240×280 face with the ROIs of `record` drawn into it."""
    boxed = image.copy()
    for x0, y0, x1, y1 in whole_boxes(record):
        cv2.rectangle(boxed, (x0, y0), (x1 - 1, y1 - 1), colour, 1)
    return boxed


def _write_row(page: Page, y: int, title: str, pictures: Sequence[Image]) -> None:
    for column, (moment, picture) in enumerate(zip(MOMENTS, pictures, strict=True)):
        x = _MARGIN + column * (_WIDTH + _GAP)
        page.write(x, y, f"{moment}: {title}" if column == 0 else moment, 13, _FAINT)
        page.paste(picture, x, y + _LABEL - 4)


def _facts(record: ClipRecord) -> list[tuple[str, str]]:
    facts = []
    for moment in MOMENTS:
        position = getattr(record, moment)
        found = " (found)" if getattr(record, f"{moment}_estimated") else ""
        facts.append((moment, "unknown" if position is None else f"frame {position}{found}"))
    fps = f" at {record.fps:.4g} fps" if record.fps else ""
    facts.append(("length", f"{record.frame_count} frames{fps}"))
    facts.append(("landmarks", record.landmarker or "none"))
    for name, value in record.quality.items():
        unit = " px" if name.endswith("_px") else ""
        facts.append((name.removesuffix("_px").replace("_", " "), f"{value:.3g}{unit}"))
    return facts


def _write_side(page: Page, y: int, facts: Sequence[tuple[str, str]], full: float) -> None:
    for number, (name, value) in enumerate(facts):
        page.write(_SIDE_X, y + 18 + number * _LINE, name, 13, _FAINT)
        page.write(_SIDE_X + 110, y + 18 + number * _LINE, value, 13)
    y += 18 + len(facts) * _LINE + 24
    size = 150
    page.write(_SIDE_X, y, "flow colours: hue is direction,", 13, _FAINT)
    page.write(_SIDE_X, y + _LINE, f"brightness is size, full at {full:.2g} px", 13, _FAINT)
    x, y = _SIDE_X + 50, y + 2 * _LINE + 22
    page.paste(legend(size), x, y)
    page.write(x + size // 2 - 8, y - 20, "up", 13, _FAINT)
    page.write(x + size // 2 - 16, y + size + 3, "down", 13, _FAINT)
    page.write(x - 30, y + size // 2 - 9, "left", 13, _FAINT)
    page.write(x + size + 8, y + size // 2 - 9, "right", 13, _FAINT)


def _write_strip(page: Page, y: int, record: ClipRecord, full: float) -> None:
    count = min(len(record.flow), _STRIP)
    page.write(_MARGIN, y, "flow at the time steps, frame below", 13, _FAINT)
    room = (_PAGE_WIDTH - 2 * _MARGIN) / _STRIP
    for column, step in enumerate(np.linspace(0, len(record.flow) - 1, count).round().astype(int)):
        x = _MARGIN + round(column * room)
        page.paste(flow_colours(resize(record.flow[step], (70, 60)), full), x, y + _LABEL)
        if step < len(record.steps):
            page.write(x, y + _LABEL + 72, f"{record.steps[step]:.4g}", 12, _FAINT)


def _write_curve(page: Page, y: int, record: ClipRecord) -> None:
    """Draw the motion since the onset over the frames, with the three moments."""
    page.write(_MARGIN, y, "motion since the onset, face px", 13, _FAINT)
    left, right = _MARGIN + 36, _PAGE_WIDTH - _MARGIN
    top, bottom = y + _LABEL + 8, y + _LABEL + _CURVE_HEIGHT
    high = max(float(record.curve.max()), 1e-6)
    last = len(record.curve) - 1
    for level in (0.0, high / 2, high):
        line = round(bottom - level / high * (bottom - top))
        cv2.line(page.pixels, (left, line), (right, line), (228, 230, 234), 1)
        page.write(_MARGIN, line - 9, f"{level:.2g}", 12, _FAINT)
    marks: dict[int, list[str]] = {}
    for moment in MOMENTS:
        place = _position(record, moment) - record.first_frame
        if getattr(record, moment) is not None and 0 <= place <= last:
            marks.setdefault(left + round(place / last * (right - left)), []).append(moment)
    for x, moments in marks.items():
        text = ", ".join(moments)
        cv2.line(page.pixels, (x, top - 6), (x, bottom), _AMBER, 2)
        page.write(x + 4 if x < right - 90 else x - 6 - 7 * len(text), top - 14, text, 12, _FAINT)
    xs = left + np.arange(last + 1) / last * (right - left)
    ys = bottom - record.curve / high * (bottom - top)
    points = np.rint(np.stack([xs, ys], axis=-1) * 16).astype(np.int32)
    cv2.polylines(page.pixels, [points], False, _BLUE, 2, cv2.LINE_AA, shift=4)


def stacked(pages: Sequence[Image]) -> Image:
    """Return `pages` under each other."""
    return np.concatenate(pages)


def png(image: Image) -> bytes:
    """Return a gray, RGB or RGBA picture as PNG."""
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    bgr: Any = image if image.ndim == 2 else cv2.cvtColor(image, swap[image.shape[2]])
    return cv2.imencode(".png", bgr)[1].tobytes()
