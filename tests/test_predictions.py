from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mecli.errors import InputError
from mecli.predictions import (
    Prediction,
    PredictionTable,
    class_names,
    in_classes,
    join_seeds,
    numbers_read,
    read_predictions,
    write_predictions,
)

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("negative", "positive")
HEADER = "clip,subject,corpus,label,prediction"


def read(text: str) -> PredictionTable:
    return read_predictions("-", io.StringIO(text))


def rows_of(*pairs: tuple[str, str]) -> PredictionTable:
    lines = [f"c/s{i}/x,{label},{prediction}" for i, (label, prediction) in enumerate(pairs)]
    return read("\n".join(["clip,label,prediction", *lines]))


names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1)


@settings(deadline=None)
@given(
    parts=st.lists(st.tuples(names, names), min_size=1, max_size=5, unique=True),
    score=st.floats(0, 1, width=32),
)
def test_a_table_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[str, str]], score: float
) -> None:
    rows = [
        Prediction(f"c/{s}/{n}", f"c/{s}", "c", "negative", "positive", 1, "f", (score, 0.5))
        for s, n in parts
    ]
    path = tmp_path_factory.mktemp("run") / "predictions.csv"
    write_predictions(path, rows, CLASSES)
    table = read_predictions(path)
    assert table.score_classes == CLASSES
    assert table.rows == tuple(sorted(rows, key=lambda r: r.clip))


def test_it_is_said_which_classes_numbers_are_taken_for() -> None:
    numbered = rows_of(("0", "1"), ("1", "1"))
    said = "labels are numbers: 0 as negative, 1 as positive is read; if that is another order"
    assert numbers_read(numbered, CLASSES).startswith(said)
    assert numbers_read(numbered, ("0", "1")) == ""
    assert numbers_read(rows_of(("Negative", "positive")), CLASSES) == ""


def test_rows_are_written_by_seed_and_clip(tmp_path: Path) -> None:
    row = Prediction("c/b/1", "c/b", "c", "negative", "positive", 1, "c/b", (0.25, 0.75))
    path = tmp_path / "predictions.csv"
    write_predictions(path, [row, replace(row, clip="c/a/1", subject="c/a"), replace(row, seed=0)],
                      CLASSES)  # fmt: skip
    assert path.read_text().splitlines() == [
        "clip,subject,corpus,label,prediction,seed,fold,score_negative,score_positive",
        "c/b/1,c/b,c,negative,positive,0,c/b,0.25,0.75",
        "c/a/1,c/a,c,negative,positive,1,c/b,0.25,0.75",
        "c/b/1,c/b,c,negative,positive,1,c/b,0.25,0.75",
    ]
    with pytest.raises(InputError, match="clip c/b/1 has 2 scores, expected 3"):
        write_predictions(path, [row], ("a", "b", "c"))


def test_a_bare_subject_becomes_a_person_of_its_corpus() -> None:
    table = read(f"{HEADER}\nx,sub01,casme2,a,b\ny,casme2/sub01,casme2,a,b\n")
    assert {row.subject for row in table.rows} == {"casme2/sub01"}


def test_long_and_short_recordings_show_the_same_people() -> None:
    rows = ["samm-lv/006/006_1_2,006,samm-lv", "samm/006/006_1_2,006,samm"]
    rows += ["samm-lv/006/b,samm/006,samm-lv", "samm-lv/006/c,samm-lv/006,samm-lv"]
    table = read("\n".join([HEADER, *(f"{row},a,b" for row in rows)]) + "\n")
    assert [row.subject for row in table.rows] == ["samm/006"] * 4
    assert [row.corpus for row in table.rows] == ["samm-lv", "samm", "samm-lv", "samm-lv"]


def test_subject_and_corpus_are_taken_from_the_clip_id_or_the_person() -> None:
    (row,) = read("clip,label,prediction\ncasme2/sub01/EP02_01f,a,b\n").rows
    assert (row.subject, row.corpus) == ("casme2/sub01", "casme2")
    (row,) = read("Clip,Subject,Label,Prediction\nEP02_01f,casme2/sub01,a,b\n").rows
    assert (row.subject, row.corpus) == ("casme2/sub01", "casme2")


def test_an_unknown_person_is_an_error() -> None:
    with pytest.raises(InputError, match="line 2: the subject is not known: clip 'x' is not"):
        read("clip,label,prediction\nx,a,b\n")
    with pytest.raises(InputError, match=r"the corpus is not known: .*; add a column 'corpus'"):
        read("clip,subject,label,prediction\nx,s1,a,b\n")


def test_a_spreadsheets_mark_blank_lines_and_extra_columns_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"\xef\xbb\xbfclip,label,prediction,comment\r\nc/s/x, a ,b,?\r\n,,,\r\n")
    assert [(r.label, r.prediction) for r in read_predictions(path).rows] == [("a", "b")]
    assert read("\ufeffclip,label,prediction\nc/s/x,a,b\n").rows == read_predictions(path).rows


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_a_spreadsheet_parts_otherwise_is_read_alike(delimiter: str) -> None:
    text = "clip,label,prediction,score_a\nc/s/x,a,b,0.25\n"
    assert read(text.replace(",", delimiter)) == read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no column clip, label, prediction; header is '\(empty\)'"),
        ("clip;label\nx;a", "no column prediction; header is 'clip,label'"),
        (f"{HEADER}\n", "holds no predictions, only a header"),
        (f"{HEADER},Label\n", "column 'label' occurs twice"),
        (f"{HEADER}\na,b\n", "line 2 has 2 cells, expected 5"),
        (f"{HEADER}\nc/s/x,s,c,,b\n", "line 2 has no label"),
        (f"{HEADER},seed\nc/s/x,s,c,a,b,one\n", "line 2: seed is 'one', expected a whole number"),
        (f"{HEADER},seed\nc/s/x,s,c,a,b,{'9' * 5000}\n", "expected a whole number"),
        (f"{HEADER},score_a\nc/s/x,s,c,a,b,nan\n", "line 2: score_a is 'nan', expected a finite"),
        (f"{HEADER},score_a\nc/s/x,s,c,a,b,?\n", r"line 2: score_a is '\?', expected a finite"),
        (f"{HEADER}\n{'x' * 200_000},s,c,a,b\n", "cannot be read as CSV: field larger than"),
    ],
)
def test_a_broken_table_says_where_and_why(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read_predictions(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read: is not a regular file"):
        read_predictions(tmp_path)
    with pytest.raises(InputError, match="nothing to read on standard input"):
        read_predictions("-")
    path = tmp_path / "latin.csv"
    path.write_bytes(b"clip,label,prediction\nc/s/\xe9,a,b\n")
    with pytest.raises(InputError, match="cannot be read as CSV: it is not UTF-8"):
        read_predictions(path)


def test_a_clip_occurs_once_per_seed() -> None:
    table = read(f"{HEADER},seed\nc/s/x,s,c,a,b,0\nc/s/x,s,c,a,b,1\n")
    assert sorted(table.by_seed()) == [0, 1]
    with pytest.raises(InputError, match="clip c/s/x occurs twice for seed 0"):
        read(f"{HEADER}\nc/s/x,s,c,a,b\nc/s/x,s,c,a,a\n").by_seed()


def test_the_classes_that_occur_are_sorted() -> None:
    assert class_names(rows_of(("b", "a"), ("c", "a"))) == ("a", "b", "c")
    assert class_names(rows_of(("10", "2"), ("2.0", "0"))) == ("0", "2", "10")


def test_numbers_and_words_together_need_a_class_list() -> None:
    table = rows_of(("negative", "1"))
    with pytest.raises(InputError, match="mixes numbers such as '1' with words such as 'negative'"):
        class_names(table)
    (row,) = in_classes(table, CLASSES).rows
    assert (row.label, row.prediction) == ("negative", "positive")


def test_spellings_that_differ_in_case_need_a_class_list() -> None:
    table = rows_of(("Negative", "negative"), ("positive", "Positive"))
    with pytest.raises(InputError, match="'Negative' and 'negative' differ in case only"):
        class_names(table)
    assert {r.prediction for r in in_classes(table, CLASSES).rows} == set(CLASSES)


def test_a_number_is_a_position_unless_the_classes_are_numbers() -> None:
    assert in_classes(rows_of(("1.0", "0")), CLASSES).rows[0].label == "positive"
    (row,) = in_classes(rows_of(("1.0", "3")), ("1", "3")).rows
    assert (row.label, row.prediction) == ("1", "3")
    with pytest.raises(InputError, match="label '0' is no class of 1, 3"):
        in_classes(rows_of(("0", "1")), ("1", "3"))


@pytest.mark.parametrize("word", ["surprise", "2", "-1"])
def test_a_prediction_outside_the_class_list_is_named(word: str) -> None:
    with pytest.raises(InputError, match=f"clip c/s1/x: prediction '{word}' is no class of neg"):
        in_classes(rows_of(("negative", "positive"), ("negative", word)), CLASSES)


SEEDS = [
    Prediction("c/s/x", "c/s", "c", "positive", "negative", 0, "f", (0.6, 0.4)),
    Prediction("c/s/x", "c/s", "c", "positive", "positive", 1, "f", (0.1, 0.9)),
]


def test_seeds_are_joined_by_their_mean_scores() -> None:
    joined = join_seeds(PredictionTable("p", tuple(SEEDS), CLASSES), CLASSES)
    assert joined["c/s/x"].prediction == "positive"
    assert joined["c/s/x"].scores == pytest.approx((0.35, 0.65))
    other_order = join_seeds(PredictionTable("p", tuple(SEEDS), CLASSES), CLASSES[::-1])
    assert other_order["c/s/x"].prediction == "positive"
    assert other_order["c/s/x"].scores == pytest.approx((0.65, 0.35))


def test_a_single_seed_is_taken_as_it_is() -> None:
    assert join_seeds(PredictionTable("p", (SEEDS[0],)), CLASSES) == {"c/s/x": SEEDS[0]}


def test_seeds_that_cannot_be_joined_are_refused() -> None:
    first, second = SEEDS
    with pytest.raises(InputError, match="p: 2 seeds are joined by their class scores"):
        join_seeds(PredictionTable("p", (first, second)), CLASSES)
    with pytest.raises(InputError, match="clip c/s/x is in only one of the seeds 0 and 1"):
        join_seeds(PredictionTable("p", (first, replace(second, clip="c/s/y")), CLASSES), CLASSES)
    with pytest.raises(InputError, match="seeds differ in its label or subject"):
        join_seeds(
            PredictionTable("p", (first, replace(second, label="negative")), CLASSES), CLASSES
        )
