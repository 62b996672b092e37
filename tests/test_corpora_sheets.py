"""Sheets become text tables, found by the words of their header, and guard themselves."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

import pytest

from mecli.corpora import sheets
from mecli.corpora.action_units import parse_action_units
from mecli.corpora.moments import frame_number
from mecli.corpora.sheets import find_table, normalise, read_sheets
from mecli.errors import InputError
from tests.miniatures import Formula, write_xlsx

if TYPE_CHECKING:
    from pathlib import Path

    from tests.miniatures import Cell

COLUMNS = {"subject": ("Subject", "Participant"), "onset": ("OnsetFrame",), "aus": ("AU",)}


def test_header_is_found_below_text_rows_and_on_a_later_sheet(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [
        ["Notes"],
        [],
        [None, "Onset Frame", "subject "],
        [None, 46.0, "01"],
        [None, None, ""],
    ]
    path = write_xlsx(tmp_path / "a.xlsx", {"Cover": [["hello"]], "Codes": rows})
    table = find_table(read_sheets(path), COLUMNS, ("subject", "onset"))
    assert table is not None
    assert table.sheet.name == "Codes"
    assert [(r.number, r["subject"], r["onset"], r["aus"]) for r in table.rows] == [
        (4, "01", "46", "")
    ]


def test_preferred_header_word_wins_over_an_alternative(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Participant,OnsetFrame,Subject\np,1,s\n")
    table = find_table(read_sheets(tmp_path / "a.csv"), COLUMNS, ("subject",))
    assert table is not None
    assert table.rows[0]["subject"] == "s"


def test_no_header_gives_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    assert find_table(read_sheets(tmp_path / "a.csv"), COLUMNS, ("subject",)) is None


def test_cached_value_of_a_formula_is_read(tmp_path: Path) -> None:
    cells = [Formula("A1+1", 12), Formula("A1+2", None), Formula('"a"', "text")]
    sheet = read_sheets(write_xlsx(tmp_path / "a.xlsx", {"S": [cells]}))[0]
    assert sheet.rows == (("12", "", "text"),)


def test_merged_cells_are_filled(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "a.xlsx", {"S": [["s1", "x"], [None, "y"], ["s2", "z"]]}, {"S": ["A1:A2"]}
    )
    assert read_sheets(path)[0].rows == (("s1", "x"), ("s1", "y"), ("s2", "z"))


def test_merged_cells_that_overlap_are_refused(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [["a", "b"], ["c", "d"]]
    path = write_xlsx(tmp_path / "a.xlsx", {"S": rows}, {"S": ["A1:B2", "A1:ZZ9999"]})
    with pytest.raises(InputError, match=r"a\.xlsx: sheet 'S' has merged cells that overlap"):
        read_sheets(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_delimiter_and_byte_order_mark_are_recognised(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        delimiter.join(["Subject", "OnsetFrame"]) + "\n" + f" 1 {delimiter}2\n", "utf-8-sig"
    )
    assert read_sheets(path)[0].rows == (("Subject", "OnsetFrame"), ("1", "2"))


def test_empty_csv_is_an_empty_sheet(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    assert read_sheets(tmp_path / "a.csv")[0].rows == ()


def test_csv_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("Subject,情绪".encode("gbk"))
    with pytest.raises(InputError, match=r"a\.csv: is not UTF-8 .*save it as 'CSV UTF-8'"):
        read_sheets(tmp_path / "a.csv")


def test_csv_with_a_huge_cell_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x" * 200_000)
    with pytest.raises(InputError, match=r"cannot be read as CSV"):
        read_sheets(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["a.xlsx", "a.xls"])
@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04 not a zip", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"]
)
def test_broken_workbook_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be read as a workbook"):
        read_sheets(tmp_path / name)


def test_damaged_member_of_a_workbook_is_refused(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"S": [["x"] * 200]})
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("xl/worksheets/sheet1.xml")
    start = member.header_offset + 30 + len(member.filename)
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be read as a workbook"):
        read_sheets(path)


def test_zip_bomb_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(3):
            archive.writestr(f"xl/worksheets/sheet{i}.xml", bytes(100 * 2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(InputError, match=r"unpacks to 300 MiB"):
        read_sheets(path)


def test_lone_cell_far_away_is_refused_before_it_takes_the_memory(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"S": [["Subject"]]})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    far = b'<c s="1" r="XFD1048576"><v>1</v></c></row></sheetData>'
    key = "xl/worksheets/sheet1.xml"
    members[key] = members[key].replace(b"</row></sheetData>", far)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match=r"1048576 rows × 16384 columns"):
        read_sheets(path)


def test_a_workbook_that_crashes_its_reader_is_refused_in_one_line(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"S": [["Subject"]]})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    key = "xl/worksheets/sheet1.xml"
    far = b"<c s='1' r='XFD1048576'><v>1</v></c></row></sheetData>"
    members[key] = members[key].replace(b"</row></sheetData>", far)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match=r"as a workbook: it crashed its reader \(SIGABRT\)$"):
        read_sheets(path)


def test_a_number_without_end_is_no_subject() -> None:
    assert sheets.pad("9" * 5000, "s", 2) == "9" * 5000
    assert sheets.pad("007", "s", 2) == "s07"


def test_too_large_a_file_and_too_many_rows_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("a\n" * 5)
    monkeypatch.setattr(sheets, "MAX_ROWS", 4)
    with pytest.raises(InputError, match=r"has 5 rows, expected at most 4"):
        read_sheets(tmp_path / "a.csv")
    monkeypatch.setattr(sheets, "MAX_FILE_BYTES", 8)
    with pytest.raises(InputError, match=r"is 0 MiB, expected an annotation sheet"):
        read_sheets(tmp_path / "a.csv")


def test_sheet_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a regular file"):
        read_sheets(tmp_path)


@pytest.mark.parametrize("text", ["", "/", "?", "-1", "0", "0.0", " N/A ", "nan", "-", "？"])
def test_unknown_frame_numbers(text: str) -> None:
    number, why = frame_number(text)
    assert number is None
    assert why.startswith("unknown")


@pytest.mark.parametrize(
    ("text", "number"), [("46", 46), ("46.0", 46), (" 4 6 "[1:2], 4), ("４６", 46), ("12.5", 12.5)]
)
def test_frame_numbers_are_read(text: str, number: float) -> None:
    assert frame_number(text) == (number, "")


def test_zero_can_be_a_frame() -> None:
    assert frame_number("0", zero_is_unknown=False) == (0, "")


@pytest.mark.parametrize("text", ["abc", "2014-05-08 00:00:00", "12,5,7", "1e99", "12 or 13"])
def test_odd_frame_numbers_say_what_they_are(text: str) -> None:
    assert frame_number(text) == (None, f"is '{text}', expected a frame number")


def test_header_words_lose_case_blanks_and_width() -> None:
    assert normalise(" Ｏnset_Frame\n(f) ") == "onsetframef"


@pytest.mark.parametrize(
    ("text", "units", "odd"),
    [
        ("12", (12,), ""),
        ("L2+26+38", (2, 26, 38), ""),
        ("4A/B", (4,), ""),
        ("AU4+au7", (4, 7), ""),
        ("4，7", (4, 7), ""),
        ("ref(5)+20C", (5, 20), ""),
        ("12B+T24", (12, 24), ""),
        ("", (), ""),
        ("0", (), ""),
        ("L12 or L14", (12, 14), "uncertain"),
        ("(R6 or R12)+R15", (6, 12, 15), "uncertain"),
        ("4?", (4,), "uncertain"),
        ("?", (), "not fully understood"),
        ("4+smile", (4,), "not fully understood"),
        ("412", (), "not fully understood"),
    ],
)
def test_action_units_are_parsed(text: str, units: tuple[int, ...], odd: str) -> None:
    found, why = parse_action_units(text)
    assert found == units
    assert odd in why
    assert bool(odd) == bool(why)


def test_old_workbook_is_read(tmp_path: Path) -> None:
    """An xls is a compound file; a minimal one is built here, as no library writes them."""
    path = tmp_path / "a.xls"
    path.write_bytes(minimal_xls([["Subject", "Onset"], ["spNO.1", 355.0]]))
    assert read_sheets(path)[0].rows == (("Subject", "Onset"), ("spNO.1", "355"))


def test_xls_that_makes_the_parser_panic_is_refused(tmp_path: Path) -> None:
    data = bytearray(minimal_xls([["Subject", "Onset"]]))
    path = tmp_path / "a.xls"
    path.write_bytes(bytes(data[: 512 * 2 + 64]))
    with pytest.raises(InputError, match=r"cannot be read as a workbook"):
        read_sheets(path)


def minimal_xls(rows: list[list[str | float]]) -> bytes:
    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    sheet = record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            if isinstance(cell, str):
                text = struct.pack("<HB", len(cell), 0) + cell.encode("latin-1")
                sheet += record(0x204, struct.pack("<HHH", r, c, 0) + text)
            else:
                sheet += record(0x203, struct.pack("<HHHd", r, c, 0, cell))
    sheet += record(0x0A, b"")
    head = record(0x809, struct.pack("<HHHHII", 0x600, 0x05, 0, 0, 0, 0))
    tail = record(0x0A, b"")
    name = b"S"
    bound_size = 4 + 8 + len(name)
    offset = len(head) + bound_size + len(tail)
    bound = record(0x85, struct.pack("<IBBBB", offset, 0, 0, len(name), 0) + name)
    book = (head + bound + tail + sheet).ljust(4096, b"\0")
    sectors = len(book) // 512
    end, fat_mark = 0xFFFFFFFE, 0xFFFFFFFD
    fat = [fat_mark, end, *range(3, 2 + sectors), end]
    fat += [0xFFFFFFFF] * (128 - len(fat))
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16)
    header += struct.pack(
        "<HHHHH6xIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0
    )
    header += struct.pack("<109I", 0, *[0xFFFFFFFF] * 108)

    def entry(label: str, kind: int, child: int, start: int, size: int) -> bytes:
        name = (label.encode("utf-16-le") + b"\0\0").ljust(64, b"\0")
        links = struct.pack("<HBBIII", 2 * len(label) + 2, kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child)
        return name + links + bytes(36) + struct.pack("<IQ", start, size)

    directory = entry("Root Entry", 5, 1, end, 0) + entry("Workbook", 2, 0xFFFFFFFF, 2, len(book))
    return header + struct.pack("<128I", *fat) + directory.ljust(512, b"\0") + book
