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


@dataclass(frozen=True)
class Dated:
    """A number that is formatted as a date, as typing or pasting beside dates leaves it."""

    number: float


Cell = str | float | None | Formula | Dated


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
        + f'<Override PartName="/xl/styles.xml" ContentType="{kinds}.styles+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        + "".join(
            f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}"/>'
            for n, name in zip(numbers, sheets, strict=True)
        )
        + "</sheets></workbook>",
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/>'
        '<xf numFmtId="14"/></cellXfs></styleSheet>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in numbers
        )
        + f'<Relationship Id="s" Type="{office}/styles" Target="styles.xml"/></Relationships>',
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
    if isinstance(cell, Dated):
        return f'<c r="{ref}" s="1"><v>{cell.number}</v></c>'
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


def samm(root: Path) -> Path:
    """SAMM: 13 rows of text, header in row 14, Duration as a formula, gray padded frames."""
    clips = {
        "006/006_1_2": (5562, 5630),
        "028/028_4_1": (1000, 1150),
        "032/032_3_1": (4900, 4990),
        "011/011_1_1": (7, 20),
    }
    for clip, (first, last) in clips.items():
        frames(root / "SAMM" / clip, first, last, clip[:3] + "_{:05d}.jpg")
    header: tuple[Cell, ...] = ("Subject", "Filename", "Inducement Code", "Onset Frame")
    header += ("Apex Frame",)
    header += ("Offset Frame", "Duration", "Micro", "Action Units", "Estimated Emotion")
    header += ("Objective Classes", "Notes")

    def row(n: int, *cells: Cell) -> tuple[Cell, ...]:
        subject, name, onset, apex, offset, units, emotion, objective = cells
        duration = Formula(f"F{n}-D{n}+1", 69)
        first: tuple[Cell, ...] = (subject, name, 7, onset, apex, offset, duration, "1/2")
        return (*first, units, emotion, objective, None)

    rows: list[tuple[Cell, ...]] = [
        ("SAMM Micro FACS codes",),
        *[(f"Note {n}",) for n in range(12)],
    ]
    rows += [
        header,
        row(15, "006", "006_1_2", 5562, 5588, 5630, "4A/B", "Anger", 3),
        row(16, "028", "028_4_1", 1065, 1143, 1134, "L12 or L14", "Contempt", 5),
        row(17, 32, "032_3_1", 4912, 1930, 4980, "(R6 or R12)+R15", "Other ", 7),
        row(18, "011", "011_1_1", 7, 10, 20, "ref(5)+20C", "Other", 7),
    ]
    write_xlsx(root / "SAMM_Micro_FACS_Codes_v2.xlsx", {"Sheet1": rows, "Sheet2": [()]})
    return root


def smic(root: Path, cameras: Sequence[str] = ("HS",), *, cropped: bool = True) -> Path:
    """SMIC: no sheet; the path says camera, subject and emotion; non_micro is beside."""
    top = "SMIC_all_cropped" if cropped else "SMIC_all_raw"
    pattern = "reg_image{:06d}.bmp" if cropped else "image{:06d}.bmp"
    for camera in cameras:
        for subject, emotion, clip, first in (
            ("s1", "negative", "s1_ne_01", 559740),
            ("s1", "surprise", "s1_sur_02", 81),
            ("s20", "positive", "s20_po_10", 1200),
        ):
            folder = root / top / camera / subject / "micro" / emotion / clip
            frames(folder, first, first + 20, pattern)
        frames(root / top / camera / "s1" / "non_micro" / "s1_non_01", 5, 9, pattern)
    return root


def smic_long(root: Path) -> Path:
    """SMIC-E: formulas with cached values, a second expression, text where a number was."""
    rows: list[tuple[Cell, ...]] = [
        (
            *("Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", None),
            *("FirstF", "LastF", "ML", "TotalVL"),
        ),
        (
            *(1, "s1_ne_01", None, 559740, Formula("D2+K2-1", 559760), None, None, None),
            *(Formula("D2-40", 559700), 559800, 21, 101),
        ),
        (
            *(1, "s1_sur_02", None, 120, Formula("D3+K3-1", 130), 160, Formula("F3+9", 169), None),
            *("missing", 200, 11, 101),
        ),
        (
            *(20, "s20_po_10", None, 1250, Formula("D4+K4-1", None), None, None, None),
            *(Formula("D4-40", 1210), 1300, 20, 91),
        ),
        (None, None, None, None, None, None, None, None, None, None, "average", 97.3),
    ]
    write_xlsx(root / "HS_long" / "SMIC-HS-E_annotation.xlsx", {"HS": rows})
    top = root / "HS_long" / "SMIC-HS-E" / "HS"
    frames(top / "s01" / "s1_ne_01", 559700, 559800, "image{:06d}.jpg")
    frames(top / "s01" / "s1_sur_02", 100, 200, "image{:06d}.jpg")
    frames(top / "s20" / "s20_po_10", 1211, 1300, "image{:06d}.jpg")
    frames(root / "VIS_long" / "VIS" / "s11" / "s11_ne_01", 1, 9, "image{:06d}.jpg")
    return root


def casme(root: Path) -> Path:
    """CASME: two apex columns, a file name twice, section B padded to three digits."""
    rows: list[tuple[Cell, ...]] = [
        (
            "Subject",
            "Filename",
            None,
            "OnsetF",
            "ApexF1",
            "ApexF2",
            "OffsetF",
            None,
            "AU",
            "Emotion",
        ),
        (1, "EP01_12", None, 73, 81, 0, 91, None, "4+L9", "disgust"),
        (1, "EP01_12", None, 95, 99, 101, 110, None, 12, "happiness"),
        (9, "EP03_5", None, 20, 26, 0, 34, None, "14", "tense"),
    ]
    write_xlsx(root / "CASME.xlsx", {"Sheet1": rows})
    frames(root / "Section A" / "sub01" / "EP01_12", 70, 112, "EP01_12-{}.jpg")
    frames(root / "Section B" / "sub09" / "EP03_5", 18, 40, "EP03_5-{:03d}.jpg")
    return root


def casme_squared(root: Path) -> Path:
    """CAS(ME)²: no header, unknown offsets as 0, two sheets of names."""
    rows: list[tuple[Cell, ...]] = [
        (1, "disgust1_1", 30, 36, 41, "4+7", "negative", "macro-expression", "disgust"),
        (1, "disgust1_2", 60, 66, 0, "4", "negative", "micro-expression", "disgust"),
        (2, "happy4_1", 10, 12, 0, "6+12", "positive", "macro-expression", "happiness"),
        (2, "lost9_1", 10, 12, 14, None, "others", "micro-expression", None),
    ]
    people: list[tuple[Cell, ...]] = [("order", "name", "number"), (1, "s15", 1), (2, 16, 2)]
    videos: list[tuple[Cell, ...]] = [
        ("0101", "disgust1", "disgustingteeth"),
        (505, "happy4", "funnyinnovations"),
    ]
    write_xlsx(
        root / "CAS(ME)^2code_final.xlsx",
        {"CASFEcode_final": rows, "naming rule1": people, "naming rule2": videos},
    )
    frames(root / "rawpic" / "s15" / "15_0101disgustingteeth", 1, 80, "img{:03d}.jpg")
    frames(root / "rawpic" / "s16" / "16_0505funnyinnovations", 1, 20, "img{:03d}.jpg")
    return root


def casme3(root: Path, form: str = "recordings", *, part_c: bool = False) -> Path:
    """CAS(ME)³: repeated (subject, file), mixed case, full-width commas, depth frames beside."""
    rows: list[tuple[Cell, ...]] = [
        (
            "Subject",
            "Filename",
            "Onset",
            "Apex",
            "Offset",
            "AU",
            "Objective class",
            "emotion",
            None,
        ),
        ("spNO.1", "a", 355, 360, 365, "4，7", 3, "Others", "shade"),
        ("spNO.1", "a", 400, 400, 410, "1,2", 2, "others", None),
        ("spNO.2", "b", 12, 15, 20, 0, 1, "happy", None),
    ]
    write_xlsx(root / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", {"label": rows})
    if form == "recordings":
        for subject, name, last in (("spNO.1", "a", 420), ("spNO.2", "B", 30)):
            frames(root / "part_A" / subject / name / "color", 1, last, "{}.jpg")
            frames(root / "part_A" / subject / name / "depth", 1, last, "{}.png")
    else:
        clips = root / "Part_A_ME_clip" / "Part_A_ME_clip"
        for clip, first, last in (("1_a_355", 355, 365), ("1_a_400", 400, 410), ("2_b_12", 12, 20)):
            frames(clips / "frame" / f"spNo.{clip}", first, last, "{}.jpg")
            frames(clips / "depth" / f"spNo.{clip}", first, last, "{}.png")
    if part_c:
        more: list[tuple[Cell, ...]] = [
            ("sub", "count", "onset", "offset", "au", "PHY"),
            (1, 1, 373, 380, "4,7", "p1"),
            (1, 2, 390, 399, "12", "p1"),
        ]
        write_xlsx(root / "CAS(ME)3_part_C_ME.xlsx", {"Sheet1": more})
        frames(root / "part_C" / "01" / "a" / "color", 1, 400, "{}.jpg")
        frames(root / "part_C" / "01" / "a" / "depth", 1, 400, "{}.png")
    return root


def samm_lv(root: Path) -> Path:
    """SAMM Long Videos: header in row 10, fractional frames, apex -1, merged subject cells."""
    header: tuple[Cell, ...] = ("Subject", "Filename", "Inducement Code", "Onset", "Apex")
    header += ("Offset",)
    header += ("Duration", "Type", "Action Units", "Notes")
    rows: list[tuple[Cell, ...]] = [("SAMM Long Videos",), *[(f"Note {n}",) for n in range(8)]]
    rows += [
        header,
        ("006", "006_1_2", 3, 30.0, 58.5, 80, Formula("F11-D11+1", 51), "Micro - 1/2", "4A/B", ""),
        (None, "006_1_8", 3, 60, -1, 70, Formula("F12-D12+1", 11), "Macro", "12", None),
    ]
    path = root / "SAMM_LongVideos_V2_Release.xlsx"
    write_xlsx(path, {"Sheet1": rows}, {"Sheet1": ["A11:A12"]})
    frames(root / "SAMM_longvideos" / "006_1", 1, 80, "006_1_{:04d}.jpg")
    return root


def mmew(root: Path) -> Path:
    """MMEW: emotion as folder, macro-expressions beside, a row that contradicts its folder."""
    rows: list[tuple[Cell, ...]] = [
        (
            *("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units"),
            *("Estimated Emotion", "remarks"),
        ),
        (1, "S01-01-001", 1, 12, 30, "4+7", "anger", None),
        ("02", "S02-02-003", 1, 9, 25, 12, "happiness ", "glasses"),
        (3, "S04-05-001", 1, 9, 25, 4, "disgust", None),
    ]
    write_xlsx(root / "MMEW_Micro_Exp.xlsx", {"Sheet1": rows})
    frames(root / "Micro_Expression" / "anger" / "S01-01-001", 1, 30, "{}.jpg")
    frames(root / "Micro_Expression" / "Happiness" / "S02-02-003", 1, 25, "{}.jpg")
    frames(root / "Micro_Expression" / "sadness" / "S04-05-001", 1, 25, "{}.jpg")
    frames(root / "Macro_Expression" / "S01" / "anger" / "S01-01-001", 1, 60, "{}.jpg")
    return root


def fourdme(root: Path) -> Path:
    """4DME: two emotions in one cell, doubtful action units, flags as columns."""
    rows: list[tuple[Cell, ...]] = [
        (
            *(
                "sub_ID",
                "fold_name",
                "fold",
                "Emotion",
                "Onset",
                "Apex",
                "Offset",
                "AUs",
                "eye blink",
            ),
            *("Positive", "Negative", "Surprise", "Repression", "Others", "Total"),
        ),
        ("sub01", "p1_ne_2", 1, "Negative", 100, 110, 125, "AU4+AU7(k)", 0, 0, 1, 0, 0, 0, 1),
        ("sub02", "p2_su_1", 1, "Surprise+Positive", 7, 12, 19, "1+2", 1, 1, 0, 1, 0, 0, 2),
    ]
    write_xlsx(root / "4DME_Labelling_Micro_release v1.xlsx", {"Sheet1": rows})
    frames(root / "gray_micro" / "sub01" / "p1_ne_2", 100, 125, "Frame_{:09d}.png")
    frames(root / "gray_micro" / "sub02" / "p2_su_1", 7, 19, "Frame_{:09d}.png")
    return root


def dfme(root: Path) -> Path:
    """DFME: one sheet per part, the frame rate of each clip in its row."""
    header: tuple[Cell, ...] = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame")
    header += ("Emotion", "Fps", "AU")
    part_a: list[tuple[Cell, ...]] = [header, ("zhao", "zhao_3", 12, 40, 90, "Fear", 500, "4+5")]
    part_b: list[tuple[Cell, ...]] = [header, ("qian", "qian_1", 1, 20, 44, "Disgust", "?", 9)]
    write_xlsx(root / "DFME_part_A.xlsx", {"Sheet1": part_a})
    write_xlsx(root / "DFME_part_B.xlsx", {"Sheet1": part_b})
    frames(root / "part_A" / "zhao" / "zhao_3", 1, 100, "{:05d}.jpg")
    frames(root / "part_B" / "qian" / "qian_1", 1, 44, "{:05d}.jpg")
    return root


def flow_archive(root: Path, *, header: bool = True) -> Path:
    """Flow images with a blank before the dot, further images, a clip named like one."""
    rows = ["casme2,sub01,EP02_01f,1", "casme2,sub26,EP06,0", "casme2,sub26,EP06_2,0"]
    rows += ["smic,s01,s01_ne_01,2"]
    if header:
        rows = ["corpus,subject,clip,label", *rows]
    (root / "flow").mkdir(parents=True)
    (root / "flow" / "labels.csv").write_text("\n".join(rows) + "\n", "utf-8-sig")
    touch(root / "flow", ["sub01_EP02_01f .png", "sub01_EP02_01f_1 .png", "sub01_EP02_01f_10 .png"])
    touch(root / "flow", ["sub01_EP02_01f_2 .png", "sub26_EP06 .png", "sub26_EP06_2 .png"])
    touch(root / "flow", ["sub26_EP06_3.png", "s01_s01_ne_01 .PNG", "s99_s99_po_01 .png"])
    return root


MINIATURES = {
    "casme2": casme2,
    "synth": synth,
    "samm": samm,
    "smic": smic,
    "smic-long": smic_long,
    "casme": casme,
    "casme-squared": casme_squared,
    "casme3": casme3,
    "samm-lv": samm_lv,
    "mmew": mmew,
    "4dme": fourdme,
    "dfme": dfme,
    "flow-archive": flow_archive,
}
"""Corpus → writer of its miniature; the registry test asks for one of each."""
