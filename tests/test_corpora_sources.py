"""Whatever the user names becomes clips with unique ids, or one line that says why not."""

from __future__ import annotations

import io
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from mecli.corpora.sources import inspect_sources, read_sources, recognise
from mecli.errors import InputError, UnknownName, UsageError
from tests import miniatures
from tests.miniatures import frames, touch

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.clips import Clip


def ids(clips: list[Clip]) -> list[str]:
    return [c.clip_id for c in clips]


def test_sample_data_is_recognised(tmp_path: Path) -> None:
    root = miniatures.synth(tmp_path / "sample_data")
    assert recognise(root) in {"synth", "sample_data"}
    clips = read_sources([root])
    assert ids(clips) == [
        "synth/s01/s01_01",
        "synth/s01/s01_07",
        "synth/s02/s02_01",
        "synth/s09/long01_122",
        "synth/s09/long01_281",
    ]
    assert (clips[0].onset, clips[0].apex, clips[0].offset, clips[0].fps) == (36, 66, 86, 100)
    assert clips[0].labels == {
        "emotion": "disgust",
        "class": "negative",
        "aus": "4+7",
        "au": "4+7",
    }
    still = clips[1]
    assert (still.onset, still.apex, still.offset, still.issues) == (None, None, None, ())
    assert still.labels == {"emotion": "none", "class": "none", "distractor": "blink"}
    assert isinstance(clips[2].frames, tuple)
    assert clips[2].offset == 58
    assert clips[3].frames == clips[4].frames
    assert clips[3].fps == 50


def test_odd_frame_rate_and_absent_video_become_issues(tmp_path: Path) -> None:
    root = miniatures.synth(tmp_path)
    text = (root / "annotation.csv").read_text("utf-8-sig").replace("negative,100", "negative,fast")
    (root / "annotation.csv").write_text(text)
    (root / "clips" / "s01_01.mp4").unlink()
    clip = read_sources([root])[0]
    assert clip.fps is None
    assert clip.issues == ("fps is 'fast', expected above 0 to 100000", "no frames on disk")


def test_corpus_is_recognised_inside_its_only_folder(tmp_path: Path) -> None:
    miniatures.synth(tmp_path / "unpacked")
    assert len(read_sources([tmp_path])) == 5
    miniatures.casme2(tmp_path / "other" / "CASME2")
    assert recognise(tmp_path / "other") == "casme2"


def test_two_corpora_in_one_folder_are_told_apart_by_name(tmp_path: Path) -> None:
    miniatures.synth(tmp_path)
    miniatures.casme2(tmp_path)
    with pytest.raises(InputError, match=r"looks like .* and .*; name one of them with --corpus"):
        read_sources([tmp_path])
    assert len(read_sources([tmp_path], corpus="casme2")) == 6


def test_sheet_can_be_named_itself(tmp_path: Path) -> None:
    root = miniatures.casme2(tmp_path)
    sheet = root / "CASME2-coding-20140508.xlsx"
    assert ids(read_sources([sheet])) == ids(read_sources([root]))
    renamed = sheet.rename(root / "my labels.xlsx")
    with pytest.raises(InputError, match=r"my labels\.xlsx: is no manifest .* --corpus"):
        read_sources([renamed])
    assert len(read_sources([renamed], corpus="casme2")) == 6


def test_as_published_reaches_the_reader(tmp_path: Path) -> None:
    root = miniatures.casme2(tmp_path)
    corrected = [c for c in read_sources([root]) if any("corrected" in i for i in c.issues)]
    published = read_sources([root], as_published=True)
    assert len(corrected) == 1
    assert not any("corrected" in issue for c in published for issue in c.issues)


def test_tree_of_class_subject_clip_is_recognised(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    touch(root / "happy" / "p01", ["a.mp4", "notes.txt"])
    frames(root / "sad" / "p01" / "a", 5, 9)
    (root / "sad" / "p02").mkdir()
    clips = read_sources([root])
    assert ids(clips) == ["mine/p01/happy_a", "mine/p01/sad_a"]
    assert [c.labels for c in clips] == [{"emotion": "happy"}, {"emotion": "sad"}]
    assert clips[1].onset is None


def test_mixed_depths_are_refused_with_an_example(tmp_path: Path) -> None:
    touch(tmp_path / "happy" / "p01", ["a.mp4"])
    touch(tmp_path / "happy", ["stray.mp4"])
    with pytest.raises(InputError, match=r"holds clips 2 to 3 folders down \(as .*a\.mp4\)"):
        read_sources([tmp_path])


def test_videos_and_image_folders_are_loose_clips_of_one_person_a_folder(tmp_path: Path) -> None:
    day = tmp_path / "day1"
    touch(day, ["b.mp4", "a.AVI"])
    frames(day / "c", 1, 3)
    touch(tmp_path / "day2", ["a.mp4"])
    clips = read_sources([tmp_path])
    assert ids(clips) == ["loose/day1/a", "loose/day1/b", "loose/day1/c", "loose/day2/a"]
    assert clips[0].issues == ("subject unknown, counted as 'day1' after the folder",)
    assert ids(read_sources([day / "c"])) == ["loose/day1/c"]
    assert ids(read_sources([day / "b.mp4"])) == ["loose/day1/b"]


def test_paths_are_read_from_stdin(tmp_path: Path) -> None:
    touch(tmp_path / "p", ["a.mp4", "b.mp4"])
    stdin = io.StringIO(f"{tmp_path / 'p' / 'b.mp4'}\n\n {tmp_path / 'p' / 'a.mp4'} \n")
    assert ids(read_sources(["-"], stdin=stdin)) == ["loose/p/a", "loose/p/b"]


def test_empty_or_doubled_stdin_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(InputError, match=r"-: no path on stdin"):
        read_sources(["-"])
    with pytest.raises(UsageError, match=r"'-' is named twice"):
        read_sources(["-", "-"])
    with pytest.raises(UsageError, match=r"no source named"):
        read_sources([])


def test_clip_named_twice_is_refused_naming_both(tmp_path: Path) -> None:
    a, b = tmp_path / "x" / "p" / "v.mp4", tmp_path / "y" / "p" / "v.mp4"
    touch(a.parent, ["v.mp4"])
    touch(b.parent, ["v.mp4"])
    with pytest.raises(
        InputError, match=r"clip loose/p/v is in .*x/p/v\.mp4.* and in .*y/p/v\.mp4"
    ):
        read_sources([a, b])


def test_sources_of_several_kinds_are_read_together(tmp_path: Path) -> None:
    casme2 = miniatures.casme2(tmp_path / "c")
    synth = miniatures.synth(tmp_path / "s")
    readings = inspect_sources([synth, casme2])
    assert [(r.corpus, len(r.clips)) for r in readings] == [("synth", 5), ("casme2", 6)]
    assert ids(read_sources([synth, casme2])) == sorted(ids(read_sources([casme2, synth])))


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, ["a.txt", "a.jpg", "a.mp4"])
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "empty").mkdir()
    expected = {
        "absent": r"No such file or directory; expected a folder",
        "a.txt": r"is no known kind of file, expected a corpus folder",
        "a.jpg": r"one image is no clip",
        "pipe.mp4": r"neither a regular file nor a folder",
        "empty": r"holds no images, videos or known corpus",
    }
    for name, message in expected.items():
        with pytest.raises(InputError, match=message):
            read_sources([tmp_path / name])
    with pytest.raises(InputError, match=r"a\.mp4: is a file, expected the folder of corpus"):
        read_sources([tmp_path / "a.mp4"], corpus="casme2")
    with pytest.raises(UnknownName, match=r"did you mean 'casme2'"):
        read_sources([tmp_path], corpus="casme22")


def test_annotation_without_rows_is_refused(tmp_path: Path) -> None:
    root = miniatures.synth(tmp_path)
    (root / "annotation.csv").write_text(miniatures.SYNTH_HEADER)
    with pytest.raises(InputError, match=r"holds no clips"):
        read_sources([root])


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8-sig")
    return path


def test_manifest_positions_count_from_zero(tmp_path: Path) -> None:
    touch(tmp_path / "v", ["a.mp4", "a68.npy"])
    frames(tmp_path / "seq", 46, 55)
    path = write(
        tmp_path / "study.csv",
        "Path,Subject,Onset,Apex,Offset,Label,FPS,Corpus,Clip,Landmarks,Site",
        "v/a.mp4,p1,0,4,9.0,happiness,100,,,v/a68.npy,Oulu",
        "seq,p2,1,12,3,,,other,first,,",
    )
    a, b = read_sources([path])[::-1]
    assert (a.clip_id, a.onset, a.apex, a.offset, a.fps) == ("study/p1/a", 0, 4, 9, 100)
    assert a.labels == {"emotion": "happiness", "site": "Oulu"}
    assert a.landmarks == tmp_path / "v" / "a68.npy"
    assert a.issues == ()
    assert (b.clip_id, b.onset, b.apex, b.offset) == ("other/p2/first", 1, None, 3)
    assert b.issues == ("apex 12 is outside 1 to 3; apex taken as unknown",)


def test_manifest_needs_only_paths(tmp_path: Path) -> None:
    touch(tmp_path / "day1", ["a.mp4"])
    clip = read_sources([write(tmp_path / "m.csv", "path", "day1/a.mp4", "")])[0]
    assert clip.clip_id == "m/day1/a"
    assert clip.issues == ("subject unknown, counted as 'day1' after the folder",)


def test_a_manifest_written_on_windows_finds_its_clips(tmp_path: Path) -> None:
    miniatures.touch(tmp_path / "clips", ["a.mp4", "a.csv"])
    miniatures.touch(tmp_path / "x\\y", ["b.mp4"])
    rows = ["path;subject;landmarks", "clips\\a.mp4;p1;clips\\a.csv", "x\\y/b.mp4;p2;"]
    (tmp_path / "m.csv").write_bytes("\r\n".join(rows).encode())
    first, second = read_sources([tmp_path / "m.csv"])
    assert (first.clip_id, first.frames) == ("m/p1/a", tmp_path / "clips" / "a.mp4")
    assert first.landmarks == tmp_path / "clips" / "a.csv"
    assert second.frames == tmp_path / "x\\y" / "b.mp4"


def test_odd_manifest_cells_become_issues_of_their_clip(tmp_path: Path) -> None:
    touch(tmp_path, ["a.txt"])
    frames(tmp_path / "seq", 1, 3)
    (tmp_path / "empty").mkdir()
    path = write(
        tmp_path / "m.csv",
        "path;subject;onset;offset;fps",
        "absent.mp4;p;x;-1;fast",
        "a.txt;p;;;",
        "empty;p;;;",
        "seq;p;0;7;",
    )
    found = {c.name: c for c in read_sources([path])}
    assert found["absent"].issues == (
        "no such file or folder",
        "onset is 'x', expected a frame number",
        "offset unknown (-1)",
        "fps is 'fast', expected above 0 to 100000",
    )
    assert found["a"].issues == ("is a '.txt' file, expected a video or an image folder",)
    assert found["empty"].issues == ("folder holds no images",)
    assert found["seq"].offset == 2
    assert found["seq"].issues == ("offset frame 7 is not on disk (frames 0 to 2); 2 is taken",)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,subjct", "a,b"], r"unknown column 'subjct', did you mean 'subject'"),
        (["path,onset,onset", "a,1,2"], r"column 'onset' is given twice"),
        (["path"], r"names no clip"),
        (["path,subject", ",p"], r"row 2 has no path"),
        (["path,subject", "a.mp4,p/q"], r"row 2: subject 'p/q' cannot be part of a clip id"),
        (["file,subject", "a.mp4,p"], r"is no manifest \(no column 'path'\)"),
    ],
)
def test_broken_manifest_names_row_and_column(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_sources([write(tmp_path / "m.csv", *lines)])


def test_manifest_inside_a_moved_folder_still_finds_its_clips(tmp_path: Path) -> None:
    touch(tmp_path / "old", ["a.mp4"])
    write(tmp_path / "old" / "m.csv", "path,subject", "a.mp4,p")
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert read_sources([tmp_path / "new" / "m.csv"])[0].frames == tmp_path / "new" / "a.mp4"


def test_a_folder_that_is_plainly_of_another_corpus_is_not_read_as_the_named_one(
    tmp_path: Path,
) -> None:
    root = miniatures.samm(tmp_path)
    with pytest.raises(InputError, match=r"is no casme2, it looks like samm: no clip has frames"):
        inspect_sources([root], corpus="casme2")


def test_a_named_corpus_that_fits_worse_than_another_is_doubted(tmp_path: Path) -> None:
    (reading,) = inspect_sources([miniatures.casme2(tmp_path)], corpus="casme")
    assert reading.doubt.endswith("looks like casme2, but is read as casme, as --corpus says")
    assert reading.notes[0] == reading.doubt


@pytest.mark.parametrize("name", ["casme", "dfme", "mmew", "samm-lv", "smic", "synth"])
def test_a_named_corpus_is_not_doubted_for_the_name_of_its_sheet(name: str, tmp_path: Path) -> None:
    root = miniatures.MINIATURES[name](tmp_path)
    for number, sheet in enumerate(sorted(root.glob("*.xlsx"))):
        sheet.rename(root / f"labels{number}.xlsx")
    (reading,) = inspect_sources([root], corpus=name)
    assert reading.doubt == ""
