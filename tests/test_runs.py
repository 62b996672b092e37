from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mecli.errors import InputError
from mecli.runs import read_header, read_sources
from mecli.training import folder
from mecli.training.options import read_options

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


@pytest.mark.parametrize("changes", [{"model": None}, {"labels": {}}, {"k": "many"}])
def test_an_option_of_the_wrong_type_is_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "options.json"
    path.write_text(json.dumps(changes))
    with pytest.raises(InputError, match=r"options\.json: a train option has the wrong type"):
        read_options(path)


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
