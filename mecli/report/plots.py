"""The plots of an evaluation, for pages and for papers: one column wide, from matplotlib.

Each is made inside `ink.style(ink)` and returns a `Figure`; nothing is shown or kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.report import template
from mecli.report.evaluation import SCORES
from mecli.report.ink import COLUMN_IN
from mecli.report.tables import number
from mecli.rois import ROI_NAMES, roi_boxes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mecli.report.evaluation import Comparison, Group, RunEvaluation
    from mecli.report.evidence import Curve, Regions
    from mecli.report.ink import Ink

_BOTH = ("uf1", "uar")
_ALL = "all clips"
_LONG = 9
_LONGEST_CLASS = 15
_ACROSS = 3
_BAND = (10, 90)
_ROW_IN = 0.2
_HALO_PX = 1.6


def confusion(run: RunEvaluation, ink: Ink) -> Figure:
    """Return the confusion matrix: shades are shares of a label's clips, figures are clips."""
    counts = run.whole.counts
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = len(run.classes)
    figure, axes = _plot(COLUMN_IN, min(COLUMN_IN, 0.9 + 0.42 * size + 0.2 * (size < 4)))
    for row in range(size):
        for column in range(size):
            share, clips = float(shares[row, column]), int(counts[row, column])
            right = row == column
            axes.add_patch(_box(column, row, ink.positive if right else ink.negative, share))
            axes.text(column, row - 0.02, str(clips), ha="center", va="bottom")
            axes.text(column, row + 0.08, f"{share:.0%}", ha="center", va="top", size=5.5)
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xlabel="answer", ylabel="label")
    names = [_short(name, _LONGEST_CLASS) for name in run.classes]
    slanted = max(map(len, names)) > _LONG or size > 5
    turn: dict[str, Any] = (
        {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    )
    axes.set_xticks(range(size), names, **turn)
    axes.set_yticks(range(size), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def corpora(runs: Sequence[RunEvaluation], names: Sequence[str], ink: Ink) -> Figure:
    """Return a bar with its interval for all clips and each corpus: UF1 of some runs.

    A single run shows UAR beside.
    """
    groups = list(dict.fromkeys(name for run in runs for name in run.by_corpus))
    rows = [_ALL, *groups] if len(groups) > 1 else [_ALL]
    if len(runs) == 1:
        series = [(SCORES[score], runs[0], score) for score in _BOTH]
    else:
        series = [
            (f"UF1, {_short(name, 40)}", run, "uf1") for name, run in zip(names, runs, strict=True)
        ]
    height = 0.55 + (_ROW_IN * len(series) + 0.1) * len(rows) + 0.16 * len(series)
    figure, axes = _plot(COLUMN_IN, height)
    thick = 0.8 / len(series)
    for place, (label, run, score) in enumerate(series):
        colour = ink.series[place % len(ink.series)]
        for row, name in enumerate(rows):
            group = run.whole if name == _ALL else run.by_corpus.get(name)
            if group is not None:
                y = row + (place - (len(series) - 1) / 2) * thick
                _bar(axes, y, thick, group, score, colour, ink)
        axes.barh([np.nan], [0], color=colour, label=label)
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel="score, 95 % interval over subjects")
    axes.set_yticks(range(len(rows)), [_short(name, _LONGEST_CLASS) for name in rows])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    figure.legend(loc="outside upper left", ncols=1 if len(runs) > 1 else 2, handlelength=1)
    return figure


def learning(curves: Sequence[Curve], ink: Ink) -> Figure:
    """Return the training loss by epoch: the mean over folds and where most of them lie."""
    wide = COLUMN_IN / min(len(curves), 2)
    figure, every = _plots(len(curves), min(len(curves), 2), wide, 1.9)
    for axes, curve, colour in zip(every, curves, ink.series * len(curves), strict=False):
        epochs = np.arange(1, curve.losses.shape[1] + 1)
        low, high = np.nanpercentile(curve.losses, _BAND, axis=0)
        axes.fill_between(epochs, low, high, color=colour, alpha=0.22, linewidth=0)
        axes.plot(epochs, np.nanmean(curve.losses, axis=0), color=colour, linewidth=1.4)
        axes.set(title=f"stage {curve.stage}", xlabel="epoch")
        axes.set_xlim(1, max(len(epochs), 2))
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
    every[0].set_ylabel("training loss")
    return figure


def regions(found: Regions, ink: Ink) -> Figure:
    """Return a drawn face for each class, its ROIs as strong as they contribute on average."""
    columns = min(len(found.parts), _ACROSS)
    wide = COLUMN_IN / columns
    left, right, bottom, top = template.VIEW
    tall = 0.95 * wide * (bottom - top) / (right - left) + 0.27
    figure, every = _plots(len(found.parts), columns, wide, tall)
    most = max((v for parts in found.parts.values() for v in parts.values()), default=0.0)
    for axes, (name, parts) in zip(every, found.parts.items(), strict=True):
        _face(axes, parts, most or 1.0, ink)
        axes.set_title(f"{_short(name, _LONGEST_CLASS)}\n{found.clips[name]} answers", pad=2)
    return figure


def comparison(pairs: Sequence[Comparison], names: Sequence[str], ink: Ink) -> Figure:
    """Return each run's difference from the first with its paired interval; 0 is no difference."""
    figure, axes = _plot(COLUMN_IN, 0.85 + 0.42 * len(pairs))
    for row, pair in enumerate(pairs):
        first, second = pair.first_group.scores(), pair.second_group.scores()
        for place, score in enumerate(_BOTH):
            y, colour = row + (place - 0.5) * 0.36, ink.series[place]
            middle = second[score] - first[score]
            if bounds := pair.differences.of.get(score):
                axes.plot(bounds, [y, y], color=colour, linewidth=1.6, solid_capstyle="round")
            axes.plot([middle], [y], "o" if place == 0 else "s", color=colour, markersize=4.5)
    for place, score in enumerate(_BOTH):
        axes.plot([], [], "o" if place == 0 else "s", color=ink.series[place], label=SCORES[score])
    axes.axvline(0, color=ink.text, linewidth=0.8)
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_yticks(range(len(pairs)), [_short(names[pair.place - 1]) for pair in pairs])
    axes.set_xlabel(f"difference, 95 % interval\nfrom {_short(names[0], 34)}")
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
    axes.grid(axis="x")
    figure.legend(loc="outside upper left", ncols=2, handlelength=1)
    return figure


def _bar(
    axes: Axes, y: float, thick: float, group: Group, score: str, colour: str, ink: Ink
) -> None:
    value = group.scores()[score]
    axes.barh([y], [value], thick * 0.86, color=colour)
    if bounds := group.intervals.of.get(score):
        for width, shade in ((2.4, ink.paper), (1.1, ink.text)):
            axes.plot(bounds, [y, y], color=shade, linewidth=width, solid_capstyle="butt")
    axes.text(1.02, y, number(value), va="center_baseline")


def _face(axes: Axes, parts: Mapping[str, float], most: float, ink: Ink) -> None:
    from matplotlib.patheffects import withStroke

    left, right, bottom, top = template.VIEW
    for stroke in template.strokes():
        x, y = stroke.points.T
        solid = stroke.name in {"brow", "iris"}
        if stroke.closed:
            axes.fill(
                x, y, facecolor=ink.faint if solid else "none", edgecolor=ink.faint, linewidth=0.8
            )
        else:
            axes.plot(x, y, color=ink.faint, linewidth=0.8)
    for name, (x0, y0, x1, y1) in zip(ROI_NAMES, roi_boxes(template.landmarks()), strict=True):
        part = parts[name]
        corner, sides = (float(x0), float(y0)), (float(x1 - x0), float(y1 - y0))
        axes.add_patch(_region(corner, sides, ink.positive, part / most))
        middle = (x0 + x1) / 2, (y0 + y1) / 2
        said = axes.text(*middle, f"{part:.0%}", ha="center", va="center", size=5.5)
        said.set_path_effects([withStroke(linewidth=_HALO_PX, foreground=ink.paper)])
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.axis("off")


def _region(
    corner: tuple[float, float], sides: tuple[float, float], colour: str, share: float
) -> Any:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch(
        corner, *sides, boxstyle="round,pad=0,rounding_size=8", linewidth=0.8,
        facecolor=to_rgba(colour, 0.7 * share), edgecolor=to_rgba(colour, 0.9),
    )  # fmt: skip


def _box(column: float, row: float, colour: str, share: float) -> Any:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    # Never so strong that the figures on it could not be read.
    shade = to_rgba(colour, 0.05 + 0.57 * share)
    return Rectangle((column - 0.48, row - 0.47), 0.96, 0.94, facecolor=shade, linewidth=0)


def _short(name: str, most: int = 22) -> str:
    """Return both ends of a name that is too long: the model, and what tells its run apart."""
    if len(name) <= most:
        return name
    first = (most - 1) // 2
    return f"{name[:first]}…{name[-(most - 1 - first) :]}"


def _plot(width: float, height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = _plots(1, 1, width, height)
    return figure, axes


def _plots(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of `count` panels, `columns` in a row, each of `width` × `height` inches."""
    from matplotlib.figure import Figure

    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    every = [figure.add_subplot(rows, columns, place) for place in range(1, count + 1)]
    return figure, every
