"""All action units with one command: what is trained, told, scored and gone on with."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.errors import InputError, UsageError
from mecli.evaluate import EvaluateOptions, evaluate
from mecli.report.evaluation_json import to_json
from mecli.report.evaluation_text import to_text
from mecli.train import TrainOptions, train
from mecli.units import resume_units, train_units
from tests.moving_records import write_cache
from tests.test_protocols import corpus

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = {"au1", "au2", "au4", "au7", "au12"}
MODEL = {"steps": 2, "batch_size": 4}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("units") / "mecli.h5"
    write_cache(path, [clip for name in ("casme2", "mmew") for clip in corpus(name)])
    return path


def options(cache: Path, tmp_path: Path, **changes: Any) -> TrainOptions:
    values: dict[str, Any] = {
        "caches": (cache,),
        "model_options": MODEL,
        "protocol": "lodo",
        "labels": "au",
        "epochs": 1,
        "jobs": 0,
        "final": False,
        "runs": tmp_path / "runs",
        **changes,
    }
    return TrainOptions(**values)


def test_every_unit_that_tells_clips_apart_is_trained_and_scored(
    cache: Path, tmp_path: Path
) -> None:
    (result,) = train_units(options(cache, tmp_path), ["roi-flow-lstm"])
    assert set(result.parts) | set(result.skipped) == {
        f"au{n}" for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)
    }
    assert set(result.parts) == SHOWN
    assert result.skipped["au5"] == "no clip shows AU5"
    assert result.table is not None
    assert result.table.title == "CD6ME roi-flow-lstm"
    evaluated = evaluate([], EvaluateOptions(runs=tmp_path / "runs", resamples=20))
    (table,) = to_json(evaluated)["action_units"]
    assert table == result.table.as_json()
    names = [row["name"] for row in table["rows"]]
    assert names == ["AU1", "AU2", "AU4", "AU7", "AU12", "mean over AUs"]
    assert "label \\ predicted" not in to_text(evaluated)
    before = (result.run / "au4" / "predictions.csv").read_bytes()
    shutil.rmtree(result.run / "au12")
    again = resume_units(result.run, jobs=0)
    assert again.table == result.table
    assert (result.run / "au4" / "predictions.csv").read_bytes() == before


def test_the_command_prints_one_table_and_resumes(cache: Path, tmp_path: Path) -> None:
    words = ["train", "-c", str(cache), "--labels", "au", "--protocol", "kfold", "--k", "2"]
    words += ["--epochs", "1", "-j", "0", "--no-final", "--runs", str(tmp_path)]
    words += [word for name, value in MODEL.items() for word in ("-s", f"{name}={value}")]
    text = CliRunner().invoke(cli.app, words)
    assert text.exit_code == 0, text.output
    assert "action units roi-flow-lstm kfold" in text.stdout
    assert "mean over AUs" in text.stdout
    assert "AU5: no clip shows AU5" in text.stdout
    (run,) = tmp_path.iterdir()
    resumed = CliRunner().invoke(cli.app, ["train", "--resume", str(run), "-j", "0", "--json"])
    document = json.loads(resumed.stdout)
    assert document["run"] == str(run)
    assert set(document["parts"]) == SHOWN
    again = ["train", "--options", str(run / "options.json"), "--json"]
    other = json.loads(CliRunner().invoke(cli.app, again).stdout)
    assert other["action_units"] == document["action_units"]


def test_what_cannot_be_done_is_told_before_anything_is_trained(
    cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="a model is named twice"):
        train_units(options(cache, tmp_path, model_options={}), ["flow-svm", "flow-svm"])
    with pytest.raises(UsageError, match="a run for each action unit, made by train_units"):
        train(options(cache, tmp_path))
    alike = tmp_path / "alike.h5"
    write_cache(alike, [c for c in corpus("samm") if c.labels["au"] == "4+7"])
    with pytest.raises(InputError, match="no clip shows AU1, and so on for all twelve"):
        train_units(options(alike, tmp_path, model_options={}), ["flow-svm"])
    assert not (tmp_path / "runs").exists()


def test_a_unit_that_one_person_alone_shows_cannot_be_learned(tmp_path: Path) -> None:
    clips = [
        replace(clip, labels={**clip.labels, "au": "9"}) if clip.clip_id.endswith("0/c0") else clip
        for clip in corpus("samm")
    ]
    write_cache(tmp_path / "c.h5", clips)
    made = options(tmp_path / "c.h5", tmp_path, protocol="loso", model_options={})
    (result,) = train_units(made, ["flow-svm"])
    assert result.skipped["au9"] == "no training clip of fold samm/samm0 shows AU9"
    assert "au12" in result.parts


def test_a_folder_without_a_finished_unit_is_refused(cache: Path, tmp_path: Path) -> None:
    about = {"format": 1, "classes": ["AU4"], "parts": ["au4", "../x"], "status": "running"}
    (tmp_path / "run.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="no action unit is done yet"):
        evaluate([tmp_path])


def test_leaving_nobody_out_gives_no_table(cache: Path, tmp_path: Path) -> None:
    (result,) = train_units(
        options(cache, tmp_path, protocol="all", model_options={}), ["flow-svm"]
    )
    assert result.table is None
    assert result.as_json()["action_units"] is None
