"""The table of results: every model under one protocol, as text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.report.publication import Sheet, markdown, marked_down
from mecli.report.tables import Table, count, number, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from mecli.report.evaluation import RunEvaluation

_SCORES = ("uf1", "uar")
_LEGEND = """\
UF1 and UAR: mean ± sd over seeds at the last epoch. Ensemble: of the seeds, with its 95 %
interval over subjects, and its UF1 by corpus. LEAKED: the same runs, but the held-out subject
picks its epoch, which is no result. Published: on all of MEGC 2019, whatever is scored here."""


@dataclass(frozen=True, slots=True)
class Published:
    """UF1 and UAR on MEGC 2019 as published, where, and what has to be known about them."""

    uf1: float
    uar: float
    doi: str
    """Of the publication that has the figures, which need not be the model's own."""
    note: str = ""
    leaked: bool = False
    """Whether the held-out subjects are known to have picked the epoch."""


@dataclass(frozen=True, slots=True)
class Result:
    """One model: its seeds scored, what leaks beside them, or why it has no score."""

    model: str
    found: RunEvaluation | None = None
    """None: it cannot be trained on these clips, as `note` says, or is not done yet."""
    leaked: RunEvaluation | None = None
    """The same training, but each held-out subject picked its best epoch; no result."""
    begun_with: str | None = None
    """The checkpoint that every fold began with; ``none`` if with weights drawn by the seed."""
    published: Published | None = None
    note: str = ""


def to_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return one JSON object per model; scores are means over seeds unless called otherwise."""
    return [_document(result) for result in results]


def _document(result: Result) -> dict[str, Any]:
    published = asdict(result.published) if result.published else None
    document = {"model": result.model, "note": result.note, "published": published}
    if result.found is None:
        return document
    found = result.found
    return {
        **document,
        "clips": found.whole.clips,
        "subjects": found.whole.subjects,
        "seeds": list(found.seeds),
        "begun_with": result.begun_with,
        **_spread(found),
        "ensemble": {
            **_named(found.whole.scores()),
            "ci95": {n: list(found.whole.intervals.of[n]) for n in _intervals(found)},
            "by_corpus": {n: _named(g.scores()) for n, g in found.by_corpus.items()},
        },
        "LEAKED": _spread(result.leaked) if result.leaked else None,
    }


def _spread(run: RunEvaluation) -> dict[str, float | None]:
    """Return mean and deviation over the seeds; one seed has no deviation."""
    spread: dict[str, float | None] = {}
    for name in _SCORES:
        values = [group.scores()[name] for group in run.by_seed.values()]
        spread[name] = float(np.mean(values))
        spread[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return spread


def _named(scores: Mapping[str, float]) -> dict[str, float]:
    return {name: scores[name] for name in _SCORES}


def _intervals(run: RunEvaluation) -> list[str]:
    return [name for name in _SCORES if name in run.whole.intervals.of]


def to_text(results: Sequence[Result], stream: TextIO | None = None) -> str:
    """Return the table a person reads, styled if `stream` is a terminal."""
    notes = "\n".join(f"{model}: {said}" for model, said in _notes(results))
    return render([_title(results), _table(results), *([notes] if notes else [])], stream)


def to_markdown(results: Sequence[Result]) -> str:
    """Return the table as Markdown, below what it shows and above its notes."""
    table = _table(results)
    caption = _title(results).replace("\n", " ")
    notes = "".join(f"- `{model}`: {marked_down(said)}\n" for model, said in _notes(results))
    text = markdown([Sheet("results", caption, table.header, table.rows)])
    return f"{text}\n{notes}" if notes else text


def to_csv(results: Sequence[Result]) -> str:
    """Return one row per model with plain numbers, empty where there is none."""
    corpora = _corpora(results)
    rows = [_row(_document(result), corpora) for result in results]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(document: Mapping[str, Any], corpora: Sequence[str]) -> dict[str, Any]:
    ensemble = document.get("ensemble", {})
    bounds = {n: ensemble.get("ci95", {}).get(n, (None, None)) for n in _SCORES}
    parts = ensemble.get("by_corpus", {})
    leaked, published = document.get("LEAKED") or {}, document["published"] or {}
    return {
        "model": document["model"],
        "seeds": len(document.get("seeds", ())),
        "clips": document.get("clips"),
        "begun_with": document.get("begun_with"),
        **{key: document.get(key) for n in _SCORES for key in (n, f"{n}_sd")},
        **{f"ensemble_{n}": ensemble.get(n) for n in _SCORES},
        **{f"ensemble_{n}_{end}": bounds[n][e] for n in _SCORES for e, end in _ENDS},
        **{f"ensemble_{n}_{c}": parts.get(c, {}).get(n) for c in corpora for n in _SCORES},
        **{f"LEAKED_{n}": leaked.get(n) for n in _SCORES},
        **{f"published_{n}": published.get(n) for n in _SCORES},
        "published_doi": published.get("doi"),
        "published_leaked": published.get("leaked"),
        "note": _note(document),
    }


_ENDS = ((0, "low"), (1, "high"))


def _corpora(results: Sequence[Result]) -> list[str]:
    return sorted({corpus for r in results if r.found for corpus in r.found.by_corpus})


def _title(results: Sequence[Result]) -> str:
    sizes = {(r.found.whole.clips, r.found.whole.subjects) for r in results if r.found}
    told = "; ".join(f"{count(c, 'clip')} of {count(s, 'subject')}" for c, s in sorted(sizes))
    return f"{told or 'Nothing is trained yet'}.\n{_LEGEND}"


def _table(results: Sequence[Result]) -> Table:
    corpora = _corpora(results)
    header = ["model", "seeds", "UF1", "UAR", "ensemble UF1 (95 %)", "UAR", *corpora]
    header += ["LEAKED UF1 / UAR", "published UF1 / UAR"]
    return Table(header, [_cells(_document(result), corpora) for result in results])


def _cells(document: Mapping[str, Any], corpora: Sequence[str]) -> list[str]:
    told = [_pair(document.get("LEAKED")), _claim(document["published"])]
    if "seeds" not in document:
        blanks = ["–"] * (5 + len(corpora))
        return [document["model"], *blanks, *told]
    ensemble = document["ensemble"]
    bounds = ensemble["ci95"].get("uf1")
    interval = f" ({_short(bounds[0])}–{_short(bounds[1])})" if bounds else ""
    return [
        document["model"],
        str(len(document["seeds"])),
        *(_with_sd(document[name], document[f"{name}_sd"]) for name in _SCORES),
        f"{_short(ensemble['uf1'])}{interval}",
        _short(ensemble["uar"]),
        *(_short(ensemble["by_corpus"].get(c, {}).get("uf1")) for c in corpora),
        *told,
    ]


def _notes(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return each model that has anything to be said below the table, with that."""
    told = [(result.model, _note(_document(result))) for result in results]
    return [(model, note) for model, note in told if note]


def _note(document: Mapping[str, Any]) -> str:
    published, begun = document["published"], document.get("begun_with", "none")
    said = [document["note"], "" if begun == "none" else f"begun with {begun}"]
    if published:
        remark = f" ({published['note']})" if published["note"] else ""
        said.append(f"published in {published['doi']}{remark}")
    return "; ".join(filter(None, said))


def _claim(published: Mapping[str, Any] | None) -> str:
    if published is None:
        return "–"
    return _pair(published) + (" LEAKED" if published["leaked"] else "")


def _pair(scores: Mapping[str, Any] | None) -> str:
    return "–" if scores is None else " / ".join(_short(scores[name]) for name in _SCORES)


def _with_sd(value: float, deviation: float | None) -> str:
    return _short(value) + (f" ± {_short(deviation)}" if deviation is not None else "")


def _short(value: float | None) -> str:
    """Write a score as the field does: ``.808``."""
    return number(value).removeprefix("0")
