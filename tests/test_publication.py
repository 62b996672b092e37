from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.report import words
from mecli.report.evaluation import Comparison, Evaluation, Group
from mecli.report.publication import Sheet, latex, markdown, sheets
from mecli.report.runs import train_text
from mecli.statistics import Intervals
from tests import hard_cases
from tests.test_report import BOUNDS, COUNTS, RUN

BETTER = replace(RUN, source="runs/b", model="cnn-lstm", whole=Group(2, np.diag([4, 5, 0]), BOUNDS))


def test_the_caption_says_how_the_figures_came_about() -> None:
    header = {
        "mecli": "0.1.0",
        "folds": [{}, {}],
        "excluded": {"c/s1/x": "no face", "c/s1/y": "no face"},
        "pretrained": {"checkpoint": "a.safetensors"},
    }
    run = replace(RUN, header=header, seeds=(0, 7), by_seed={0: RUN.whole, 7: RUN.whole})
    (results, *_) = sheets(Evaluation((run,), resamples=500, seed=3))
    for said in (
        "Leave-one-subject-out: each person is judged by a model that has never seen them (2 fold",
        "Classes (megc2019): negative, positive, surprise.",
        "9 clips of 2 subjects (1 corpus); 2 left out (no face: 2)",
        "Seeds 0, 7; the ensemble is the mean of their class scores.",
        "The weights of the last epoch count; no held-out clip had a say in them.",
        "trained by mecli 0.1.0, from the weights of a.safetensors",
        "(500 resamples, seed 3)",
    ):
        assert said in results.caption
    assert results.header[-2:] == ["UF1 of seeds", "UAR of seeds"]
    assert results.rows[0][3] == "0.517 (0.250–0.750)"
    assert results.rows[0][-1] == "0.517 ± 0.000"


def test_what_is_solved_for_has_no_epochs() -> None:
    said = " ".join(words.statement(replace(RUN, model="roi-flow-ridge")))
    assert "solved for, without epochs; no held-out clip had a say" in said
    assert "epoch count" not in said
    result = {"model": "flow-svm", "run": "runs/1", "clips": 3, "folds": 1, "selection": "last",
              "pretrained": "none", "uf1": 0.5, "uar": 0.5, "excluded": {"a": "x", "b": "y"},
              "epochs_chosen": {}, "final": None, "temperature": None}  # fmt: skip
    told = train_text(result)
    assert "weights      solved for: no epochs, no draws\n" in told
    assert "begun with" not in told
    assert "3 in 1 fold\n" in told
    assert "2 (1: x and 1 other reason;" in told
    assert "begun with   weights drawn by the seed\n" in train_text({**result, "model": "ststnet"})


def test_a_peers_table_has_no_protocol_to_boast_of() -> None:
    run = replace(RUN, model=None, protocol=None, selection=None, source="peer.csv", excluded=0)
    said = " ".join(words.statement(run))
    assert "The protocol is not stated." in said
    assert "How the epoch was chosen is not stated." in said
    assert words.names([run]) == ["peer.csv"]


def test_names_tell_runs_apart_and_leaks_give_themselves_away() -> None:
    twin = replace(RUN, source="runs/b")
    assert words.names([RUN, twin]) == ["roi-flow-lstm (a)", "roi-flow-lstm (b)"]
    assert words.names([RUN, BETTER]) == ["roi-flow-lstm", "cnn-lstm"]
    assert words.names([RUN, replace(twin, source="other/a")]) == [
        "roi-flow-lstm (runs/a)",
        "roi-flow-lstm (other/a)",
    ]
    leaked = replace(RUN, leaked=True, selection="oracle")
    assert words.names([leaked]) == ["roi-flow-lstm LEAKED"]
    assert "LEAKED" in latex(sheets(Evaluation((leaked,))))


def test_runs_stand_side_by_side_and_the_pair_below_them() -> None:
    pair = Comparison(
        2, "runs/a", "runs/b", RUN.whole, BETTER.whole, Intervals({"uf1": (-0.1, 0.3)})
    )
    two = replace(RUN, by_corpus={"c": RUN.whole, "d": Group(1, COUNTS)})
    found = {s.name: s for s in sheets(Evaluation((two, BETTER), (pair,)))}
    assert list(found) == [
        "results", "corpora-1", "classes-1", "confusion-1", "classes-2", "confusion-2",
        "comparison",
    ]  # fmt: skip
    assert found["corpora-1"].rows[1] == ["d", "9", "1", "0.517", "0.517"]
    assert found["confusion-1"].rows[0] == ["negative", "3 (75%)", "1 (25%)", "0 (0%)"]
    assert found["comparison"].rows == [["cnn-lstm", "9", "+0.150 (−0.100 to +0.300)", "+0.150"]]
    assert "roi-flow-lstm: Model roi-flow-lstm." in found["results"].caption


def test_organisers_tables_come_along() -> None:
    run = replace(RUN, by_corpus={"smic": RUN.whole})
    (table,) = [s for s in sheets(Evaluation((run,))) if s.name == "organisers"]
    assert [row[0] for row in table.rows] == ["Full", "smic Part"] or table.rows[1][
        0
    ] == "SMIC Part"
    assert "10.1109/FG.2019.8756611" in table.caption
    units = [
        replace(RUN, scheme=f"au{n}", classes=(f"without AU{n}", f"AU{n}"),
                whole=Group(2, COUNTS[:2, :2])) for n in (1, 4)
    ]  # fmt: skip
    (table,) = sheets(Evaluation(tuple(units)))
    assert [row[0] for row in table.rows] == ["AU1", "AU4", "mean over AUs"]


@pytest.mark.parametrize("word", ["50% & $x_1$ #{a}~^b\\c <d>", "a|b `c` *d* [e]_f_"])
def test_no_name_breaks_a_table(word: str) -> None:
    sheet = Sheet("x", f"of {word}", ["name", "n"], [[word, "1"], ["a\nb\x1b", "−0.5 ± 1–2"]])
    text = latex([sheet])
    body = text.split("\\midrule")[1].split("\\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.strip()]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1]
    assert not re.search(r"(?<!\\)[%#_]", text.split("\n", 1)[1])
    assert "$-$0.5 $\\pm$ 1--2" in text
    table = [line for line in markdown([sheet]).splitlines() if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in table] == [3] * 4
    assert "\x1b" not in text + markdown([sheet])


def test_latex_environments_are_closed_and_columns_fit() -> None:
    text = latex(sheets(Evaluation((RUN,))))
    for name in ("table", "tabular"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}") > 0
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end", text, re.DOTALL):
        for row in re.findall(r"^.*\\\\$", body, re.MULTILINE):
            assert len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert len(set(labels)) == len(labels)


def parsed(text: str) -> list[str]:
    """Return the environments that LaTeX would open, or fail where it would."""
    braces, inside, opened = 0, list[str](), list[str]()
    for token, name in re.findall(r"(\\(?:begin|end)\{(\w+)\}|\\.|[{}])", text):
        if token.startswith(r"\begin"):
            inside.append(name)
            opened.append(name)
        elif token.startswith(r"\end"):
            assert inside.pop() == name
        elif token in "{}":
            braces += 1 if token == "{" else -1
            assert braces >= 0
    assert (braces, inside) == (0, [])
    return opened


@pytest.mark.parametrize("case", [hard_cases.evaluation, hard_cases.action_units])
def test_latex_of_the_hardest_evaluation_is_well_formed(case: Any) -> None:
    result, _ = case()
    made = sheets(result)
    text = latex(made)
    assert parsed(text) == ["table", "tabular"] * len(made)
    assert text.isascii()
    for body in re.findall(r"\\(?:caption\{|toprule)(.*?)(?:\}\n|\\bottomrule)", text, re.DOTALL):
        bare = re.sub(r"\\.|\$(?:-|\\\w+|\^\d)\$", "", body)
        assert not re.search(r"[$#_^~<>|%]", bare), bare


def test_the_command_prints_one_form_at_a_time() -> None:
    table = "clip,subject,corpus,label,prediction\na,1,x,0,0\nb,1,x,1,1\nc,2,x,0,1\nd,2,x,1,1\n"
    for form, start in (
        ("--latex", "% \\usepackage{booktabs}"),
        ("--markdown", "Micro-expression"),
    ):
        result = CliRunner().invoke(cli.app, ["evaluate", "-", "--classes", "0,1", form], table)
        assert result.exit_code == 0, result.stderr
        assert result.stdout.startswith(start)
    result = CliRunner().invoke(cli.app, ["evaluate", "-", "--latex", "--json"], table)
    assert result.exit_code == 2
    assert "--latex, --markdown and --json exclude each other" in result.stderr
