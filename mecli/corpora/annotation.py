"""What the readers of annotation sheets share: a row of a sheet becomes a clip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from mecli.clips import Clip, check_part
from mecli.corpora.action_units import parse_action_units
from mecli.corpora.corrections import CORRECTIONS
from mecli.corpora.frames import Disk, Numbered, natural_key
from mecli.corpora.sheets import (
    SHEET_SUFFIXES,
    Row,
    Sheet,
    Table,
    find_table,
    frame_number,
    normalise,
    plain,
    read_sheets,
)
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MOMENTS = ("onset", "apex", "offset")
Place = TypeVar("Place")


@dataclass(slots=True)
class Entry:
    """One annotated row on its way to a clip: its cells, and what was odd so far."""

    row: int
    subject: str
    name: str
    cells: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float | None] = field(default_factory=dict)
    fps: float | None = None
    issues: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader took from a corpus folder: clips, and notes that belong to no clip."""

    corpus: str
    root: Path
    clips: list[Clip]
    notes: tuple[str, ...] = ()
    sheet: Path | None = None
    form: str = ""
    """Which of several forms on disk the frames come from."""


class Reader(Protocol):
    """What `sources` asks of every reader in the registry, beyond `CorpusReader`."""

    def fits(self, disk: Disk, root: Path) -> bool:
        """Whether `root` has this corpus's layout."""
        ...

    def is_sheet_name(self, stem: str) -> bool:
        """Whether a file name is that of this corpus's sheet."""
        ...

    def inspect(self, root: Path, sheet: Path | None = None, disk: Disk | None = None) -> Reading:
        """Read the corpus below `root`, annotated by `sheet` if that is named."""
        ...


class SheetReader(ABC, Generic[Place]):
    """A corpus described by one annotation sheet beside folders of frames.

    A subclass says which columns there are and where a row's frames lie. With
    `as_published` the sheet is taken as it is; otherwise the known corrections apply.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    doi: ClassVar[str]
    licence: ClassVar[str]
    """Who grants the corpus and how; `mecli check` reminds of it."""
    fps: ClassVar[float | None] = None
    sheet_name: ClassVar[str]
    """The sheet as its authors call it, for messages."""
    sheet_words: ClassVar[tuple[str, ...]]
    """Letters and digits of which one must be in the sheet's file name."""
    columns: ClassVar[Mapping[str, tuple[str, ...]]]
    """Field → the header words it goes by."""
    required: ClassVar[tuple[str, ...]] = ("subject", "name", "onset", "offset", "emotion")
    label_fields: ClassVar[tuple[str, ...]] = ("emotion", "objective", "aus")
    key_has_onset: ClassVar[bool] = False
    """Whether every clip name carries its onset, as in corpora of long recordings."""

    def __init__(self, as_published: bool = False) -> None:
        self.as_published = as_published

    # -- where things are ---------------------------------------------------------

    def recognises(self, root: Path) -> bool:
        """Whether `root` has this corpus's layout."""
        return self.fits(Disk(), root)

    def fits(self, disk: Disk, root: Path) -> bool:
        """Whether `root` holds this corpus's sheet or its way of laying out frames."""
        return bool(self.sheets(disk, root)) or self.has_layout(disk, root)

    @abstractmethod
    def has_layout(self, disk: Disk, root: Path) -> bool:
        """Whether the folders below `root` can only be this corpus's."""

    @abstractmethod
    def locate(self, disk: Disk, root: Path) -> Place | None:
        """Return what `frames_of` needs to find frames, None where there are none."""

    @abstractmethod
    def frames_of(self, disk: Disk, place: Place, entry: Entry) -> Numbered | None:
        """Return the frames of a row, None where they are not on disk."""

    def sheets(self, disk: Disk, root: Path) -> list[Path]:
        """Return the sheets whose file name is this corpus's, the one to read first."""
        found = [
            path
            for folder in disk.walk(root, 2)
            for path in disk.listing(folder).others
            if path.suffix.casefold() in SHEET_SUFFIXES and self.is_sheet_name(path.stem)
        ]
        return sorted(found, key=lambda p: (len(p.parts), natural_key(p.name)))

    def is_sheet_name(self, stem: str) -> bool:
        """Whether a file name is that of this corpus's sheet."""
        words = normalise(stem)
        return any(word in words for word in self.sheet_words)

    # -- reading ------------------------------------------------------------------

    def read(self, root: Path) -> list[Clip]:
        """Return every annotated clip below `root`, sorted by clip id."""
        return self.inspect(root).clips

    def inspect(self, root: Path, sheet: Path | None = None, disk: Disk | None = None) -> Reading:
        """Read the corpus below `root` and say what belongs to no single clip."""
        disk = disk or Disk()
        table, others = self._table(disk, root, sheet)
        entries = [e for row in table.rows if (e := self.entry(row)) is not None]
        self.prepare(disk, root, table, entries)
        place = self.locate(disk, root)
        clips = [self._clip(disk, place, entry) for entry in self._keyed(entries)]
        notes = [f"{p.name} was not read: {table.sheet.path.name} was" for p in others]
        notes += [] if place is None else self.leftovers(disk, place, entries)
        return Reading(
            corpus=self.name,
            root=root,
            clips=sorted(clips, key=lambda c: c.clip_id),
            notes=tuple(notes),
            sheet=table.sheet.path,
            form="no frames" if place is None else self.form(place),
        )

    def form(self, place: Place) -> str:
        """Return which of several forms of the corpus is on disk."""
        return ""

    def prepare(self, disk: Disk, root: Path, table: Table, entries: list[Entry]) -> None:
        """Look at all rows together, for a subclass that needs it."""

    def leftovers(self, disk: Disk, place: Place, entries: list[Entry]) -> list[str]:
        """Return what is on disk but in no row."""
        return []

    def _table(self, disk: Disk, root: Path, sheet: Path | None) -> tuple[Table, list[Path]]:
        candidates = [sheet] if sheet else self.sheets(disk, root)
        if not candidates:
            raise InputError(
                f"{root}: no annotation sheet of {self.title} found, expected "
                f"{self.sheet_name}; put it beside the frames"
            )
        for path in candidates:
            table = self.table(read_sheets(path))
            if table is not None:
                return table, [p for p in candidates if p != path]
        names = ", ".join(p.name for p in candidates)
        raise InputError(
            f"{root}: no header of {self.title} in {names}, expected columns "
            f"{', '.join(self.columns[f][0] for f in self.required)}"
        )

    def table(self, sheets: list[Sheet]) -> Table | None:
        """Return the annotated rows of a workbook, None if it has no such table."""
        return find_table(sheets, self.columns, self.required)

    # -- one row ------------------------------------------------------------------

    def subject(self, text: str) -> str:
        """Return the subject's name in clip ids, as the frame folders have it."""
        return text

    def clip_name(self, text: str) -> str:
        """Return the clip's name in clip ids."""
        return text

    def emotion(self, text: str) -> str:
        """Return the corpus's emotion word, lower case."""
        return plain(text).casefold()

    def entry(self, row: Row) -> Entry | None:
        """Return a row as an entry, None for rows that annotate nothing."""
        if not row["name"]:
            return None
        name = self.clip_name(row["name"])
        entry = Entry(row.number, "", name, dict(row.cells))
        entry.subject = _part(self.subject(row["subject"]), "subject", entry)
        entry.name = _part(name, "name", entry)
        self._correct(entry)
        for moment in MOMENTS:
            if moment in entry.cells:
                number, odd = frame_number(entry.cells[moment])
                entry.numbers[moment] = number
                if odd:
                    entry.issues.append(f"{moment} {odd}")
        if entry.cells.get("fps"):
            entry.fps = positive(entry.cells["fps"])
            if entry.fps is None:
                entry.issues.append(f"fps is '{entry.cells['fps'][:40]}', expected a number")
        self.add_labels(entry)
        return entry

    def add_labels(self, entry: Entry) -> None:
        """Fill the labels from the cells."""
        for label in self.label_fields:
            text = plain(entry.cells.get(label, ""))
            if label == "emotion":
                text = self.emotion(text)
                if not text:
                    entry.issues.append("emotion is empty")
            if text:
                entry.labels[label] = text
        if entry.cells.get("aus"):
            units, odd = parse_action_units(entry.cells["aus"])
            if units:
                entry.labels["au"] = "+".join(map(str, units))
            if odd:
                entry.issues.append(odd)

    def _correct(self, entry: Entry) -> None:
        clip_id = f"{self.name}/{entry.subject}/{entry.name}"
        for c in () if self.as_published else CORRECTIONS.get(clip_id, ()):
            if plain(entry.cells.get(c.cell, "")) == c.published:
                entry.cells[c.cell] = c.corrected
                entry.issues.append(
                    f"{c.cell} corrected from '{c.published}' to '{c.corrected}': {c.source}"
                )

    # -- keys, frames, clips ------------------------------------------------------

    def _keyed(self, entries: list[Entry]) -> list[Entry]:
        """Give every entry a name of its own: the onset, then a count, where one repeats."""
        repeated = Counter((e.subject, e.name) for e in entries)
        taken: Counter[tuple[str, str]] = Counter()
        keyed = []
        for entry in entries:
            name, issues = entry.name, list(entry.issues)
            if self.key_has_onset or repeated[entry.subject, name] > 1:
                onset = entry.numbers.get("onset")
                name = f"{name}_{'unknown' if onset is None else f'{onset:g}'}"
            taken[entry.subject, name] += 1
            if taken[entry.subject, name] > 1:
                issues.append(f"row {entry.row} repeats subject, name and onset of another row")
                name = f"{name}_{taken[entry.subject, name]}"
            keyed.append(replace(entry, name=name, issues=issues))
        return keyed

    def _clip(self, disk: Disk, place: Place | None, entry: Entry) -> Clip:
        frames = None if place is None else self.frames_of(disk, place, entry)
        issues = [*entry.issues, *(frames.issues if frames else ("no frames on disk",))]
        positions = place_moments(frames or Numbered(()), entry.numbers, issues)
        return Clip(
            corpus=self.name,
            subject=entry.subject,
            name=entry.name,
            frames=frames.frames if frames else (),
            fps=entry.fps or self.fps,
            labels=entry.labels,
            issues=tuple(issues),
            onset=positions["onset"],
            apex=positions["apex"],
            offset=positions["offset"],
        )


def positive(text: str) -> float | None:
    """Return a finite number above 0, None for anything else."""
    try:
        number = float(plain(text))
    except ValueError:
        return None
    return number if 0 < number < 1e6 else None


def _part(text: str, what: str, entry: Entry) -> str:
    """Return `text` as part of a clip id, mended and noted where it cannot be one."""
    try:
        return check_part(plain(text), what)
    except InputError:
        mended = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in plain(text))
        entry.issues.append(f"{what} in row {entry.row} is {text[:40]!r}")
        return mended.strip(" .")[:200].strip() or f"row{entry.row}"


def place_moments(
    frames: Numbered, numbers: Mapping[str, float | None], issues: list[str]
) -> dict[str, int | None]:
    """Turn annotated frame numbers into positions in `frames`; oddities go to `issues`.

    An offset before the onset and an apex outside both become unknown. Numbers of which
    none is on disk become unknown too: clamping would make up an interval.
    """
    known = _ordered({m: numbers.get(m) for m in MOMENTS}, issues)
    given = [n for n in known.values() if n is not None]
    if given and not frames.covers(min(given), max(given)):
        issues.append(
            f"annotated frames {min(given):g} to {max(given):g} are not on disk, which has "
            f"{frames.numbers[0]} to {frames.numbers[-1]}"
        )
        return dict.fromkeys(MOMENTS)
    positions: dict[str, int | None] = {}
    for moment, number in known.items():
        positions[moment], odd = (None, "") if number is None else frames.position(number, moment)
        if odd:
            issues.append(odd)
    return positions


def _ordered(numbers: dict[str, float | None], issues: list[str]) -> dict[str, float | None]:
    onset, apex, offset = (numbers[m] for m in MOMENTS)
    if onset is not None and offset is not None and offset < onset:
        issues.append(f"offset {offset:g} is before onset {onset:g}; offset taken as unknown")
        offset = None
    if apex is not None and _outside(apex, onset, offset):
        low, high = ("?" if n is None else f"{n:g}" for n in (onset, offset))
        issues.append(f"apex {apex:g} is outside {low} to {high}; apex taken as unknown")
        apex = None
    if apex is not None and apex == onset:
        issues.append(f"apex {apex:g} is the onset")
    return {"onset": onset, "apex": apex, "offset": offset}


def _outside(number: float, low: float | None, high: float | None) -> bool:
    return (low is not None and number < low) or (high is not None and number > high)


def names_of(folders: Iterable[Path]) -> set[str]:
    """Return folder names, lower case and stripped, for comparing with a sheet."""
    return {folder.name.strip().casefold() for folder in folders}
