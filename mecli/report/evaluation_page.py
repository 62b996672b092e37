"""What `evaluate` found, as one page that needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli import __version__
from mecli.report import words
from mecli.report.evaluation import SCORES
from mecli.report.evaluation_run import asked_table, bounded, plot, run_part
from mecli.report.gallery import plotted
from mecli.report.ink import PAGE, inline
from mecli.report.organisers import action_units
from mecli.report.shell import CLOSING, opening, text
from mecli.report.sortable import SCRIPT, TOLD, table
from mecli.report.style import EVALUATION_STYLE
from mecli.report.tables import interval, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mecli.report.evaluation import Comparison, Evaluation
    from mecli.report.evidence import Evidence

_NAMED = 3
_PROMISE = (
    "A micro-expression is a movement, not a lie or a thought. This file holds all of it: "
    "nothing is fetched from anywhere."
)


def page(result: Evaluation, evidence: Sequence[Evidence]) -> Iterator[str]:
    """Yield the page on `result`, with the evidence on each of its runs."""
    names = words.names(result.runs)
    few = " · ".join(names) if len(names) <= _NAMED else f"{len(names)} runs"
    title = f"Evaluation: {few}"
    plots = {
        name: inline(figure, name, _heard(name, result))
        for name, figure in plotted(result, evidence, PAGE)
    }
    yield opening(title, EVALUATION_STYLE, SCRIPT)
    yield f"<header><h1>{text(title)}</h1>\n{_contents(names, result)}</header>\n<main>\n"
    yield _notes(result)
    if len(result.runs) > 1:
        yield _together(result, names, plots)
    for place, (name, behind) in enumerate(zip(names, evidence, strict=True)):
        yield run_part(result, place, name, behind, plots)
    yield (
        f"</main>\n{TOLD}<footer><p>{_PROMISE}</p><p>Made by mecli {__version__}.</p></footer>\n"
        f"{CLOSING}"
    )


def _heard(name: str, result: Evaluation) -> str:
    """Return what a screen reader says of a plot: what it shows, and where its figures are."""
    kinds = {
        "scores": "Bars with intervals: the scores in the tables of this page",
        "comparison": "Differences with intervals, as in the table of differences",
        "confusion": "Confusion matrix, as in the table below it",
        "learning": "Training loss by epoch, falling from left to right if all is well",
        "regions": "Drawn faces, each region as strong as it contributes, as in the table below",
    }
    return kinds[name.partition("-")[0]]


def _contents(names: Sequence[str], result: Evaluation) -> str:
    links = [("together", "All runs")] if len(result.runs) > 1 else []
    for place, name in enumerate(names, start=1):
        links.append((f"run{place}", name))
    items = "".join(f'<li><a href="#{anchor}">{text(name)}</a></li>' for anchor, name in links)
    return f'<nav aria-label="Contents"><ul>{items}</ul></nav>'


def _notes(result: Evaluation) -> str:
    if not result.notes:
        return ""
    items = "".join(f"<li>{text(note)}</li>" for note in result.notes)
    return (
        '<section class="doubts" aria-label="Notes">To know before reading'
        f"<ul>{items}</ul></section>\n"
    )


def _together(result: Evaluation, names: Sequence[str], plots: Mapping[str, str]) -> str:
    rows = [
        [
            name,
            str(run.whole.clips),
            *(bounded(run.whole, score) for score in ("uf1", "uar")),
            number(run.whole.scores()["accuracy"]),
        ]
        for name, run in zip(names, result.runs, strict=True)
    ]
    header = ["run", "clips", "UF1 (95 % interval)", "UAR (95 % interval)", "accuracy"]
    parts = [
        '<section id="together"><h2>All runs</h2>',
        "".join(asked_table(units) for units in action_units(result.runs)),
    ]
    if not result.of_units:
        shown = table("Scores of all runs", header, rows, sort=True)
        parts.append(f'<div class="side">{plot(plots, "scores")}<div>{shown}</div></div>')
    if result.comparisons:
        parts.append(_comparisons(result, names, plots))
    return "\n".join(parts) + "</section>\n"


def _comparisons(result: Evaluation, names: Sequence[str], plots: Mapping[str, str]) -> str:
    rows = [row for pair in result.comparisons for row in _differences(pair, names)]
    header = ["run", "score", "shared clips", "difference", "95 % interval"]
    caption = f"Differences from {names[0]} on the clips that both judge"
    return (
        f"<h3>Is the difference real?</h3><p>Each run minus {text(names[0])} on the clips that "
        "both judge. The interval is that of a paired bootstrap over subjects "
        f"({result.resamples} resamples, seed {result.seed}): one that holds 0 shows no "
        f'difference.</p><div class="side">{plot(plots, "comparison")}'
        f"<div>{table(caption, header, rows)}</div></div>"
    )


def _differences(pair: Comparison, names: Sequence[str]) -> list[list[str]]:
    first, second = pair.first_group.scores(), pair.second_group.scores()
    name = names[pair.place - 1]
    if pair.leaked and "LEAKED" not in name:
        name += " (LEAKED)"
    return [
        [
            name,
            title,
            str(pair.first_group.clips),
            f"{second[score] - first[score]:+.3f}",
            interval(pair.differences.of.get(score), signed=True),
        ]
        for score, title in SCORES.items()
    ]
