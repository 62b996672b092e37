"""What the organisers of a protocol ask for, named as they name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mecli import metrics
from mecli.clips import person_of
from mecli.report.tables import Table, count, number
from mecli.schemes.au import SCHEMES as AU_SCHEMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mecli.report.evaluation import Group, RunEvaluation

_TITLES = {
    "casme": "CASME",
    "casme2": "CASME II",
    "casme3": "CAS(ME)³",
    "samm": "SAMM",
    "smic": "SMIC",
    "mmew": "MMEW",
    "4dme": "4DME",
}


class Size(NamedTuple):
    """How many clips and subjects a composite has."""

    clips: int
    subjects: int


_MEGC2019 = {"smic": Size(164, 16), "casme2": Size(145, 24), "samm": Size(133, 28)}
_MEGC2019_FULL = Size(442, 68)
_MEGC2018 = {"casme2": 185, "samm": 68}
_CD6ME = ("casme", "casme2", "samm", "4dme", "mmew", "casme3")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the organisers' table; sizes are None for a mean over lines."""

    name: str
    size: Size | None
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """The organisers' table, and in what the scored clips are not theirs."""

    title: str
    source: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the table as one JSON object."""
        rows = [
            {
                "name": row.name,
                "clips": None if row.size is None else row.size.clips,
                "subjects": None if row.size is None else row.size.subjects,
                **row.scores,
            }
            for row in self.rows
        ]
        return {
            "title": self.title,
            "source": self.source,
            "rows": rows,
            "remarks": list(self.remarks),
        }

    def blocks(self) -> list[str | Table]:
        """Return the table for people."""
        header = [self.title, "clips", "subjects", *self.rows[0].scores]
        rows = [
            [
                row.name,
                *(("", "") if row.size is None else map(str, row.size)),
                *map(number, row.scores.values()),
            ]
            for row in self.rows
        ]
        said = "\n".join([*self.remarks, *([f"source: {self.source}"] if self.source else [])])
        return [Table(header, rows), *([said] if said else [])]


def asked(run: RunEvaluation) -> Asked | None:
    """Return what the organisers of a run's protocol and labels ask for, None if nobody does."""
    if run.protocol == "loso" and run.scheme == "megc2019" and set(run.by_corpus) & set(_MEGC2019):
        return _cde2019(run)
    if run.protocol == "loso" and run.scheme == "megc2018" and set(run.by_corpus) & set(_MEGC2018):
        return _cde2018(run)
    if run.scheme in AU_SCHEMES:
        return None  # one action unit is a part only: see `action_units`
    if run.protocol == "hde":
        return _hde(run)
    if run.protocol == "lodo":
        return _lodo(run)
    return None


def action_units(runs: Sequence[RunEvaluation]) -> tuple[Asked, ...]:
    """Return a table of F1 per action unit for each model and protocol with several units.

    Each run judges one unit; its F1 is that of showing it, pooled over all held-out clips.
    Leaving corpora out makes it the protocol CD6ME, which is shown for a single unit too.
    """
    found: dict[tuple[str, str], dict[str, RunEvaluation]] = {}
    for run in runs:
        if run.scheme in AU_SCHEMES:
            made = (run.protocol or "", " ".join([run.model or "", *["LEAKED"] * run.leaked]))
            found.setdefault(made, {})[run.scheme] = run
    return tuple(
        _cd6me(model, of_unit) if protocol == "lodo" else _units(f"{model} {protocol}", of_unit)
        for (protocol, model), of_unit in found.items()
        if protocol == "lodo" or len(of_unit) > 1
    )


def _units(name: str, of_unit: Mapping[str, RunEvaluation]) -> Asked:
    rows = []
    for run in (of_unit[name] for name in AU_SCHEMES if name in of_unit):
        f1 = float(metrics.f1_per_class(run.whole.counts)[1])
        rows.append(Row(run.classes[1], _size(run.whole), {"F1": f1}))
    absent = [f"AU{unit}" for name, unit in AU_SCHEMES.items() if name not in of_unit]
    remarks = (f"no run here for {', '.join(absent)}",) if absent else ()
    title = " ".join(["action units", *name.split()])
    return Asked(title, "", (*rows, _mean("mean over AUs", rows)), remarks)


def _cd6me(model: str, of_unit: Mapping[str, RunEvaluation]) -> Asked:
    table = _units(model, of_unit)
    everywhere = dict.fromkeys(name for run in of_unit.values() for name in run.by_corpus)
    return Asked(
        " ".join(["CD6ME", *model.split()]),
        "Varanka, Li, Peng, Zhao, IEEE TAFFC 2024, arXiv 2211.11425",
        table.rows,
        (*table.remarks, *_strangers(everywhere, _CD6ME, "CD6ME")),
    )


def _cde2019(run: RunEvaluation) -> Asked:
    """Composite database evaluation: UF1 and UAR on the whole and on each part of it."""
    parts = [name for name in _MEGC2019 if name in run.by_corpus]
    groups = {"Full": run.whole, **{f"{_title(p)} Part": run.by_corpus[p] for p in parts}}
    wanted = {"Full": _MEGC2019_FULL, **{f"{_title(p)} Part": _MEGC2019[p] for p in parts}}
    remarks = [
        f"{name}: {_words(_size(groups[name]))} here, {_words(size)} in MEGC 2019"
        for name, size in wanted.items()
        if _size(groups[name]) != size
    ]
    remarks += _strangers(run.by_corpus, _MEGC2019, "MEGC 2019")
    return Asked(
        "MEGC 2019 CDE",
        "See, Yap, Li, Hong, Wang, FG 2019, 10.1109/FG.2019.8756611",
        tuple(_row(name, group, ("UF1", "UAR")) for name, group in groups.items()),
        tuple(remarks),
    )


def _cde2018(run: RunEvaluation) -> Asked:
    """Composite database evaluation: F1 over the classes, plain and weighted by their size."""
    return Asked(
        "MEGC 2018 CDE",
        "Yap, See, Hong, Wang, FG 2018, 10.1109/FG.2018.00106",
        (_row("composite", run.whole, ("F1-score", "weighted F1-score")),),
        (*_sizes2018(run), *_strangers(run.by_corpus, _MEGC2018, "MEGC 2018")),
    )


def _hde(run: RunEvaluation) -> Asked:
    """Holdout-database evaluation: WAR and UAR of each direction, and their means."""
    rows = [
        _row(f"{_trained_on(name, run.by_corpus)} → {_title(name)}", group, ("WAR", "UAR"))
        for name, group in run.by_corpus.items()
    ]
    remarks = [*_sizes2018(run), *_strangers(run.by_corpus, _MEGC2018, "MEGC 2018")]
    if run.scheme != "megc2018":
        remarks.insert(0, f"labels are {run.scheme or 'not stated'}, megc2018 in MEGC 2018")
    return Asked(
        "MEGC 2018 HDE",
        "Yap, See, Hong, Wang, FG 2018, 10.1109/FG.2018.00106",
        (*rows, _mean("average", rows)),
        tuple(remarks),
    )


def _lodo(run: RunEvaluation) -> Asked:
    """Leave one corpus out: UF1 and UAR of every corpus, and their means."""
    rows = [_row(f"without {_title(n)}", g, ("UF1", "UAR")) for n, g in run.by_corpus.items()]
    return Asked("leave one corpus out", "", (*rows, _mean("mean over corpora", rows)))


def _row(name: str, group: Group, scores: Iterable[str]) -> Row:
    return Row(name, _size(group), {score: _score(score, group) for score in scores})


def _score(name: str, group: Group) -> float:
    """Return a score of `group` by the name the organisers give it."""
    if name == "weighted F1-score":
        return metrics.weighted_f1(group.counts)
    # Recall weighted by the size of the classes is the share of clips that are right.
    plain = {"UF1": "uf1", "UAR": "uar", "F1-score": "uf1", "WAR": "accuracy"}
    return group.scores()[plain[name]]


def _mean(name: str, rows: Iterable[Row]) -> Row:
    rows = tuple(rows)
    return Row(name, None, {s: float(np.mean([r.scores[s] for r in rows])) for s in rows[0].scores})


def _trained_on(tested: str, corpora: Iterable[str]) -> str:
    """Name the corpora whose people are others than those of `tested`."""
    people = person_of(tested, "")
    return " + ".join(_title(c) for c in corpora if person_of(c, "") != people)


def _sizes2018(run: RunEvaluation) -> list[str]:
    if run.scheme != "megc2018":
        return []
    return [
        f"{_title(name)}: {count(run.by_corpus[name].clips, 'clip')} here, {clips} in MEGC 2018"
        for name, clips in _MEGC2018.items()
        if name in run.by_corpus and run.by_corpus[name].clips != clips
    ]


def _strangers(corpora: Iterable[str], known: Iterable[str], challenge: str) -> list[str]:
    here, known = list(corpora), set(known)
    others = [_title(name) for name in here if name not in known]
    missing = sorted(_title(name) for name in known - set(here))
    return [
        *([f"no part of {challenge}: {', '.join(others)}"] if others else []),
        *([f"missing here: {', '.join(missing)}"] if missing else []),
    ]


def _size(group: Group) -> Size:
    return Size(group.clips, group.subjects)


def _words(size: Size) -> str:
    return f"{count(size.clips, 'clip')} of {count(size.subjects, 'subject')}"


def _title(corpus: str) -> str:
    return _TITLES.get(corpus, corpus)
