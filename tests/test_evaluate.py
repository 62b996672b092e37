from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from mecli.errors import InputError, MissingDependency, UsageError
from mecli.evaluate import EvaluateOptions, evaluate
from mecli.files import write_json
from mecli.predictions import Prediction, write_predictions
from mecli.report.evaluation_json import to_json
from mecli.report.evaluation_text import to_text
from mecli.runs import newest_run

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("negative", "positive", "surprise")


def guess(seed: int = 0, skill: float = 1.0, persons: int = 12) -> list[Prediction]:
    """Return two corpora of `persons` each with 5 clips; `skill` raises the right score."""
    labels = np.random.default_rng(99).integers(0, 3, 2 * persons * 5)
    scores = np.random.default_rng(seed).normal(size=(labels.size, 3))
    scores[np.arange(labels.size), labels] += skill
    rows = []
    for i, label in enumerate(labels):
        corpus = "ab"[i % 2]
        person = f"{corpus}/s{i // 2 % persons:02}"
        said = CLASSES[int(scores[i].argmax())]
        clip = f"{person}/{i}"
        rows.append(
            Prediction(clip, person, corpus, CLASSES[label], said, seed, person, tuple(scores[i]))
        )
    return rows


def save_run(folder: Path, rows: list[Prediction], **changes: Any) -> Path:
    header = {
        "format": 1,
        "model": "roi-flow-lstm",
        "protocol": "loso",
        "scheme": "megc2019",
        "classes": list(CLASSES),
        "seeds": sorted({row.seed for row in rows}),
        "selection": "last",
        "folds": [{"name": "all", "train_clips": 1, "test": sorted({r.clip for r in rows})}],
        "excluded": {},
        "status": "complete",
    }
    write_json(folder / "run.json", {**header, **changes})
    write_predictions(folder / "predictions.csv", rows, CLASSES)
    return folder


def table(*rows: str, header: str = "clip,label,prediction") -> io.StringIO:
    return io.StringIO("\n".join([header, *rows]) + "\n")


def test_a_run_is_scored_pooled_over_its_folds(tmp_path: Path) -> None:
    rows = guess()
    run = save_run(tmp_path / "run", rows, excluded={"a/s00/bad": "no face"})
    result = evaluate([run])
    document = to_json(result)
    labels, said = [r.label for r in rows], [r.prediction for r in rows]
    over = {"labels": list(CLASSES), "average": "macro", "zero_division": 0}
    assert document["uf1"] == pytest.approx(f1_score(labels, said, **over))
    assert document["uar"] == pytest.approx(recall_score(labels, said, **over))
    assert (document["protocol"], document["scheme"]) == ("loso", "megc2019")
    assert (document["clips"], document["subjects"], document["excluded"]) == (120, 24, 1)
    assert set(document["by_corpus"]) == {"a", "b"}
    assert len(document["by_subject"]) == 24
    assert document["ci95"]["uf1"][0] < document["uf1"] < document["ci95"]["uf1"][1]
    ours = [r for r in rows if r.corpus == "a"]
    assert document["by_corpus"]["a"]["uf1"] == pytest.approx(
        f1_score([r.label for r in ours], [r.prediction for r in ours], **over)
    )
    assert result.notes == ()
    json.dumps(document, allow_nan=False)


def test_class_probabilities_are_held_against_how_often_they_are_right(tmp_path: Path) -> None:
    def shares(row: Prediction) -> tuple[float, ...]:
        sure = np.exp(3 * np.array(row.scores))
        return tuple((sure / sure.sum()).tolist())

    rows = [replace(row, scores=shares(row)) for row in guess()]
    result = evaluate([save_run(tmp_path / "run", rows)])
    found = to_json(result)["calibration"]
    assert found["temperature"] > 1.5
    assert found["ece_calibrated"] < found["ece"] - 0.05
    assert f"{found['ece']:.3f}, {found['ece_calibrated']:.3f} calibrated" in to_text(result)
    (run,) = evaluate([save_run(tmp_path / "logits", guess())]).runs
    assert run.sureness is None
    together = [replace(row, fold="") for row in rows]
    (run,) = evaluate([save_run(tmp_path / "nofold", together)]).runs
    assert run.sureness is not None
    assert run.sureness.ece_calibrated is None


def test_shuffled_rows_give_the_same_document(tmp_path: Path) -> None:
    lines = save_run(tmp_path / "run", guess()).joinpath("predictions.csv").read_text().splitlines()
    mixed = [lines[0], *np.random.default_rng(3).permutation(lines[1:])]
    options = EvaluateOptions(labels="megc2019")
    first, second = (
        to_json(evaluate(["-"], options, io.StringIO("\n".join(text)))) for text in (lines, mixed)
    )
    assert first == second


def test_perfect_predictions_score_one_whatever_their_order() -> None:
    rows = [f"c/s{i % 4}/{i},{CLASSES[i % 3]},{CLASSES[i % 3]}" for i in range(24)]
    (run,) = evaluate(["-"], stdin=table(*rows[::-1])).runs
    assert run.whole.scores() == dict.fromkeys(run.whole.scores(), 1.0)


def test_seeds_are_scored_apart_and_as_an_ensemble(tmp_path: Path) -> None:
    rows = [row for seed in range(5) for row in guess(seed)]
    document = to_json(evaluate([save_run(tmp_path / "run", rows)]))
    assert document["seeds"] == [0, 1, 2, 3, 4]
    assert document["clips"] == 120
    means = [scores["uf1"] for scores in document["by_seed"].values()]
    assert document["seed_mean"]["uf1"] == pytest.approx(np.mean(means))
    assert document["seed_sd"]["uf1"] == pytest.approx(np.std(means, ddof=1))
    assert document["uf1"] > max(means)


def test_the_newest_complete_run_is_the_default(tmp_path: Path) -> None:
    for name, changes in {
        "20250101-000000-a-loso": {},
        "20250301-000000-b-loso": {},
        "20250401-000000-c-loso": {"status": "running"},
    }.items():
        save_run(tmp_path / name, guess(), **changes)
    assert newest_run(tmp_path).name == "20250301-000000-b-loso"
    named = save_run(tmp_path / "mine", guess())
    os.utime(named / "run.json", (2e9, 2e9))
    assert newest_run(tmp_path) == named
    (run,) = evaluate([], EvaluateOptions(runs=tmp_path)).runs
    assert run.source == str(named)


def test_without_a_run_the_message_says_what_to_run_first(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match="run `mecli train` first"):
        evaluate([], EvaluateOptions(runs=tmp_path / "runs"))


def test_two_runs_are_compared_on_the_same_clips(tmp_path: Path) -> None:
    worse = save_run(tmp_path / "worse", guess(0, 0.5))
    better = save_run(tmp_path / "better", guess(1, 3.0)[:-10])
    result = evaluate([worse, better, worse])
    first, second = result.comparisons
    assert (first.place, second.place) == (2, 3)
    assert (first.first_group.clips, second.first_group.clips) == (110, 120)
    assert any("compared on the 110 clips they share only" in note for note in result.notes)
    document = to_json(result)
    assert document["comparisons"][0]["uf1"]["ci95"][0] > 0
    assert document["comparisons"][1]["uf1"]["ci95"] == [0, 0]
    assert [run["clips"] for run in document["runs"]] == [120, 110, 120]
    assert "shared clips" in to_text(result)


def test_a_class_order_of_its_own_does_not_spoil_a_comparison(tmp_path: Path) -> None:
    rows = guess()
    run = save_run(tmp_path / "run", rows)
    other = tmp_path / "other"
    save_run(other, rows, classes=list(CLASSES[::-1]))
    (comparison,) = evaluate([run, other]).comparisons
    assert np.array_equal(comparison.first_group.counts, comparison.second_group.counts)


def test_runs_that_cannot_be_compared_are_shown_side_by_side_with_a_note(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", guess())
    two = "c/s1/x,a,b\nc/s2/y,b,b"
    result = evaluate([run, "-"], stdin=table(two))
    assert not result.comparisons
    assert "standard input against" in result.notes[-1]
    assert "not compared, their class lists differ" in result.notes[-1]
    result = evaluate([run, "-"], EvaluateOptions(labels="megc2019"), table("c/s1/x,0,1"))
    assert "not compared, they share no clip" in result.notes[-1]


def test_different_numbers_of_seeds_and_other_protocols_are_noted(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", guess())
    five = save_run(tmp_path / "five", [row for seed in range(5) for row in guess(seed)])
    assert f"{five} against {run}: 5 seed(s) against 1" in evaluate([run, five]).notes
    parts = save_run(tmp_path / "parts", guess(), protocol="kfold")
    said = f"{parts} against {run}: protocol kfold against loso: trained on others"
    assert said in evaluate([run, parts]).notes


def test_a_class_that_no_shared_clip_shows_is_named(tmp_path: Path) -> None:
    rows = guess()
    run = save_run(tmp_path / "run", rows)
    less = save_run(tmp_path / "less", [row for row in rows if row.label != "surprise"])
    said = f"{less} against {run}: no clip they share is labelled surprise: scored as 0"
    assert said in evaluate([run, less]).notes
    assert not any("no clip they share" in note for note in evaluate([run, run]).notes)


@pytest.mark.parametrize(
    ("header", "cells", "said"),
    [
        ("score_surprise,score_negative,score_positive", ".1,.7,.2", ""),
        ("score_negative,score_positive,score_surprise", ".1,.7,.2", "1 of 1 predictions are not"),
        ("score_negative,score_positive", ".7,.3", "class scores of negative, positive are not"),
    ],
)
def test_scores_that_do_not_fit_the_predictions_are_doubted(
    header: str, cells: str, said: str
) -> None:
    text = io.StringIO(f"clip,label,prediction,{header}\nc/s/x,negative,negative,{cells}\n")
    notes = evaluate(["-"], EvaluateOptions(labels="megc2019"), text).notes
    told = [note for note in notes if "predictions are not" in note or "class scores" in note]
    assert len(told) == bool(said)
    assert all(note.startswith(f"standard input: {said}") for note in told)


def test_labels_that_contradict_each_other_cannot_be_compared(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", guess())
    row = guess()[0]
    wrong = next(name for name in CLASSES if name != row.label)
    text = table(f"{row.clip},{wrong},{wrong}")
    with pytest.raises(InputError, match=f"clip {row.clip} is '{wrong}' of a/s00, but"):
        evaluate([run, "-"], EvaluateOptions(classes=CLASSES), text)


def test_the_class_list_comes_from_a_name_a_scheme_or_the_rows() -> None:
    rows = "c/s1/x,negative,negative", "c/s2/y,positive,negative"
    (run,) = evaluate(["-"], EvaluateOptions(labels="megc2019"), table(*rows)).runs
    assert (run.classes, run.scheme) == (CLASSES, "megc2019")
    (run,) = evaluate(["-"], EvaluateOptions(classes=("positive", "negative")), table(*rows)).runs
    assert run.classes == ("positive", "negative")
    result = evaluate(["-"], stdin=table(*rows))
    assert result.runs[0].classes == ("negative", "positive")
    assert (
        "no class list given: scored over those that occur (negative, positive)"
        in (result.notes[0])
    )


@pytest.mark.parametrize(
    ("clips", "said"),
    [
        (("SAMM/s1/x", "samm/s2/y"), "SAMM and samm are taken as two; write them alike if"),
        (("c/007/x", "c/7/y"), "c/007 and c/7 are taken as two"),
        (("c/10/x", "c/1/y"), ""),
    ],
)
def test_names_that_only_case_or_zeros_tell_apart_are_doubted(
    clips: tuple[str, str], said: str
) -> None:
    rows = [f"{clip},negative,negative" for clip in clips]
    notes = evaluate(["-"], EvaluateOptions(labels="megc2019"), table(*rows)).notes
    assert [note for note in notes if "taken as two" in note][:1] == (
        [note for note in notes if note.startswith(f"standard input: {said}")] if said else []
    )
    assert bool(said) == any("taken as two" in note for note in notes)


@pytest.mark.parametrize(
    ("clip", "subject", "said"),
    [
        ("c/s1/x", "s2", "clip c/s1/x is of c/s2 by its columns, which count, not of c/s1"),
        ("c/s1/x", "s1", ""),
        ("samm-lv/006/x", "6", ""),
        ("any name", "s2", ""),
    ],
)
def test_a_clip_whose_id_says_another_person_is_doubted(clip: str, subject: str, said: str) -> None:
    corpus = clip.split("/", maxsplit=1)[0]
    text = io.StringIO(
        f"clip,subject,corpus,label,prediction\n{clip},{subject},{corpus},negative,negative\n"
    )
    notes = evaluate(["-"], EvaluateOptions(labels="megc2019"), text).notes
    told = [note for note in notes if "by its columns" in note]
    assert told == ([f"standard input: {said}"] if said else [])


def test_a_class_that_never_occurs_lowers_the_mean_and_is_named() -> None:
    rows = "c/s1/x,negative,negative", "c/s2/y,positive,positive"
    result = evaluate(["-"], EvaluateOptions(labels="megc2019"), table(*rows))
    assert to_json(result)["absent_classes"] == ["surprise"]
    assert to_json(result)["uf1"] == pytest.approx(2 / 3)
    assert "standard input: no clip is labelled surprise: scored as 0" in result.notes


def test_an_open_scheme_needs_a_class_list() -> None:
    with pytest.raises(UsageError, match="'emotion' has no class list of its own; use --classes"):
        evaluate(["-"], EvaluateOptions(labels="emotion"), table("c/s/x,a,b"))


def test_a_prediction_outside_the_runs_classes_names_its_clip(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", guess(), classes=["negative", "positive", "other"])
    with pytest.raises(InputError, match=r"predictions\.csv: clip .* 'surprise' is no class of"):
        evaluate([run])


def test_a_run_that_lacks_a_held_out_clip_is_refused(tmp_path: Path) -> None:
    rows = guess()
    run = save_run(tmp_path / "run", rows)
    write_predictions(run / "predictions.csv", rows[1:], CLASSES)
    with pytest.raises(InputError, match=r"seed 0 has 119 clips, but run\.json holds out 120"):
        evaluate([run])


def test_an_unfinished_run_is_scored_so_far_and_says_so(tmp_path: Path) -> None:
    rows = guess()
    run = save_run(tmp_path / "run", rows, status="running")
    write_predictions(run / "predictions.csv", rows[:60], CLASSES)
    result = evaluate([run])
    assert result.runs[0].whole.clips == 60
    assert "the run is 'running', not complete" in result.notes[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, r"run\.json: run format is 2, expected 1; train again"),
        ({"classes": []}, r"run\.json: 'classes' is \[\], expected a list of names"),
        ({"classes": "abc"}, r"run\.json: 'classes' is 'abc', expected a list"),
        ({"protocol": "all"}, "holds out nobody, so there is nothing to score"),
    ],
)
def test_a_run_that_cannot_be_scored_says_why(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        evaluate([save_run(tmp_path / "run", guess(), **changes)])


def test_what_is_neither_run_nor_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no run\.json, so it is no run"):
        evaluate([tmp_path])
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        evaluate([tmp_path / "none.csv"])
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(InputError, match="run format is None, expected 1"):
        evaluate([tmp_path])


def test_standard_input_is_read_once() -> None:
    with pytest.raises(UsageError, match="'-' is given twice"):
        evaluate(["-", "-"], stdin=table("c/s/x,a,b"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("a", "b"), "labels": "megc2019"}, "give one of them"),
        ({"classes": ("a", "a")}, "--classes a,a: a name is empty or repeated"),
        ({"classes": ("a", "")}, "a name is empty or repeated"),
        ({"by": "fold"}, "--by is 'fold', expected 'corpus' or 'subject'"),
        ({"resamples": 0}, "expected at least 1 resample"),
        ({"seed": -1}, "a seed of 0 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EvaluateOptions(**options)
