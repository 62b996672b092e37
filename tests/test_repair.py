"""What is damaged goes, what is whole stays, and the verb that made it fills the gap."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.cache import Reader, add, merge, open_cache, parts_folder
from mecli.errors import InputError
from mecli.repair import repair
from mecli.train import TrainOptions, resume, train
from mecli.verify import VerifyOptions, verify
from tests.crash.verbs import lose_privileges
from tests.crash.victims import Train
from tests.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

HERE = VerifyOptions(jobs=0)
OPTIONS = {"steps": 4}


def write(path: Path, *names: str) -> Path:
    for name in names:
        add(path, make_record(f"toy/s1/{name}", seed=ord(name)), name, OPTIONS)
    merge(path, OPTIONS)
    return path


def damage(path: Path, clip: str) -> None:
    data = bytearray(path.read_bytes())
    place = data.find(make_record(f"toy/s1/{clip}", seed=ord(clip)).roi_frames.tobytes()[:64])
    assert place > 0
    data[place] ^= 1
    path.write_bytes(data)


def clips(path: Path) -> list[str]:
    with open_cache(path) as cache:
        return [cache.check(clip_id).name for clip_id in cache.clip_ids]


def test_a_damaged_clip_leaves_its_cache_and_the_others_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "c.h5", "a", "b", "c")
    assert repair([path], HERE) == []
    damage(path, "b")
    before = path.read_bytes()
    (said,) = repair([path], HERE)
    assert said.steps == (f"{path}: drop 1 of 3 clips: toy/s1/b",)
    assert said.following.startswith("mecli extract")
    assert path.read_bytes() == before
    assert repair([path], HERE, apply=True) == [said]
    assert clips(path) == ["a", "c"]
    assert repair([path], HERE) == []
    write(path, "b")
    assert path.read_bytes() == write(tmp_path / "whole.h5", "a", "b", "c").read_bytes()


def test_a_cache_that_cannot_be_read_is_rebuilt_from_its_parts(tmp_path: Path) -> None:
    path = write(tmp_path / "c.h5", "a")
    for name in "bcd":
        add(path, make_record(f"toy/s1/{name}", seed=ord(name)), name, OPTIONS)
    path.write_bytes(path.read_bytes()[:300])
    damage(parts_folder(path) / "d.h5", "d")
    said = repair([path], HERE, apply=True)
    assert [step.removeprefix(f"{tmp_path}/") for one in said for step in one.steps] == [
        "c.h5: set aside as c.h5.damaged",
        "c.h5.parts/d.h5: remove",
        f"{path}: rebuild from the parts beside it".removeprefix(f"{tmp_path}/"),
    ]
    assert clips(path) == ["b", "c"]
    assert (tmp_path / "c.h5.damaged").stat().st_size == 300
    assert not parts_folder(path).exists()


def test_parts_without_a_cache_become_one(tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    add(path, make_record("toy/s1/a"), "a", OPTIONS)
    (said,) = repair([path], HERE, apply=True)
    assert said.problems == ()
    assert clips(path) == ["a"]


def test_damaged_folds_are_set_aside_and_trained_again(tmp_path: Path) -> None:
    Train().prepare(tmp_path)
    options = TrainOptions(
        caches=(tmp_path / "c.h5",), model="ststnet", epochs=1, jobs=0, engine="sequential",
        runs=tmp_path / "runs",
    )  # fmt: skip
    run = train(options).run
    whole = {p.name: p.read_bytes() for p in run.glob("folds/0/*.safetensors")}
    whole["predictions.csv"] = (run / "predictions.csv").read_bytes()
    folds = run / "folds" / "0"
    described = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**described, "status": "running"}))
    (said,) = repair([run], HERE, apply=True)
    assert said.steps == (f"{run}: nothing has to go",)
    (folds / "1.json").write_text("{}")
    (folds / "2.safetensors").write_bytes(b"")
    (run / "final.safetensors").write_bytes(b"")
    (run / "predictions.csv").write_text("clip\n")
    (said,) = repair([run], HERE)
    assert len(said.steps) == 6
    assert said.following == f"mecli train --resume {run}"
    repair([run], HERE, apply=True)
    left = {p.name for p in folds.iterdir() if not p.name.endswith(".damaged")}
    assert left == {"0.json", "0.safetensors", "3.json", "3.safetensors"}
    resume(run)
    assert verify([run], HERE)[0].problems == ()
    again = {p.name: p.read_bytes() for p in run.glob("folds/0/*.safetensors")}
    assert (run / "predictions.csv").read_bytes() == whole.pop("predictions.csv")
    assert again.keys() == whole.keys()
    assert again["0.safetensors"] == whole["0.safetensors"]


def test_nothing_behind_a_link_in_a_run_is_set_aside(tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (run / "folds").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "package.json").write_text("{}")
    (run / "folds" / "0").symlink_to(elsewhere)
    for name in ("run.json", "options.json"):
        (run / name).write_text(json.dumps({"format": 1, "status": "complete"}))
    (said,) = repair([run], HERE, apply=True)
    assert said.problems[0].startswith(f"{run / 'folds' / '0'}: is a link to another folder")
    assert said.steps == ()
    assert [p.name for p in elsewhere.iterdir()] == ["package.json"]
    with pytest.raises(InputError, match="is a link to another folder, which a run never holds"):
        resume(run)


@pytest.mark.parametrize("name", ["run.json", "w.safetensors"])
def test_what_is_beyond_repair_says_what_to_do(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / name).write_text("{")
    (said,) = repair([run if name == "run.json" else run / name], HERE, apply=True)
    assert said.steps == ()
    assert ("--options" if name == "run.json" else "copy it anew") in said.following
    assert (run / name).read_text() == "{"


def test_the_command_says_first_and_does_with_apply(tmp_path: Path) -> None:
    path = write(tmp_path / "c.h5", "a", "b")

    def run(*words: str) -> Any:
        return CliRunner().invoke(cli.app, ["repair", str(path), "-j", "0", *words])

    assert (run().exit_code, run().stdout) == (0, "nothing is damaged\n")
    damage(path, "a")
    said = run()
    assert said.exit_code == 3
    assert "would be done with --apply" in said.stdout
    assert "drop 1 of 2 clips: toy/s1/a" in said.stdout
    told = json.loads(run("--json").stdout)
    assert (told["applied"], len(told["repairs"])) == (False, 1)
    assert run("--apply").exit_code == 0
    assert clips(path) == ["b"]
    assert json.loads(run("--json", "--apply").stdout) == {"applied": True, "repairs": []}


def test_many_problems_are_cut_in_the_table(tmp_path: Path) -> None:
    from mecli.report.caches import Repaired, repaired_text

    many = Repaired(tmp_path, tuple(f"clip {n}" for n in range(30)), (), "train again")
    text = repaired_text([many], applied=True)
    assert "… and 10 more (all with --json)" in text
    assert "beyond repair" in text


def test_what_may_not_be_read_is_not_taken_for_damaged(tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    add(path, make_record(), "k", {"steps": 4})
    merge(path, {"steps": 4})
    add(path, make_record("toy/s1/b"), "l", {"steps": 4})
    (parts_folder(path) / "far.h5").symlink_to(tmp_path / "none")
    for look in (verify, lambda named: repair(named, apply=True)):
        with pytest.raises(InputError, match=r"far\.h5: cannot be read; have it opened to you"):
            look([path])


@pytest.mark.skipif(sys.platform != "linux", reason="takes away what root may")
def test_a_closed_cache_is_called_closed(tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    add(path, make_record(), "k", {"steps": 4})
    merge(path, {"steps": 4})
    path.chmod(0)
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        lose_privileges()
        try:
            Reader(path)
        except InputError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with open(reader) as pipe:  # noqa: PTH123 - a pipe has no path
        assert pipe.read() == f"{path}: cannot be read; have it opened to you"
