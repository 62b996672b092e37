from __future__ import annotations

import io
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.cache import open_cache
from mecli.clips import Clip
from mecli.errors import InputError, MissingDependency, NotWritten, UsageError
from mecli.extract import ExtractOptions, extract, list_clips
from mecli.filming import write_video
from mecli.identity import source_key
from mecli.recipe import Recipe
from mecli.report.clips import summary_text
from tests import miniatures

if TYPE_CHECKING:
    from pathlib import Path

HERE = ExtractOptions(jobs=0, landmarks="embedded", steps=4)


@pytest.fixture
def videos(tmp_path: Path, sample: Path) -> Path:
    """class/subject/clip with three real clips, one without a face and one broken."""
    root = tmp_path / "own"
    for subject, name in (("p1", "s01_02"), ("p1", "s01_03"), ("p2", "s02_02")):
        target = root / "happy" / subject / f"{name}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample / "clips" / f"{name}.mp4", target)
    noise = np.random.default_rng(0).integers(0, 255, (5, 240, 320, 3), dtype=np.uint8)
    write_video(root / "happy" / "p2" / "noise.mp4", noise, 50.0)
    (root / "happy" / "p2" / "broken.mp4").write_bytes(b"\0" * 5000)
    return root


def test_one_bad_clip_is_recorded_and_the_others_go_on(videos: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = tmp_path / "c.h5"
    summary = extract(
        [str(videos)], path, HERE, progress=lambda done, total, _: seen.append((done, total))
    )
    assert (summary.extracted, summary.unchanged, len(summary.failures)) == (3, 0, 2)
    assert "no face found in onset frame 0" in summary.failures["own/p2/happy_noise"]
    assert "broken.mp4: cannot be opened" in summary.failures["own/p2/happy_broken"]
    assert seen[-1] == (5, 5)
    with open_cache(path) as cache:
        assert len(cache.clip_ids) == 5
        assert [r.clip_id for r in cache.records()] == [
            "own/p1/happy_s01_02", "own/p1/happy_s01_03", "own/p2/happy_s02_02",
        ]  # fmt: skip
        assert cache.options == {
            "steps": 4, "temporal": "uniform", "flow": "dis", "landmarks": "embedded",
            "images": [0], "magnify": "none", "head_motion": "rigid",
        }  # fmt: skip
        assert "no face" in cache.summary("own/p2/happy_noise").reason


def test_a_second_run_does_no_work_and_a_changed_file_is_done_again(
    videos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "c.h5"
    extract([str(videos)], path, HERE)
    before = path.read_bytes()
    again = extract([str(videos)], path, HERE)
    assert (again.extracted, again.unchanged, len(again.failures)) == (0, 3, 2)
    assert again.stages_s == {}
    assert path.read_bytes() == before
    changed = videos / "happy" / "p1" / "s01_02.mp4"
    os.utime(changed, (1, 1))
    third = extract([str(videos)], path, HERE)
    assert (third.extracted, third.unchanged) == (1, 2)
    retried = extract([str(videos)], path, replace(HERE, retry=True))
    assert (retried.extracted, retried.unchanged, len(retried.failures)) == (0, 3, 2)
    assert retried.stages_s["decode"] >= 0


def test_clips_that_no_source_lists_any_more_are_told(tmp_path: Path) -> None:
    archive, path = tmp_path / "a", tmp_path / "c.h5"
    archive.mkdir()
    for name in ("s1_x", "s2_x", "s3_x"):
        image = np.random.default_rng(0).integers(0, 255, (28, 28, 3), dtype=np.uint8)
        cv2.imwrite(str(archive / f"{name} .png"), image)
    (archive / "labels.csv").write_text("a,s1,x,0\na,s2,x,1\nb,s3,x,2\n")
    assert extract([str(archive)], path, HERE).unlisted == ()
    (archive / "s2_x .png").rename(archive / "s9_x .png")
    (archive / "labels.csv").write_text("a,s1,x,0\na,s9,x,1\n")
    again = extract([str(archive)], path, HERE)
    assert (again.extracted, again.unchanged, again.unlisted) == (1, 1, ("a/s2/x",))
    told = summary_text(again.as_json())
    assert "1 more clip of the same corpora in the cache, a/s2/x first" in told
    assert extract([str(archive)], path, replace(HERE, force=True)).unlisted == ()


def test_other_options_need_another_cache_or_force(videos: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    one = str(videos / "happy" / "p1" / "s01_02.mp4")
    extract([one], path, HERE)
    other = replace(HERE, steps=5)
    with pytest.raises(InputError, match=r"steps 4 there, 5 now.*--force"):
        extract([one], path, other)
    forced = extract([one], path, replace(other, force=True))
    assert forced.extracted == 1
    with open_cache(path) as cache:
        assert cache.record(cache.clip_ids[0]).flow.shape[0] == 5


def test_workers_give_the_same_bytes_as_this_process(videos: Path, tmp_path: Path) -> None:
    source = str(videos / "happy" / "p1")
    here, there = tmp_path / "here.h5", tmp_path / "there.h5"
    extract([source], here, HERE)
    extract([source], there, replace(HERE, jobs=2))
    assert here.read_bytes() == there.read_bytes()


def test_a_clip_that_takes_too_long_fails_alone(videos: Path, tmp_path: Path) -> None:
    source = str(videos / "happy" / "p1" / "s01_02.mp4")
    options = replace(HERE, jobs=1, timeout_s=0.01)
    summary = extract([source], tmp_path / "c.h5", options)
    assert list(summary.failures.values()) == ["took longer than 0.01 s"]


def test_a_source_that_cannot_be_read_does_not_stop_the_others(
    videos: Path, tmp_path: Path
) -> None:
    good = str(videos / "happy" / "p1" / "s01_02.mp4")
    summary = extract([good, "/nowhere.mp4", good], tmp_path / "c.h5", HERE)
    assert summary.extracted == 1
    assert "No such file" in summary.failures["/nowhere.mp4"]
    with pytest.raises(InputError, match=r"/nowhere\.mp4"):
        extract(["/nowhere.mp4"], tmp_path / "c.h5", HERE)


def test_a_clip_named_by_two_sources_is_taken_once(videos: Path) -> None:
    found = list_clips([str(videos), str(videos)], HERE)
    assert len(found.clips) == 5
    assert "is also in" in found.failures[str(videos)]


def test_a_corpus_that_looks_like_another_is_told_on_stderr(tmp_path: Path) -> None:
    root = str(miniatures.casme2(tmp_path))
    said = f"{root}: looks like casme2, but is read as casme, as --corpus says"
    assert list_clips([root], replace(HERE, corpus="casme")).notes == (said,)
    result = CliRunner().invoke(cli.app, ["extract", root, "--corpus", "casme", "--list"])
    assert (result.exit_code, result.stderr) == (0, f"note: {said}\n")


def test_a_list_on_stdin_names_sources(videos: Path) -> None:
    names = "\n".join(str(p) for p in sorted((videos / "happy" / "p1").iterdir()))
    found = list_clips(["-"], HERE, io.StringIO(names + "\n"))
    assert [clip.name for clip in found.clips] == ["s01_02", "s01_03"]


def test_a_disk_that_cannot_be_written_is_no_fault_of_the_clip(
    videos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "c.h5"
    (tmp_path / "c.h5.parts").write_text("in the way")
    with pytest.raises(NotWritten, match=r"c\.h5\.parts/.*cannot be written"):
        extract([str(videos)], path, replace(HERE, jobs=1))
    (tmp_path / "c.h5.parts").unlink()
    assert extract([str(videos)], path, HERE).extracted == 3


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match="--jobs is -1"):
        ExtractOptions(jobs=-1)
    with pytest.raises(UsageError, match="--timeout is 0 s"):
        ExtractOptions(timeout_s=0)
    with pytest.raises(UsageError, match="--steps is 1, expected 2 to 512"):
        Recipe(steps=1)


def test_a_missing_back_end_is_no_fault_of_the_clips(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    options = replace(HERE, landmarks="face-alignment")
    with pytest.raises(MissingDependency, match="2DFAN4"):
        extract([str(videos)], tmp_path / "c.h5", options)


def test_a_recipe_without_a_head_motion_is_of_the_time_of_the_polynomial() -> None:
    new, old = Recipe().as_options(), Recipe(head_motion="polynomial").as_options()
    assert new == {**old, "head_motion": "rigid"}
    assert Recipe.from_options(old) == Recipe(head_motion="polynomial")
    assert Recipe.from_options(new) == Recipe()
    with pytest.raises(InputError, match="are not those of a clip"):
        Recipe.from_options({**new, "head": "rigid"})


def test_a_cache_is_added_to_with_the_head_motion_it_was_made_with(
    videos: Path, tmp_path: Path
) -> None:
    path, old = tmp_path / "c.h5", replace(HERE, head_motion="polynomial")
    extract([str(videos)], path, old)
    with open_cache(path) as cache:
        assert "head_motion" not in cache.options
    assert extract([str(videos)], path, old).unchanged == 3
    with pytest.raises(InputError, match=r"\(head_motion not named there, rigid now\)"):
        extract([str(videos)], path, HERE)


def test_the_key_hangs_on_files_annotation_and_recipe(tmp_path: Path) -> None:
    file = tmp_path / "v.mp4"
    file.write_bytes(b"x")
    clip = Clip("c", "s", "n", file, onset=1, offset=5)
    key = source_key(clip, Recipe())
    assert key == source_key(Clip("c", "s", "n", file, onset=1, offset=5), Recipe())
    others = [
        source_key(clip, Recipe(steps=5)),
        source_key(Clip("c", "s", "n", file, onset=2, offset=5), Recipe()),
        source_key(Clip("c", "s", "n", file, onset=1, offset=5, labels={"a": "b"}), Recipe()),
        source_key(Clip("c", "s", "n", tmp_path / "none", onset=1, offset=5), Recipe()),
    ]
    assert len({key, *others}) == 5
