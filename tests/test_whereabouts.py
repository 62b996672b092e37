from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mecli import cli, whereabouts
from mecli.report.here import here_rows, homely

HDF5 = b"\x89HDF\r\n\x1a\n"


def make_run(folder: Path, name: str, status: str) -> None:
    (folder / name).mkdir(parents=True)
    folds = [{"name": "a", "test": ["x/a/1", "x/a/2"]}, {"name": "b", "test": ["x/b/1"]}]
    said = {"status": status, "model": "ststnet", "protocol": "loso", "folds": folds}
    (folder / name / "run.json").write_text(json.dumps(said))


def following(folder: Path) -> list[str]:
    found = whereabouts.look([folder / "mecli.h5"], folder / "runs")
    return list(found.following)


def test_the_next_command_follows_from_what_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert following(tmp_path) == ["mecli", "extract", "SOURCE"]
    (tmp_path / "sample_data").mkdir()
    assert following(tmp_path) == ["mecli", "extract", "sample_data"]
    (tmp_path / "mecli.h5").write_bytes(b"no cache")
    assert following(tmp_path) == ["mecli", "extract", "sample_data"]
    (tmp_path / "mecli.h5").write_bytes(HDF5)
    assert following(tmp_path) == ["mecli", "train"]
    run = tmp_path / "runs" / "20260101-000000-ststnet-loso"
    make_run(run.parent, run.name, "running")
    assert following(tmp_path) == ["mecli", "train", "--resume", str(run)]
    make_run(run.parent, "20260102-000000-ststnet-loso", "complete")
    assert following(tmp_path) == ["mecli", "evaluate"]


def test_caches_of_other_names_are_seen_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("samm.h5", "smic.h5"):
        (tmp_path / name).write_bytes(HDF5)
    assert following(tmp_path) == ["mecli", "train", "-c", "samm.h5", "-c", "smic.h5"]
    for number in range(4):
        (tmp_path / f"{number}.h5").write_bytes(HDF5)
    assert following(tmp_path) == ["mecli", "train", "-c", "CACHE"]
    rows = here_rows(whereabouts.look())
    assert [row[1].split(",")[0] for row in rows[:5]] == [
        *(f"{number}.h5" for number in range(4)),
        "and 2 more caches",
    ]
    (tmp_path / "mecli.h5").write_bytes(HDF5)
    assert following(tmp_path) == ["mecli", "train"]


@pytest.mark.parametrize("folds", [5, [1], [{"test": 5}], [{"test": [{}]}], ["x"]])
def test_a_run_with_folds_of_no_kind_is_not_told(tmp_path: Path, folds: object) -> None:
    make_run(tmp_path, "broken", "complete")
    make_run(tmp_path, "whole", "complete")
    (tmp_path / "broken" / "run.json").write_text(json.dumps({"folds": folds}))
    (found,) = whereabouts.look([], tmp_path).runs
    assert (found.path.name, found.folds, found.clips) == ("whole", 2, 3)


def test_what_is_broken_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    for name, text in (("a", "{"), ("b", "[]")):
        (runs / name).mkdir(parents=True)
        (runs / name / "run.json").write_text(text)
    assert whereabouts.look([tmp_path], runs).runs == ()
    assert whereabouts.look([tmp_path], runs).caches == ()


def test_without_a_verb_a_map_says_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.h5").write_bytes(HDF5 + bytes(2000))
    (tmp_path / "mine.h5.parts").mkdir()
    (tmp_path / "mine.h5.parts" / "a.h5").write_bytes(HDF5)
    make_run(tmp_path / "done", "20260101-000000-ststnet-loso", "complete")
    (tmp_path / "done" / "20260101-000000-ststnet-loso" / "final.safetensors").write_bytes(b"")
    told = CliRunner().invoke(cli.app, [], env={"MECLI_CACHE": "mine.h5", "MECLI_RUNS": "done"})
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    assert any(line.startswith("extract ") for line in lines)
    assert any(line.startswith("bench ") for line in lines)
    said = dict(line.split(maxsplit=1) for line in lines[-6:])
    assert said["cache"].startswith("mine.h5, 2.0 kB, written 20")
    assert said["cache"].endswith(", 1 clip not yet merged")
    assert said["runs"] == (
        "1 in done/, the last is 20260101-000000-ststnet-loso: 3 clips in 2 folds, complete"
    )
    assert said["checkpoint"] == "done/20260101-000000-ststnet-loso/final.safetensors"
    assert said["next"] == "mecli evaluate"


def test_a_newcomer_is_told_what_works_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = CliRunner().invoke(cli.app, []).stdout.splitlines()
    said = dict(line.split(maxsplit=1) for line in lines[-6:])
    assert said["next"] == "mecli extract SOURCE"
    assert said["or"].startswith("mecli predict CLIP asks the bundled checkpoint; mecli synth")


def test_a_folder_below_home_is_told_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/people/ann")
    for folder, said in (
        ("/people/ann", "~"),
        ("/people/ann/faces/a", "~/faces/a"),
        ("/people/anna", "/people/anna"),
    ):
        assert homely(Path(folder)) == said
    monkeypatch.delenv("HOME")
    assert homely(Path("/people/ann")) == "/people/ann"
