"""Faithful miniatures of corpora: sheets with their odd cells, trees with their odd names.

The frames are empty files: readers list them and never open them.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Formula:
    """A formula and the value that the last program to save the sheet worked out."""

    text: str
    cached: float | str | None


Cell = str | float | None | Formula


def write_xlsx(
    path: Path,
    sheets: Mapping[str, Sequence[Sequence[Cell]]],
    merged: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write a workbook by hand, since formulas need their cached values beside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    numbers = range(1, len(sheets) + 1)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kinds}.sheet.main+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" '
            f'ContentType="{kinds}.worksheet+xml"/>'
            for n in numbers
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        + "".join(
            f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}"/>'
            for n, name in zip(numbers, sheets, strict=True)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in numbers
        )
        + "</Relationships>",
    }
    for n, (name, rows) in enumerate(sheets.items(), start=1):
        merges = "".join(f'<mergeCell ref="{ref}"/>' for ref in (merged or {}).get(name, ()))
        parts[f"xl/worksheets/sheet{n}.xml"] = (
            f'<worksheet xmlns="{main}"><sheetData>{_rows_xml(rows)}</sheetData>'
            + (f"<mergeCells>{merges}</mergeCells>" if merges else "")
            + "</worksheet>"
        )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, text in parts.items():
            archive.writestr(part, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return path


def column_letters(index: int) -> str:
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _rows_xml(rows: Sequence[Sequence[Cell]]) -> str:
    return "".join(
        f'<row r="{r}">'
        + "".join(_cell_xml(f"{column_letters(c)}{r}", cell) for c, cell in enumerate(row))
        + "</row>"
        for r, row in enumerate(rows, start=1)
    )


def _cell_xml(ref: str, cell: Cell) -> str:
    if isinstance(cell, Formula):
        value = "" if cell.cached is None else f"<v>{escape(str(cell.cached))}</v>"
        kind = ' t="str"' if isinstance(cell.cached, str) else ""
        return f'<c r="{ref}"{kind}><f>{escape(cell.text)}</f>{value}</c>'
    if cell is None:
        return f'<c r="{ref}"/>'
    if isinstance(cell, str):
        return f'<c r="{ref}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
    return f'<c r="{ref}"><v>{cell}</v></c>'


def touch(folder: Path, names: Iterable[str]) -> Path:
    """Make empty files, as frames that nobody opens."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def frames(folder: Path, first: int, last: int, pattern: str = "img{}.jpg") -> Path:
    """Make the frames `first` to `last`, named by `pattern`."""
    return touch(folder, (pattern.format(n) for n in range(first, last + 1)))


_CASME2_HEADER: tuple[Cell, ...] = (
    *("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None),
    *("Action Units", "Estimated Emotion"),
)
CASME2_2014: tuple[tuple[Cell, ...], ...] = (
    _CASME2_HEADER,
    ("01", "EP02_01f", None, 46, 59, 86, None, 12, "happiness"),
    ("04", "EP12_01f", None, 261, "/", 321, None, "4", "disgust"),
    ("05", "EP09_05f", None, 120, 120, 149, None, "4+L10", "disgust"),
    ("07", "EP06_01", None, 35, 70, 68, None, "L2+26+38", "surprise"),
    ("26", "EP06_02_01", None, "36 ", 45.0, " 60", None, "R1+R2", "others "),
    ("26", "EP09f", None, 10, 20, 30, None, "?", "repression"),
    (None, None, None, None, None, None, None, None, None),
    ("", " ", None, None, None, None, None, None, None),
)
_OBJECTIVE: tuple[Cell, ...] = ("Objective Classes", 3, 4, 4, 2, "5", 7)
CASME2_2019: tuple[tuple[Cell, ...], ...] = tuple(
    (*row[:2], *row[3:6], *row[7:9], objective)
    for row, objective in zip(CASME2_2014[:7], _OBJECTIVE, strict=True)
)


def casme2(root: Path, form: str = "raw-selected", sheet: str = "2014") -> Path:
    """CASME II: `form` as on disk, raw-selected nested twice as unpacking leaves it."""
    clips = {
        "sub01/EP02_01f": (46, 86),
        "sub04/EP12_01f": (261, 321),
        "sub05/EP09_05f": (120, 149),
        "sub07/EP06_01": (35, 91),
        "sub26/EP06_02_01": (36, 60),
        "sub26/EP09f": (10, 28),
    }
    for clip, (first, last) in clips.items():
        if form == "raw-selected":
            top = root / "CASME2_RAW_selected" / "CASME2_RAW_selected"
            frames(top / clip, first, last)
            touch(top / clip, ["Thumbs.db", "._img46.jpg"])
        elif form == "raw":
            frames(root / "CASME2-RAW" / clip, 1, last + 20)
        elif form == "cropped":
            frames(root / "Cropped" / clip, first, last, "reg_img{}.jpg")
        else:
            subject, name = clip.split("/")
            touch(root / "CASME2_compressed video" / "CASME2_compressed" / subject, [f"{name}.avi"])
    if "2014" in sheet:
        write_xlsx(root / "CASME2-coding-20140508.xlsx", {"Sheet1": CASME2_2014, "Sheet2": ()})
    if "2019" in sheet:
        write_xlsx(root / "CASME2-coding-20190701.xlsx", {"Sheet1": CASME2_2019})
    return root


SYNTH_HEADER = (
    "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,Estimated Emotion,"
    "Class,FPS,Frames,PeakMM,Distractor"
)


def synth(root: Path) -> Path:
    """The form of `sample_data`: annotation.csv beside clips/, one clip as a folder."""
    touch(root / "clips", ["s01_01.mp4", "s01_07.mp4", "long01.mp4"])
    frames(root / "clips" / "s02_01", 1, 60, "{:04d}.png")
    rows = (
        "01,s01_01,37,67,87,4+7,disgust,negative,100,128,1.74,",
        "01,s01_07,,,,,none,none,100,105,0.00,blink",
        "02,s02_01,28,44,59,6+12,happiness,positive,100,83,1.28,",
        "09,long01,122,134,147,1+2,surprise,surprise,50,500,,",
        "09,long01,281,294,306,4,anger,negative,50,500,,",
    )
    (root / "annotation.csv").write_text("\n".join((SYNTH_HEADER, *rows)) + "\n", "utf-8-sig")
    return root
