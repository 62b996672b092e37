"""CAS(ME)²: micro- and macro-expressions in long recordings, 30 fps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.indexed import IndexedReader
from mecli.corpora.sheets import Row, Sheet, Table, pad, plain, positional_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mecli.corpora.entry import Entry
    from mecli.corpora.frames import Disk, Numbered
    from mecli.corpora.indexed import ClipIndex

_FIELDS = ("subject", "name", "onset", "apex", "offset", "aus", "emotion", "type", "self_report")


class CasmeSquared(IndexedReader):
    """CAS(ME)²: a sheet without header, two sheets that say which person and video is meant.

    An offset of 0 is unknown; the apex stands in for it, as the spotting challenges do.
    """

    name = "casme-squared"
    title = "CAS(ME)²"
    paper = "Qu et al., CAS(ME)²: a database for spontaneous macro- and micro-expressions, 2018"
    doi = "10.1109/TAFFC.2017.2654440"
    licence = "granted by the Institute of Psychology, Chinese Academy of Sciences; no sharing"
    fps = 30.0
    sheet_name = "CAS(ME)^2code_final.xlsx"
    sheet_pattern = r"code_?final"
    layout = r"/s(\d+)/\1_\d{4}[^/]*/[^/]*\d+\.\w+$"
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {field: (field,) for field in _FIELDS}
    label_fields = ("emotion", "aus", "type", "self_report")
    key_has_onset = True
    context_s = 1.0

    def __init__(self, as_published: bool = False, whole: bool = False) -> None:
        super().__init__(as_published, whole)
        self.people: dict[str, str] = {}
        self.videos: dict[str, str] = {}

    def tables(self, sheets: list[Sheet]) -> list[Table]:
        """Return the rows of the first sheet of intervals and learn the names from the others."""
        tables = [positional_table(sheet, _FIELDS) for sheet in sheets]
        found = next((t for t in tables if any(map(_is_interval, t.rows))), None)
        if found is None:
            return []
        for sheet in sheets:
            if sheet is not found.sheet:
                self._learn(sheet)
        rows = tuple(row for row in found.rows if row["subject"].casefold() != "subject")
        return [Table(found.sheet, found.fields, rows)]

    def _learn(self, sheet: Sheet) -> None:
        """Take (·, s15, 1) as a person and (0101, disgust1, ·) as a video."""
        for row in sheet.rows:
            first, second, third = (plain(c) for c in (*row, "", "", "")[:3])
            if re.fullmatch(r"s?\d{1,3}", second) and re.fullmatch(r"\d{1,3}", third):
                self.people[third] = pad(second, "s", 2)
            elif re.fullmatch(r"\d{3,4}", first) and second:
                self.videos[second.casefold()] = first.zfill(4)

    def subject(self, text: str) -> str:
        """Return the person's folder, ``s15``, for the running number of the sheet."""
        return self.people.get(plain(text), pad(text, "", 1))

    def canonical(self, name: str) -> str:
        """Return ``15_0101`` for the folder ``15_0101disgustingteeth``."""
        found = re.match(r"\d+_\d{4}", name.strip())
        return found[0] if found else name.strip().casefold()

    def parts(self, entry: Entry) -> tuple[str, ...]:
        """Return the folder of the recording that the interval lies in."""
        video = plain(entry.cells["name"]).casefold()
        code = self.videos.get(video) or self.videos.get(video.split("_")[0])
        if code is None:
            entry.issues.append(f"video '{entry.cells['name']}' is in no naming sheet")
        return (f"{entry.subject.lstrip('s').zfill(2)}_{code}",)

    def frames_of(self, disk: Disk, place: ClipIndex, entry: Entry) -> Numbered | None:
        """Return the frames of the recording, else of the clip cut out of it, as ``anger1_1``."""
        found = super().frames_of(disk, place, entry)
        cut = None if found else place.find(entry.subject, entry.cells["name"])
        return disk.numbered(cut) if cut else found

    def entry(self, row: Row) -> Entry:
        """Return a row as an entry, the apex standing in for an unknown offset."""
        entry = super().entry(row)
        if plain(row["subject"]) not in self.people:
            entry.issues.append(f"person '{row['subject']}' is in no naming sheet")
        apex = entry.numbers.get("apex")
        if not self.as_published and entry.numbers.get("offset") is None and apex is not None:
            entry.numbers["offset"] = apex
            entry.issues.append(f"apex {apex:g} is taken for the offset")
        return entry


def _is_interval(row: Row) -> bool:
    return all(re.fullmatch(r"\d+", row[field]) for field in ("subject", "onset", "offset")) and (
        re.search(r"[A-Za-z]", row["name"]) is not None
    )
