"""What --json prints is what the published schemas say, for every verb."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from typer.testing import CliRunner

from mecli import cli
from mecli.report.spots import Spotted
from mecli.spotting import Interval
from tests import published
from tests.test_settings import verbs

if TYPE_CHECKING:
    from pathlib import Path

RUNNER = CliRunner()
_LINES = {"predict", "spot", "extract-list"}


def run(*arguments: str | Path, schema: str = "", code: int = 0) -> Any:
    """Run mecli with --json, check what it prints against `schema`, and return it."""
    result = RUNNER.invoke(cli.app, [*map(str, arguments), "--json"])
    assert result.exit_code == code, result.stderr
    name = schema or str(arguments[0])
    if name in _LINES:
        documents = [json.loads(line) for line in result.stdout.splitlines()]
        for document in documents:
            published.check(name, document)
        return documents
    document = json.loads(result.stdout)
    published.check(name, document)
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, three pairs each, extracted, and a run over them."""
    place = tmp_path_factory.mktemp("json")
    told = run("synth", place / "faces", "--subjects", "2", "--clips", "3", "--pairs-only",
               "--distractors", "0", "-j", "0")  # fmt: skip
    assert told["clips"] == 6
    told = run("extract", place / "faces", "-o", place / "mecli.h5", "-j", "0", "--steps", "4",
               "--landmarks", "embedded")  # fmt: skip
    assert told["extracted"] == 6
    told = run("train", "-c", place / "mecli.h5", "--model", "roi-flow-ridge", "-j", "0",
               "--runs", place / "runs")  # fmt: skip
    assert told["folds"] == 2
    return place


def the_run(folder: Path) -> Path:
    return next((folder / "runs").iterdir())


@pytest.mark.parametrize("name", published.names())
def test_a_schema_is_a_schema_and_lets_no_unknown_field_through(name: str) -> None:
    schema = published.schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:mecli:{name}"
    assert schema["title"]
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate({"no such field": 1})


def test_every_verb_that_prints_json_has_a_schema() -> None:
    with_json = {
        "-".join(verb)
        for verb, command in verbs().items()
        if any("--json" in param.opts for param in command.params)
    }
    assert with_json <= set(published.names())


def test_sources_and_caches(folder: Path, tmp_path: Path) -> None:
    run("check", folder / "faces")
    assert len(run("extract", folder / "faces", "--list", schema="extract-list")) == 6
    cache = folder / "mecli.h5"
    assert run("info", cache)["caches"][0]["clips"] == 6
    assert run("verify", cache, "-j", "0")["whole"]
    assert run("merge", cache, "-o", tmp_path / "all.h5")["clips"] == 6
    assert run("export", cache, tmp_path / "out")["clips"] == 6
    run("preview", cache, "-o", tmp_path / "a.png", "-j", "0")


def test_runs(folder: Path, tmp_path: Path) -> None:
    first = the_run(folder)
    run("evaluate", first, "--resamples", "50")
    table = tmp_path / "other.csv"
    table.write_text((first / "predictions.csv").read_text())
    told = run("evaluate", first, table, "--resamples", "50", "--labels", "megc2019")
    assert len(told["comparisons"]) == 1
    run("audit", first, "--checks", "persons,clips,predictions")
    run("verify", first, "-j", "0")


def test_several_seeds_and_models_and_a_leak(folder: Path, tmp_path: Path) -> None:
    options: list[str | Path] = ["-c", folder / "mecli.h5", "-j", "0", "--no-final"]
    options += ["--runs", tmp_path]
    told = run("train", *options, "--model", "roi-flow-ridge,flow-svm")
    assert [one["model"] for one in told] == ["roi-flow-ridge", "flow-svm"]
    told = run("train", *options, "--model", "ststnet", "--seeds", "2", "--epochs", "1",
               "--selection", "oracle")  # fmt: skip
    assert {"LEAKED", "by_seed"} <= told.keys()
    run("evaluate", told["run"], "--resamples", "50")


def test_action_units(folder: Path, tmp_path: Path) -> None:
    told = run("train", "-c", folder / "mecli.h5", "-j", "0", "--runs", tmp_path, "--no-final",
               "--model", "roi-flow-ridge", "--labels", "au")  # fmt: skip
    assert told["parts"]
    run("evaluate", told["run"], "--resamples", "50")


def test_answers(folder: Path, tmp_path: Path) -> None:
    clip = next((folder / "faces").rglob("s01_*"))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    told = run("predict", clip, tmp_path / "broken.mp4", "--runs", folder / "runs", "-j", "0",
               code=3)  # fmt: skip
    assert ["error" in answer for answer in told] == [False, True]
    intervals = (Interval(10, 20, 30, "micro", 0.9, 0),)
    video = Spotted("a", "a.mp4", fps=100.0, frames=99, intervals=intervals, regions=("mouth",))
    for line in (*video.as_json(), *Spotted("a", "a.mp4", error="no face").as_json()):
        published.check("spot", line)


def test_models() -> None:
    run("models", "ststnet")
    run("models", "show", "bundled", schema="models-show")


def test_benches(sample: Path) -> None:
    run("bench", "extract", sample, "--clips", "1", "--frames", "8", "-j", "0",
        schema="bench-extract")  # fmt: skip
    run("bench", "synth", "--subjects", "1", "--clips", "1", "--pairs", "1", schema="bench-synth")


@pytest.mark.slow
def test_benches_of_models(sample: Path) -> None:
    run("bench", "predict", sample, "--checkpoint", "bundled", "--repeats", "1", "--frames", "60",
        schema="bench-predict")  # fmt: skip
    run("bench", "train", "--models", "ststnet", "--clips", "12", "--subjects", "4", "--folds",
        "2", "--seconds", "1", "-j", "1", schema="bench-train")  # fmt: skip
