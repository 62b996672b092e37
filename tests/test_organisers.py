"""What the organisers of each protocol ask for."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from mecli.errors import UnknownName, UsageError
from mecli.evaluate import EvaluateOptions, evaluate
from mecli.files import write_json
from mecli.predictions import Prediction, write_predictions
from mecli.report.evaluation_json import to_json
from mecli.report.evaluation_text import to_text
from tests.test_evaluate import guess, save_run

if TYPE_CHECKING:
    from pathlib import Path

Rows = list[tuple[str, str, str]]


def made(scheme: tuple[str, ...], seed: int = 0, **clips: int) -> Rows:
    """Return (clip id, label, prediction) of some clips of each corpus, a third of them wrong."""
    random = np.random.default_rng(seed)
    rows = []
    for corpus, n in clips.items():
        for i in range(n):
            label = scheme[i % len(scheme)]
            said = label if random.random() < 0.67 else str(random.choice(scheme))
            rows.append((f"{corpus}/s{i % 7}/{i}", label, said))
    return rows


def scored(rows: Rows, protocol: str, scheme: str) -> tuple[Any, str]:
    text = "\n".join(["clip,label,prediction", *(",".join(row) for row in rows)])
    options = EvaluateOptions(labels=scheme, protocol=protocol, resamples=50)
    result = evaluate(["-"], options, io.StringIO(text))
    document = to_json(result)
    json.dumps(document, allow_nan=False)
    return document["organisers"], to_text(result)


def of(rows: Rows, corpus: str = "") -> tuple[list[str], list[str]]:
    chosen = [row for row in rows if row[0].startswith(corpus)]
    return [r[1] for r in chosen], [r[2] for r in chosen]


EMOTIONS = ("negative", "positive", "surprise")
NUMERALS = ("I", "II", "III", "IV", "V")


def test_cde_of_megc2019_asks_for_uf1_and_uar_of_the_whole_and_its_parts() -> None:
    rows = made(EMOTIONS, smic=20, casme2=30, samm=25)
    asked, text = scored(rows, "loso", "megc2019")
    assert asked["title"] == "MEGC 2019 CDE"
    parts = {"Full": "", "SMIC Part": "smic", "CASME II Part": "casme2", "SAMM Part": "samm"}
    table = {row["name"]: row for row in asked["rows"]}
    assert list(table) == list(parts)
    for name, corpus in parts.items():
        labels, said = of(rows, corpus)
        assert table[name]["UF1"] == pytest.approx(f1_score(labels, said, average="macro"))
        assert table[name]["UAR"] == pytest.approx(recall_score(labels, said, average="macro"))
    assert "Full: 75 clips of 21 subjects here, 442 clips of 68 subjects in MEGC 2019" in text
    assert "MEGC 2019 CDE  clips  subjects    UF1    UAR" in text


def test_cde_says_which_corpora_are_not_the_challenges() -> None:
    asked, _ = scored(made(EMOTIONS, smic=9, mmew=9), "loso", "megc2019")
    assert asked["remarks"][-2:] == [
        "no part of MEGC 2019: MMEW",
        "missing here: CASME II, SAMM",
    ]


def test_cde_of_megc2018_asks_for_f1_plain_and_weighted() -> None:
    rows = made(NUMERALS, casme2=33, samm=22)
    asked, _ = scored(rows, "loso", "megc2018")
    labels, said = of(rows)
    (row,) = asked["rows"]
    assert row["F1-score"] == pytest.approx(f1_score(labels, said, average="macro"))
    assert row["weighted F1-score"] == pytest.approx(f1_score(labels, said, average="weighted"))
    assert "SAMM: 22 clips here, 68 in MEGC 2018" in asked["remarks"]


def test_hde_asks_for_war_and_uar_of_both_directions_and_their_average() -> None:
    rows = made(NUMERALS, casme2=33, samm=22)
    asked, text = scored(rows, "hde", "megc2018")
    there, back, average = asked["rows"]
    assert (there["name"], back["name"]) == ("SAMM → CASME II", "CASME II → SAMM")
    assert back["WAR"] == pytest.approx(accuracy_score(*of(rows, "samm")))
    assert back["UAR"] == pytest.approx(recall_score(*of(rows, "samm"), average="macro"))
    assert average["WAR"] == pytest.approx((there["WAR"] + back["WAR"]) / 2)
    assert average["clips"] is None
    assert "10.1109/FG.2018.00106" in text


def test_hde_with_other_labels_or_corpora_says_so() -> None:
    asked, _ = scored(made(EMOTIONS, casme2=9, smic=9), "hde", "megc2019")
    assert asked["remarks"] == [
        "labels are megc2019, megc2018 in MEGC 2018",
        "no part of MEGC 2018: SMIC",
        "missing here: SAMM",
    ]


def test_lodo_gives_every_corpus_and_their_mean() -> None:
    rows = made(EMOTIONS, casme2=12, smic=15, mmew=18)
    asked, text = scored(rows, "lodo", "megc2019")
    assert [r["name"] for r in asked["rows"]] == [
        "without CASME II", "without MMEW", "without SMIC", "mean over corpora",
    ]  # fmt: skip
    single = [r["UF1"] for r in asked["rows"]]
    assert single[-1] == pytest.approx(np.mean(single[:-1]))
    assert "source:" not in text


@pytest.mark.parametrize(
    ("protocol", "scheme"), [("kfold", "megc2019"), ("loso", "megc2019"), ("loso", "megc2018")]
)
def test_nobody_asks_for_anything_elsewhere(protocol: str, scheme: str) -> None:
    names = EMOTIONS if scheme == "megc2019" else NUMERALS
    assert scored(made(names, mmew=9), protocol, scheme)[0] is None


def test_a_run_states_its_protocol_itself(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", guess(), protocol="lodo")
    assert to_json(evaluate([run]))["organisers"]["title"] == "leave one corpus out"
    with pytest.raises(UsageError, match="the run's protocol is lodo, not hde"):
        evaluate([run], EvaluateOptions(protocol="hde"))
    with pytest.raises(UnknownName, match="unknown protocol 'lodoo'; did you mean 'lodo'"):
        EvaluateOptions(protocol="lodoo")


def unit_run(folder: Path, unit: int, seed: int, **header: Any) -> Path:
    """Write a run that judges one action unit on two corpora."""
    classes = (f"without AU{unit}", f"AU{unit}")
    rows = [
        Prediction(clip, clip.rsplit("/", 1)[0], clip.split("/")[0], label, said, 0, "", (0.5, 0.5))
        for clip, label, said in made(classes, seed, casme2=20, mmew=25)
    ]
    path = folder / f"{header.get('model', '')}{unit}"
    held = [row.clip for row in rows]
    about = {
        "format": 1, "protocol": "lodo", "scheme": f"au{unit}", "classes": list(classes),
        "folds": [{"name": "x", "test": held}], "status": "complete", "model": "m", **header,
    }  # fmt: skip
    write_json(path / "run.json", about)
    write_predictions(path / "predictions.csv", rows, classes)
    return path


def test_runs_on_single_action_units_add_up_to_the_au_protocol(tmp_path: Path) -> None:
    runs = [unit_run(tmp_path, unit, unit) for unit in (12, 4)]
    result = evaluate(runs, EvaluateOptions(resamples=50))
    assert result.comparisons == ()
    assert result.notes == ()
    (table,) = to_json(result)["action_units"]
    assert table["title"] == "CD6ME m"
    assert [row["name"] for row in table["rows"]] == ["AU4", "AU12", "mean over AUs"]
    for row, unit in zip(table["rows"], (4, 12), strict=False):
        labels, said = of(made((f"without AU{unit}", f"AU{unit}"), unit, casme2=20, mmew=25))
        assert row["F1"] == pytest.approx(f1_score(labels, said, pos_label=f"AU{unit}"))
    assert table["rows"][2]["F1"] == pytest.approx(np.mean([r["F1"] for r in table["rows"][:2]]))
    assert table["remarks"][0].startswith("no run here for AU1, AU2, AU5")
    assert table["remarks"][1] == "missing here: 4DME, CAS(ME)³, CASME, SAMM"
    assert "mean over AUs" in to_text(result)


def test_the_au_protocol_has_a_table_for_each_model_and_for_one_run(tmp_path: Path) -> None:
    runs = [unit_run(tmp_path, 4, 0, model=model) for model in ("m", "n")]
    both = to_json(evaluate(runs, EvaluateOptions(resamples=50)))
    assert [table["title"] for table in both["action_units"]] == ["CD6ME m", "CD6ME n"]
    assert len(both["comparisons"]) == 1
    one = to_json(evaluate(runs[:1], EvaluateOptions(resamples=50)))
    assert one["organisers"] is None
    assert one["action_units"][0]["rows"][0]["name"] == "AU4"


def test_other_protocols_are_no_part_of_the_au_protocol(tmp_path: Path) -> None:
    run = unit_run(tmp_path, 4, 0, protocol="kfold")
    assert "action_units" not in to_json(evaluate([run], EvaluateOptions(resamples=50)))
