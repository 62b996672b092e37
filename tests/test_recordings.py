from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.clips import Clip
from mecli.corpora.recordings import recordings
from mecli.corpora.sources import read_sources
from tests import miniatures

if TYPE_CHECKING:
    from pathlib import Path


def test_intervals_of_one_video_are_one_recording_with_all_its_frames(tmp_path: Path) -> None:
    root = miniatures.casme_squared(tmp_path)
    found = recordings(read_sources([root], whole=True))
    # The last row's video is in no naming sheet, so that its frames are not found.
    assert [r.clip.clip_id for r in found] == [
        "casme-squared/s15/15_0101disgustingteeth",
        "casme-squared/s16/16_0505funnyinnovations",
        "casme-squared/s16/lost9_1_10",
    ]
    assert [len(r.clip.frames) for r in found if isinstance(r.clip.frames, tuple)] == [80, 20, 0]
    assert [[(c.onset, c.offset) for c in r.intervals] for r in found[:2]] == [
        [(29, 40), (59, 65)],
        [(9, 11)],
    ]
    assert found[0].clip.onset is found[0].clip.offset is None


def test_a_clip_read_alone_has_only_the_frames_around_it(tmp_path: Path) -> None:
    clips = read_sources([miniatures.casme_squared(tmp_path)])
    assert {len(clip.frames) for clip in clips if isinstance(clip.frames, tuple)} == {71, 51, 20, 0}


def test_videos_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / part / "color" / "1.jpg" for part in "aab"]
    clips = [Clip("c", "s", f"{k}", (path,)) for k, path in enumerate(paths)]
    clips.append(Clip("c", "t", "3", tmp_path / "b" / "color.mp4"))
    found = recordings(clips)
    assert [r.clip.name for r in found] == ["color", "b-color", "color"]
    assert [len(r.intervals) for r in found] == [2, 1, 1]
