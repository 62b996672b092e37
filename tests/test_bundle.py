"""The checkpoints that ship, and the recipe that made them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import checkpoints, cli
from mecli.bundle.exact import GRID, archived, exact_flows
from mecli.bundle.recipe import BundleOptions, bundle
from mecli.errors import InputError
from mecli.evaluate import EvaluateOptions, evaluate
from mecli.labels import Annotation
from mecli.predictor import Predictor
from mecli.report.answers import answers_text
from mecli.schemes.megc2019_none import CLASSES, megc2019_none
from mecli.training.checkpoint import load_checkpoint
from tests.moving_records import records, write_cache

if TYPE_CHECKING:
    from pathlib import Path

TINY = BundleOptions(
    identities=2, pairs=3, none=0.4, map_identities=2, maps=4, epochs=1, held_out=2,
    members=2, jobs=0,
)  # fmt: skip
SHIPPED = ("bundled-faces", "bundled-maps")


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, list(words))
    return result.exit_code, result.stdout, result.stderr


def test_the_recipe_makes_both_checkpoints_and_renders_nothing_twice(tmp_path: Path) -> None:
    told: list[str] = []
    bundle(tmp_path / "s", tmp_path / "a", TINY, lambda _done, _of, what: told.append(what))
    made = sorted((tmp_path / "s").glob("*.npz"))
    written = [p.stat().st_mtime_ns for p in made]
    assert told.count("pairs") == told.count("maps") == 2
    assert len(made) == 4
    told.clear()
    bundle(tmp_path / "s", tmp_path / "b", TINY, lambda _done, _of, what: told.append(what))
    assert not {"pairs", "maps"} & set(told)
    assert [p.stat().st_mtime_ns for p in made] == written
    for name in SHIPPED:
        file = checkpoints.bundled(name).name
        one, two = (load_checkpoint(tmp_path / folder / file) for folder in "ab")
        assert one.description["sha256"] == two.description["sha256"]
        assert one.temperature is not None
        assert len(one.members) == 2
        assert one.description["checked_on"] == {}
    maps = load_checkpoint(tmp_path / "a" / "bundled-maps.safetensors").description
    assert maps["clips"] == 2 * 4 * 2


def test_exact_flow_is_of_the_face_and_hangs_on_the_seed() -> None:
    first, again = (next(exact_flows(3, 0, 1)) for _ in range(2))
    other = next(exact_flows(4, 0, 1))
    np.testing.assert_array_equal(first.flow, again.flow)
    assert first.flow.shape == (*GRID, 2)
    assert (first.flow != other.flow).any()
    # The middle of the face is head, the corners of the window are not.
    assert (first.flow[50:60, 30:40] != 0).any()


def test_an_archived_map_hides_the_size_of_the_motion() -> None:
    flow = next(exact_flows(3, 0, 1)).flow.astype(np.float32)
    image = archived(50 * flow, np.random.default_rng(0))
    larger = archived(500 * flow, np.random.default_rng(0))
    assert image[..., :2].min(axis=(0, 1)).tolist() == [0, 0]
    assert image[..., :2].max(axis=(0, 1)).tolist() == [255, 255]
    assert np.abs(image.astype(int) - larger).mean() < 4


def test_clips_without_expression_are_the_fourth_class() -> None:
    words = {"a": "happiness", "b": "none", "c": "others"}
    table = megc2019_none(Annotation(f"x/s/{k}", "x", {"emotion": w}) for k, w in words.items())
    assert table.index == {"x/s/a": 1, "x/s/b": 3}
    assert set(table.excluded) == {"x/s/c"}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_says_what_it_learned_from_and_where_it_was_checked(name: str) -> None:
    code, text, _ = run("models", "show", name)
    assert code == 0
    assert "no real clip" in text
    code, text, _ = run("models", name, "--json")
    card = json.loads(text)
    assert card["classes"] == ["negative", "positive", "surprise", "none"]
    assert card["bytes"] < 5 << 20
    assert card["checked_on"]
    assert 0.1 < card["temperature"] < 10
    assert run("models", "show")[0] == 2


def test_they_have_seen_nobody_of_the_corpora() -> None:
    for name in SHIPPED:
        persons = load_checkpoint(checkpoints.bundled(name)).description["persons"]
        assert {p.partition("/")[0] for p in persons} == {"bundle"}


def test_a_checkpoint_is_scored_on_a_cache(tmp_path: Path) -> None:
    cache = tmp_path / "c.h5"
    write_cache(cache, records(3))
    options = EvaluateOptions(checkpoint="bundled", labels="megc2019", resamples=10)
    (figures,) = evaluate([cache], options).runs
    assert figures.classes == ("negative", "positive", "surprise")
    assert figures.model == "roi-flow-lstm"
    assert int(figures.whole.counts.sum()) == len(records(3))
    code, text, _ = run("evaluate", str(cache), "--checkpoint", "bundled", "--json")
    assert code == 0
    assert json.loads(text)
    (anew,) = evaluate([cache], replace(options, labels=None)).runs
    assert (anew.scheme, anew.whole.counts.tolist()) == (
        "megc2019",
        figures.whole.counts.tolist(),
    )
    assert "no clip shows none, so labels are megc2019; --labels megc2019-none" in text
    with pytest.raises(InputError, match="but emotion has"):
        evaluate([cache], replace(options, labels="emotion"))


def test_an_archive_of_flow_is_judged_by_the_checkpoint_for_maps(tmp_path: Path) -> None:
    rows = ["corpus,subject,clip,label,file"]
    for number, exact in enumerate(exact_flows(5, 0, 2)):
        image = archived(exact.flow, np.random.default_rng(number))
        cv2.imwrite(str(tmp_path / f"s{number}_c .png"), image[..., ::-1])
        rows.append(f"t,s{number},c,0,s{number}_c .png")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    code, text, errors = run(
        "predict", str(tmp_path), "--runs", str(tmp_path / "none"), "--json", "-j", "0"
    )
    assert code == 0
    assert "the bundled checkpoint is asked" in errors
    answers = [json.loads(line) for line in text.splitlines()]
    assert [set(a["scores"]) for a in answers] == [set(CLASSES)] * 2
    assert {a["checkpoint"] for a in answers} == {"bundled-maps"}
    predictor = Predictor(runs=tmp_path / "none")
    told = predictor.answers(tmp_path)
    assert "None" not in answers_text(told)
    assert (
        [a.as_json() for a in told] == answers == [a.as_json() for a in predictor.answers(tmp_path)]
    )
    asked = Predictor("bundled-faces").answers(tmp_path)
    assert {a.checkpoint for a in asked} == {"bundled-faces"}
    assert [a.scores for a in asked] != [a.scores for a in told]
