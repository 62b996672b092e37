"""Tables to paste into a paper: LaTeX with booktabs, or Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mecli.report import words
from mecli.report.evaluation import SCORES, per_class, seed_spread
from mecli.report.organisers import action_units, asked
from mecli.report.tables import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mecli.report.evaluation import Comparison, Evaluation, Group, RunEvaluation
    from mecli.report.organisers import Asked

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "–": "--", "−": "$-$", "±": r"$\pm$", "·": r"$\cdot$", "→": r"$\rightarrow$", "³": "$^3$",
    "²": "$^2$", "Δ": r"$\Delta$",
}  # fmt: skip
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~])")
_BOTH = ("uf1", "uar")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of a paper; the first column holds names, cells are plain words."""

    name: str
    """Unique in the document; what the label is made of."""
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def sheets(result: Evaluation) -> list[Sheet]:
    """Return the tables of everything that was scored, each with a caption of its own."""
    found = [] if result.of_units else [_results(result)]
    names = words.names(result.runs)
    for place, (name, run) in enumerate(zip(names, result.runs, strict=True), start=1):
        if result.of_units:
            break
        mark = "" if len(names) == 1 else f"-{place}"
        found += _parts(run, name, mark, result)
    for place, table in enumerate(action_units(result.runs), start=1):
        found.append(_asked(table, f"units-{place}", result))
    if result.comparisons:
        found.append(_comparisons(result, names))
    return found


def latex(found: Iterable[Sheet]) -> str:
    r"""Return `found` as table environments; the preamble needs ``\usepackage{booktabs}``."""
    return "% \\usepackage{booktabs}\n" + "\n".join(map(_latex, found))


def markdown(found: Iterable[Sheet]) -> str:
    """Return `found` as tables of GitHub's Markdown, each below its caption."""
    return "\n".join(map(_markdown, found))


def _results(result: Evaluation) -> Sheet:
    spread = any(len(run.by_seed) > 1 for run in result.runs)
    runs = list(zip(words.names(result.runs), result.runs, strict=True))
    header = ["model", "protocol", "clips", "UF1 (95 % CI)", "UAR (95 % CI)", "accuracy"]
    more = ["UF1 of seeds", "UAR of seeds"] if spread else []
    rows = [
        [
            name,
            run.protocol or "–",
            str(run.whole.clips),
            *(_bounded(run.whole, score) for score in _BOTH),
            number(run.whole.scores()["accuracy"]),
            *(_spread(run) if spread else ()),
        ]
        for name, run in runs
    ]
    said = [words.statement(run) for _, run in runs]
    common = [s for s in said[0] if all(s in others for others in said)]
    own = [
        f"{name}: {' '.join(s for s in mine if s not in common)}"
        for (name, _), mine in zip(runs, said, strict=True)
        if len(runs) > 1
    ]
    cautions = dict.fromkeys(run.whole.intervals.note for run in result.runs)
    sure = [_uncertainty(result), *(f"Note: {note}." for note in cautions if note)]
    caption = ["Micro-expression recognition.", *common, *own, *sure]
    return Sheet("results", " ".join(caption), [*header, *more], rows)


def _spread(run: RunEvaluation) -> list[str]:
    if len(run.by_seed) < 2:
        return ["–"] * len(_BOTH)
    mean, sd = seed_spread(run)
    return [f"{number(mean[score])} ± {number(sd[score])}" for score in _BOTH]


def _parts(run: RunEvaluation, name: str, mark: str, result: Evaluation) -> list[Sheet]:
    """Return the tables of one run: its corpora, its classes, its confusions, its organisers'."""
    found = []
    brief = f"{name}, protocol {run.protocol or 'not stated'}, {words.scored(run)}"
    if len(run.by_corpus) > 1:
        caption = f"Scores by corpus. {brief}. {_uncertainty(result)}"
        found.append(_corpora(run.by_corpus, f"corpora{mark}", caption))
    rows = [
        [label, number(f1), number(recall), number(precision), str(n)]
        for label, f1, recall, precision, n in per_class(run)
    ]
    header = ["class", "F1", "recall", "precision", "clips"]
    found.append(Sheet(f"classes{mark}", f"Scores by class. {brief}.", header, rows))
    found.append(_confusion(run, f"confusion{mark}", brief))
    if table := asked(run):
        found.append(_asked(table, f"organisers{mark}", result))
    return found


def _corpora(groups: Mapping[str, Group], name: str, caption: str) -> Sheet:
    rows = [
        [corpus, str(g.clips), str(g.subjects), *(_bounded(g, s) for s in _BOTH)]
        for corpus, g in groups.items()
    ]
    header = ["corpus", "clips", "subjects", "UF1 (95 % CI)", "UAR (95 % CI)"]
    return Sheet(name, caption, header, rows)


def _confusion(run: RunEvaluation, name: str, brief: str) -> Sheet:
    counts = run.whole.counts
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    rows = [
        [label, *(f"{n} ({share:.0%})" for n, share in zip(ns, row, strict=True))]
        for label, ns, row in zip(run.classes, counts.tolist(), shares.tolist(), strict=True)
    ]
    caption = f"Confusion matrix: clips (and their share of the row) by label and answer. {brief}."
    return Sheet(name, caption, ["label", *run.classes], rows)


def _asked(table: Asked, name: str, result: Evaluation) -> Sheet:
    leaked = ["LEAKED: held-out subjects picked the epoch."] if _leaks(result) else []
    said = [f"{table.title}.", *leaked, *(f"{remark}." for remark in table.remarks)]
    said += [f"Source: {table.source}."] if table.source else []
    rows = [
        [
            row.name,
            *(("", "") if row.size is None else map(str, row.size)),
            *map(number, row.scores.values()),
        ]
        for row in table.rows
    ]
    return Sheet(name, " ".join(said), ["", "clips", "subjects", *table.rows[0].scores], rows)


def _leaks(result: Evaluation) -> bool:
    return any(run.leaked for run in result.runs)


def _comparisons(result: Evaluation, names: Sequence[str]) -> Sheet:
    rows = [
        [names[pair.place - 1], str(pair.first_group.clips), *_differences(pair)]
        for pair in result.comparisons
    ]
    caption = (
        f"Differences from {names[0]} on the clips that both judge, with 95 % intervals of a "
        f"paired bootstrap over subjects ({result.resamples} resamples, seed {result.seed}); an "
        "interval that holds 0 shows no difference."
    )
    header = ["model", "shared clips", *(f"Δ{SCORES[score]} (95 % CI)" for score in _BOTH)]
    return Sheet("comparison", caption, header, rows)


def _differences(pair: Comparison) -> list[str]:
    first, second = pair.first_group.scores(), pair.second_group.scores()
    cells = []
    for score in _BOTH:
        bounds = pair.differences.of.get(score)
        within = "" if bounds is None else f" ({_signed(bounds[0])} to {_signed(bounds[1])})"
        cells.append(f"{_signed(second[score] - first[score])}{within}")
    return cells


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _bounded(group: Group, score: str) -> str:
    bounds = group.intervals.of.get(score)
    within = "" if bounds is None else f" ({number(bounds[0])}–{number(bounds[1])})"
    return f"{number(group.scores()[score])}{within}"


def _uncertainty(result: Evaluation) -> str:
    return words.uncertainty(result.resamples, result.seed)


def _latex(sheet: Sheet) -> str:
    lines = [
        r"\begin{table}[t]",
        r"  \centering",
        rf"  \caption{{{_escaped(sheet.caption)}}}",
        rf"  \label{{tab:mecli-{sheet.name}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(sheet.header) - 1)}}}",
        r"    \toprule",
        f"    {_row(sheet.header)}",
        r"    \midrule",
        *(f"    {_row(row)}" for row in sheet.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(_escaped, cells)) + r" \\"


def _escaped(said: str) -> str:
    return "".join(_LATEX.get(c, c) for c in _one_line(said))


def _markdown(sheet: Sheet) -> str:
    rows = [sheet.header, ["---", *["---:"] * (len(sheet.header) - 1)], *sheet.rows]
    lines = []
    for place, row in enumerate(rows):
        cells = row if place == 1 else map(marked_down, row)
        lines.append(f"| {' | '.join(cells)} |")
    return f"{marked_down(sheet.caption)}\n\n" + "\n".join(lines) + "\n"


def marked_down(said: str) -> str:
    """Return `said` as one line of Markdown that shows its characters as they are."""
    return _MARKDOWN.sub(r"\\\1", _one_line(said)).replace("&", "&amp;")


def _one_line(said: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in said)
