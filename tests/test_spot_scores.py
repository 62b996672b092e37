from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.errors import InputError
from mecli.interval_metrics import Spot, Tally
from mecli.proposals import read_proposals
from mecli.report.spot_scores import spot_scores_text
from mecli.spot_scores import SpotScoreOptions, score_spots
from tests import miniatures

if TYPE_CHECKING:
    from pathlib import Path

VIDEO, OTHER = "casme-squared/s15/15_0101disgustingteeth", "16_0505funnyinnovations"


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Two recordings of 80 and 20 frames: macro 29–40 and 9–11, micro 59–65, all 0-based."""
    root = miniatures.casme_squared(tmp_path / "truth")
    sheet = root / "CAS(ME)^2code_final.xlsx"
    rows: list[tuple[miniatures.Cell, ...]] = [
        (1, "disgust1_1", 30, 36, 41, "4+7", "negative", "macro-expression", "disgust"),
        (1, "disgust1_2", 60, 66, 0, "4", "negative", "micro-expression", "disgust"),
        (2, "happy4_1", 10, 12, 0, "6+12", "positive", "macro-expression", "happiness"),
    ]
    people: list[tuple[miniatures.Cell, ...]] = [(1, "s15", 1), (2, 16, 2)]
    videos: list[tuple[miniatures.Cell, ...]] = [
        ("0101", "disgust1", "disgustingteeth"),
        (505, "happy4", "funnyinnovations"),
    ]
    miniatures.write_xlsx(
        sheet, {"CASFEcode_final": rows, "naming rule1": people, "naming rule2": videos}
    )
    return root


def spotted(clip: str, onset: int, offset: int, kind: str = "micro", **more: str) -> dict[str, Any]:
    return {"clip": clip, "kind": kind, "onset": onset, "offset": offset, **more}


def lines(*objects: dict[str, Any]) -> str:
    return "\n".join(json.dumps(one) for one in objects) + "\n"


def evaluate(answers: str, truth: Path, *more: str) -> Any:
    chosen = ["evaluate", "--spotting", "-", "--truth", str(truth), *more]
    return CliRunner().invoke(cli.app, chosen, input=answers)


# Micro: frames 62–65 are 4 of the 7 of 59–65 (a hit); 66–70 none. Macro: 35–40 is 6 of the
# 12 of 29–40, just half of it, a hit that is none (5/11) if last frames do not count; 10–11
# of 9–11 is 2/3, told of the video by its name alone.
ANSWERS = (
    spotted(VIDEO, 62, 65),
    spotted(VIDEO, 66, 70),
    spotted(VIDEO, 35, 40, "macro"),
    spotted(f"loose/rawpic/{OTHER}", 10, 11, "macro"),
)


def test_the_command_counts_as_one_does_by_hand(truth: Path) -> None:
    done = evaluate(lines(*ANSWERS), truth, "--json")
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["recordings"], said["minutes"]) == (2, round(100 / 30 / 60, 3))
    counts = {k: (s["hits"], s["found"], s["true"]) for k, s in said["spotting"].items()}
    assert counts == {"micro": (1, 2, 1), "macro": (2, 2, 2), "overall": (3, 4, 3)}
    assert said["spotting"]["micro"]["f1"] == pytest.approx(2 / 3)
    assert said["spotting"]["overall"]["f1"] == pytest.approx(6 / 7)
    assert said["spotting"]["micro"]["false_per_minute"] == pytest.approx(1 / (100 / 30 / 60))
    assert said["recognition"] is said["strs"] is None


def test_tables_and_csv_say_the_same(truth: Path) -> None:
    table = io.StringIO()
    writer = csv.DictWriter(table, ["clip", "kind", "onset", "offset"])
    writer.writeheader()
    writer.writerows(ANSWERS)
    texts = [
        evaluate(answers, truth).stdout
        for answers in (table.getvalue(), lines(*ANSWERS), json.dumps(ANSWERS))
    ]
    assert texts[0] == texts[1] == texts[2]
    micro = next(line for line in texts[0].splitlines() if line.startswith("micro"))
    assert micro.split() == ["micro", "1", "2", "1", "0.500", "1.000", "0.667", "18.00"]


def test_strs_multiplies_the_f1_of_spotting_by_uf1_on_the_hits(truth: Path) -> None:
    judged = {
        "clip": VIDEO,
        "prediction": "negative",
        "interval": {"kind": "micro", "onset": 59, "offset": 65},
    }
    false = {**judged, "prediction": "positive", "interval": {"onset": 5, "offset": 9}}
    # Macro-expressions are spotted, but the score of recognition is that of the micro ones.
    macro = spotted(OTHER, 9, 11, "macro", prediction="surprise")
    done = evaluate(lines(judged, false, macro), truth, "--json")
    said = json.loads(done.stdout)
    assert said["recognition"] == {
        "uf1": pytest.approx(1 / 3),
        "f1": {"negative": 1, "positive": 0, "surprise": 0},
        "hits": 1,
        "hits_without_class": 0,
    }
    assert said["strs"] == pytest.approx(2 / 3 / 3)
    table = evaluate(lines(judged, false, macro), truth)
    assert "UF1 0.333 on 1 hit (negative 1.000, positive 0.000, surprise 0.000)" in table.stdout
    assert "STRS 0.222" in table.stdout


def test_a_prediction_of_no_expression_is_wrong_of_a_hit(truth: Path) -> None:
    hit = spotted(VIDEO, 59, 65, prediction="none")
    said = json.loads(evaluate(lines(hit), truth, "--json").stdout)
    assert said["recognition"]["uf1"] == 0


def test_hits_of_unknown_class_are_not_scored(tmp_path: Path) -> None:
    root = miniatures.samm_lv(tmp_path)
    hit = spotted("006_1", 29, 79, prediction="negative")
    done = evaluate(lines(hit), root)
    assert "UF1 0.000 on 0 hits" in done.stdout
    assert "1 more hit of unknown class" in done.stdout


def test_clips_without_expression_count_as_recordings(tmp_path: Path) -> None:
    root = miniatures.synth(tmp_path)
    for name in ("s01_01", "s01_07", "long01"):
        (root / "clips" / f"{name}.mp4").unlink()
        miniatures.frames(root / "clips" / name, 1, 500, "{:04d}.png")
    scores = score_spots(
        "-", SpotScoreOptions(root), io.StringIO(lines(spotted("long01", 121, 146)))
    )
    assert scores.recordings == 4
    assert scores.tallies["micro"] == Tally(1, 1, 4)
    assert scores.notes == (
        "3 of 4 recordings are not in standard input: counted as searched in vain",
    )
    macro = next(line for line in spot_scores_text(scores).splitlines() if line[:5] == "macro")
    assert macro.split() == ["macro", "0", "0", "0", "–", "–", "–", "0.00"]


def test_a_kind_may_be_written_with_capitals() -> None:
    read = read_proposals("-", io.StringIO("clip,onset,offset,kind\na,1,2,Macro\n"))
    assert [proposal.spot.kind for proposal in read.spots] == ["macro"]


def test_what_was_not_searched_and_what_is_not_known_is_said(truth: Path) -> None:
    failed = {"clip": OTHER, "error": "cannot be opened"}
    done = evaluate(lines(failed), truth)
    assert "note: 1 recordings were not searched: nothing found there" in done.stderr
    sheet = truth / "CAS(ME)^2code_final.xlsx"
    alone = truth.parent / "alone" / sheet.name
    alone.parent.mkdir()
    sheet.rename(alone)
    done = evaluate(lines(failed), alone)
    assert done.exit_code == 3
    assert "its frames are not on disk" in done.stderr
    both = miniatures.smic_long(truth.parent / "smic")
    assert score_spots("-", SpotScoreOptions(both), io.StringIO("")).notes == (
        "1 intervals without onset or offset are left out",
        "3 of 3 recordings are not in standard input: counted as searched in vain",
    )


def written(root: Path, *rows: str) -> Path:
    """A manifest whose every recording is called ``clip`` and is 90 frames long, 30 a second."""
    for row in rows:
        folder = root / row.partition(",")[0]
        if not folder.exists():
            miniatures.frames(folder, 1, 90, "{}.png")
    table = "\n".join(["path,corpus,subject,onset,offset,fps,label", *rows])
    (root / "list.csv").write_text(table + "\n")
    return root / "list.csv"


def test_several_truths_are_one_database(tmp_path: Path) -> None:
    roots = [tmp_path / "a", tmp_path / "b"]
    truths = [
        written(root, f"clip,lab,1,{onset},{onset + 9},30,{label}")
        for root, onset, label in zip(roots, (10, 30), ("disgust", "surprise"), strict=True)
    ]
    # Both call their recording lab/1/clip: the file says which one is meant.
    first, second = (str(root / "clip") for root in roots)
    answers = lines(
        spotted("lab/1/clip", 10, 19, source=first, prediction="negative"),
        spotted("elsewhere/clip", 30, 39, source=second, prediction="surprise"),
        spotted("lab/1/clip", 60, 69, source=second, prediction="surprise"),
    )
    done = evaluate(answers, truths[0], "--truth", str(truths[1]), "--json")
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["recordings"], said["truth"]) == (2, ", ".join(map(str, truths)))
    assert said["minutes"] == pytest.approx(0.1)
    assert [said["spotting"]["micro"][k] for k in ("hits", "found", "true")] == [2, 3, 2]
    assert said["recognition"]["hits"] == 2
    assert said["recognition"]["f1"] == {"negative": 1, "positive": 0, "surprise": 1}
    told = evaluate(answers, truths[0], "--truth", str(truths[1])).stdout
    assert f"against {truths[0]} and 1 more: 2 recordings, 0.1 min" in told


def test_a_name_that_several_truths_have_needs_its_file(tmp_path: Path) -> None:
    truths = [written(tmp_path / name, "clip,lab,1,10,19,30,disgust") for name in "ab"]
    answers = lines(spotted("lab/1/clip", 10, 19, source=str(tmp_path / "moved" / "clip")))
    done = evaluate(answers, truths[0], "--truth", str(truths[1]))
    assert done.exit_code == 3
    # What is no path names no file.
    alone = evaluate(lines(spotted("clip", 10, 19, source="a\0b")), truths[0], "--json")
    assert json.loads(alone.stdout)["spotting"]["micro"]["hits"] == 1
    assert "clip 'lab/1/clip' is in several recordings of the truth" in done.stderr
    assert "or the file as 'source'" in done.stderr
    twice = evaluate(answers, truths[0], "--truth", str(truths[0]))
    assert "is named twice as the truth" in twice.stderr


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_are_parted_as_spreadsheets_do(mark: str) -> None:
    rows = (" clip", "kind ", "onset", "offset"), ("a", "macro", "1", "2"), ("b", "", "3", "5"), ()
    text = "".join(mark.join(row) + "\n" for row in rows)
    read = read_proposals("-", io.StringIO("\ufeff" + text))
    assert [(p.video.clip, p.spot) for p in read.spots] == [
        ("a", Spot(1, 2, "macro")),
        ("b", Spot(3, 5, "micro")),
    ]


def told(clip: str, **interval: Any) -> dict[str, Any]:
    """A line of predict."""
    return {"clip": clip, "prediction": "negative", "interval": {"found": ["onset"], **interval}}


def test_what_predict_found_nothing_in_or_took_whole_is_no_interval(truth: Path) -> None:
    nothing = told(VIDEO, kind="nothing", spotted=None, onset=None, offset=None)
    whole = told(OTHER, kind=None, spotted=None, onset=0, offset=19)
    done = evaluate(lines(nothing, whole), truth, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["spotting"]["overall"]["found"] == 0
    assert "1 recordings were not searched" in done.stderr
    unknown = told("elsewhere", kind="nothing", spotted=None, onset=None, offset=None)
    assert "clip 'elsewhere' is in none" in evaluate(lines(unknown), truth).stderr


def test_intervals_of_the_sheet_are_not_scored_as_spotted(truth: Path) -> None:
    given = told(VIDEO, kind=None, spotted=None, onset=59, offset=65, found=[])
    done = evaluate(lines(given), truth)
    assert done.exit_code == 3
    assert "was not spotted, its annotation names it" in done.stderr
    assert "mecli spot FOLDER" in done.stderr


def test_a_video_the_truth_does_not_know_is_refused(truth: Path) -> None:
    done = evaluate(lines(spotted("elsewhere", 1, 2)), truth)
    assert done.exit_code == 3
    assert "clip 'elsewhere' is in none of the truth" in done.stderr
    assert VIDEO in done.stderr
    frames = miniatures.frames
    frames(truth.parent / "twice" / "a" / "clip", 1, 3, "{}.png")
    frames(truth.parent / "twice" / "b" / "clip", 1, 3, "{}.png")
    rows = "path,subject,onset,offset\na/clip,1,0,1\nb/clip,2,0,1\n"
    (truth.parent / "twice" / "list.csv").write_text(rows)
    done = evaluate(lines(spotted("clip", 0, 1)), truth.parent / "twice" / "list.csv")
    assert "clip 'clip' is in several recordings of the truth" in done.stderr


def test_truth_and_answers_are_named_together(truth: Path) -> None:
    for chosen in (
        ["--spotting", "-"],
        ["--truth", str(truth)],
        ["run", "--spotting", "-", "--truth", str(truth)],
    ):
        done = CliRunner().invoke(cli.app, ["evaluate", *chosen])
        assert done.exit_code == 2
        assert "--spotting FILE needs --truth FOLDER" in done.stderr


def test_intervals_are_read_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "spots.json"
    path.write_text(lines(spotted("a", 1, 2, "macro"), spotted("b", 0, 0)))
    read = read_proposals(path)
    assert [(p.video.clip, p.spot) for p in read.spots] == [
        ("a", Spot(1, 2, "macro")),
        ("b", Spot(0, 0)),
    ]
    path.write_text("")
    assert read_proposals(path).spots == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1: is no JSON"),
        ("[3]", "interval 1 is 3, expected an object with clip, onset"),
        ('{"clip": "a", "onset": 1}', "line 1: offset is None, expected a frame counted from 0"),
        ('{"clip": "a", "onset": -1, "offset": 2}', "onset is -1, expected a frame"),
        ('{"clip": "a", "onset": 0.5, "offset": 2}', "onset is 0.5, expected a frame"),
        ('{"clip": "a", "onset": 5, "offset": 2}', "ends at frame 2 before it starts at 5"),
        ('{"onset": 5, "offset": 7}', "line 1 names no clip"),
        ('{"clip": "a", "onset": 5, "offset": 7, "kind": "long"}', "kind is 'long'"),
        ("clip,offset\n", "no column onset; header is 'clip,offset'"),
        ("clip,onset,offset\na,1,x\n", "line 2: offset is 'x'"),
        ("clip,onset,offset\na,1\r2,3\n", "cannot be read as CSV"),
        ("[" * 100_000, "is no JSON: maximum recursion"),
        (f'{{"clip": "a", "onset": {"9" * 5000}}}', "line 1: is no JSON: Exceeds the limit"),
    ],
)
def test_what_is_no_interval_is_refused_by_its_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_proposals("-", io.StringIO(text))
    assert said in str(caught.value)
    assert str(caught.value).startswith("standard input")


def test_answers_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_proposals(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_proposals(tmp_path)
    with pytest.raises(InputError, match="nothing to read"):
        read_proposals("-")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match="is no text"):
        read_proposals(tmp_path / "picture.png")
