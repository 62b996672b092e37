"""Score runs and prediction tables: pooled over folds, never averaged over them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import labels, metrics, registry, statistics
from mecli.caches import expand_caches
from mecli.errors import InputError, UsageError
from mecli.predictions import class_names, in_classes, join_seeds, numbers_read
from mecli.publish import check_places, publish
from mecli.report.evaluation import Comparison, Evaluation, Group, RunEvaluation
from mecli.runs import ORACLE, newest_run, read_sources
from mecli.schemes.au import SCHEMES as AU_SCHEMES
from mecli.sureness import scores_doubted, sureness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TextIO

    import numpy as np
    from numpy.typing import NDArray

    from mecli.predictions import Prediction, PredictionTable
    from mecli.runs import Source


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to score against and how; `classes` or `labels` fix the class list.

    `protocol` says how predictions were made that do not say it themselves.
    """

    runs: Path = Path("runs")
    classes: tuple[str, ...] = ()
    labels: str | None = None
    protocol: str | None = None
    by: str | None = None
    checkpoint: str | None = None
    """Ask this one about the sources (caches); ``bundled`` is mecli's own for what they hold."""
    resamples: int = statistics.RESAMPLES
    seed: int = 0
    report: Path | None = None
    """Where to write a page on it all."""
    figures: Path | None = None
    """Into which folder to draw figures for a paper."""
    caches: tuple[Path, ...] = ()
    """Where the scored clips are, for both; empty: where the runs say."""
    force: bool = False

    def __post_init__(self) -> None:
        if self.classes and self.labels:
            raise UsageError("--classes and --labels both fix the class list; give one of them")
        if self.classes and (len(set(self.classes)) < len(self.classes) or "" in self.classes):
            raise UsageError(f"--classes {','.join(self.classes)}: a name is empty or repeated")
        if self.protocol is not None:
            registry.check_name("protocol", self.protocol)
        if self.by not in {None, "corpus", "subject"}:
            raise UsageError(f"--by is '{self.by}', expected 'corpus' or 'subject'")
        if self.resamples < 1 or self.seed < 0:
            raise UsageError(
                f"{self.resamples} resamples with seed {self.seed}: expected at least 1 "
                "resample and a seed of 0 or more"
            )


@dataclass(slots=True)
class _Notes:
    """What a reader has to know, each said once, in order."""

    lines: dict[str, None] = field(default_factory=dict)

    def add(self, source: str, text: str) -> None:
        if text:
            self.lines[f"{source}: {text}"] = None


def evaluate(
    sources: Sequence[str | Path],
    options: EvaluateOptions | None = None,
    stdin: TextIO | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Evaluation:
    """Score each run folder or predictions CSV (``-``: `stdin`) and compare with the first.

    Page and figures are written if `options` name them. Without `sources` the newest
    complete run is scored. Raises `InputError` for a source that cannot be scored,
    `MissingDependency` if there is no run yet.
    """
    options = options or EvaluateOptions()
    notes = _Notes()
    check_places(options.report, options.figures, force=options.force)
    if sum(str(source) == "-" for source in sources) > 1:
        raise UsageError("'-' is given twice, but standard input can be read only once")
    scored = [_score(source, options, notes) for source in _sources(sources, options, stdin)]
    compared = [
        _compare(place, scored[0], other, options, notes)
        for place, other in enumerate(scored[1:], start=2)
    ]
    result = Evaluation(
        tuple(scored),
        tuple(comparison for comparison in compared if comparison is not None),
        tuple(notes.lines),
        options.by,
        options.resamples,
        options.seed,
    )
    publish(result, options.report, options.figures, options.caches, progress)
    return result


def _sources(
    named: Sequence[str | Path], options: EvaluateOptions, stdin: TextIO | None
) -> list[Source]:
    if options.checkpoint is None:
        chosen = list(named) or [newest_run(options.runs)]
        return [source for one in chosen for source in read_sources(one, stdin)]
    from mecli.training.asked import ask

    caches = expand_caches(named or ["mecli.h5"], stdin)
    return [ask(caches, options.checkpoint, options.labels)]


def _score(source: Source, options: EvaluateOptions, notes: _Notes) -> RunEvaluation:
    name, header = source.name, source.header
    notes.add(name, source.note())
    classes = _class_list(header, source.table, options, notes)
    table = in_classes(source.table, classes)
    notes.add(name, numbers_read(source.table, classes))
    notes.add(name, scores_doubted(table, classes))
    seeds, clips = table.by_seed(), join_seeds(table, classes)
    figures = RunEvaluation(
        source=name,
        classes=classes,
        seeds=tuple(seeds),
        whole=_group(clips.values(), classes, options),
        by_corpus=_groups(clips.values(), "corpus", classes, options),
        by_subject=_groups(clips.values(), "subject", classes),
        by_seed={seed: _group(rows.values(), classes) for seed, rows in seeds.items()},
        model=header.get("model"),
        protocol=_protocol(name, header, options),
        scheme=options.labels or header.get("scheme"),
        selection=_selection(source),
        leaked=table.leaked,
        excluded=len(header.get("excluded") or {}),
        sureness=sureness(table, classes),
        clips=clips,
        header=header,
        folder=source.folder,
    )
    _explain(figures, notes)
    return figures


def _selection(source: Source) -> str | None:
    stated = source.header.get("selection")
    if source.table.leaked:
        return ORACLE
    return "last" if stated == ORACLE else stated


def _protocol(source: str, header: Mapping[str, Any], options: EvaluateOptions) -> str | None:
    stated = header.get("protocol")
    if stated and options.protocol and stated != options.protocol:
        raise UsageError(f"{source}: the run's protocol is {stated}, not {options.protocol}")
    return stated or options.protocol


def _class_list(
    header: Mapping[str, Any], table: PredictionTable, options: EvaluateOptions, notes: _Notes
) -> tuple[str, ...]:
    if options.classes:
        return options.classes
    if options.labels:
        classes = labels.apply_scheme(options.labels, ()).classes
        if not classes:
            raise UsageError(
                f"label scheme '{options.labels}' has no class list of its own; use --classes a,b,c"
            )
        return classes
    if header:
        return tuple(header["classes"])
    names = class_names(table)
    notes.add(
        table.source,
        f"no class list given: scored over those that occur ({', '.join(names)}); "
        "name them with --classes or --labels",
    )
    return names


def _group(
    rows: Iterable[Prediction], classes: Sequence[str], options: EvaluateOptions | None = None
) -> Group:
    """Count `rows`; with `options` also bootstrap their subjects."""
    per_subject = _subject_counts(sorted(rows, key=lambda r: r.clip), classes)
    counts = per_subject.sum(0)
    if options is None:
        return Group(len(per_subject), counts)
    intervals = statistics.bootstrap(per_subject, options.resamples, options.seed)
    return Group(len(per_subject), counts, intervals)


def _groups(
    rows: Iterable[Prediction],
    key: str,
    classes: Sequence[str],
    options: EvaluateOptions | None = None,
) -> dict[str, Group]:
    members: dict[str, list[Prediction]] = {}
    for row in rows:
        members.setdefault(getattr(row, key), []).append(row)
    return {name: _group(members[name], classes, options) for name in sorted(members)}


def _subject_counts(rows: Sequence[Prediction], classes: Sequence[str]) -> NDArray[np.int64]:
    position = {name: i for i, name in enumerate(classes)}
    return statistics.subject_confusions(
        [position[row.label] for row in rows],
        [position[row.prediction] for row in rows],
        [row.subject for row in rows],
        len(classes),
    )


def _explain(figures: RunEvaluation, notes: _Notes) -> None:
    notes.add(figures.source, figures.whole.intervals.note)
    absent = metrics.absent_classes(figures.whole.counts, figures.classes)
    if absent:
        notes.add(figures.source, f"no clip is labelled {', '.join(absent)}: scored as 0")


def _warn(
    pair: str,
    ours: RunEvaluation,
    theirs: RunEvaluation,
    shared: Sequence[str],
    notes: _Notes,
) -> None:
    """Say in what the two differ besides their models."""
    if len(shared) < max(len(ours.clips), len(theirs.clips)):
        notes.add(pair, f"compared on the {len(shared)} clips they share only")
    if ours.leaked != theirs.leaked:
        notes.add(pair, "one of them is LEAKED: the difference is the leak's, no better model's")
    if ours.protocol and theirs.protocol and ours.protocol != theirs.protocol:
        notes.add(pair, f"protocol {theirs.protocol} against {ours.protocol}: trained on others")
    if len(ours.seeds) != len(theirs.seeds):
        notes.add(pair, f"{len(theirs.seeds)} seed(s) against {len(ours.seeds)}")
    left = {ours.clips[clip].label for clip in shared}
    gone = sorted({row.label for row in ours.clips.values()} - left)
    if gone:
        notes.add(pair, f"no clip they share is labelled {', '.join(gone)}: scored as 0")


def _compare(
    place: int,
    ours: RunEvaluation,
    theirs: RunEvaluation,
    options: EvaluateOptions,
    notes: _Notes,
) -> Comparison | None:
    """Return the paired difference on the clips that both predict; None, noted, if unfair."""
    if ours.scheme != theirs.scheme and {ours.scheme, theirs.scheme} <= set(AU_SCHEMES):
        return None  # they judge different action units, which add up instead
    pair = f"{theirs.source} against {ours.source}"
    if set(ours.classes) != set(theirs.classes):
        notes.add(pair, "not compared, their class lists differ")
        return None
    shared = sorted(set(ours.clips) & set(theirs.clips))
    if not shared:
        notes.add(pair, "not compared, they share no clip")
        return None
    _warn(pair, ours, theirs, shared, notes)
    for clip in shared:
        one, other = ours.clips[clip], theirs.clips[clip]
        if (one.label, one.subject) != (other.label, other.subject):
            raise InputError(
                f"{theirs.source}: clip {clip} is '{other.label}' of {other.subject}, but "
                f"'{one.label}' of {one.subject} in {ours.source}; they cannot be compared"
            )
    first, second = (
        _subject_counts([run.clips[clip] for clip in shared], ours.classes)
        for run in (ours, theirs)
    )
    differences = statistics.paired_bootstrap(first, second, options.resamples, options.seed)
    notes.add(pair, differences.note)
    one_group, other_group = (Group(len(each), each.sum(0)) for each in (first, second))
    leaked = ours.leaked or theirs.leaked
    return Comparison(
        place, ours.source, theirs.source, one_group, other_group, differences, leaked
    )
