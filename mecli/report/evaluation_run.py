"""The part of an evaluation's page that is about one run."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.report import words
from mecli.report.evaluation import SCORES, per_class, seed_spread
from mecli.report.filmstrip import filmstrip
from mecli.report.gallery import key
from mecli.report.organisers import asked
from mecli.report.shell import text
from mecli.report.sortable import table
from mecli.report.tables import count, number
from mecli.rois import ROI_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mecli.report.evaluation import Evaluation, Group, RunEvaluation
    from mecli.report.evidence import Evidence, Hard, Regions
    from mecli.report.organisers import Asked
    from mecli.report.sortable import Cell

_METHODS = {
    "weights": "the size of the region's part of the class scores, less its mean over classes and "
    "less the same on a face that stands still",
    "occlusion": "how much the class probabilities change when the region stands still",
}
_LEAK = (
    "LEAKED: the held-out subjects picked the epoch. This shows what that fakes; no figure here "
    "is a result."
)


def run_part(
    result: Evaluation, place: int, name: str, evidence: Evidence, plots: Mapping[str, str]
) -> str:
    """Return everything on the run at `place`: its scores, how they came about, and its errors."""
    run = result.runs[place]

    def shown(kind: str) -> str:
        return plot(plots, key(kind, place, result))

    parts = [
        f'<section class="run" id="run{place + 1}"><h2>{text(name)}</h2>',
        f'<p class="faint">{text(run.source)}</p>',
        f'<p class="leak">{_LEAK}</p>' if run.leaked else "",
        _cards(run),
        _how(run, result),
        _classes(run, shown("confusion")),
        _corpora(run, plot(plots, "scores") if len(result.runs) == 1 else ""),
        _subjects(run),
        _learning(evidence, shown("learning")),
        _regions(evidence.regions, shown("regions")),
        _hardest(evidence.hardest),
        _missing(evidence),
        _options(run),
    ]
    return "\n".join(part for part in parts if part) + "</section>\n"


def plot(plots: Mapping[str, str], name: str) -> str:
    """Return a plot as a figure, nothing if there is none of this name."""
    return f"<figure>{plots[name]}</figure>" if name in plots else ""


def bounded(group: Group, score: str) -> Cell:
    """Return a score with its interval as a cell that sorts by the score."""
    value, bounds = group.scores()[score], group.intervals.of.get(score)
    within = "" if bounds is None else f" ({number(bounds[0])}–{number(bounds[1])})"
    return f"{number(value)}{within}", value


def asked_table(found: Asked) -> str:
    """Return the table of a challenge's organisers, with its source and remarks."""
    rows: list[list[Cell]] = [
        [
            row.name,
            *(("–", "–") if row.size is None else map(str, row.size)),
            *map(number, row.scores.values()),
        ]
        for row in found.rows
    ]
    header = ["part", "clips", "subjects", *found.rows[0].scores]
    said = [*found.remarks, *([f"source: {found.source}"] if found.source else [])]
    remarks = "".join(f'<p class="faint">{text(line)}</p>' for line in said)
    caption = f"What {found.title} asks for"
    return f"<h3>{text(found.title)}</h3>{table(caption, header, rows)}{remarks}"


def _cards(run: RunEvaluation) -> str:
    scores, bounds = run.whole.scores(), run.whole.intervals.of
    cards = []
    for score, title in SCORES.items():
        within = "no interval"
        if score in bounds:
            low, high = bounds[score]
            within = f"95 % interval {number(low)}–{number(high)}"
        if len(run.by_seed) > 1:
            mean, sd = seed_spread(run)
            within += f"; seeds {number(mean[score])} ± {number(sd[score])}"
        leaked = " LEAKED" * run.leaked
        cards.append(f"<li>{title}{leaked}<b>{number(scores[score])}</b><span>{within}</span></li>")
    return f'<ul class="cards">{"".join(cards)}</ul>'


def _how(run: RunEvaluation, result: Evaluation) -> str:
    said = [*words.statement(run), words.uncertainty(result.resamples, result.seed)]
    if note := run.whole.intervals.note:
        said.append(f"{note[0].upper()}{note[1:]}.")
    if run.sureness:
        after = run.sureness.ece_calibrated
        more = "" if after is None else f", {after:.3f} once calibrated by the other folds"
        said.append(f"Calibration error of the class scores: {run.sureness.ece:.3f}{more}.")
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in said)
    return f'<h3>How it was done</h3><ul class="how">{items}</ul>'


def _classes(run: RunEvaluation, shown: str) -> str:
    rows: list[list[Cell]] = [
        [label, *((number(v), v) for v in (f1, recall, precision)), (str(n), float(n))]
        for label, f1, recall, precision, n in per_class(run)
    ]
    scores = table(
        "Scores by class", ["class", "F1", "recall", "precision", "clips"], rows, sort=True
    )
    counts = [
        [name, *map(str, row)]
        for name, row in zip(run.classes, run.whole.counts.tolist(), strict=True)
    ]
    confusion = table("Clips by label (row) and answer (column)", ["label", *run.classes], counts)
    organisers = asked(run)
    return (
        f'<h3>Which classes are told apart</h3><div class="side">{shown}<div>{scores}{confusion}'
        f"</div></div>{asked_table(organisers) if organisers else ''}"
    )


def _corpora(run: RunEvaluation, shown: str) -> str:
    rows = [
        [
            name,
            (str(group.clips), float(group.clips)),
            (str(group.subjects), float(group.subjects)),
            *(bounded(group, score) for score in ("uf1", "uar")),
            (number(group.scores()["accuracy"]), group.scores()["accuracy"]),
        ]
        for name, group in run.by_corpus.items()
    ]
    header = [
        "corpus",
        "clips",
        "subjects",
        "UF1 (95 % interval)",
        "UAR (95 % interval)",
        "accuracy",
    ]
    found = table("Scores by corpus", header, rows, sort=True)
    return f'<h3>Corpora</h3><div class="side">{shown}<div>{found}</div></div>'


def _subjects(run: RunEvaluation) -> str:
    # UF1 of one person says little: most show few classes. Hits per class say it all.
    rows: list[list[Cell]] = []
    for name, group in run.by_subject.items():
        hits, totals = np.diagonal(group.counts).tolist(), group.counts.sum(1).tolist()
        right = group.scores()["accuracy"]
        found: list[Cell] = [
            (f"{hit}/{n}", hit / n) if n else "–" for hit, n in zip(hits, totals, strict=True)
        ]
        size: Cell = (str(group.clips), float(group.clips))
        rows.append([name, size, (number(right), right), *found])
    header = ["subject", "clips", "accuracy", *run.classes]
    caption = "Hits by subject: right answers of the clips of each class"
    return f'<h3>Subjects</h3><div class="tall">{table(caption, header, rows, sort=True)}</div>'


def _learning(evidence: Evidence, shown: str) -> str:
    if not evidence.curves:
        return ""
    folds = evidence.curves[0].losses.shape[0]
    chosen = "".join(
        f"<li>{text(_chosen(stage, epochs))}</li>" for stage, epochs in evidence.chosen.items()
    )
    return (
        "<h3>How it learned</h3><p>Loss on the TRAINING clips by epoch: mean over "
        f"{count(folds, 'training')}, and the band from the 10th to the 90th percentile. Held-out "
        f"clips have no curve here, because nothing may be chosen by it.</p>{shown}"
        + (f'<ul class="how">{chosen}</ul>' if chosen else "")
    )


def _chosen(stage: str, epochs: Sequence[int]) -> str:
    """Return after how many epochs the folds stopped a stage."""
    each = f"{min(epochs)} to {max(epochs)}, median {median(epochs):g}"
    return (
        f"Stage {stage}: epochs chosen on training subjects that were set aside, by each training "
        f"for itself: {each}."
    )


def _regions(found: Regions | None, shown: str) -> str:
    if found is None:
        return ""
    rows: list[list[Cell]] = [
        [
            name,
            (str(found.clips[name]), float(found.clips[name])),
            *((number(parts[roi]), parts[roi]) for roi in ROI_NAMES),
        ]
        for name, parts in found.parts.items()
    ]
    header = ["answer", "clips", *(roi.replace("_", " ") for roi in ROI_NAMES)]
    caption = "Mean share of each region in the answer"
    return (
        "<h3>Where the answers come from</h3><p>The share that each region of the face has in "
        "what is said of a clip, averaged over the clips of an answer, each judged by the model "
        f"that held it out: {_METHODS[found.method]}, times how far the region moves. Shares of a "
        "clip sum to 1. Left and right are those of the picture. The face is drawn; it is "
        "nobody's.</p>"
        f'<div class="broad">{shown}</div>{table(caption, header, rows, sort=True)}'
    )


def _hardest(hardest: Sequence[Hard]) -> str:
    if not hardest:
        return ""
    return (
        "<h3>The hardest clips</h3><p>Answered wrongly with the greatest confidence. Upper row: "
        "the regions of the aligned face as the cache keeps them; lower row: the flow since onset, "
        "hue for direction and brightness for size.</p>" + "".join(map(_hard, hardest))
    )


def _hard(one: Hard) -> str:
    said = one.prediction
    film = filmstrip(one.record) if one.record is not None and len(one.record.flow) else ""
    return (
        f'<article class="hard"><h4>{text(said.clip)}</h4><p>labelled <b>{text(said.label)}</b>, '
        f"answered <b>{text(said.prediction)}</b> with {one.share:.0%}</p>{film}</article>"
    )


def _missing(evidence: Evidence) -> str:
    if not evidence.missing:
        return ""
    items = "".join(f"<li>{text(line)}</li>" for line in evidence.missing)
    return f"<h3>What is not shown, and why</h3><ul>{items}</ul>"


def _options(run: RunEvaluation) -> str:
    """Return everything that the run says about itself, but for its lists of clips."""
    kept = {k: v for k, v in run.header.items() if k not in {"folds", "excluded", "model_options"}}
    rows = [[k, _worded(v)] for k, v in kept.items()]
    rows += [[f"{run.model}: {k}", _worded(v)] for k, v in _dict(run, "model_options").items()]
    rows += [["left out", f"{clip}: {why}"] for clip, why in _dict(run, "excluded").items()]
    if not rows:
        return ""
    found = table("What the run says of itself", ["option", "value"], rows)
    return f"<details><summary>Options, versions, excluded clips</summary>{found}</details>"


def _dict(run: RunEvaluation, name: str) -> dict[str, Any]:
    return dict(run.header.get(name) or {})


def _worded(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
