from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.errors import InputError
from mecli.files import write_json
from mecli.runs import read_header, read_sources
from mecli.training import folder
from mecli.training.folder import FoldResult, Leaked
from mecli.training.options import TrainOptions, read_options

if TYPE_CHECKING:
    from pathlib import Path

RUN = {"format": 1, "classes": ["a", "b"], "protocol": "loso", "status": "complete"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("folds", [1], "'folds' do not list clips"),
        ("folds", [{"test": "abc"}], "'folds' do not list clips"),
        ("folds", [{"test": [1]}], "'folds' do not list clips"),
        ("folds", "all", "'folds' is no list"),
        ("excluded", 3, "'excluded' is no dict"),
        ("protocol", ["loso"], "'protocol' is no str"),
        ("parts", {}, "'parts' is no list"),
        ("classes", [], "expected a list of names"),
        ("format", None, "run format is None"),
    ],
)
def test_a_description_of_the_wrong_shape_is_named(
    tmp_path: Path, name: str, value: Any, message: str
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RUN | {name: value}))
    with pytest.raises(InputError, match=message):
        read_header(tmp_path)
    with pytest.raises(InputError, match=message):
        read_sources(tmp_path)


def test_what_a_run_does_not_say_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RUN | {"folds": None, "excluded": None}))
    assert read_header(tmp_path)["status"] == "complete"


@pytest.mark.parametrize(
    "changes",
    [
        {"model": None},
        {"labels": {}},
        {"k": "many"},
        {"k": 2.5},
        {"seed": True},
        {"preset": ["paper"]},
        {"pretrained": 1},
        {"gpus": "0.5"},
        {"final": "no"},
        {"caches": "c.h5"},
        {"runs": None},
        {"model_options": ["steps=2"]},
    ],
)
def test_an_option_of_the_wrong_type_is_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "options.json"
    path.write_text(json.dumps(changes))
    with pytest.raises(InputError, match=r"options\.json: a train option has the wrong type"):
        read_options(path)


def test_options_that_a_run_wrote_are_read_again(tmp_path: Path) -> None:
    options = TrainOptions(jobs=3, gpus=0.5, preset="paper", model_options={"steps": 2}, epochs=1)
    write_json(tmp_path / "options.json", options.as_json() | {"gpus": 1})
    assert read_options(tmp_path / "options.json") == replace(options, gpus=1)


RESULT = FoldResult(
    fold="toy/s1",
    number=2,
    seed=7,
    train_per_class=(3, 4),
    scores={"toy/s1/a": (0.25, 0.75)},
    history={"all": (0.5,)},
    weights_sha256="0",
    duration_s=1.0,
    leaked=Leaked(0, (1,), {"toy/s1/a": (1.0, 0.0)}),
)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 3},
        {"seed": 8},
        {"fold": 5},
        {"epochs": [1]},
        {"history": None},
        {"train_per_class": [3]},
        {"scores": {"toy/s1/a": [0.25, 0.5, 0.25]}},
        {"scores": {"toy/s1/a": [-0.25, 1.25]}},
        {"scores": {"toy/s1/a": [float("nan"), 1.0]}},
        {"scores": {"toy/s1/a": []}},
    ],
)
def test_what_no_fold_of_this_place_wrote_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder.write_fold(tmp_path, RESULT)
    found = folder.read_fold(tmp_path, 7, 2)
    assert found is not None
    assert found.scores == RESULT.scores
    path = folder.fold_path(tmp_path, 7, 2)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(InputError, match=r"2\.json: (damaged or not a|result of|cannot be)"):
        folder.read_fold(tmp_path, 7, 2)


def test_features_that_another_process_took_away_are_told(tmp_path: Path) -> None:
    old, young = tmp_path / "folds" / ".0.json.1.tmp", tmp_path / ".features.npy.2.tmp"
    old.parent.mkdir()
    for path in (old, young):
        path.touch()
    os.utime(old, (1, 1))
    folder.write_features(
        tmp_path, 2, iter([np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)])
    )
    assert folder.map_features(tmp_path).shape == (2, 2, 3)
    folder.remove_features(tmp_path)
    assert (old.exists(), young.exists()) == (False, True)
    with pytest.raises(InputError, match=r"features\.npy: is gone; did another"):
        folder.map_features(tmp_path)


def test_a_run_that_has_scored_nothing_yet_says_how_it_goes_on(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", RUN | {"status": "running"})
    with pytest.raises(InputError, match=r"nothing is scored yet; go on with `mecli train --resu"):
        read_sources(tmp_path)


@pytest.mark.parametrize("words", [("--model", "flow-svm"), ("-c", "a.h5"), ("--no-final",)])
def test_a_resumed_run_takes_no_other_options(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli.app, ["train", "--resume", str(tmp_path), *words])
    assert result.exit_code == 2
    assert "is given with --resume, but" in result.stderr


def test_how_the_work_is_done_may_change_when_a_run_is_resumed(tmp_path: Path) -> None:
    words = ["--resume", str(tmp_path), "-j", "0", "--shard", "1/2", "--json"]
    result = CliRunner(env={"MECLI_TRAIN_MODEL": "ststnet"}).invoke(cli.app, ["train", *words])
    assert (result.exit_code, "is given with" in result.stderr) == (3, False)
