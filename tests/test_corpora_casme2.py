"""CASME II in every form it has on disk, by either sheet."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from mecli.corpora.casme2 import FORMS, Casme2
from mecli.corpora.frames import Disk
from mecli.errors import InputError
from tests import miniatures
from tests.miniatures import frames, touch, write_xlsx

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.clips import Clip


def read(root: Path, *, as_published: bool = False) -> dict[str, Clip]:
    return {c.clip_id: c for c in Casme2(as_published).inspect(root).clips}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sheet", ["2014", "2019"])
def test_every_row_becomes_a_clip_in_every_form(tmp_path: Path, form: str, sheet: str) -> None:
    root = miniatures.casme2(tmp_path, form, sheet)
    reader = Casme2()
    reading = reader.inspect(root)
    assert reader.has_layout(Disk(), root)
    assert reader.has_sheet(Disk(), root)
    assert reading.form == form
    assert [c.clip_id for c in reading.clips] == [
        "casme2/sub01/EP02_01f",
        "casme2/sub04/EP12_01f",
        "casme2/sub05/EP09_05f",
        "casme2/sub07/EP06_01",
        "casme2/sub26/EP06_02_01",
        "casme2/sub26/EP09f",
    ]
    clip = reading.clips[0]
    first = 46 if form in {"raw-selected", "cropped"} else 1
    assert (clip.onset, clip.apex, clip.offset) == (46 - first, 59 - first, 86 - first)
    assert clip.fps == 200
    assert clip.issues == ()
    assert clip.labels["emotion"] == "happiness"
    assert clip.labels["aus"] == clip.labels["au"] == "12"
    assert clip.labels.get("objective") == ("3" if sheet == "2019" else None)


def test_frames_are_in_numerical_order_without_strangers(tmp_path: Path) -> None:
    clip = read(miniatures.casme2(tmp_path))["casme2/sub01/EP02_01f"]
    assert isinstance(clip.frames, tuple)
    assert [p.name for p in clip.frames] == [f"img{n}.jpg" for n in range(46, 87)]


def test_odd_cells_become_issues(tmp_path: Path) -> None:
    clips = read(miniatures.casme2(tmp_path))
    unknown = clips["casme2/sub04/EP12_01f"]
    assert (unknown.onset, unknown.apex, unknown.offset) == (0, None, 60)
    assert unknown.issues == ("apex unknown ('/')",)
    still = clips["casme2/sub05/EP09_05f"]
    assert (still.apex, still.issues) == (0, ("apex 120 is the onset",))
    spaced = clips["casme2/sub26/EP06_02_01"]
    assert (spaced.onset, spaced.apex, spaced.offset) == (0, 9, 24)
    assert spaced.labels == {"emotion": "others", "aus": "R1+R2", "au": "1+2"}
    short = clips["casme2/sub26/EP09f"]
    assert short.offset == 18
    assert short.issues == (
        "action units '?' not fully understood",
        "offset frame 30 is not on disk (frames 10 to 28); 28 is taken",
    )


def test_known_correction_applies_unless_read_as_published(tmp_path: Path) -> None:
    root = miniatures.casme2(tmp_path)
    corrected = read(root)["casme2/sub07/EP06_01"]
    assert (corrected.apex, corrected.offset) == (35, 56)
    assert corrected.issues == ("offset corrected from '68' to '91': the clip's frames run to 91",)
    published = read(root, as_published=True)["casme2/sub07/EP06_01"]
    assert (published.apex, published.offset) == (None, 33)
    assert published.issues == ("apex 70 is outside 35 to 68; apex taken as unknown",)


def test_raw_selected_frames_are_preferred(tmp_path: Path) -> None:
    for form in reversed(FORMS):
        miniatures.casme2(tmp_path, form)
        assert Casme2().inspect(tmp_path).form == form


def test_2014_sheet_is_read_and_classes_are_taken_from_2019(tmp_path: Path) -> None:
    reading = Casme2().inspect(miniatures.casme2(tmp_path, sheet="2014+2019"))
    assert reading.sheet is not None
    assert reading.sheet.name == "CASME2-coding-20140508.xlsx"
    assert reading.notes == (
        "CASME2-coding-20190701.xlsx was not read: CASME2-coding-20140508.xlsx was",
    )
    assert [c.labels["objective"] for c in reading.clips] == ["3", "4", "4", "2", "5", "7"]


def test_folder_names_alone_are_recognised_and_the_sheet_is_asked_for(tmp_path: Path) -> None:
    root = miniatures.casme2(tmp_path, sheet="none")
    assert Casme2().has_layout(Disk(), root)
    with pytest.raises(InputError, match=r"no annotation sheet of CASME II .*coding-20140508"):
        Casme2().inspect(root)


def test_sheet_without_its_columns_is_named(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", {"Sheet1": [["Subject", "Filename"]]})
    with pytest.raises(InputError, match=r"expected columns Subject, Filename, OnsetFrame"):
        Casme2().inspect(tmp_path)


def test_sheet_of_casme_squared_is_not_taken(tmp_path: Path) -> None:
    assert not Casme2().is_sheet_name("CAS(ME)^2code_final")
    assert Casme2().is_sheet_name("CASME2_label_Ver_2")
    assert not Casme2().has_sheet(Disk(), tmp_path)


def test_sheet_without_frames_still_gives_every_clip(tmp_path: Path) -> None:
    miniatures.casme2(tmp_path)
    shutil.rmtree(tmp_path / "CASME2_RAW_selected")
    reading = Casme2().inspect(tmp_path)
    assert reading.form == "no frames"
    assert all(c.frames == () and "no frames on disk" in c.issues for c in reading.clips)
    assert [c.onset for c in reading.clips][:2] == [45, 260]
    assert sum(c.apex is None for c in reading.clips) == 1


def test_differences_of_sheet_and_disk_are_said(tmp_path: Path) -> None:
    root = miniatures.casme2(tmp_path, "cropped")
    shutil.rmtree(root / "Cropped" / "sub01")
    touch(root / "Cropped" / "sub04" / "EP12_01f", ["Desktop.lnk"])
    for path in (root / "Cropped" / "sub05" / "EP09_05f").iterdir():
        path.unlink()
    frames(root / "Cropped" / "sub26" / "EP99_01", 1, 3, "reg_img{}.jpg")
    reading = Casme2().inspect(root)
    assert reading.notes == ("sub26/EP99_01 is on disk but in no row",)
    assert reading.clips[0].issues == ("no frames on disk",)
    assert "no frames on disk" in reading.clips[2].issues


def test_repeated_rows_are_told_apart(tmp_path: Path) -> None:
    rows = [miniatures.CASME2_2014[i] for i in (0, 1, 1)]
    other = list(rows[1])
    other[3] = "/"
    write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", {"S": [*rows, other]})
    clips = read(tmp_path)
    assert list(clips) == [
        "casme2/sub01/EP02_01f_46",
        "casme2/sub01/EP02_01f_46_2",
        "casme2/sub01/EP02_01f_unknown",
    ]
    assert "row 3 repeats subject, name and onset" in clips["casme2/sub01/EP02_01f_46_2"].issues[0]


def test_names_that_cannot_be_part_of_an_id_are_mended_and_said(tmp_path: Path) -> None:
    head, row = miniatures.CASME2_2014[:2]
    odd = ["", "a/b", *row[2:8], ""]
    write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", {"S": [head, odd]})
    ((clip_id, clip),) = read(tmp_path).items()
    assert clip_id == "casme2/row2/a_b"
    assert clip.issues == (
        "subject in row 2 is ''",
        "name in row 2 is 'a/b'",
        "emotion is empty",
        "no frames on disk",
    )
