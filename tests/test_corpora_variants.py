"""Sheets as they reach people: saved anew, renamed, with footers, dates and further sheets."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mecli import cli, registry
from mecli.corpora.casme2 import Casme2
from mecli.corpora.frames import Disk
from mecli.corpora.moments import frame_number
from mecli.corpora.sheets import read_sheets
from mecli.corpora.sources import inspect_sources, recognise
from mecli.labels import Annotation
from tests import miniatures
from tests.miniatures import Dated, frames, write_xlsx

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.corpora.reading import Reading
    from tests.miniatures import Cell


def inspect(*sources: Path, corpus: str | None = None) -> Reading:
    (reading,) = inspect_sources(sources, corpus)
    return reading


def sheet_of(name: str, tmp_path: Path) -> Path:
    """The annotation sheet of a miniature, alone in a folder."""
    root = miniatures.MINIATURES[name](tmp_path / "whole")
    sheet = inspect(root).sheet
    assert sheet is not None
    (tmp_path / "alone").mkdir()
    moved = sheet.rename(tmp_path / "alone" / sheet.name)
    shutil.rmtree(tmp_path / "whole")
    return moved


SHEETS = ["casme2", "samm", "smic-long", "casme", "casme-squared", "casme3", "samm-lv"]
SHEETS += ["mmew", "4dme", "dfme"]


@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_alone_is_checked_by_its_file_and_by_its_folder(name: str, tmp_path: Path) -> None:
    sheet = sheet_of(name, tmp_path)
    readings = [inspect(sheet), inspect(sheet.parent)]
    assert [r.corpus for r in readings] == [name, name]
    assert [c.clip_id for c in readings[0].clips] == [c.clip_id for c in readings[1].clips]
    for clip in readings[0].clips:
        assert clip.frames == ()
        assert "no frames on disk" in clip.issues
    for source in (sheet, sheet.parent):
        done = CliRunner().invoke(cli.app, ["check", str(source)])
        assert done.exit_code == 3
        assert f"{len(readings[0].clips)} of " in done.stdout
        assert "missing frames" in done.stdout


@pytest.mark.parametrize("name", SHEETS)
def test_a_renamed_sheet_is_found_by_its_columns_once_the_corpus_is_named(
    name: str, tmp_path: Path
) -> None:
    sheet = sheet_of(name, tmp_path)
    expected = [c.clip_id for c in inspect(sheet).clips]
    sheet.rename(sheet.with_name("labels" + sheet.suffix))
    (sheet.parent / "other.csv").write_bytes(b"\xff\xfe\x00")
    assert recognise(sheet.parent) is None
    assert [c.clip_id for c in inspect(sheet.parent, corpus=name).clips] == expected


def test_footers_and_repeated_headers_are_no_clips_and_are_said(tmp_path: Path) -> None:
    header = miniatures.CASME2_2014[0]
    rows = [*miniatures.CASME2_2014[:7], header]
    rows += [("Total", 6, *[None] * 7), ("coded by two coders", *[None] * 8)]
    rows += [("27", None, None, 12, 20, 30, None, 4, "others")]
    path = write_xlsx(
        tmp_path / "CASME2-coding-20140508.xlsx",
        {"Sheet1": rows, "copy": rows},
        {"Sheet1": ["A10:I10"]},
    )
    reading = inspect(path)
    assert len(reading.clips) == 6
    name = path.name
    assert reading.notes == (
        f"sheet 'copy' of {name} was not read: 'Sheet1' has the same columns and was",
        f"row 8 of {name} was not read: it repeats the header",
        f"row 9 of {name} was not read: it holds nothing but 'Total 6'",
        f"row 10 of {name} was not read: 'coded by two coders' spans its cells",
        f"row 11 of {name} was not read: it has no file name",
    )


def test_parts_of_a_corpus_in_two_sheets_of_one_workbook_add_up(tmp_path: Path) -> None:
    header = ("Subject", "Filename", "OnsetF", "ApexF1", "ApexF2", "OffsetF", "AU", "Emotion")
    write_xlsx(
        tmp_path / "CASME.xlsx",
        {
            "Section A": [header, (1, "EP01_1", 3, 5, 0, 9, "4", "tense")],
            "Section B": [header, (9, "EP01_1", 4, 6, 0, 8, "12", "happiness")],
        },
    )
    assert [c.clip_id for c in inspect(tmp_path).clips] == [
        "casme/sub01/EP01_1",
        "casme/sub09/EP01_1",
    ]


def test_frame_numbers_formatted_as_dates_are_read_back(tmp_path: Path) -> None:
    rows: list[tuple[Cell, ...]] = [
        ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion"),
        ("01", "EP02_01f", 46, Dated(59), Dated(86), "happiness"),
    ]
    path = write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", {"S": rows})
    assert read_sheets(path)[0].rows[1][4] == "1900-03-26"
    (clip,) = inspect(path).clips
    assert (clip.onset, clip.apex, clip.offset) == (45, 58, 85)
    assert clip.issues[1] == "offset is formatted as the date 1900-03-26, taken as 86"
    meant = "2014-05-08"
    assert frame_number(meant) == (None, f"is '{meant}', expected a frame number")


def test_the_latest_and_the_oldest_version_are_told_by_number_and_by_short_date(
    tmp_path: Path,
) -> None:
    sheet = miniatures.samm_lv(tmp_path / "lv") / "SAMM_LongVideos_V2_Release.xlsx"
    for version in (1, 3):
        shutil.copy(sheet, sheet.with_name(f"SAMM_LongVideos_V{version}_Release.xlsx"))
    read = inspect(tmp_path / "lv").sheet
    assert read is not None
    assert read.name == "SAMM_LongVideos_V3_Release.xlsx"
    first = miniatures.casme2(tmp_path / "two", sheet="2014+2019")
    (first / "CASME2-coding-20190701.xlsx").rename(first / "CASME2-coding-2019217.xlsx")
    read = inspect(first).sheet
    assert read is not None
    assert read.name == "CASME2-coding-20140508.xlsx"


def test_casme2_subjects_as_a_data_frame_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "CASME2_coding.csv"
    path.write_text(
        ",Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,Estimated Emotion\n"
        "0,1.0,EP02_01f,46.0,59.0,86.0,12.0,happiness\n"
    )
    (clip,) = inspect(path).clips
    assert (clip.clip_id, clip.onset, clip.labels["au"]) == ("casme2/sub01/EP02_01f", 45, "12")


def test_casme_squared_clips_cut_out_of_the_recordings(tmp_path: Path) -> None:
    root = miniatures.casme_squared(tmp_path)
    shutil.rmtree(root / "rawpic")
    frames(root / "selectedpic" / "s15" / "disgust1_1", 30, 41, "img{}.jpg")
    found = {c.name: c for c in inspect(root).clips}["disgust1_1_30"]
    assert (found.onset, found.apex, found.offset) == (0, 6, 11)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can list every folder")
def test_a_folder_beside_a_sheet_that_cannot_be_listed_is_said(tmp_path: Path) -> None:
    sheet = sheet_of("samm", tmp_path)
    closed = sheet.parent / "private"
    closed.mkdir(mode=0)
    assert inspect(sheet).notes == (f"{closed}: cannot be listed: Permission denied",)


def test_a_folder_that_goes_away_while_walking_is_kept_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    disk = Disk()
    assert disk.folders(tmp_path / "a") == (tmp_path / "a" / "b",)
    (tmp_path / "a" / "b").rmdir()
    assert list(disk.walk(tmp_path, 3)) == [tmp_path, tmp_path / "a"]
    assert disk.closed == {
        tmp_path / "a" / "b": f"{tmp_path / 'a' / 'b'}: cannot be listed: No such file or directory"
    }


def test_short_emotion_words_have_a_class() -> None:
    words = [
        Annotation(f"casme3/a/{word}", "casme3", {"emotion": word}) for word in ("happy", "sad")
    ]
    table = registry.load("label scheme", "megc2019")(words)
    assert table.index == {"casme3/a/happy": 1, "casme3/a/sad": 0}
    assert Casme2().subject("sub3") == "sub03"
