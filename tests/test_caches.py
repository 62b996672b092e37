"""What `info`, `verify` and `merge` do with caches that are whole, damaged, shared out."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import cache as store
from mecli import cli
from mecli.errors import InputError, MissingDependency, UsageError
from mecli.info import info
from mecli.merge import merge_caches
from mecli.report.caches import Verified, info_json, info_text, verified_text
from mecli.train import TrainOptions, train
from mecli.verify import VerifyOptions, oddities, verify
from tests.moving_records import records, write_cache
from tests.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.records import ClipRecord

HERE = VerifyOptions(jobs=0)
OPTIONS = {"steps": 4}


def fill(path: Path, *made: ClipRecord, prefix: str = "", merged: bool = True) -> Path:
    for record in made:
        key = f"{prefix}{record.clip_id.replace('/', '-')}"
        store.add(path, record, key, OPTIONS)
    if merged:
        store.merge(path, OPTIONS)
    return path


def run(*arguments: str, stdin: str = "") -> Any:
    return CliRunner().invoke(cli.app, list(arguments), input=stdin)


def test_info_counts_clips_classes_failures_parts_and_quality(tmp_path: Path) -> None:
    path = fill(
        tmp_path / "c.h5",
        make_record("toy/s1/a", quality={"residual_px": 0.1}),
        make_record("toy/s1/b", quality={"residual_px": 0.3}, apex_estimated=True, issues=()),
        make_record("toy/s2/c").failed("x.mp4: clip toy/s2/c: no face found"),
    )
    fill(path, make_record("toy/s3/d"), merged=False)
    (found,) = info([path])
    assert (found.clips, found.subjects, found.waiting) == (2, 1, 1)
    assert found.classes["megc2019"] == {"negative": 2, "positive": 0, "surprise": 0}
    assert found.quality["residual_px"]["median"] == pytest.approx(0.2)
    assert found.estimated == {"onset": 0, "apex": 1, "offset": 0}
    assert list(found.odd) == ["toy/s1/a"]
    text = info_text([found])
    assert "no face found" in text
    assert f"1 part (mecli merge {path})" in text
    assert json.loads(json.dumps(info_json([found])))["caches"][0]["size_bytes"] > 1000


def test_info_takes_folders_and_a_list_and_names_what_is_missing(tmp_path: Path) -> None:
    one, two = fill(tmp_path / "a" / "1.h5", make_record()), fill(tmp_path / "2.h5")
    assert [i.path for i in info([tmp_path / "a", two])] == [one, two]
    assert [i.clips for i in info(["-"], stdin=io.StringIO(f"{two}\n\n{one}\n"))] == [0, 1]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no cache"):
        info([tmp_path / "empty"])
    with pytest.raises(MissingDependency, match="no such cache"):
        info([tmp_path / "no.h5"])
    with pytest.raises(UsageError, match="named twice"):
        info(["-", "-"])
    with pytest.raises(InputError, match="no path on stdin"):
        info(["-"], stdin=io.StringIO("\n"))


def test_a_whole_cache_and_its_parts_are_verified(tmp_path: Path) -> None:
    path = fill(tmp_path / "c.h5", make_record(frame_count=8), make_record("toy/s2/b").failed("x"))
    fill(path, make_record("toy/s3/c"), merged=False)
    found = verify([path], HERE)
    assert [(v.read, v.problems) for v in found] == [(2, ()), (1, ())]


def test_every_damage_is_told_and_a_hanging_file_is_stopped(tmp_path: Path) -> None:
    whole = fill(tmp_path / "c.h5", make_record(), make_record("toy/s2/b").failed("no"))
    data = whole.read_bytes()
    with store.open_cache(whole) as cache:
        before = {clip: cache.check(clip).meta() for clip in cache.clip_ids}
    chance = np.random.default_rng(0)
    # Headers and attributes lie in the first kilobytes; the arrays are the rest.
    places = [*chance.integers(0, 8000, 70), *chance.integers(0, len(data), 20)]
    for number, place in enumerate(places):
        broken = bytearray(data)
        broken[place] ^= 1 << int(chance.integers(8))
        (tmp_path / f"{number:03d}.h5").write_bytes(broken)
    whole.unlink()
    found = verify([tmp_path], VerifyOptions(jobs=2, timeout_s=3))
    assert len(found) == len(places)
    told = [v for v in found if v.problems]
    assert len(told) > 20
    for item in found:
        if not item.problems:
            with store.open_cache(item.path) as cache:
                assert {c: cache.check(c).meta() for c in cache.clip_ids} == before


def test_records_no_extraction_would_write_are_odd() -> None:
    good = make_record()
    assert list(oddities(good)) == []
    bad = replace(
        good,
        steps=good.steps[1:],
        apex_flow=good.apex_flow[1:],
        roi_frames=good.roi_frames[1:],
        landmark_positions=good.landmark_positions[1:],
        frame_count=9,
        flow=good.flow * 1e4,
        curve=good.curve * np.nan,
    )
    told = list(oddities(bad))
    assert len(told) == 7
    assert "curve holds NaN or infinite numbers" in told


@pytest.mark.slow
def test_a_run_is_verified_with_its_folds_and_checkpoint(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "c.h5", records(subjects=3))
    result = train(TrainOptions(caches=(cache,), epochs=1, jobs=0, runs=tmp_path / "runs"))
    (found,) = verify([result.run], HERE)
    assert found.problems == ()
    assert found.read == 7
    assert verify([result.final or ""], HERE)[0].problems == ()
    weights = result.run / "folds" / "0" / "1.safetensors"
    shutil.copy(result.run / "folds" / "0" / "0.safetensors", weights)
    data = bytearray((result.run / "final.safetensors").read_bytes())
    data[-1] ^= 1
    (result.run / "final.safetensors").write_bytes(data)
    (result.run / "folds" / "0" / "2.json").write_text("{}")
    (result.run / "folds" / "0" / "x.json").write_text("{}")
    (result.run / "predictions.csv").unlink()
    problems = "\n".join(verify([result.run], HERE)[0].problems)
    for told in (
        "predictions.csv: no such file",
        "1.safetensors: holds other weights",
        "final.safetensors: the weights are damaged",
        "2.json: damaged or not a fold's result",
        "x.json: is no fold",
    ):
        assert told in problems
    description = json.loads((result.run / "run.json").read_text())
    (result.run / "run.json").write_text(json.dumps({**description, "status": "running"}))
    assert "is not complete" in verify([result.run], HERE)[0].problems[0]


def test_many_problems_are_cut_in_the_table(tmp_path: Path) -> None:
    text = verified_text([Verified(tmp_path / "c.h5", 30, tuple(f"clip {n}" for n in range(30)))])
    assert "… and 10 more (all with --json)" in text


def test_merge_takes_in_the_waiting_parts(tmp_path: Path) -> None:
    path = fill(tmp_path / "c.h5", make_record(), make_record("toy/s1/b"), merged=False)
    merged = merge_caches([path])
    assert (merged.clips, len(merged.sources)) == (2, 2)
    assert store.waiting_keys(path) == set()
    assert merge_caches([path]).sources == ()
    with pytest.raises(MissingDependency, match="no such cache"):
        merge_caches([tmp_path / "none.h5"])


def test_merge_makes_one_cache_of_several_and_leaves_them_alone(tmp_path: Path) -> None:
    one = fill(tmp_path / "one.h5", make_record(), make_record("toy/s1/b").failed("slow"))
    two = fill(tmp_path / "two.h5", make_record(), make_record("toy/s1/b"))
    fill(two, make_record("toy/s1/c"), merged=False)
    before = one.read_bytes(), two.read_bytes()
    out = tmp_path / "out" / "all.h5"
    assert merge_caches([one, two], out).clips == 3
    assert before == (one.read_bytes(), two.read_bytes())
    assert store.waiting_keys(two)
    with store.open_cache(out) as cache:
        assert all(cache.check(clip).ok for clip in cache.clip_ids)
    with pytest.raises(InputError, match="exists; name another file"):
        merge_caches([one, two], out)
    merge_caches([one, two], out, force=True)
    with pytest.raises(UsageError, match="name the cache to write with -o"):
        merge_caches([one, two])
    with pytest.raises(UsageError, match="name the cache to write with -o"):
        merge_caches([tmp_path])


def test_caches_that_contradict_each_other_are_not_merged(tmp_path: Path) -> None:
    one = fill(tmp_path / "one.h5", make_record())
    two = fill(tmp_path / "two.h5", make_record(), prefix="other")
    with pytest.raises(InputError, match=r"toy/s1/a is in .*one\.h5 too, made from other files"):
        merge_caches([one, two], tmp_path / "out.h5")
    store.merge(tmp_path / "three.h5", {"steps": 9})
    with pytest.raises(InputError, match="other extraction options"):
        merge_caches([one, tmp_path / "three.h5"], tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_the_three_commands_print_tables_json_and_leave_with_3_on_damage(tmp_path: Path) -> None:
    path = fill(tmp_path / "c.h5", make_record())
    assert "1 of 1 subject" in run("info", str(path)).stdout
    assert json.loads(run("info", "-", "--json", stdin=f"{path}\n").stdout)["caches"]
    assert run("verify", str(path), "-j", "0").exit_code == 0
    merged = run("merge", str(path), "-o", str(tmp_path / "d.h5"), "--json")
    assert json.loads(merged.stdout)["clips"] == 1
    assert "from" in run("merge", str(path)).stdout
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    damaged = run("verify", str(path), "-j", "0", "--json")
    assert damaged.exit_code == 3
    assert json.loads(damaged.stdout)["whole"] is False
    for flags in (("-j", "-1"), ("--timeout", "0")):
        assert run("verify", str(path), *flags).exit_code == 2
