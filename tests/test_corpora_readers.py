"""What each corpus's own traps become: positions, labels, issues, notes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from mecli import registry
from mecli.corpora.sources import inspect_sources, read_sources
from mecli.errors import InputError
from tests import miniatures
from tests.miniatures import frames, touch, write_xlsx

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.clips import Clip
    from mecli.corpora.reading import Reading
    from tests.miniatures import Cell


def read(name: str, root: Path, *, as_published: bool = False) -> dict[str, Clip]:
    clips = registry.load("corpus", name)(as_published).inspect(root).clips
    return {clip.clip_id.removeprefix(f"{name}/"): clip for clip in clips}


def inspect(root: Path, name: str | None = None) -> Reading:
    (reading,) = inspect_sources([root], corpus=name)
    return reading


def moments(clip: Clip) -> tuple[int | None, int | None, int | None]:
    return clip.onset, clip.apex, clip.offset


def test_samm_flags_its_two_bad_apexes_and_mends_one(tmp_path: Path) -> None:
    root = miniatures.samm(tmp_path)
    clips = read("samm", root)
    assert moments(clips["006/006_1_2"]) == (0, 26, 68)
    assert clips["006/006_1_2"].labels == {
        "emotion": "anger",
        "objective": "3",
        "aus": "4A/B",
        "au": "4",
    }
    assert moments(clips["028/028_4_1"]) == (65, None, 134)
    assert "apex 1143 is outside 1065 to 1134; apex taken as unknown" in (
        clips["028/028_4_1"].issues
    )
    assert moments(clips["032/032_3_1"]) == (12, 30, 80)
    assert clips["032/032_3_1"].labels["emotion"] == "other"
    assert clips["032/032_3_1"].labels["au"] == "6+12+15"
    assert clips["011/011_1_1"].labels["au"] == "5+20"
    published = read("samm", root, as_published=True)["032/032_3_1"]
    assert moments(published) == (12, None, 80)


def test_samm_prefers_raw_frames_to_cropped_ones(tmp_path: Path) -> None:
    miniatures.samm(tmp_path)
    shutil.copytree(tmp_path / "SAMM", tmp_path / "A_CROPPED")
    clip = inspect(tmp_path).clips[0]
    assert isinstance(clip.frames, tuple)
    assert "A_CROPPED" not in str(clip.frames[0])
    shutil.rmtree(tmp_path / "SAMM")
    assert inspect(tmp_path).form == "cropped"


def test_samm_layout_alone_asks_for_the_sheet(tmp_path: Path) -> None:
    root = miniatures.samm(tmp_path)
    (root / "SAMM_Micro_FACS_Codes_v2.xlsx").unlink()
    with pytest.raises(InputError, match=r"no annotation sheet of SAMM found, expected SAMM_Micro"):
        read_sources([root])


def test_clip_on_disk_without_a_row_is_noted(tmp_path: Path) -> None:
    root = miniatures.samm(tmp_path)
    frames(root / "SAMM" / "037" / "037_9_9", 1, 5, "037_{:05d}.jpg")
    shutil.rmtree(root / "SAMM" / "006")
    reading = inspect(root)
    assert reading.notes == ("037/037_9_9 is on disk but in no row",)
    assert reading.clips[0].issues[-1] == "no frames on disk"


def test_smic_takes_labels_from_the_path_and_pads_the_names(tmp_path: Path) -> None:
    clips = read("smic", miniatures.smic(tmp_path))
    assert list(clips) == ["s01/s01_ne_01", "s01/s01_sur_02", "s20/s20_po_10"]
    clip = clips["s01/s01_ne_01"]
    assert (moments(clip), clip.fps, clip.labels) == (
        (0, None, 20),
        100,
        {"emotion": "negative"},
    )


def test_smic_reads_the_fastest_camera_and_its_raw_frames(tmp_path: Path) -> None:
    root = miniatures.smic(tmp_path, ("VIS", "HS", "NIR"))
    miniatures.smic(tmp_path, ("HS",), cropped=False)
    reading = inspect(root)
    assert reading.form == "HS raw"
    assert len(reading.clips) == 3
    assert reading.notes == (
        "HS cropped frames were not read: HS raw ones were",
        "VIS cropped frames were not read: HS raw ones were",
        "NIR cropped frames were not read: HS raw ones were",
    )


def test_slower_cameras_of_smic_keep_the_person_but_not_the_clip_name(tmp_path: Path) -> None:
    root = miniatures.smic(tmp_path, ("VIS",))
    clips = inspect(root / "SMIC_all_cropped" / "VIS").clips
    assert (clips[0].clip_id, clips[0].fps) == ("smic/s01/s01_ne_01_VIS", 25)


def test_smic_folders_that_contradict_each_other_are_said(tmp_path: Path) -> None:
    top = miniatures.smic(tmp_path) / "SMIC_all_cropped" / "HS"
    frames(top / "s2" / "micro" / "positive" / "s3_ne_01", 1, 4, "reg_image{}.bmp")
    frames(top / "s02" / "micro" / "positive" / "s03_ne_1", 1, 4, "reg_image{}.bmp")
    frames(top / "s2" / "micro" / "positive" / "s2_x", 1, 4, "reg_image{}.bmp")
    reading = inspect(tmp_path)
    odd = {c.name: c.issues for c in reading.clips}
    assert odd["s03_ne_01"] == (
        "folder name says subject s03, the folder above s02",
        "folder name says negative, the folder above positive",
    )
    assert "folder name says no emotion, the folder above positive" in odd["s2_x"]
    assert any("it is smic/s02/s03_ne_01 once more" in note for note in reading.notes)


def test_smic_has_no_sheet(tmp_path: Path) -> None:
    sheet = write_xlsx(tmp_path / "a.xlsx", {"S": [["x"]]})
    with pytest.raises(InputError, match=r"SMIC has no sheet"):
        read_sources([sheet], corpus="smic")


def test_smic_long_reads_formulas_and_both_expressions_of_a_clip(tmp_path: Path) -> None:
    clips = read("smic-long", miniatures.smic_long(tmp_path))
    assert list(clips) == [
        "s01/s01_ne_01",
        "s01/s01_sur_02_120",
        "s01/s01_sur_02_160",
        "s20/s20_po_10",
    ]
    assert moments(clips["s01/s01_ne_01"]) == (40, None, 60)
    assert clips["s01/s01_ne_01"].issues == ()
    assert moments(clips["s01/s01_sur_02_160"]) == (60, None, 69)
    assert clips["s01/s01_sur_02_160"].labels == {"emotion": "surprise"}
    assert clips["s20/s20_po_10"].issues == (
        "offset unknown (empty cell)",
        "frames begin at 1211, the sheet says 1210",
    )


def test_smic_long_of_another_camera_has_its_frame_rate(tmp_path: Path) -> None:
    rows = [["Subject", "Filename", "ApexF", "OnsetF", "OffsetF", "Emotion", "Onset2F"]]
    rows += [["11", "s11_ne_01", "3", "2", "8", "Negative", "5"], ["11", "", "", "", "", "", ""]]
    write_xlsx(tmp_path / "VIS_long" / "SMIC_VIS_E_annotation.xlsx", {"S": rows})
    frames(tmp_path / "VIS_long" / "VIS" / "s11" / "s11_ne_01", 1, 9, "image{:06d}.jpg")
    reading = inspect(tmp_path)
    assert reading.form == "VIS"
    assert [(c.fps, moments(c)) for c in reading.clips] == [(25, (1, 2, 7)), (25, (4, None, None))]
    shutil.rmtree(tmp_path / "VIS_long" / "VIS")
    assert inspect(tmp_path).form == "no frames"


def test_casme_tells_repeated_file_names_apart_by_their_onset(tmp_path: Path) -> None:
    clips = read("casme", miniatures.casme(tmp_path))
    assert list(clips) == ["sub01/EP01_12_73", "sub01/EP01_12_95", "sub09/EP03_5"]
    assert moments(clips["sub01/EP01_12_95"]) == (25, 29, 40)
    assert clips["sub01/EP01_12_95"].issues == ("second apex 101 not used",)
    assert clips["sub01/EP01_12_73"].issues == ()
    assert moments(clips["sub09/EP03_5"]) == (2, 8, 16)


def test_casme_squared_finds_people_and_videos_by_the_naming_sheets(tmp_path: Path) -> None:
    root = miniatures.casme_squared(tmp_path)
    clips = read("casme-squared", root)
    assert list(clips) == [
        "s15/disgust1_1_30",
        "s15/disgust1_2_60",
        "s16/happy4_1_10",
        "s16/lost9_1_10",
    ]
    assert clips["s15/disgust1_1_30"].labels["type"] == "macro-expression"
    unknown = clips["s15/disgust1_2_60"]
    assert moments(unknown) == (30, 36, 36)
    assert unknown.issues == ("offset unknown (0)", "apex 66 is taken for the offset")
    assert clips["s16/lost9_1_10"].issues == (
        "video 'lost9_1' is in no naming sheet",
        "no frames on disk",
    )
    published = read("casme-squared", root, as_published=True)
    assert published["s15/disgust1_2_60"].offset is None


def test_casme_squared_without_naming_sheets_still_gives_every_interval(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [
        [1, "disgust1_1", 30, 36, 41, "4", "negative", "macro-expression", "disgust"]
    ]
    write_xlsx(tmp_path / "code_final.xlsx", {"S": rows})
    clips = read("casme-squared", tmp_path)
    assert clips["1/disgust1_1_30"].issues == (
        "person '1' is in no naming sheet",
        "no frames on disk",
    )


def test_casme_squared_sheet_without_intervals_is_refused(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "code_final.xlsx", {"S": [["subject", "video"]]})
    with pytest.raises(InputError, match=r"no header of CAS\(ME\)²"):
        read_sources([tmp_path])


@pytest.mark.parametrize("form", ["recordings", "clips"])
def test_casme3_ids_carry_the_onset_and_depth_is_left_alone(tmp_path: Path, form: str) -> None:
    reading = inspect(miniatures.casme3(tmp_path, form))
    assert reading.form == form
    assert reading.notes == ()
    clips = {c.clip_id: c for c in reading.clips}
    assert list(clips) == ["casme3/spNO.1/a_355", "casme3/spNO.1/a_400", "casme3/spNO.2/b_12"]
    first = clips["casme3/spNO.1/a_355"]
    shift = 325 if form == "recordings" else 355
    assert moments(first) == (355 - shift, 360 - shift, 365 - shift)
    assert first.labels == {"emotion": "others", "objective": "3", "aus": "4,7", "au": "4+7"}
    assert clips["casme3/spNO.1/a_400"].issues == ("apex 400 is the onset",)
    assert isinstance(first.frames, tuple)
    assert all(path.suffix == ".jpg" for path in first.frames)


def test_clip_of_a_recording_has_a_second_of_context_or_all_of_it(tmp_path: Path) -> None:
    root = miniatures.casme3(tmp_path)
    ends = {}
    for whole in (False, True):
        clip = registry.load("corpus", "casme3")(whole=whole).inspect(root).clips[0]
        assert isinstance(clip.frames, tuple)
        ends[whole] = (clip.frames[0].name, clip.frames[-1].name, clip.onset)
    assert ends == {False: ("325.jpg", "395.jpg", 30), True: ("1.jpg", "420.jpg", 354)}


def test_latest_version_of_a_sheet_is_read(tmp_path: Path) -> None:
    root = miniatures.casme3(tmp_path)
    sheet = root / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    for version in (1, 10):
        shutil.copy(sheet, root / f"cas(me)3_part_A_ME_label_JpgIndex_v{version}.xlsx")
    reading = inspect(root)
    assert reading.sheet is not None
    assert reading.sheet.name.endswith("v10.xlsx")
    assert len(reading.notes) == 2


def test_casme3_sheet_without_frames_still_gives_every_clip(tmp_path: Path) -> None:
    sheet = miniatures.casme3(tmp_path / "a") / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    shutil.copy(sheet, tmp_path)
    shutil.rmtree(tmp_path / "a")
    reading = inspect(tmp_path)
    assert reading.form == "no frames"
    assert [moments(c)[0] for c in reading.clips] == [354, 399, 11]


def test_casme3_part_c_adds_other_people(tmp_path: Path) -> None:
    root = miniatures.casme3(tmp_path, part_c=True)
    clips = read("casme3", root)
    assert list(clips)[:2] == ["C01/1_373", "C01/2_390"]
    assert len(clips) == 5
    assert moments(clips["C01/1_373"]) == (30, None, 37)
    assert clips["C01/1_373"].labels == {"aus": "4,7", "au": "4+7"}
    alone = read_sources([root / "CAS(ME)3_part_C_ME.xlsx"])
    assert [c.clip_id for c in alone] == ["casme3/C01/1_373", "casme3/C01/2_390"]


def test_samm_long_videos_keep_half_frames_and_borrow_emotions(tmp_path: Path) -> None:
    root = miniatures.samm_lv(tmp_path)
    clips = read("samm-lv", root)
    micro = clips["006/006_1_2"]
    assert moments(micro) == (29, 57, 79)
    assert micro.issues == ("apex frame is 58.5, taken as 58",)
    macro = clips["006/006_1_8"]
    assert moments(macro) == (59, None, 69)
    assert macro.issues == ("apex unknown (-1)",)
    assert "emotion" not in micro.labels
    miniatures.samm(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "SAMM_Micro_FACS_Codes_v2.xlsx", root)
    shutil.rmtree(tmp_path / "other")
    with pytest.raises(InputError, match=r"looks like samm and samm-lv"):
        read_sources([root])
    borrowed = {c.name: c.labels.get("emotion") for c in read_sources([root], corpus="samm-lv")}
    assert borrowed == {"006_1_2": "anger", "006_1_8": None}


def test_mmew_says_where_folder_and_sheet_contradict(tmp_path: Path) -> None:
    clips = read("mmew", miniatures.mmew(tmp_path))
    assert moments(clips["S01/S01-01-001"]) == (0, 11, 29)
    assert clips["S01/S01-01-001"].issues == ()
    assert clips["S02/S02-02-003"].labels["remarks"] == "glasses"
    assert clips["S03/S04-05-001"].issues == (
        "lies in folder 'sadness', the sheet says 'disgust'",
        "file name says subject s04, the sheet S03",
    )


def test_4dme_says_several_emotions_and_doubtful_units(tmp_path: Path) -> None:
    clips = read("4dme", miniatures.fourdme(tmp_path))
    assert clips["sub01/p1_ne_2"].labels["au"] == "4+7"
    assert clips["sub01/p1_ne_2"].issues == ("action units 'AU4+AU7(k)' are uncertain",)
    assert clips["sub02/p2_su_1"].issues == ("several emotions: surprise+positive",)
    assert moments(clips["sub02/p2_su_1"]) == (0, 5, 12)


def test_dfme_adds_up_its_sheets_and_takes_the_frame_rate_of_each_row(tmp_path: Path) -> None:
    reading = inspect(miniatures.dfme(tmp_path))
    assert reading.notes == ()
    assert [(c.clip_id, c.fps) for c in reading.clips] == [
        ("dfme/qian/qian_1", None),
        ("dfme/zhao/zhao_3", 500),
    ]
    assert reading.clips[0].issues == ("fps is '?', expected above 0 to 100000",)


@pytest.mark.parametrize("header", [True, False])
def test_flow_archive_keeps_the_corpora_of_its_table(tmp_path: Path, *, header: bool) -> None:
    reading = inspect(miniatures.flow_archive(tmp_path, header=header))
    clips = {c.clip_id: c for c in reading.clips}
    assert list(clips) == [
        "casme2/sub01/EP02_01f",
        "casme2/sub26/EP06",
        "casme2/sub26/EP06_2",
        "smic/s01/s01_ne_01",
    ]
    names = {
        clip_id: [path.name for path in clip.frames if isinstance(clip.frames, tuple)]
        for clip_id, clip in clips.items()
        if isinstance(clip.frames, tuple)
    }
    assert names["casme2/sub01/EP02_01f"] == [
        "sub01_EP02_01f .png",
        "sub01_EP02_01f_1 .png",
        "sub01_EP02_01f_2 .png",
        "sub01_EP02_01f_10 .png",
    ]
    assert names["casme2/sub26/EP06"] == ["sub26_EP06 .png", "sub26_EP06_3.png"]
    assert names["casme2/sub26/EP06_2"] == ["sub26_EP06_2 .png"]
    assert clips["smic/s01/s01_ne_01"].labels == {"emotion": "surprise", "megc2019": "surprise"}
    assert all(c.issues == () for c in reading.clips)
    assert reading.notes == ("s99_s99_po_01 .png is on disk but in no row",)


def test_flow_archive_with_a_file_column_and_images_in_their_own_folder(tmp_path: Path) -> None:
    touch(tmp_path / "images", ["one .png", "one_1 .png"])
    lines = ["dataset,subject,filename,label,file", "samm,006,006_1_2,positive,one .png"]
    lines += ["samm,007,007_1_1,3,gone.png", "samm,006,006_1_2,1,one .png"]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    reading = inspect(tmp_path)
    first, second = reading.clips
    assert first.labels["megc2019"] == "positive"
    assert len(first.frames) == 2  # type: ignore[arg-type]
    assert second.frames == ()
    assert second.issues[0].startswith("no image 'gone .png' in ")
    assert second.issues[1] == "label '3' is none of 0, 1, 2 or negative, positive, surprise"
    assert reading.notes == ("row 4 was not read: it is samm/006/006_1_2 once more",)


def test_flow_archive_knows_people_whose_zeros_a_data_frame_has_dropped(tmp_path: Path) -> None:
    rows = ["dataset,sub,filename_o,label", "SAMM,6,006_1_2,0", "SMIC-HS,s3,s3_ne_11,0"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    miniatures.touch(tmp_path, ["006_006_1_2 .png", "006_006_1_2_1 .png", "s03_s03_ne_11 .png"])
    reading = inspect(tmp_path)
    frames = {
        clip.clip_id: [path.name for path in clip.frames]
        for clip in reading.clips
        if isinstance(clip.frames, tuple)
    }
    assert frames == {
        "samm/006/006_1_2": ["006_006_1_2 .png", "006_006_1_2_1 .png"],
        "smic/s03/s3_ne_11": ["s03_s03_ne_11 .png"],
    }
    assert not reading.notes


def test_flow_archive_takes_no_other_image_for_one_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("corpus,subject,clip,label\nsamm,006,006_1_2,0\n")
    miniatures.touch(tmp_path, ["006_006_1_2_1 .png"])
    (clip,) = inspect(tmp_path).clips
    assert not clip.frames
    assert "no image '006_006_1_2 .png'" in clip.issues[0]


def test_flow_archive_needs_its_table(tmp_path: Path) -> None:
    touch(tmp_path, ["a .png"])
    (tmp_path / "other.csv").write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match=r"no label table found, expected a CSV corpus,subject"):
        read_sources([tmp_path], corpus="flow-archive")
    with pytest.raises(InputError, match=r"other\.csv: no label table found"):
        read_sources([tmp_path / "other.csv"], corpus="flow-archive")
