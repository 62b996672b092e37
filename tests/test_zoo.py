"""The list of models, and several of them trained by one command."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from mecli import cli, registry
from mecli.errors import UnknownName, UsageError
from mecli.models.cnn_lstm import CnnLstmOptions
from mecli.models.ststnet import StstNet, StstNetOptions
from mecli.report.zoo import card_text, checkpoint_text, list_text
from mecli.runs import RUN_FORMAT
from mecli.zoo import ZooOptions, measured, models
from tests.moving_records import records, write_cache

if TYPE_CHECKING:
    from pathlib import Path


def test_every_registered_model_has_a_card() -> None:
    cards = {c.name: c for c in models(ZooOptions())}
    assert tuple(cards) == registry.names("model")
    assert cards["ststnet"].total == 1_651
    assert cards["flow-svm"].total is None
    assert cards["cnn-lstm"].weights == {"frames": 6_402_126, "sequence": 592_387}
    text = list_text(list(cards.values()))
    assert "Liong et al., FG 2019" in text
    assert "10.1109/FG.2019.8756567" in text
    assert "1,651" in text


def test_a_card_tells_every_option_with_its_docstring() -> None:
    (card,) = models(ZooOptions(model="cnn-lstm-se"))
    options = {o.name: o for o in card.options}
    assert set(options) == {f.name for f in fields(CnnLstmOptions)}
    assert options["input"].choices == ("flow", "rgb")
    assert options["attention"].value is True
    assert options["sequence"].about.startswith("Length that shorter clips are padded to")
    text = card_text(card)
    assert "--preset paper" in text
    assert "flow | rgb" in text
    assert "8×6×24×24×3 per clip" in text


def test_a_preset_shows_in_values_and_weights() -> None:
    (small,) = models(ZooOptions(model="htnet", preset="small"))
    assert small.total == 186_294
    assert {o.name: o.value for o in small.options}["width"] == 24


def test_names_that_nobody_knows_are_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'ststnet'"):
        ZooOptions(model="stsnet")
    with pytest.raises(UsageError, match="preset 'small' of which model"):
        ZooOptions(preset="small")
    with pytest.raises(UnknownName, match="preset of htnet 'tiny'"):
        models(ZooOptions(model="htnet", preset="tiny"))


def test_several_models_are_trained_and_their_cost_is_listed(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "c.h5", records(3, 3))
    runs = tmp_path / "runs"
    common = ["-c", str(cache), "--runs", str(runs), "-j", "0"]
    runner = CliRunner()
    done = runner.invoke(cli.app, ["train", "--model", "flow-svm,bi-woof-svm", *common, "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [f["model"] for f in found] == ["flow-svm", "bi-woof-svm"]
    assert all(f["folds"] == 3 for f in found)
    done = runner.invoke(cli.app, ["train", "--model", "flow-svm, lbp-top-svm", *common])
    assert done.exit_code == 0, done.stderr
    assert "lbp-top-svm" in done.stdout
    (runs / "odd").mkdir()
    (runs / "odd" / "run.json").write_text("no run")
    costs = {name: cost for (name, _), cost in measured(runs).items()}
    assert set(costs) == {"flow-svm", "bi-woof-svm", "lbp-top-svm"}
    assert costs["flow-svm"].folds == 3
    listed = runner.invoke(cli.app, ["models", "flow-svm", "--runs", str(runs)]).stdout
    assert costs["flow-svm"].run in listed
    cards = json.loads(runner.invoke(cli.app, ["models", "--json", "--runs", str(runs)]).stdout)
    assert {c["name"] for c in cards if c["cost"]} == set(costs)
    assert "support vectors" in runner.invoke(cli.app, ["models", "--runs", str(runs)]).stdout


def test_the_cost_is_that_of_the_newest_plain_run_with_the_same_options(tmp_path: Path) -> None:
    def run(name: str, seconds: float, options: dict[str, Any] | None = None, **told: Any) -> None:
        folder = tmp_path / name / "folds" / "0"
        folder.mkdir(parents=True)
        described = {
            "format": RUN_FORMAT, "model": "ststnet", "selection": told.pop("selection", "last"),
            "model_options": {**asdict(StstNetOptions()), **(options or {})},
        }  # fmt: skip
        (tmp_path / name / "run.json").write_text(json.dumps(described))
        asked = {"epochs": None, "freeze": False, **told}
        (tmp_path / name / "options.json").write_text(json.dumps(asked))
        (folder / "0.json").write_text(json.dumps({"duration_s": seconds}))

    def cost(preset: str | None = None) -> float | None:
        (card,) = models(ZooOptions(model="ststnet", preset=preset, runs=tmp_path))
        return card.cost.seconds_per_fold if card.cost else None

    run("1", 4.0)
    run("2", 5.0)
    run("3", 11.0, selection="inner")
    run("4", 0.5, freeze=True)
    run("5", 0.2, epochs=1)
    assert (cost(), cost("paper")) == (5.0, None)
    run("6", 70.0, dict(StstNet.presets["paper"]))
    assert (cost(), cost("paper")) == (5.0, 70.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "flow-svm,stsnet"], "did you mean 'ststnet'"),
        (["--model", "flow-svm,ststnet", "--set", "cost=2"], "unknown option of ststnet 'cost'"),
        (["--model", "flow-svm,ststnet", "--preset", "paper"], "preset of flow-svm 'paper'"),
        (["--model", "flow-svm,flow-svm"], "twice"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_trained(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    done = CliRunner().invoke(cli.app, ["train", *arguments, "--runs", str(runs)])
    assert done.exit_code == 2
    assert said in done.stderr
    assert not runs.exists()


def test_what_a_checkpoint_says_of_itself_is_no_python() -> None:
    caches = [{"path": "a.h5", "options": {"flow": "dis", "images": [0, 1]}, "fingerprint": ""}]
    told = checkpoint_text({"caches": caches, "classes": ["x", "y"], "temperature": None})
    assert "caches       path a.h5, options flow dis, images 0, 1, fingerprint –\n" in told
    assert "classes      x, y\n" in told
    assert "temperature  –\n" in told
