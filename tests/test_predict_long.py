"""Videos longer than an expression are searched, and what is found in them is judged."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import Predictor, checkpoints, cli
from mecli.corpora.sources import read_sources
from mecli.filming import write_video
from mecli.interval_metrics import Spot, overlap
from mecli.judging import Judge
from mecli.predict import PredictOptions, predict
from mecli.question import Question
from mecli.report.answers import answers_csv, answers_text
from mecli.synthesis.plan import identity_seed, plan_long, seed_of
from mecli.synthesis.studio import Job, shoot
from mecli.training.checkpoint import load_checkpoint, save_checkpoint
from mecli.video import probe, read_frames

if TYPE_CHECKING:
    from pathlib import Path

FPS = 50.0
PLAN = plan_long(
    "moving", 1, identity_seed(1, 1), seed_of(1, 1, 1, 13), FPS, (352, 320), (2.5, 2.5), 4.0, (1, 1)
)
((ONSET, _, OFFSET),) = PLAN.times


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video of one smile of half a second, then talk, and one of a face at rest."""
    folder = tmp_path_factory.mktemp("long")
    shoot(Job(folder, (PLAN,), "flat", "h264", 16, pairs_only=False, truth=False, number=0))
    (moving,) = folder.rglob("*.mp4")
    moving.rename(folder / "moving.mp4")
    first = next(read_frames(folder / "moving.mp4")).image
    write_video(folder / "still.mp4", [first] * 150, FPS)
    return folder


@pytest.fixture
def options() -> PredictOptions:
    return PredictOptions(checkpoint=checkpoints.bundled(), jobs=0)


def test_a_long_video_is_searched_and_each_interval_judged_everywhere(
    options: PredictOptions, videos: Path, tmp_path: Path
) -> None:
    told = replace(
        options, overlay=tmp_path / "films", report=tmp_path / "r.html", eaf=tmp_path / "elan"
    )
    found, nothing = predict([str(videos / "moving.mp4"), str(videos / "still.mp4")], told)
    assert overlap(Spot(found.onset or 0, found.offset or 0), Spot(ONSET, OFFSET)) >= 0.5
    assert (found.kind, found.found) == ("micro", ("onset", "apex", "offset"))
    assert found.prediction == "positive"
    assert found.scores[found.prediction] == max(found.scores.values())
    assert "long-clip" not in {doubt.reason for doubt in found.unsure}
    assert (nothing.kind, nothing.prediction, nothing.scores) == ("nothing", "", {})
    assert nothing.quality["faces"] == 1
    assert {doubt.reason for doubt in nothing.unsure} == {"low-frame-rate"}
    lines = [json.loads(json.dumps(answer.as_json())) for answer in (found, nothing)]
    assert [line["prediction"] for line in lines] == [found.prediction, None]
    assert [line["search"]["frames"] for line in lines] == [200, 150]
    curve = lines[0]["search"]["curve"]
    assert curve["first"] >= (found.onset or 0)
    assert curve["first"] + curve["step"] * (len(curve["heights"]) - 1) <= (found.offset or 0)
    assert max(curve["heights"]) > max(lines[1]["search"]["curve"]["heights"])
    table = answers_text([found, nothing])
    assert f"{found.prediction} ({found.kind})" in table
    assert "nothing found" in table
    assert "still: 3.0 s searched" in table
    row = next(line for line in table.splitlines() if f"({found.kind})" in line)
    seconds = [f"{(at or 0) / FPS:.2f}" for at in (found.onset, found.offset)]
    assert seconds == row.split()[10:12]
    first, second = csv.DictReader(io.StringIO(answers_csv([found, nothing])))
    assert (first["kind"], float(first["spotted"])) == (found.kind, found.spotted)
    assert (second["kind"], second["prediction"], second["onset"]) == ("nothing", "", "")
    films = sorted((tmp_path / "films").iterdir())
    assert [probe(film).frame_count for film in films] == [200, 150]
    elan = [path.read_text() for path in sorted((tmp_path / "elan").iterdir())]
    assert [f"{found.kind}-expression" in text for text in elan] == [True, False]
    text = (tmp_path / "r.html").read_text()
    links = re.findall('href="#([^"]+)"', text)
    assert links == re.findall('<article id="([^"]+)"', text) == ["clip0-0", "clip1-0"]
    assert text.count("motion through the video") == 4
    assert "no expression found" in text
    during = f"{(found.onset or 0) / FPS:.2f} to {(found.offset or 0) / FPS:.2f} s"
    assert f"<h2>{found.clip}, {during}</h2>" in text
    assert f"* ({during})</td>" in text


def test_a_long_video_is_judged_as_one_clip_when_asked(
    options: PredictOptions, videos: Path
) -> None:
    (answer,) = predict([str(videos / "moving.mp4")], replace(options, whole=True))
    assert (answer.onset, answer.offset, answer.kind, answer.watched) == (0, 199, "", None)
    assert "long-clip" in {doubt.reason for doubt in answer.unsure}


def test_the_class_none_dismisses_what_was_spotted(videos: Path, tmp_path: Path) -> None:
    sceptic = load_checkpoint(checkpoints.bundled())
    bias = dict(sceptic.networks[0].named_parameters())["evidence.bias"]
    bias.data[..., sceptic.classes.index("none")] += 50
    save_checkpoint(tmp_path / "c.safetensors", sceptic)
    chosen = ["--checkpoint", str(tmp_path / "c.safetensors"), "-j", "0"]
    done = CliRunner().invoke(cli.app, ["predict", str(videos / "moving.mp4"), *chosen])
    assert done.exit_code == 0, done.stderr
    assert "nothing found" in done.stdout
    assert "1 movement judged to be no expression" in done.stdout


def test_python_searches_frames_in_memory_too(videos: Path) -> None:
    predictor = Predictor("bundled")
    frames = np.stack([frame.image for frame in read_frames(videos / "moving.mp4")])
    (by_array,) = predictor.answers(frames, fps=FPS)
    (by_path,) = predictor.answers(videos / "moving.mp4")
    assert (by_array.onset, by_array.apex, by_array.scores) == (
        by_path.onset, by_path.apex, by_path.scores,
    )  # fmt: skip
    assert predictor(videos / "still.mp4").kind == "nothing"


def test_every_face_of_a_long_video_is_searched(videos: Path, tmp_path: Path) -> None:
    moving, still = (
        [frame.image for frame in read_frames(videos / f"{name}.mp4", 0, 149)]
        for name in ("moving", "still")
    )
    height, width = still[0].shape[:2]
    smaller = cv2.resize(still[0], (width * 3 // 4, height * 3 // 4))
    other = np.pad(smaller, ((height - smaller.shape[0], 0), (0, 0), (0, 0)))
    both = [np.hstack([image, other]) for image in moving]
    # Finely, since what is coarse flickers: two coders after one another make a face twitch.
    write_video(tmp_path / "two.mp4", both, FPS, crf=10)
    told: list[float] = []
    chosen = PredictOptions(checkpoint=checkpoints.bundled(), all_faces=True, jobs=0)
    found, nothing = predict(
        [str(tmp_path / "two.mp4")], chosen, progress=lambda done, *_: told.append(done)
    )
    assert (found.face, nothing.face) == (1, 2)
    assert (found.kind, nothing.kind) == ("micro", "nothing")
    assert told[-1] == 1
    table = answers_text([found, nothing])
    assert "two face 1: 3.0 s searched" in table
    assert "two face 2: 3.0 s searched" in table


def test_who_comes_later_counts_on_and_is_judged_where_they_are(
    videos: Path, tmp_path: Path
) -> None:
    moving = [frame.image for frame in read_frames(videos / "moving.mp4")]
    height, width = moving[0].shape[:2]
    still = cv2.resize(moving[0], (width * 3 // 4, height * 3 // 4))
    other = np.pad(still, ((0, height - still.shape[0]), (0, 0), (0, 0)))
    # The smaller face is there first and alone; whose face is larger then comes second.
    alone = [np.hstack([np.zeros_like(moving[0]), other])] * 100
    write_video(tmp_path / "late.mp4", [*alone, *(np.hstack([m, other]) for m in moving)], FPS)
    told: list[float] = []
    judge = Judge(checkpoints.bundled(), Question(face=2))
    (clip,) = read_sources([tmp_path / "late.mp4"])
    (judged,) = judge.judge(clip, progress=told.append)
    found = judged.answer
    assert (found.face, found.kind, found.prediction) == (2, "micro", "positive")
    spotted = Spot((found.onset or 0) - 100, (found.offset or 0) - 100)
    assert overlap(spotted, Spot(ONSET, OFFSET)) >= 0.5
    assert found.quality["face_px"] > 150
    assert told == sorted(told)
    assert told[-1] <= 1
