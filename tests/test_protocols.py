"""Protocols over several corpora from training to the organisers' table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mecli.errors import InputError
from mecli.evaluate import EvaluateOptions, evaluate
from mecli.files import read_json
from mecli.report.evaluation_json import to_json
from mecli.train import TrainOptions, train
from tests.moving_records import record, write_cache

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.records import ClipRecord

UNITS = ("4+7", "12", "1+2")
QUICK = EvaluateOptions(resamples=50)


def corpus(name: str, people: int = 2) -> list[ClipRecord]:
    """Return clips whose movement is the class, as objective class and as action units too."""
    made = []
    for person in range(people):
        for label in (0, 1, 2):
            plain = record(f"{name}{person}", f"c{label}", label, corpus=name)
            also = {"objective": ("I", "II", "III")[label], "au": UNITS[label]}
            made.append(replace(plain, labels={**plain.labels, **also}))
    return made


def run(path: Path, *corpora: str, **changes: Any) -> Path:
    cache = path / "c.h5"
    if not cache.exists():
        write_cache(cache, [clip for name in corpora for clip in corpus(name)])
    values: dict[str, Any] = {
        "caches": (cache,),
        "model_options": {"steps": 2, "batch_size": 4},
        "epochs": 2,
        "jobs": 0,
        "final": False,
        "runs": path / "runs",
        **changes,
    }
    return train(TrainOptions(**values)).run


def test_hde_trains_both_ways_and_evaluates_each(tmp_path: Path) -> None:
    made = run(tmp_path, "casme2", "samm", protocol="hde", labels="megc2018")
    names = [fold["name"] for fold in read_json(made / "run.json")["folds"]]
    assert names == ["samm to casme2", "casme2 to samm"]
    asked = to_json(evaluate([made], QUICK))["organisers"]
    assert [row["name"] for row in asked["rows"]] == [
        "SAMM → CASME II", "CASME II → SAMM", "average",
    ]  # fmt: skip
    assert "CASME II: 6 clips here, 185 in MEGC 2018" in asked["remarks"]


def test_hde_of_one_corpus_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 corpus \(samm\), expected at least 2"):
        run(tmp_path, "samm", protocol="hde", labels="megc2018")
    assert not (tmp_path / "runs").exists()


def test_action_units_are_trained_one_by_one_and_add_up(tmp_path: Path) -> None:
    corpora = ("casme2", "mmew", "samm")
    runs = [run(tmp_path, *corpora, protocol="lodo", labels=f"au{unit}") for unit in (4, 12)]
    result = evaluate(runs, QUICK)
    assert [r.classes for r in result.runs] == [("without AU4", "AU4"), ("without AU12", "AU12")]
    assert [fold["name"] for fold in read_json(runs[0] / "run.json")["folds"]] == list(corpora)
    (table,) = to_json(result)["action_units"]
    assert [(row["name"], row["clips"]) for row in table["rows"]] == [
        ("AU4", 18), ("AU12", 18), ("mean over AUs", None),
    ]  # fmt: skip
