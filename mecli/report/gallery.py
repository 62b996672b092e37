"""Which plots an evaluation has: for a page, and as files for a paper."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mecli.report import plots, words
from mecli.report.ink import FORMATS, PRINT, drawn, style

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

    from mecli.report.evaluation import Evaluation
    from mecli.report.evidence import Evidence
    from mecli.report.ink import Ink


def key(kind: str, place: int, result: Evaluation) -> str:
    """Return the name of a plot of one kind of the run at `place`."""
    if len(result.runs) == 1:
        return kind
    name = re.sub(r"[^a-z0-9]+", "-", words.names(result.runs)[place].casefold()).strip("-")
    return f"{kind}-{place + 1}-{name}"


def plotted(
    result: Evaluation, evidence: Sequence[Evidence], ink: Ink
) -> Iterator[tuple[str, Figure]]:
    """Yield each plot with its name: of all runs together first, then of one after the other."""
    names = words.names(result.runs)
    with style(ink):
        if not result.of_units:
            yield "scores", plots.corpora(result.runs, names, ink)
        if result.comparisons:
            yield "comparison", plots.comparison(result.comparisons, names, ink)
        for place, (run, behind) in enumerate(zip(result.runs, evidence, strict=True)):
            yield key("confusion", place, result), plots.confusion(run, ink)
            if behind.curves:
                yield key("learning", place, result), plots.learning(behind.curves, ink)
            if behind.regions:
                yield key("regions", place, result), plots.regions(behind.regions, ink)


def files(result: Evaluation, evidence: Sequence[Evidence]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file: each plot as PDF, SVG and PNG."""
    for name, figure in plotted(result, evidence, PRINT):
        for form in FORMATS:
            yield f"{name}.{form}", drawn(figure, form)
