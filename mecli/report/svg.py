"""Small charts as inline SVG: they take their colours from the page around them."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from mecli.rois import FACE_SIZE, ROI_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

_ROW, _NAME, _VALUE, _BAR = 24, 78, 44, 150
_CURVE = (960, 180)
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 24, 24, 30
_TICKS = 6
_APART, _POINTS = 64, 1800
# Which of the 68 points make a line: jaw, brows, nose, eyes, lips; the last ones close.
_OPEN = (range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36))
_CLOSED = (range(36, 42), range(42, 48), range(48, 60), range(60, 68))


def bars(values: Mapping[str, float], title: str, strongest: str = "", full: float = 0.0) -> str:
    """Return horizontal bars from a common zero; negative ones go to the left of it.

    The scale reaches to `full` at least.
    """
    low, high = min(0.0, *values.values()), max(full, *values.values())
    unit = _BAR / max(high - low, 1e-9)
    zero = _NAME + 8 - low * unit
    rows = []
    for place, (name, value) in enumerate(values.items()):
        y = place * _ROW
        x = zero + min(value, 0.0) * unit
        kind = "bar strong" if name == strongest else "bar"
        rows.append(
            f'<text class="name" x="{_NAME}" y="{y + 16}">{html.escape(_words(name))}</text>'
            f'<rect class="{kind}" x="{x:.1f}" y="{y + 4}" width="{abs(value) * unit:.1f}" '
            f'height="{_ROW - 8}" rx="2"/>'
            f'<text class="value" x="{_NAME + _BAR + 16}" y="{y + 16}">{_number(value)}</text>'
        )
    width, height = _NAME + _BAR + 16 + _VALUE, len(values) * _ROW
    axis = f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height}"/>'
    said = ", ".join(f"{_words(name)} {_number(value)}" for name, value in values.items())
    return _svg((width, height), title, f"{title}: {said}", [*rows, axis])


def face(
    landmarks: NDArray[np.float32],
    boxes: NDArray[np.float32],
    parts: Mapping[str, float],
    title: str,
) -> str:
    """Return the face of `landmarks` (68, 2), its ROI `boxes` (6, 4) as dark as their part.

    Both are in pixels of the 240×280 face. Regions that speak against are hatched.
    """
    most = max((abs(part) for part in parts.values()), default=0.0) or 1.0
    shapes = [f'<polyline points="{_points(landmarks[list(line)])}"/>' for line in _OPEN] + [
        f'<polygon points="{_points(landmarks[list(line)])}"/>' for line in _CLOSED
    ]
    regions = []
    for name, (x0, y0, x1, y1) in zip(ROI_NAMES, boxes.tolist(), strict=True):
        part = parts.get(name, 0.0)
        kind = "for" if part >= 0 else "against"
        regions.append(
            f'<rect class="roi {kind}" x="{x0:.0f}" y="{y0:.0f}" width="{x1 - x0:.0f}" '
            f'height="{y1 - y0:.0f}" fill-opacity="{0.75 * abs(part) / most:.2f}">'
            f"<title>{_words(name)} {_number(part)}</title></rect>"
        )
    said = ", ".join(f"{_words(name)} {_number(part)}" for name, part in parts.items())
    inside = [*regions, f'<g class="face">{"".join(shapes)}</g>']
    return _svg((FACE_SIZE[1], FACE_SIZE[0]), title, f"{title}: {said}", inside, "template")


def curve(
    heights: ArrayLike,
    first: int,
    intervals: Sequence[tuple[int, int, int, str]],
    fps: float | None,
    title: str,
    step: int = 1,
    unit: str = " px",
) -> str:
    """Return a line over frames from `first` on, with (onset, apex, offset, name) intervals.

    `heights` are of every `step`-th frame; of more than can be told apart the highest are kept.
    """
    values, step = _thinned(np.asarray(heights, dtype=np.float64), step)
    width, height = _CURVE
    high = max(float(values.max(initial=0.0)), 1e-6)
    inner = width - _LEFT - _RIGHT
    last = first + step * max(len(values) - 1, 1)

    def across(frame: float) -> float:
        return _LEFT + (frame - first) / (last - first) * inner

    def down(value: float) -> float:
        return height - _BOTTOM - value / high * (height - _TOP - _BOTTOM)

    parts = []
    written = -float(_APART)
    for onset, apex, offset, name in intervals:
        x0, x1, xa = across(onset), across(offset), across(apex)
        parts.append(
            f'<rect class="span" x="{x0:.1f}" y="{_TOP}" width="{max(x1 - x0, 1):.1f}" '
            f'height="{height - _TOP - _BOTTOM}"/>'
            f'<line class="apex" x1="{xa:.1f}" x2="{xa:.1f}" y1="{_TOP}" y2="{height - _BOTTOM}"/>'
        )
        # Names that would lie on one another are left out; they are told in words below.
        if xa - written >= _APART:
            parts.append(
                f'<text class="mark" x="{xa:.1f}" y="{_TOP - 8}">{html.escape(name)}</text>'
            )
            written = xa
    for level in (0.0, high / 2, high):
        y = down(level)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="value end" x="{_LEFT - 6}" y="{y + 4:.1f}">{level:.2g}</text>'
        )
    for frame in np.unique(np.linspace(first, last, _TICKS).round().astype(int)):
        said = str(frame) if fps is None else f"{frame / fps:.2f} s"
        parts.append(f'<text class="tick" x="{across(frame):.1f}" y="{height - 10}">{said}</text>')
    points = " ".join(f"{across(first + step * k):.1f},{down(v):.1f}" for k, v in enumerate(values))
    parts.append(f'<polyline class="line" points="{points}"/>')
    spans = "; ".join(f"{n} frames {a} to {c}, apex {b}" for a, b, c, n in intervals)
    return _svg(_CURVE, title, f"{title}, up to {high:.2g}{unit}; {spans}", parts, "curve")


def _thinned(values: NDArray[np.float64], step: int) -> tuple[NDArray[np.float64], int]:
    width = -(-len(values) // _POINTS) or 1
    padded = np.pad(values, (0, -len(values) % width), mode="edge") if width > 1 else values
    return padded.reshape(-1, width).max(axis=1), step * width


def _svg(
    size: tuple[int, int], title: str, said: str, inside: Sequence[str], kind: str = "bars"
) -> str:
    return (
        f'<svg class="{kind}" role="img" aria-label="{html.escape(said)}" '
        f'viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{html.escape(title)}</title>{''.join(inside)}</svg>"
    )


def _points(points: NDArray[np.float32]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points.tolist())


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")


def _words(name: str) -> str:
    return name.replace("_", " ")
