"""Several jobs train one run between them, and what comes out is the run of one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mecli import files, units
from mecli.errors import InputError, UnknownName, UsageError
from mecli.shards import Shard
from mecli.train import TrainOptions, TrainResult, resume, train
from mecli.training import folder
from mecli.training.part import Part
from tests.moving_records import records, write_cache

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def options(tmp_path: Path) -> TrainOptions:
    cache = write_cache(tmp_path / "c.h5", records())
    return TrainOptions(
        caches=(cache,), model_options={"steps": 2}, epochs=1, jobs=0, runs=tmp_path / "runs"
    )


def digests(result: TrainResult) -> dict[str, str]:
    paths = sorted((result.run / "folds").rglob("*.json"))
    found = [json.loads(p.read_text()) for p in paths]
    return {f"{f['seed']} {f['fold']}": f["weights_sha256"] for f in found}


def test_shards_make_the_run_of_one_job(options: TrainOptions, tmp_path: Path) -> None:
    alone, run = train(options), tmp_path / "shared"
    for number in (2, 1, 3):
        left = train(options, run=run, part=Part(Shard(number, 3)))
        assert (left.uf1, left.final, left.predictions) == (None, None, None)
        assert folder.read_run(run)["status"] == "running"
    assert left.warnings == (
        f"4 of 4 trainings of {run} are done; once all are, `mecli train --resume {run}` "
        "scores them",
    )
    assert sorted(p.name for p in run.iterdir()) == ["folds", "options.json", "run.json"]
    whole = resume(run)
    assert digests(whole) == digests(alone)
    assert whole.predictions is not None
    assert alone.predictions is not None
    assert whole.predictions.read_text() == alone.predictions.read_text()
    assert whole.final is not None


def test_a_finished_shard_is_not_trained_again(options: TrainOptions, tmp_path: Path) -> None:
    part = Part(Shard(1, 2))
    train(options, run=tmp_path / "r", part=part)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "r" / "folds").rglob("*")}
    resume(tmp_path / "r", part=part)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "r" / "folds").rglob("*")} == before


@pytest.mark.parametrize("fold", ["2", "made/s2"])
def test_one_fold_is_trained_by_number_or_name(
    options: TrainOptions, tmp_path: Path, fold: str
) -> None:
    result = train(options, run=tmp_path / "r", part=Part(fold=fold))
    assert list(digests(result)) == ["0 made/s2"]


def test_an_unknown_fold_has_a_hint(options: TrainOptions, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown fold 'made/s9'; did you mean 'made/s"):
        train(options, run=tmp_path / "r", part=Part(fold="made/s9"))


def test_jobs_of_one_run_have_features_of_their_own() -> None:
    parts = [Part(), Part(Shard(1, 2)), Part(Shard(2, 2)), Part(fold="a/b"), Part(fold="a_b")]
    names = {part.features for part in parts}
    assert len(names) == len(parts)
    assert not any("/" in name for name in names)


def test_jobs_with_other_options_do_not_share_a_run(options: TrainOptions, tmp_path: Path) -> None:
    run = tmp_path / "r"
    train(options, run=run, part=Part(fold="0"))
    other = TrainOptions.from_json(
        {**options.as_json(), "model_options": {"steps": 1}}, run / "options.json"
    )
    with pytest.raises(InputError, match="model_options changed since the run was started"):
        train(other, run=run, part=Part(fold="1"))


def test_a_part_wants_a_run_that_is_shared(options: TrainOptions) -> None:
    with pytest.raises(UsageError, match="name --run"):
        train(options, part=Part(fold="0"))


def test_a_part_is_of_one_model(options: TrainOptions, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name one model and one label scheme"):
        units.train_any(options, ["roi-flow-lstm", "ststnet"], run=tmp_path / "r")
    (made,) = units.train_any(options, ["roi-flow-lstm"], run=tmp_path / "r", part=Part(fold="0"))
    assert made.run == tmp_path / "r"
    assert files.read_json(made.run / "run.json")["status"] == "running"
