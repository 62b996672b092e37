from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from mecli.report.evaluation import Comparison, Evaluation, Group, RunEvaluation
from mecli.report.evaluation_json import to_json
from mecli.report.evaluation_text import to_text
from mecli.report.tables import Table, count, interval, number, render
from mecli.statistics import Intervals

COUNTS = np.array([[3, 1, 0], [1, 4, 0], [0, 0, 0]])
BOUNDS = Intervals(dict.fromkeys(("uf1", "uar", "accuracy", "macro_precision"), (0.25, 0.75)))
RUN = RunEvaluation(
    source="runs/a",
    classes=("negative", "positive", "surprise"),
    seeds=(0,),
    whole=Group(2, COUNTS, BOUNDS),
    by_corpus={"c": Group(2, COUNTS, BOUNDS)},
    by_subject={
        "c/s1": Group(1, np.array([[3, 0, 0], [0, 0, 0], [0, 0, 0]])),
        "c/s2": Group(1, np.array([[0, 1, 0], [1, 4, 0], [0, 0, 0]])),
    },
    by_seed={0: Group(2, COUNTS)},
    model="roi-flow-lstm",
    protocol="loso",
    scheme="megc2019",
    selection="last",
    excluded=2,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_columns_are_aligned_names_left_numbers_right() -> None:
    table = Table(["class", "F1"], [["negative", "0.5"], ["驚き", "0.125"]])
    assert render(["title", table]) == (
        "title\n\nclass        F1\nnegative    0.5\n驚き      0.125\n"
    )


def test_only_a_terminal_gets_style(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    table = Table(["class", "F1"], [["[red]x", "1"]])
    plain = render([table], io.StringIO())
    styled = render([table], Terminal())
    assert plain == render([table]) == "class   F1\n[red]x   1\n"
    assert styled == "\x1b[1mclass   F1\x1b[0m\n[red]x   1\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert render([table], Terminal()) == plain
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert render([table], Terminal()) == plain


def test_a_terminal_breaks_words_where_it_ends_and_colours_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("NO_COLOR", "1")
    table = Table(["a", "b"], [["one", "word and word and word and word"], ["two", "x"]], left=2)
    told = ["a    b", "one  word and word and word", "     and word", "two  x"]
    assert render([table], Terminal()).splitlines() == told
    assert render([table]).splitlines()[1] == "one  word and word and word and word"
    paths = Table(["a", "b"], [["one", f"word /a/{'b-' * 20}"]], left=2)
    assert render([paths], Terminal()).splitlines()[1:] == ["one  word", f"     /a/{'b-' * 20}"]
    numbers = Table(["name", "score"], [["n" * 40, "0.5"]])
    assert len(render([numbers], Terminal()).splitlines()) == 2
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    states = Table(["x", "s"], [["a", "ok"], ["ok then", "missing"], ["m LEAKED", "note"]], left=2)
    assert render([states], Terminal()).splitlines()[1:] == [
        "a         \x1b[32mok\x1b[0m",
        "ok then   \x1b[1;31mmissing\x1b[0m",
        "\x1b[1;31mm LEAKED\x1b[0m  \x1b[33mnote\x1b[0m",
    ]


def test_a_name_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in render(["a\x1b[2J", Table(["\x1b[31m"], [["x\ny"]])])


def test_missing_figures_are_dashes() -> None:
    assert (number(None), interval(None), number(0.12345)) == ("–", "–", "0.123")
    assert interval((-0.1, 0.2), signed=True) == "-0.100 to +0.200"
    assert (count(1, "clip"), count(0, "clip")) == ("1 clip", "0 clips")


def test_one_source_is_one_json_object() -> None:
    document = json.loads(json.dumps(to_json(Evaluation((RUN,), notes=("runs/a: x",)))))
    assert set(document) >= {
        "source", "protocol", "scheme", "classes", "seeds", "selection", "clips", "subjects",
        "uf1", "uar", "accuracy", "macro_precision", "ci95", "per_class", "confusion",
        "by_corpus", "by_subject", "absent_classes", "excluded",
    }  # fmt: skip
    assert document["uar"] == pytest.approx((3 / 4 + 4 / 5 + 0) / 3)
    assert document["uf1"] == pytest.approx((3 / 4 + 4 / 5 + 0) / 3)
    assert document["accuracy"] == pytest.approx(7 / 9)
    assert document["clips"] == 9
    assert document["ci95"]["uf1"] == [0.25, 0.75]
    assert document["absent_classes"] == ["surprise"]
    assert document["per_class"][0] == {
        "class": "negative", "f1": 0.75, "recall": 0.75, "precision": 0.75, "support": 4,
    }  # fmt: skip
    assert document["by_subject"]["c/s1"]["absent_classes"] == ["positive", "surprise"]
    assert document["notes"] == ["runs/a: x"]
    assert "seed_mean" not in document


def test_several_seeds_show_their_mean_and_spread() -> None:
    perfect = np.diag([4, 5, 0])
    run = replace(RUN, seeds=(0, 7), by_seed={0: Group(2, COUNTS), 7: Group(2, perfect)})
    document = to_json(Evaluation((run,)))
    assert set(document["by_seed"]) == {"0", "7"}
    assert document["seed_mean"]["accuracy"] == pytest.approx((7 / 9 + 1) / 2)
    assert document["seed_sd"]["accuracy"] == pytest.approx((2 / 9) / 2**0.5)
    text = to_text(Evaluation((run,)))
    assert "ensemble of 2 seeds" in text
    assert "0.889 ± 0.157" in text
    assert "seeds 0, 7" in text


def test_several_sources_are_runs_and_comparisons() -> None:
    other = replace(RUN, source="b.csv")
    better = Group(2, np.diag([4, 5, 0]))
    pair = Comparison(2, "runs/a", "b.csv", RUN.whole, better, Intervals({"uf1": (-0.1, 0.3)}))
    result = Evaluation((RUN, other), (pair,))
    document = to_json(result)
    assert [run["source"] for run in document["runs"]] == ["runs/a", "b.csv"]
    (comparison,) = document["comparisons"]
    assert (comparison["first"], comparison["second"]) == ("runs/a", "b.csv")
    assert (comparison["clips"], comparison["subjects"]) == (9, 2)
    assert comparison["accuracy"]["difference"] == pytest.approx(2 / 9)
    assert comparison["uf1"]["ci95"] == [-0.1, 0.3]
    assert comparison["uar"]["ci95"] is None
    text = to_text(result)
    table = [line.split() for line in text.splitlines()]
    assert ["2", "b.csv", "9", "0.517", "0.517", "0.778", "0.517"] in table
    assert ["2", "minus", "1", "UF1", "9", "+0.150", "-0.100", "to", "+0.300"] in table
    assert ["2", "minus", "1", "accuracy", "9", "+0.222", "–"] in table
    assert "minus" not in to_text(replace(result, comparisons=()))


def test_the_text_states_what_was_scored_and_how() -> None:
    lines = to_text(Evaluation((RUN,))).splitlines()
    assert lines[:4] == [
        "runs/a",
        "roi-flow-lstm · protocol loso · labels megc2019 · selection last · seed 0",
        "9 clips, 2 subjects, 1 corpus; 2 excluded",
        "never labelled, scored as 0: surprise",
    ]
    table = [line.split() for line in lines]
    assert ["UF1", "0.517", "0.250", "to", "0.750"] in table
    assert ["positive", "0.800", "0.800", "0.800", "5"] in table
    assert ["positive", "1", "4", "0"] in table


def test_a_peers_table_says_what_it_does_not_state() -> None:
    counts = COUNTS[:2, :2]
    run = RunEvaluation("b.csv", ("a", "b"), (0,), Group(1, counts), {"c": Group(1, counts)},
                        {"c/s": Group(1, counts)}, {0: Group(1, counts)})  # fmt: skip
    lines = to_text(Evaluation((run,))).splitlines()
    assert lines[1] == "protocol not stated · labels not stated · selection not stated · seed 0"
    assert lines[2] == "9 clips, 1 subject, 1 corpus; 0 excluded"
    assert not any("never labelled" in line for line in lines)
    assert any(line.split() == ["UF1", "0.775", "–"] for line in lines)


def test_corpora_and_subjects_have_their_own_table() -> None:
    plain = to_text(Evaluation((RUN,)))
    assert "corpus  clips" not in plain
    by_corpus = to_text(Evaluation((RUN,), by="corpus"))
    assert "95 % CI of UF1" in by_corpus
    two = replace(RUN, by_corpus={"c": RUN.whole, "d": RUN.whole})
    assert "2 corpora" in to_text(Evaluation((two,)))
    assert "corpus  clips" in to_text(Evaluation((two,)))
    by_subject = to_text(Evaluation((RUN,), by="subject")).splitlines()
    assert any(line.split() == ["c/s2", "6", "0.667", "0/1", "4/5", "–"] for line in by_subject)
