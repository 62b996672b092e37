"""What the readers of annotation sheets share: a row of a sheet becomes a clip."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from mecli.clips import FASTEST_FPS, Clip
from mecli.corpora.action_units import parse_action_units
from mecli.corpora.corrections import CORRECTIONS
from mecli.corpora.entry import Entry, part_of_id
from mecli.corpora.frames import Disk, Numbered
from mecli.corpora.label_tables import label_table
from mecli.corpora.moments import MOMENTS, frame_number, frame_rate, place_moments
from mecli.corpora.reading import Reading
from mecli.corpora.screening import no_clip, renamed_sheets, sheet_order, sheets_below
from mecli.corpora.sheets import (
    Row,
    Sheet,
    Table,
    find_tables,
    normalise,
    plain,
    read_sheets,
)
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Place = TypeVar("Place")


class SheetReader(ABC, Generic[Place]):
    """A corpus described by one annotation sheet beside folders of frames.

    A subclass says which columns there are and where a row's frames lie. With
    `as_published` the sheet is taken as it is; otherwise the known corrections apply.
    With `whole` every clip of a long recording has all its frames, else those around it.
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
    sheet_pattern: ClassVar[str]
    """Regular expression for the letters and digits of the sheet's file name."""
    columns: ClassVar[Mapping[str, tuple[str, ...]]]
    """Field → the header words it goes by."""
    required: ClassVar[tuple[str, ...]] = ("subject", "name", "onset", "offset", "emotion")
    label_fields: ClassVar[tuple[str, ...]] = ("emotion", "objective", "aus")
    sheets_add_up: ClassVar[bool] = False
    """Whether several tables are parts of one annotation; otherwise the first is read."""
    oldest_sheet_first: ClassVar[bool] = False
    """Whether of several versions of the sheet the first one counts, not the latest."""
    key_has_onset: ClassVar[bool] = False
    """Whether every clip name carries its onset, as in corpora of long recordings."""
    context_s: ClassVar[float | None] = None
    """Of long recordings, how much before onset and after offset belongs to a clip."""

    def __init__(self, as_published: bool = False, whole: bool = False) -> None:
        self.as_published = as_published
        self.whole = whole

    def has_sheet(self, disk: Disk, root: Path) -> bool:
        """Whether a sheet below `root` is called as this corpus's."""
        return bool(self.sheets(disk, root))

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
        named = (p for p in sheets_below(disk, root, 2) if self.is_sheet_name(p.stem))
        found = [p for p in named if label_table(p) is None]  # casme2.csv beside flow images
        return sorted(found, key=partial(sheet_order, oldest_first=self.oldest_sheet_first))

    def is_sheet_name(self, stem: str) -> bool:
        """Whether a file name is that of this corpus's sheet."""
        return re.search(self.sheet_pattern, normalise(stem)) is not None

    def inspect(self, root: Path, sheet: Path | None = None, disk: Disk | None = None) -> Reading:
        """Read the corpus below `root` and say what belongs to no single clip."""
        disk = disk or Disk()
        tables, notes = self._tables(disk, root, sheet)
        entries = []
        for table in tables:
            for row in table.rows:
                if why := no_clip(row, self.columns["name"]):
                    where = f"row {row.number} of {table.sheet.path.name}"
                    notes.append(f"{where} was not read: {why}")
                else:
                    entries += self.entries(row)
        self.prepare(disk, root, tables[0], entries)
        place = self.locate(disk, root)
        clips = [self._clip(disk, place, entry) for entry in self._keyed(entries)]
        notes += [] if place is None else self.leftovers(disk, place, entries)
        notes += disk.closed.values()
        return Reading(
            corpus=self.name,
            root=root,
            clips=sorted(clips, key=lambda c: c.clip_id),
            notes=tuple(notes),
            sheet=tables[0].sheet.path,
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

    def _tables(self, disk: Disk, root: Path, sheet: Path | None) -> tuple[list[Table], list[str]]:
        """Return the tables to read and what is said about those that were not."""
        candidates = [sheet] if sheet else self.sheets(disk, root)
        candidates = candidates or renamed_sheets(disk, root, self.tables)
        if not candidates:
            raise InputError(
                f"{root}: no annotation sheet of {self.title} found, expected "
                f"{self.sheet_name}; put it beside the frames"
            )
        found: list[Table] = []
        unread, notes = [], []
        for path in candidates:
            tables = self.tables(read_sheets(path)) if self.sheets_add_up or not found else []
            found += tables if self.sheets_add_up else tables[:1]
            unread += [] if tables else [path.name]
            notes += [
                f"sheet '{t.sheet.name}' of {path.name} was not read: '{tables[0].sheet.name}' "
                "has the same columns and was"
                for t in ([] if self.sheets_add_up else tables[1:])
            ]
        if found:
            first = found[0].sheet.path.name
            return found, [*(f"{name} was not read: {first} was" for name in unread), *notes]
        names = ", ".join(p.name for p in candidates)
        raise InputError(
            f"{root}: no header of {self.title} in {names}, expected columns "
            f"{', '.join(self.columns[f][0] for f in self.required)}"
        )

    def tables(self, sheets: list[Sheet]) -> list[Table]:
        """Return the annotated tables of a workbook, the first being the one that counts."""
        return list(find_tables(sheets, self.columns, self.required))

    def subject(self, text: str) -> str:
        """Return the subject's name in clip ids, as the frame folders have it."""
        return text

    def clip_name(self, text: str) -> str:
        """Return the clip's name in clip ids."""
        return text

    def emotion(self, text: str) -> str:
        """Return the corpus's emotion word, lower case."""
        return plain(text).casefold()

    def entries(self, row: Row) -> list[Entry]:
        """Return what a row annotates: one clip, or two."""
        return [self.entry(row)]

    def entry(self, row: Row) -> Entry:
        """Return a row as an entry."""
        name = self.clip_name(row["name"])
        entry = Entry(row.number, "", name, dict(row.cells))
        entry.subject = part_of_id(self.subject(row["subject"]), "subject", entry)
        entry.name = part_of_id(name, "name", entry)
        self._correct(entry)
        for moment in MOMENTS:
            if moment in entry.cells:
                number, odd = frame_number(entry.cells[moment])
                entry.numbers[moment] = number
                if odd:
                    entry.issues.append(f"{moment} {odd}")
        if entry.cells.get("fps"):
            entry.fps = frame_rate(entry.cells["fps"])
            if entry.fps is None:
                entry.issues.append(
                    f"fps is '{entry.cells['fps'][:40]}', expected above 0 to {FASTEST_FPS}"
                )
        self.add_labels(entry)
        return entry

    def span(self, entry: Entry) -> tuple[float, float]:
        """Return the first and last frame number that belong to a clip."""
        onset, offset = entry.numbers.get("onset"), entry.numbers.get("offset")
        if self.whole or self.context_s is None or onset is None or offset is None:
            return -math.inf, math.inf
        context = self.context_s * (entry.fps or self.fps or 0)
        return onset - context, offset + context

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
