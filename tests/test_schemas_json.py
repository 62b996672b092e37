"""What --json prints is what the published schemas say, for every verb."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from shlex import split
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
    from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Place:
    """Where things are, and where a test may write."""

    made: Path
    own: Path
    sample: Path

    @property
    def cache(self) -> Path:
        return self.made / "mecli.h5"

    @property
    def clip(self) -> Path:
        return self.sample / "clips" / "s01_01.mp4"

    def damaged(self) -> Path:
        """Return a run with a fold that cannot be read."""
        run = self.own / "damaged"
        shutil.copytree(the_run(self.made), run)
        (run / "folds" / "0" / "1.json").write_text("{")
        return run

    def spotted(self) -> Path:
        """Return a file of what spot prints."""
        file = self.own / "spots.json"
        found = run("spot", self.clip, "--threshold", "0.05", "-j", "0")
        assert "onset" in found[0]
        file.write_text("".join(f"{json.dumps(line)}\n" for line in found))
        return file


# What is run for each schema; every verb has to be here.
OUTPUTS: dict[str, Callable[[Place], Sequence[str | Path]]] = {
    "audit": lambda p: ["audit", the_run(p.made), "--checks", "persons,clips,predictions"],
    "bench-extract": lambda p: split(f"bench extract {p.sample} --clips 1 --frames 8 -j 0"),
    "bench-predict": lambda p: split(
        f"bench predict {p.sample} --checkpoint bundled --repeats 1 --frames 30 --long-s 2.5"
    ),
    "bench-results": lambda p: [
        *("bench", "results", p.made / "faces", "--folder", p.own / "zoo", "-j", "0"),
        *("--models", "roi-flow-ridge,ststnet:1", "--epochs", "1"),
    ],
    "bench-scale": lambda p: ["bench", "scale", "--sizes", "20", "--folder", p.own, "-j", "1"],
    "bench-synth": lambda _: split("bench synth --subjects 1 --clips 1 --pairs 1"),
    "bench-train": lambda _: split(
        "bench train --models ststnet --clips 12 --subjects 4 --folds 2 --seconds 1 -j 1"
    ),
    "check": lambda p: ["check", p.made / "faces"],
    "doctor": lambda _: ["doctor", "--no-self-test"],
    "evaluate": lambda p: ["evaluate", the_run(p.made), "--resamples", "50"],
    "evaluate-spotting": lambda p: ["evaluate", "--spotting", p.spotted(), "--truth", p.sample],
    "export": lambda p: ["export", p.cache, p.own / "out"],
    "extract": lambda p: ["extract", p.clip, "-o", p.own / "a.h5", "-j", "0", "--steps", "4"],
    "extract-list": lambda p: ["extract", p.made / "faces", "--list"],
    "guide": lambda _: ["guide"],
    "info": lambda p: ["info", p.cache],
    "merge": lambda p: ["merge", p.cache, "-o", p.own / "all.h5"],
    "models": lambda _: ["models", "ststnet"],
    "models-show": lambda _: ["models", "show", "bundled"],
    "predict": lambda p: ["predict", p.clip, "--runs", p.made / "runs", "-j", "0"],
    "preview": lambda p: ["preview", p.cache, "-o", p.own / "a.png", "-j", "0"],
    "repair": lambda p: ["repair", p.damaged(), "-j", "0"],
    "spot": lambda p: ["spot", p.clip, "--threshold", "0.05", "-j", "0"],
    "synth": lambda p: [
        *("synth", p.own / "faces", "--subjects", "1", "--clips", "1", "--pairs-only"),
        *("--distractors", "0", "-j", "0"),
    ],
    "train": lambda p: [
        *("train", "-c", p.cache, "--model", "roi-flow-ridge", "-j", "0", "--no-final"),
        *("--runs", p.own),
    ],
    "verify": lambda p: ["verify", p.cache, the_run(p.made), "-j", "0"],
}
_CODES = {"repair": 3}
_SLOW = {"bench-predict", "bench-train"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in _SLOW else n for n in OUTPUTS],
)
def test_what_a_verb_prints_is_what_its_schema_says(
    name: str, folder: Path, tmp_path: Path, sample: Path
) -> None:
    words = OUTPUTS[name](Place(folder, tmp_path, sample))
    assert run(*words, schema=name, code=_CODES.get(name, 0))


def test_every_verb_that_prints_json_has_a_schema_that_is_held_to() -> None:
    with_json = {
        "-".join(verb)
        for verb, command in verbs().items()
        if any("--json" in param.opts for param in command.params)
    }
    assert with_json <= OUTPUTS.keys() == set(published.names())


def test_runs(folder: Path, tmp_path: Path) -> None:
    first = the_run(folder)
    table = tmp_path / "other.csv"
    table.write_text((first / "predictions.csv").read_text())
    told = run("evaluate", first, table, "--resamples", "50", "--labels", "megc2019")
    assert len(told["comparisons"]) == 1


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
