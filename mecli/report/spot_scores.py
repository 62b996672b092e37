"""How well intervals were spotted, and then recognised: as a result, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mecli.interval_metrics import strs
from mecli.report.tables import Table, count, number, render

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from mecli.interval_metrics import Tally


@dataclass(frozen=True, slots=True)
class Recognised:
    """What was said of the micro-expressions that were hit."""

    classes: tuple[str, ...]
    f1: tuple[float, ...]
    """Of each class."""
    hits: int
    """Hits whose true class is known; only they are scored."""
    unknown: int
    """Hits whose true class the label scheme does not know."""

    @property
    def uf1(self) -> float:
        """Unweighted F1: the mean over all classes."""
        return sum(self.f1) / len(self.f1)


@dataclass(frozen=True, slots=True)
class SpotScores:
    """Sums over a whole database of long videos by kind, and what follows from them."""

    source: str
    truth: tuple[str, ...]
    recordings: int
    minutes: float | None
    """How long all recordings are together, None where one does not say it."""
    tallies: Mapping[str, Tally]
    """By ``micro``, ``macro`` and ``overall``."""
    recognised: Recognised | None = None
    notes: tuple[str, ...] = ()

    @property
    def strs(self) -> float | None:
        """Spot-then-recognise score of micro-expressions, None if nothing was recognised."""
        if self.recognised is None:
            return None
        return strs(self.tallies["micro"].f1, self.recognised.uf1)

    def false_per_minute(self, kind: str) -> float | None:
        """Return how many intervals a minute were spotted that hit nothing."""
        if not self.minutes:
            return None
        return (self.tallies[kind].found - self.tallies[kind].hits) / self.minutes

    def as_json(self) -> dict[str, Any]:
        """Return everything as one JSON document."""
        return {
            "source": self.source,
            "truth": ", ".join(self.truth),
            "recordings": self.recordings,
            "minutes": None if self.minutes is None else round(self.minutes, 3),
            "spotting": {
                kind: {
                    **tally._asdict(),
                    "precision": tally.precision,
                    "recall": tally.recall,
                    "f1": tally.f1,
                    "false_per_minute": self.false_per_minute(kind),
                }
                for kind, tally in self.tallies.items()
            },
            "recognition": None
            if (said := self.recognised) is None
            else {
                "uf1": said.uf1,
                "f1": dict(zip(said.classes, said.f1, strict=True)),
                "hits": said.hits,
                "hits_without_class": said.unknown,
            },
            "strs": self.strs,
            "notes": list(self.notes),
        }


def spot_scores_text(scores: SpotScores, stream: TextIO | None = None) -> str:
    """Return a table of hits, precision, recall and F1 by kind, and STRS where there is one."""
    header = ["", "hits", "spotted", "true", "precision", "recall", "F1", "false/min"]
    rows = [
        [
            kind,
            *(str(n) for n in tally),
            # Where none is and none was found there is no share of anything.
            *(
                number(value) if tally.true or tally.found else "–"
                for value in (tally.precision, tally.recall, tally.f1)
            ),
            number(scores.false_per_minute(kind), 2),
        ]
        for kind, tally in scores.tallies.items()
    ]
    size = count(scores.recordings, "recording")
    if scores.minutes is not None:
        size += f", {scores.minutes:.1f} min"
    first, *more = scores.truth
    truth = f"{first} and {len(more)} more" if more else first
    blocks: list[str | Table] = [f"{scores.source} against {truth}: {size}"]
    blocks.append(Table(header, rows))
    if (said := scores.recognised) is not None:
        names = ", ".join(f"{c} {f:.3f}" for c, f in zip(said.classes, said.f1, strict=True))
        told = f"UF1 {said.uf1:.3f} on {count(said.hits, 'hit')} ({names})"
        if said.unknown:
            told += f"; {count(said.unknown, 'more hit')} of unknown class"
        blocks.append(f"{told}\nSTRS {number(scores.strs)}")
    return render(blocks, stream)
