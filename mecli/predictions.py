"""The predictions table of a run, or of anybody: a CSV joined on clip id, never on position.

Columns ``clip,label,prediction``, and where they are known ``subject,corpus,seed,fold``
and one ``score_<class>`` for each class. Label and prediction are class names, or
positions in the class list.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mecli import files
from mecli.clips import person_of
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TextIO

COLUMNS = ("clip", "subject", "corpus", "label", "prediction", "seed", "fold")
_REQUIRED = ("clip", "label", "prediction")
_SCORE = "score_"
MARK, LEAKED = "selection", "LEAKED"
"""Column and word that mark predictions for which held-out clips picked the epoch."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one seed said of one held-out clip; `subject` is the person, ``corpus/subject``."""

    clip: str
    subject: str
    corpus: str
    label: str
    prediction: str
    seed: int = 0
    fold: str = ""
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PredictionTable:
    """The rows of one source; `score_classes` names the classes of each row's scores."""

    source: str
    rows: tuple[Prediction, ...]
    score_classes: tuple[str, ...] = ()
    leaked: bool = False
    """Whether a row is marked as leaked: held-out clips had a say in it."""

    def by_seed(self) -> dict[int, dict[str, Prediction]]:
        """Return clip id → row for each seed; `InputError` if a seed has a clip twice."""
        seeds: dict[int, dict[str, Prediction]] = {}
        for row in self.rows:
            clips = seeds.setdefault(row.seed, {})
            if row.clip in clips:
                raise InputError(
                    f"{self.source}: clip {row.clip} occurs twice for seed {row.seed}, expected "
                    "one prediction per clip and seed"
                )
            clips[row.clip] = row
        return dict(sorted(seeds.items()))


def write_predictions(path: Path, rows: Iterable[Prediction], classes: Sequence[str]) -> None:
    """Write `rows`, sorted by seed and clip, with one score column per class, in one step."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"{_SCORE}{name}" for name in classes)])
    for row in sorted(rows, key=lambda r: (r.seed, r.clip)):
        if len(row.scores) != len(classes):
            raise InputError(
                f"{path}: clip {row.clip} has {len(row.scores)} scores, expected {len(classes)}"
            )
        known = [getattr(row, name) for name in COLUMNS]
        writer.writerow([*known, *(repr(float(score)) for score in row.scores)])
    files.write_text(path, text.getvalue())


def read_predictions(source: str | Path, stdin: TextIO | None = None) -> PredictionTable:
    """Read a predictions CSV, from `stdin` if `source` is ``-``.

    Raises `InputError` naming source, line and column.
    """
    if str(source) == "-":
        if stdin is None:
            raise InputError("-: nothing to read on standard input")
        return _parse("standard input", stdin)
    try:
        text = files.read_text(Path(source))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source}: cannot be read as CSV: it is not UTF-8 ({error.reason}); "
            "save it as 'CSV UTF-8'"
        ) from error
    return _parse(str(source), io.StringIO(text, newline=""))


def class_names(table: PredictionTable) -> tuple[str, ...]:
    """Return the labels and predictions that occur, sorted; numbers in numeric order."""
    names = {row.label for row in table.rows} | {row.prediction for row in table.rows}
    numbers = {name for name in names if _number(name) is not None}
    if numbers and numbers != names:
        raise InputError(
            f"{table.source}: mixes numbers such as '{min(numbers)}' with words such as "
            f"'{min(names - numbers)}'; give the class list with --classes or --labels"
        )
    if numbers:
        return tuple(str(n) for n in sorted({int(name.removesuffix(".0")) for name in names}))
    spellings = {name.casefold(): name for name in sorted(names)}
    twice = [name for name in sorted(names) if spellings[name.casefold()] != name]
    if twice:
        raise InputError(
            f"{table.source}: '{twice[0]}' and '{spellings[twice[0].casefold()]}' differ in case "
            "only; give the class list with --classes or --labels"
        )
    return tuple(sorted(names))


def in_classes(table: PredictionTable, classes: Sequence[str]) -> PredictionTable:
    """Return `table` with labels and predictions spelled as in `classes`.

    A name is taken as it is or, failing that, regardless of case. A number is a position
    in `classes`, unless those are numbers themselves. Scores follow `classes` where there is
    one for each. Raises `InputError` naming the first clip outside.
    """
    complete = set(table.score_classes) == set(classes)
    order = [table.score_classes.index(name) for name in classes] if complete else None
    folded = {name.casefold(): name for name in classes}
    spelled: Mapping[str, str] = {**folded, **{name: name for name in classes}}
    rows = []
    for row in table.rows:
        label, prediction = (
            _spell(word, spelled, classes, f"{table.source}: clip {row.clip}: {what}")
            for what, word in (("label", row.label), ("prediction", row.prediction))
        )
        scores = row.scores if order is None else tuple(row.scores[k] for k in order)
        rows.append(replace(row, label=label, prediction=prediction, scores=scores))
    named = table.score_classes if order is None else tuple(classes)
    return replace(table, rows=tuple(rows), score_classes=named)


def numbers_read(table: PredictionTable, classes: Sequence[str]) -> str:
    """Say which class each number stands for where `in_classes` takes numbers as positions."""
    words = {word for row in table.rows for word in (row.label, row.prediction)}
    known = {name.casefold() for name in classes}
    if all(word.casefold() in known for word in words):
        return ""
    read = ", ".join(f"{position} as {name}" for position, name in enumerate(classes))
    return f"labels are numbers: {read} is read; if that is another order, give it with --classes"


def join_seeds(table: PredictionTable, classes: Sequence[str]) -> dict[str, Prediction]:
    """Return one prediction per clip: the only seed's, or that of the seeds' mean scores.

    Raises `InputError` if several seeds have no scores, other clips or other labels.
    """
    seeds = table.by_seed()
    (first, rows), *others = seeds.items()
    if not others:
        return rows
    if set(table.score_classes) != set(classes):
        raise InputError(
            f"{table.source}: {len(seeds)} seeds are joined by their class scores, but there is "
            "not one column score_<class> for each class; give one seed per file"
        )
    for seed, more in others:
        odd = sorted(set(rows) ^ set(more))
        if odd:
            raise InputError(
                f"{table.source}: clip {odd[0]} is in only one of the seeds {first} and {seed}"
            )
    order = [table.score_classes.index(name) for name in classes]
    joined = {}
    for clip, row in rows.items():
        said = [clips[clip] for clips in seeds.values()]
        if any((r.label, r.subject) != (row.label, row.subject) for r in said):
            raise InputError(f"{table.source}: clip {clip}: seeds differ in its label or subject")
        means = np.array([r.scores for r in said]).mean(0)[order]
        name = classes[int(means.argmax())]
        joined[clip] = replace(row, prediction=name, fold="", scores=tuple(means.tolist()))
    return joined


def _spell(word: str, spelled: Mapping[str, str], classes: Sequence[str], where: str) -> str:
    position = _number(word)
    name = spelled.get(word) or spelled.get(word.casefold()) or spelled.get(str(position))
    if name is not None:
        return name
    counted = all(_number(name) is None for name in classes)
    if counted and position is not None and 0 <= position < len(classes):
        return classes[position]
    raise InputError(f"{where} '{word}' is no class of {', '.join(classes)}")


def _number(word: str) -> int | None:
    """Read ``2``, or ``2.0`` as data frames write it; None for anything else."""
    digits = word.removesuffix(".0")
    whole = digits.isascii() and digits.removeprefix("-").isdigit() and len(digits) < 18
    return int(digits) if whole else None


def _parse(source: str, file: TextIO) -> PredictionTable:
    try:
        reader = files.csv_reader(files.lines(file, source))
        header = [cell.strip().removeprefix("\ufeff") for cell in next(reader, [])]
        columns = _columns(source, header)
        mark = columns.pop(MARK, None)
        rows, leaked = [], False
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{source}: line {reader.line_num}"
            if len(cells) != len(header):
                raise InputError(f"{where} has {len(cells)} cells, expected {len(header)}")
            rows.append(_row({name: cells[i].strip() for name, i in columns.items()}, where))
            leaked |= mark is not None and cells[mark].strip() == LEAKED
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{source}: cannot be read as CSV: {error}") from error
    if not rows:
        raise InputError(f"{source}: holds no predictions, only a header")
    scores = tuple(n.removeprefix(_SCORE) for n in columns if n.startswith(_SCORE))
    return PredictionTable(source, tuple(rows), scores, leaked)


def _columns(source: str, header: Sequence[str]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for position, cell in enumerate(header):
        name = cell if cell.startswith(_SCORE) else cell.casefold()
        if not (name in {*COLUMNS, MARK} or name.startswith(_SCORE)):
            continue
        if name in columns:
            raise InputError(f"{source}: column '{name}' occurs twice")
        columns[name] = position
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise InputError(
            f"{source}: no column {', '.join(missing)}; header is "
            f"'{','.join(header) or '(empty)'}', expected clip,subject,corpus,label,prediction"
        )
    return columns


def _row(cells: Mapping[str, str], where: str) -> Prediction:
    for name in _REQUIRED:
        if not cells[name]:
            raise InputError(f"{where} has no {name}")
    subject, corpus = _person(cells, where)
    seed = cells.get("seed", "0")
    number = _number(seed)
    if number is None:
        raise InputError(f"{where}: seed is '{seed}', expected a whole number")
    scores = tuple(_score(cells[n], f"{where}: {n}") for n in cells if n.startswith(_SCORE))
    return Prediction(
        cells["clip"], subject, corpus, cells["label"], cells["prediction"], number,
        cells.get("fold", ""), scores,
    )  # fmt: skip


def _person(cells: Mapping[str, str], where: str) -> tuple[str, str]:
    """Return person and corpus, from their columns or else from ``corpus/subject/name``."""
    subject, corpus = cells.get("subject", ""), cells.get("corpus", "")
    parts = cells["clip"].split("/")
    if len(parts) == 3:
        corpus = corpus or parts[0]
        subject = subject or parts[1]
    elif not corpus and "/" in subject:
        corpus = subject.split("/")[0]
    for name, value in (("subject", subject), ("corpus", corpus)):
        if not value:
            raise InputError(
                f"{where}: the {name} is not known: clip '{cells['clip']}' is not "
                f"corpus/subject/name; add a column '{name}'"
            )
    own = person_of(corpus, "")  # long and short recordings show the same people
    return own + subject.removeprefix(f"{corpus}/").removeprefix(own), corpus


def _score(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where} is '{cell}', expected a finite number")
    return value
