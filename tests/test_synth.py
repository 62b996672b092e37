from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mecli.corpora.synth import Synth
from mecli.errors import InputError, UsageError
from mecli.registry import load
from mecli.synth import SynthOptions, digest, plan, synth
from mecli.video import probe, read_frames

if TYPE_CHECKING:
    from pathlib import Path

TINY: dict[str, Any] = {"size": (160, 176), "fps": 25.0, "jobs": 0}


def test_long_clips_are_the_same_whether_short_ones_lie_beside_them_or_not() -> None:
    beside = plan(SynthOptions(subjects=1, clips=2, long=2, seed=7, **TINY))
    alone = plan(SynthOptions(subjects=1, clips=0, distractors=0, long=2, seed=7, **TINY))
    assert alone == beside[-2:]


def test_a_corpus_reads_back_with_its_truth(tmp_path: Path) -> None:
    told = []
    options = SynthOptions(subjects=1, clips=1, distractors=0.5, truth=True, **TINY)
    summary = synth(tmp_path / "out", options, progress=lambda *a: told.append(a))
    assert summary.failures == {}
    assert summary.clips == 2
    assert told[-1][:2] == (summary.frames, summary.frames)
    clips = Synth().inspect(tmp_path / "out").clips
    assert [c.name for c in clips] == ["s01_01", "s01_02"]
    micro, none = clips
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    planned = manifest["clips"][0]
    assert [micro.onset, micro.apex, micro.offset] == planned["times"][0]
    assert micro.labels["class"] == planned["klass"]
    assert micro.labels["aus"] == planned["action_units"][0]
    assert none.labels["emotion"] == "none"
    assert none.onset is None
    assert none.issues == ()
    info = probe(micro.frames)
    assert (info.width, info.height, info.fps) == (160, 176, 25)
    assert len(list(read_frames(micro.frames))) == planned["frames"]
    with np.load(tmp_path / "out" / "truth" / "s01_01.npz") as truth:
        assert truth["flow"].shape == (176, 160, 2)
        assert truth["landmarks"].shape == (planned["frames"], 68, 2)
        assert truth["strength"].shape == (len(truth["actions"]), planned["frames"])
        assert truth["moments"].tolist() == planned["times"][0][:2]
    assert summary.as_json()["plans"] == manifest["plans_sha256"]


def test_pairs_are_two_images_with_the_apex_second(tmp_path: Path) -> None:
    options = SynthOptions(
        subjects=1, clips=2, pairs_only=True, distractors=0.4, truth=True, **TINY
    )
    synth(tmp_path, options)
    clips = Synth().inspect(tmp_path).clips
    assert all(isinstance(c.frames, tuple) and len(c.frames) == 2 for c in clips)
    assert [(c.onset, c.apex, c.offset) for c in clips[:2]] == [(0, 1, 1)] * 2
    with np.load(tmp_path / "truth" / "s01_01.npz") as truth:
        assert truth["landmarks"].shape == (2, 68, 2)


def test_shards_hold_all_pairs(tmp_path: Path) -> None:
    options = SynthOptions(subjects=2, clips=1, pairs_only=True, codec="npz", distractors=0, **TINY)
    synth(tmp_path, options)
    with np.load(tmp_path / "pairs" / "pairs-00000.npz") as shard:
        assert shard["onset"].shape == shard["apex"].shape == (2, 176, 160, 3)
        assert shard["subject"].tolist() == [1, 2]
        assert set(shard["klass"]) <= {"negative", "positive", "surprise"}


@pytest.mark.parametrize("codec", ["png", "h264"])
def test_casme2_layout_is_read_as_casme2(tmp_path: Path, codec: str) -> None:
    options = SynthOptions(subjects=1, clips=1, format="casme2", codec=codec, distractors=0, **TINY)
    synth(tmp_path, options)
    clips = load("corpus", "casme2")().inspect(tmp_path).clips
    assert [(c.subject, c.name) for c in clips] == [("sub01", "EP01_01")]
    assert clips[0].onset == plan(options)[0].times[0][0]


def test_the_same_seeds_give_the_same_frames(tmp_path: Path) -> None:
    options = SynthOptions(subjects=1, clips=1, pairs_only=True, distractors=0, **TINY)
    for name in "ab":
        synth(tmp_path / name, options)
    one, two = (sorted((tmp_path / n / "clips").rglob("*.png")) for n in "ab")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_identity_and_motion_have_seeds_of_their_own() -> None:
    base = plan(SynthOptions(seed=1, motion_seed=1))
    people = plan(SynthOptions(seed=2, motion_seed=1))
    motion = plan(SynthOptions(seed=1, motion_seed=2))
    assert [p.identity for p in base] == [p.identity for p in motion]
    assert [p.motion for p in base] == [p.motion for p in people]
    assert not {p.identity for p in base} & {p.identity for p in people}
    assert len({digest(p) for p in (base, people, motion)}) == 3
    assert plan(SynthOptions(seed=3)) == plan(SynthOptions(seed=3, motion_seed=3))


def test_distractors_are_a_share_of_all_clips_or_a_number_per_subject() -> None:
    def counts(distractors: float) -> list[int]:
        plans = plan(SynthOptions(subjects=40, clips=6, distractors=distractors))
        still = [p.subject for p in plans if p.klass == "none"]
        return [still.count(number) for number in range(1, 41)]

    assert counts(1) == [1] * 40
    assert counts(3) == [3] * 40
    assert counts(0) == [0] * 40
    assert sum(counts(0.4)) == 160
    assert 17 < sum(counts(0.1)) < 36


def test_long_clips_have_a_row_per_event() -> None:
    plans = plan(SynthOptions(subjects=2, clips=1, long=2, distractors=0))
    assert [p.name for p in plans[-2:]] == ["long01", "long02"]
    assert all(3 <= len(p.times) <= 5 and p.subject == 3 for p in plans[-2:])
    assert plans[-1].frames == 500
    many = plan(SynthOptions(subjects=1, clips=1, long=20, distractors=0))[1:]
    assert {len(p.times) for p in many} == {3, 4, 5}
    none = plan(SynthOptions(subjects=1, clips=1, long=2, distractors=0, events=(0, 0)))[1:]
    assert [(p.times, p.classes) for p in none] == [((), ())] * 2


@pytest.mark.slow
def test_a_long_clip_is_annotated_once_per_event(tmp_path: Path) -> None:
    options = SynthOptions(
        subjects=1, clips=1, distractors=0, long=1, long_s=4, events=(3, 3), **TINY
    )
    synth(tmp_path, options)
    rows = (tmp_path / "annotation.csv").read_text().splitlines()
    assert sum("long01" in row for row in rows) == 3
    assert (tmp_path / "clips" / "long01.mp4").is_file()


def test_a_full_folder_is_left_alone_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="is not empty"):
        synth(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        synth(tmp_path / "mine")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_command_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    options = SynthOptions(subjects=2, clips=1, distractors=0, pairs_only=True, **TINY)

    def interrupt(done: int, total: int, name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synth(tmp_path / "out", options, progress=interrupt)
    (first,) = (tmp_path / "out").rglob("img00001.png")
    written = first.stat().st_mtime_ns
    with pytest.raises(InputError, match="is not empty"):
        synth(tmp_path / "out", replace(options, seed=1))
    told: list[tuple[int, int, str]] = []
    assert synth(tmp_path / "out", options, progress=lambda *a: told.append(a)).clips == 2
    assert [(done, total) for done, total, _ in told] == [(2, 2)]
    assert told[0][2] != f"frames, {first.parent.name}"
    assert first.stat().st_mtime_ns == written
    synth(tmp_path / "whole", options)
    assert _files(tmp_path / "out") == _files(tmp_path / "whole")


def test_a_long_clip_counts_by_its_frames(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    options = SynthOptions(
        subjects=1, clips=1, distractors=0, long=1, long_s=4, events=(1, 1), **TINY
    )
    summary = synth(tmp_path, options, progress=lambda *a: told.append(a))
    long, short = (
        c["frames"] for c in reversed(json.loads((tmp_path / "manifest.json").read_text())["clips"])
    )
    assert [row[:2] for row in told] == [(long, long + short), (long + short, summary.frames)]
    assert told[0][2] == "frames, long01"


def test_a_note_that_says_nothing_of_a_clip_is_named(tmp_path: Path) -> None:
    options = SynthOptions(subjects=2, clips=1, distractors=0, pairs_only=True, **TINY)

    def spoil(done: int, total: int, name: str) -> None:
        (note,) = (tmp_path / ".synth").glob("0*.json")
        note.write_text('[{"name": "s01_01"}]')
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synth(tmp_path, options, progress=spoil)
    with pytest.raises(InputError, match=r"\.json: is no note of a rendered clip"):
        synth(tmp_path, options)


def test_a_clip_that_fails_is_named_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("in the way")
    options = SynthOptions(subjects=1, clips=1, distractors=0, force=True, **TINY)
    summary = synth(tmp_path, options)
    assert list(summary.failures) == ["s01_01"]
    assert summary.clips == 0
    assert json.loads((tmp_path / "manifest.json").read_text())["clips"][0]["rendered"] is False


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ({"subjects": 0}, "--subjects is 0"),
        ({"clips": 0}, "--clips is 0"),
        ({"seed": -1}, "--seed is -1"),
        ({"motion_seed": -1}, "--motion-seed is -1"),
        ({"jobs": -1}, "--jobs is -1"),
        ({"distractors": -0.1}, "--distractors is -0.1, expected a share from 0 to below 1, or"),
        ({"distractors": 1.5}, "--distractors is 1.5"),
        ({"distractors": float("nan")}, "--distractors is nan"),
        ({"fps": 5.0}, "--fps is 5"),
        ({"size": (20, 352)}, "--size is 20x352"),
        ({"mm": (2.0, 1.0)}, "--mm is 2,1"),
        ({"long": 1, "long_s": 1.0}, "--long-s is 1, expected 6 or more for 5 events"),
        ({"long": 1, "long_s": 3.0, "events": (0, 0)}, "--long-s is 3, expected 4 or more"),
        ({"events": (2, 1)}, "--events is 2,1"),
        ({"events": (-1, 1)}, "--events is -1,1"),
        ({"classes": ("joy",)}, "--classes names 'joy'"),
        ({"classes": ()}, "--classes is empty"),
        ({"format": "zip"}, "--format is 'zip'"),
        ({"codec": "gif"}, "--codec is 'gif'"),
        ({"codec": "npz"}, "goes with --pairs-only"),
        ({"pairs_only": True, "long": 1}, "exclude each other"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(told: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        SynthOptions(**told)
