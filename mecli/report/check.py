"""What ``check`` found, as tables and as one JSON object."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mecli.report.tables import Table, count, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from mecli.clips import Clip
    from mecli.corpora.reading import Reading

_MANY = 20
_MANY_SUBJECTS = 40
_MANY_CLASSES = 12


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """What one source is and what is wrong with it."""

    reading: Reading
    title: str
    licences: tuple[tuple[str, str], ...]
    """Corpus → who grants it, for every known corpus among the clips."""
    missing: dict[str, tuple[str, ...]]
    """Clip id → frames that are absent, empty or not where the annotation says."""
    odd: dict[str, tuple[str, ...]]
    """Clip id → cells of its annotation that were mended, skipped or taken as unknown."""
    published: tuple[str, ...] | None = None
    """Classes that have more or fewer clips than the owners publish; None if not known."""

    @property
    def clips(self) -> list[Clip]:
        """The clips of the source."""
        return self.reading.clips


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What all sources hold together."""

    sources: tuple[SourceCheck, ...]
    duplicates: tuple[str, ...]
    failures: dict[str, str]
    """Source → why it could not be read."""
    strict: bool = False

    @property
    def clean(self) -> bool:
        """Whether nothing would be lost or mixed up by extraction.

        Missing frames, duplicates and unreadable sources count. Odd cells and differences
        between sheet and disk do not: every published corpus has some. With `strict` they do.
        """
        wrong = bool(self.duplicates or self.failures or any(s.missing for s in self.sources))
        told = any(s.odd or s.reading.notes for s in self.sources)
        return not (wrong or (self.strict and told))


def to_json(result: CheckResult) -> dict[str, Any]:
    """Return everything that was found as one object."""
    return {
        "clean": result.clean,
        "sources": [_source_json(source) for source in result.sources],
        "duplicates": list(result.duplicates),
        "failed": [{"source": s, "reason": r} for s, r in result.failures.items()],
    }


def _source_json(source: SourceCheck) -> dict[str, Any]:
    reading = source.reading
    return {
        "source": str(reading.root),
        "corpus": reading.corpus,
        "title": source.title,
        "form": reading.form,
        "sheet": None if reading.sheet is None else str(reading.sheet),
        "clips": len(source.clips),
        "subjects": len({clip.person for clip in source.clips}),
        "frames": sum(_images(clip) for clip in source.clips),
        "apex_known": sum(clip.apex is not None for clip in source.clips),
        "labels": {name: dict(values) for name, values in _labels(source.clips).items()},
        "classes_by_subject": {
            person: dict(classes) for person, classes in _by_subject(source.clips).items()
        },
        "published": None if source.published is None else list(source.published),
        "missing": {clip: list(what) for clip, what in source.missing.items()},
        "odd": {clip: list(what) for clip, what in source.odd.items()},
        "differences": list(reading.notes),
        "licences": dict(source.licences),
    }


def to_text(result: CheckResult, stream: TextIO | None = None) -> str:
    """Return one block per source, then what is wrong across them."""
    blocks: list[str | Table] = []
    for source in result.sources:
        blocks += _source_blocks(source)
    if result.duplicates:
        blocks.append(_listed("duplicates", [[text] for text in result.duplicates]))
    if result.failures:
        blocks.append(_listed("not read", [[reason] for reason in result.failures.values()]))
    blocks.append(_verdict(result))
    return render(blocks, stream)


def _source_blocks(source: SourceCheck) -> list[str | Table]:
    blocks: list[str | Table] = [_facts(source), _classes(source.clips)]
    for title, found in (("missing frames", source.missing), ("odd cells", source.odd)):
        if found:
            rows = [[clip, "; ".join(what)] for clip, what in sorted(found.items())]
            blocks.append(_listed(title, rows))
    if source.reading.notes:
        rows = [[note] for note in source.reading.notes]
        blocks.append(_listed("sheet and disk differ", rows))
    return blocks


def _facts(source: SourceCheck) -> Table:
    reading, clips = source.reading, source.clips
    apexes = sum(clip.apex is not None for clip in clips)
    people = count(len({clip.person for clip in clips}), "subject")
    rates = sorted({f"{clip.fps:g}" for clip in clips if clip.fps is not None})
    images = sum(_images(clip) for clip in clips)
    videos = sum(not isinstance(clip.frames, tuple) for clip in clips)
    rows = [
        ["corpus", f"{reading.corpus} ({source.title})" if source.title else reading.corpus],
        ["form", reading.form or "–"],
        ["sheet", "none" if reading.sheet is None else str(reading.sheet)],
        ["clips", f"{len(clips)} of {people}, {apexes} with an apex"],
        *_published(source),
        ["frames", f"{images} images, {count(videos, 'video')}"],
        ["fps", ", ".join(rates) or "–"],
    ]
    for name, values in _labels(clips).items():
        if name not in {"emotion", "au", "aus"} and len(values) <= _MANY_CLASSES:
            rows.append([name, ", ".join(f"{value}: {n}" for value, n in values.items())])
    units = Counter(u for clip in clips for u in clip.labels.get("au", "").split("+") if u)
    if units:
        ordered = sorted(units.items(), key=lambda item: (-item[1], item[0]))
        rows.append(["action units", ", ".join(f"{unit}: {n}" for unit, n in ordered)])
    rows += [[f"licence {name}", text] for name, text in source.licences]
    return Table([str(reading.root), ""], rows, left=2)


def _published(source: SourceCheck) -> list[list[str]]:
    if source.published is None:
        return []
    return [["published", "; ".join(source.published) or "as many clips of each class"]]


def _images(clip: Clip) -> int:
    return len(clip.frames) if isinstance(clip.frames, tuple) else 0


def _labels(clips: Sequence[Clip]) -> dict[str, dict[str, int]]:
    """Return how often each value of each label occurs, the commonest first."""
    counts: dict[str, Counter[str]] = {}
    for clip in clips:
        for name, value in clip.labels.items():
            counts.setdefault(name, Counter())[value] += 1
    return {
        name: dict(sorted(c.items(), key=lambda item: (-item[1], item[0])))
        for name, c in sorted(counts.items())
    }


def _by_subject(clips: Sequence[Clip]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for clip in clips:
        found.setdefault(clip.person, Counter())[clip.labels.get("emotion", "(none)")] += 1
    return dict(sorted(found.items()))


def _classes(clips: Sequence[Clip]) -> Table:
    """Return clips per subject and emotion, the largest subjects if there are too many."""
    people = _by_subject(clips)
    total: Counter[str] = sum(people.values(), Counter())
    classes = sorted(total, key=lambda name: (-total[name], name))
    shown = sorted(people, key=lambda p: (-people[p].total(), p))[:_MANY_SUBJECTS]
    rows = [_counts(person, people[person], classes) for person in sorted(shown)]
    if len(people) > len(shown):
        rest: Counter[str] = sum((people[p] for p in people if p not in shown), Counter())
        rows.append(_counts(f"{len(people) - len(shown)} more", rest, classes))
    rows.append(_counts("all", total, classes))
    return Table(["subject", "clips", *classes], rows)


def _counts(name: str, counts: Mapping[str, int], classes: Sequence[str]) -> list[str]:
    cells = (str(counts[c]) if counts.get(c) else "–" for c in classes)
    return [name, str(sum(counts.values())), *cells]


def _listed(title: str, rows: Sequence[Sequence[str]]) -> Table:
    shown = list(rows[:_MANY])
    if len(rows) > _MANY:
        more = f"… and {len(rows) - _MANY} more (all with --json)"
        shown.append([more, *[""] * (len(rows[0]) - 1)])
    blank = [""] * (len(rows[0]) - 1)
    return Table([f"{title} ({len(rows)})", *blank], shown, left=2)


def _verdict(result: CheckResult) -> str:
    missing = sum(len(source.missing) for source in result.sources)
    odd = sum(len(source.odd) for source in result.sources)
    notes = sum(len(source.reading.notes) for source in result.sources)
    parts = [
        f"{count(missing, 'clip')} with missing frames",
        count(len(result.duplicates), "duplicate"),
        f"{count(len(result.failures), 'source')} not read",
        f"{count(odd, 'clip')} with odd cells",
        f"{count(notes, 'difference')} between sheet and disk",
    ]
    return f"{'clean' if result.clean else 'wrong'}: {', '.join(parts)}"
