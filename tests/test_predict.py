from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import checkpoints, cli
from mecli.bench.predict import BenchPredictOptions, bench_predict
from mecli.clips import Clip
from mecli.errors import InputError, UnknownName, UsageError
from mecli.exhibits import write_film
from mecli.filming import write_video
from mecli.predict import PredictOptions, predict
from mecli.report.answers import answers_csv, answers_text
from mecli.rois import ROI_NAMES
from mecli.train import TrainOptions, TrainResult, train
from mecli.video import probe, read_frames


@pytest.fixture(scope="module")
def run(sample_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """Trained on seven subjects in a few epochs; the eighth and ninth are for predicting."""
    folder = tmp_path_factory.mktemp("runs")
    options = TrainOptions(caches=(sample_cache,), protocol="all", runs=folder, epochs=15, jobs=0)
    return train(options)


@pytest.fixture
def options(run: TrainResult) -> PredictOptions:
    return PredictOptions(checkpoint=run.final, jobs=0)


def test_an_answer_says_what_where_when_and_how_sure(options: PredictOptions, sample: Path) -> None:
    (answer,) = predict([str(sample / "clips" / "s01_02.mp4")], options)
    assert list(answer.scores) == ["negative", "positive", "surprise"]
    assert sum(answer.scores.values()) == pytest.approx(1, abs=1e-5)
    assert answer.scores[answer.prediction] == max(answer.scores.values())
    assert set(answer.rois) == set(ROI_NAMES)
    assert answer.found == ("onset", "apex", "offset")
    assert (answer.onset, answer.offset, answer.fps) == (0, 100, 100)
    assert answer.landmarker == "embedded"
    assert answer.issues == ()
    assert 120 < answer.quality["face_px"] < 250
    assert (answer.face, answer.attribution, answer.calibrated) == (1, "weights", False)
    document = answer.as_json()
    assert document["interval"]["offset_s"] == 1.0
    assert json.loads(json.dumps(document)) == document


def test_annotated_clips_are_judged_in_their_interval_and_mostly_right(
    options: PredictOptions, sample: Path, tmp_path: Path
) -> None:
    with (sample / "annotation.csv").open() as file:
        truth = {row["Filename"]: row["Class"] for row in csv.DictReader(file)}
    left_out = shutil.ignore_patterns("s0[1-4]_*", "long*", "annotation.csv")
    few = shutil.copytree(sample, tmp_path / "few", ignore=left_out)
    header, *rows = (sample / "annotation.csv").read_text().splitlines()
    kept = [row for row in rows if re.match("0[5-8],s", row)]
    (few / "annotation.csv").write_text("\n".join([header, *kept]))
    answers = predict([str(few)], options)
    expected = [a for a in answers if a.clip.split("/")[2] in truth and not a.found]
    right = [truth[a.clip.split("/")[2]] == a.prediction for a in expected]
    assert len(right) == 24
    assert np.mean(right) > 0.85


def test_answers_keep_the_order_of_the_sources_and_a_bad_one_stops_nobody(
    run: TrainResult, sample: Path, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, 240, 320, 3), dtype=np.uint8)
    write_video(tmp_path / "noise.mp4", noise, 50.0)
    names = [sample / "clips" / "s02_02.mp4", "/nowhere.mp4", tmp_path / "noise.mp4",
             sample / "clips" / "s01_02.mp4"]  # fmt: skip
    options = PredictOptions(checkpoint=run.final, jobs=2)
    answers = list(predict(["-"], options, stdin=io.StringIO("\n".join(map(str, names)))))
    assert [a.clip.rpartition("/")[2] for a in answers] == [
        "s02_02", "nowhere.mp4", "noise", "s01_02",
    ]  # fmt: skip
    assert [bool(a.error) for a in answers] == [False, True, True, False]
    assert "No such file" in answers[1].error
    assert "no face found" in answers[2].error
    assert answers[2].as_json().keys() == {"clip", "source", "error"}
    with pytest.raises(InputError, match=r"/nowhere\.mp4"):
        predict(["/nowhere.mp4"], PredictOptions(checkpoint=run.final))


@pytest.fixture(scope="module")
def two_faces(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of two people: the left one larger."""
    left, right = (
        [frame.image for frame in read_frames(sample / "clips" / f"{name}.mp4", 25, 50)]
        for name in ("s01_02", "s02_02")
    )
    height, width = left[0].shape[:2]
    smaller = [cv2.resize(image, (width * 3 // 4, height * 3 // 4)) for image in right]
    pad = ((height - smaller[0].shape[0], 0), (0, 0), (0, 0))
    both = [np.hstack([a, np.pad(b, pad)]) for a, b in zip(left, smaller, strict=True)]
    path = tmp_path_factory.mktemp("two") / "two.mp4"
    write_video(path, both, 100.0)
    return path


def test_the_largest_face_is_judged_or_the_one_asked_for_or_all(
    options: PredictOptions, two_faces: Path
) -> None:
    (first,) = predict([str(two_faces)], options)
    assert [d.reason for d in first.unsure if d.reason == "several-faces"] == ["several-faces"]
    (second,) = predict([str(two_faces)], replace(options, face=2))
    every = list(predict([str(two_faces)], replace(options, all_faces=True)))
    assert [a.face for a in every] == [1, 2]
    assert [a.scores for a in every] == [first.scores, second.scores]
    assert second.quality["face_px"] < first.quality["face_px"]
    assert "several-faces" not in {d.reason for a in every for d in a.unsure}
    assert "face 2" in answers_text(every)
    (third,) = predict([str(two_faces)], replace(options, face=3))
    assert "face 3 asked for, but onset frame 0 shows 2" in third.error


def test_slow_videos_are_refused_and_unknown_rates_named(
    options: PredictOptions, sample: Path, tmp_path: Path
) -> None:
    frames = [f.image for f in read_frames(sample / "clips" / "s01_02.mp4", 39, 56)]
    slow = tmp_path / "slow.mp4"
    write_video(slow, frames, 20.0)
    (refused,) = predict([str(slow)], options)
    assert "20 frames/s cannot show" in refused.error
    (forced,) = predict([str(slow)], replace(options, force=True))
    assert "low-frame-rate" in {d.reason for d in forced.unsure}
    (slowed,) = predict([str(slow)], replace(options, fps=200.0))
    assert (slowed.error, slowed.fps) == ("", 200.0)
    folder = tmp_path / "images"
    folder.mkdir()
    for k, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{k:03d}.png"), frame[..., ::-1])
    (unknown,) = predict([str(folder)], options)
    assert "unknown-frame-rate" in {d.reason for d in unknown.unsure}
    (mute,) = predict([str(folder)], replace(options, eaf=tmp_path / "none.eaf"))
    assert mute.issues == ("no ELAN document without a frame rate: name it with --fps",)
    assert not (tmp_path / "none.eaf").exists()
    (named,) = predict([str(folder)], replace(options, fps=100.0, eaf=tmp_path / "some.eaf"))
    assert "s01" not in (tmp_path / "some.eaf").read_text()
    assert (named.fps, {d.reason for d in named.unsure} & {"unknown-frame-rate"}) == (100.0, set())
    assert named.quality["missing"] == 0
    (folder / "007.png").unlink()
    (gap,) = predict([str(folder)], replace(options, fps=100.0))
    assert gap.quality["missing"] == 1
    assert "file numbers leave out 1" in {d.reason: d.detail for d in gap.unsure}["dropped-frames"]


def test_every_answer_is_a_row_of_the_csv(
    options: PredictOptions, sample: Path, tmp_path: Path
) -> None:
    noise = tmp_path / "broken.mp4"
    noise.write_bytes(b"no video")
    answers = list(predict([str(sample / "clips" / "s01_02.mp4"), str(noise)], options))
    good, bad = csv.DictReader(io.StringIO(answers_csv(answers)))
    assert (good["onset"], good["offset_s"], good["prediction"]) == (
        "0", "1.0", answers[0].prediction,
    )  # fmt: skip
    assert float(good["score_surprise"]) == answers[0].scores["surprise"]
    assert float(good["roi_mouth"]) == answers[0].rois["mouth"]
    assert "cannot be opened as video" in bad["error"]
    assert bad["prediction"] == bad["score_surprise"] == bad["onset"] == ""


def test_a_clip_that_cannot_be_judged_has_no_elan_document(
    options: PredictOptions, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    chosen = replace(options, eaf=tmp_path / "bad.eaf")
    (bad,) = predict([str(tmp_path / "bad.mp4")], chosen)
    assert "cannot be opened as video" in bad.error
    assert not (tmp_path / "bad.eaf").exists()


def test_films_and_the_report_are_drawn_beside_the_answers(
    options: PredictOptions, two_faces: Path, sample: Path, tmp_path: Path
) -> None:
    told = replace(
        options, overlay=tmp_path / "films", report=tmp_path / "r.html", eaf=tmp_path / "elan"
    )
    names = [str(two_faces), "/nowhere.mp4", str(sample / "clips" / "s01_02.mp4")]
    answers = list(predict(names, replace(told, all_faces=True)))
    assert [bool(a.error) for a in answers] == [False, False, True, False]
    films = sorted(path.name for path in (tmp_path / "films").iterdir())
    assert films[0] == "loose-clips-s01_02.mp4"
    assert len(films) == 2
    assert sum(1 for _ in read_frames(tmp_path / "films" / films[0])) == 101
    elan = (tmp_path / "elan" / "loose-clips-s01_02.eaf").read_text()
    assert 'TIER_ID="micro-expression"' in elan
    assert "s01_02.mp4" in elan
    text = (tmp_path / "r.html").read_text()
    links = re.findall('href="#([^"]+)"', text)
    assert links == re.findall('<article id="([^"]+)"', text)
    assert links == ["clip0-0", "clip0-1", "clip2-0"]
    assert "/nowhere.mp4: No such file" in text
    with pytest.raises(InputError, match=r"r\.html: exists; .* --force"):
        predict(names, replace(told, overlay=None, eaf=None))
    with pytest.raises(UsageError, match=r"--overlay is x\.mp4 for 2 clip"):
        predict(names, replace(options, overlay=Path("x.mp4")))
    list(predict(names[:1], replace(options, overlay=tmp_path / "one.mp4")))
    assert probe(tmp_path / "one.mp4").fps == pytest.approx(25)


def test_two_clips_of_one_name_have_a_film_each(
    options: PredictOptions, two_faces: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "x").mkdir(parents=True)
        shutil.copy(two_faces, tmp_path / name / "x" / "c.mp4")
    names = [str(tmp_path / name / "x" / "c.mp4") for name in ("a", "b")]
    list(predict(names, replace(options, overlay=tmp_path / "out")))
    films = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert films == ["loose-x-c-1.mp4", "loose-x-c.mp4"]


def test_clips_of_flow_are_judged_but_cannot_be_filmed(tmp_path: Path) -> None:
    clip = Clip("t", "s", "c", (tmp_path / "a.png",), holds_flow=True)
    with pytest.raises(InputError, match=r"clip t/s/c: holds flow, no frames to draw on"):
        write_film(tmp_path / "o.mp4", clip, [])


def test_a_clip_that_takes_too_long_says_so(run: TrainResult, sample: Path) -> None:
    options = PredictOptions(checkpoint=run.final, jobs=1, timeout_s=0.01)
    (answer,) = predict([str(sample / "clips" / "s01_02.mp4")], options)
    assert answer.error == "took longer than 0.01 s"


def test_the_newest_run_with_a_checkpoint_is_asked(run: TrainResult, tmp_path: Path) -> None:
    assert checkpoints.choose(None, tmp_path) == checkpoints.bundled()
    assert run.final is not None
    for name in ("20250101-000000-a-loso", "20260101-000000-a-loso", "20270101-000000-a-loso"):
        (tmp_path / name).mkdir()
    for name in ("20250101-000000-a-loso", "20260101-000000-a-loso"):
        shutil.copy(run.final, tmp_path / name)
    found = checkpoints.choose(None, tmp_path)
    assert found.parent.name == "20260101-000000-a-loso"
    assert checkpoints.choose("bundled", tmp_path) == checkpoints.bundled()


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, sample: Path) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(b"not safe")
    with pytest.raises(InputError, match=r"c\.safetensors"):
        list(predict([str(sample / "clips" / "s01_02.mp4")], PredictOptions(checkpoint=path)))


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match="--face is 0, expected 1"):
        PredictOptions(face=0)
    with pytest.raises(UsageError, match="--face and --all-faces exclude each other"):
        PredictOptions(face=1, all_faces=True)
    with pytest.raises(UsageError, match="--fps is 0, expected above 0 to 100000"):
        PredictOptions(fps=0)
    with pytest.raises(UsageError, match=r"--fps is 1e\+09, expected above 0 to 100000"):
        PredictOptions(fps=1e9)
    with pytest.raises(UnknownName, match="unknown landmarker 'nobody'"):
        PredictOptions(landmarks="nobody")
    with pytest.raises(UnknownName, match="unknown attribution 'occlude'; did you mean"):
        PredictOptions(attribution="occlude")
    with pytest.raises(UsageError, match="--jobs is -2"):
        PredictOptions(jobs=-2)
    with pytest.raises(UsageError, match="--timeout is -1 s"):
        PredictOptions(timeout_s=-1)


def test_the_command_prints_a_table_or_json_lines(run: TrainResult, sample: Path) -> None:
    clip = str(sample / "clips" / "s01_02.mp4")
    chosen = ["--checkpoint", str(run.final), "-j", "0"]
    table = CliRunner().invoke(cli.app, ["predict", clip, *chosen])
    assert table.exit_code == 0, table.stderr
    assert "decided by" in table.stdout
    assert "100*" in table.stdout
    both = CliRunner().invoke(cli.app, ["predict", clip, "/nowhere.mp4", *chosen, "--json"])
    assert both.exit_code == 3
    first, second = map(json.loads, both.stdout.splitlines())
    assert first["prediction"] in first["scores"]
    assert "error" in second
    assert "1 failure; the other clips went on" in both.stderr


def test_names_of_files_are_no_markup_and_end_nothing(
    run: TrainResult, sample: Path, tmp_path: Path
) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>&\"'.mp4"
    shutil.copy(sample / "clips" / "s01_02.mp4", hostile)
    named = [str(hostile), os.fsdecode(b"bad\xff.mp4"), "new\nline.mp4"]
    out = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "html", "eaf")}
    drawn = ["--csv", str(out["csv"]), "--report", str(out["html"]), "--eaf", str(out["eaf"])]
    chosen = ["--checkpoint", str(run.final), "-j", "0"]
    result = CliRunner().invoke(cli.app, ["predict", *named, *chosen, *drawn])
    assert result.exit_code == 3, result.exception
    why = "No such file or directory; expected a folder, video, image folder or CSV"
    told = result.stderr.splitlines()
    assert told[-1].startswith("wrote ")
    assert told[-4:-1] == [
        "mecli: 2 failures; the other clips went on",
        rf"  bad\udcff.mp4: {why}",
        rf"  new\nline.mp4: {why}",
    ]
    with out["csv"].open(newline="") as file:
        sources = [row["source"] for row in csv.DictReader(file)]
    assert sources == [str(hostile), r"bad\udcff.mp4", "new\nline.mp4"]
    page = out["html"].read_text()
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#x27;") >= 3
    (media,) = ElementTree.parse(out["eaf"]).iter("MEDIA_DESCRIPTOR")
    assert media.get("MEDIA_URL") == hostile.as_uri()


def test_bench_predict_measures_cold_and_warm(run: TrainResult, sample: Path) -> None:
    chosen = ["bench", "predict", str(sample), "--checkpoint", str(run.final), "--repeats", "1"]
    short = ["--frames", "30", "--long-s", "2.5", "--json"]
    done = CliRunner().invoke(cli.app, [*chosen, *short])
    assert done.exit_code == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["frames"], figures["model"]) == (30, "roi-flow-lstm")
    assert figures["cold_s"] > figures["warm_s"] > 0
    assert {"decode", "align", "flow", "model"} <= set(figures["stage_shares"])
    assert (figures["long_frames"], figures["long_frames_per_s"] > 0) == (75, True)
    assert figures["long_stage_shares"]["spot"] > 0
    with pytest.raises(UsageError, match="--long-s is 1, expected 0 or more than the 2"):
        BenchPredictOptions(long_s=1)
    with pytest.raises(UsageError, match="0 repeats of 200 frames"):
        BenchPredictOptions(repeats=0)
    with pytest.raises(InputError, match="cannot judge the benchmark's clip"):
        bench_predict(str(sample), BenchPredictOptions(Path("none.safetensors")))


def test_the_command_writes_csv_to_a_file_or_stdout(
    run: TrainResult, sample: Path, tmp_path: Path
) -> None:
    chosen = ["predict", str(sample / "clips" / "s01_02.mp4"), "--checkpoint", str(run.final),
              "-j", "0"]  # fmt: skip
    shown = CliRunner().invoke(cli.app, [*chosen, "--csv", "-"])
    assert shown.exit_code == 0, shown.stderr
    out = str(tmp_path / "a.csv")
    written = CliRunner().invoke(cli.app, [*chosen, "--csv", out, "--json"])
    assert json.loads(written.stdout)["face"] == 1
    assert (tmp_path / "a.csv").read_text() == shown.stdout
    again = CliRunner().invoke(cli.app, [*chosen, "--csv", out])
    assert again.exit_code == 3
    assert "a.csv: exists" in again.stderr
    both = CliRunner().invoke(cli.app, [*chosen, "--csv", "-", "--json"])
    assert both.exit_code == 2
    assert "both write to stdout" in both.stderr


@pytest.mark.slow
def test_the_four_verbs_run_as_a_pipeline(sample: Path, sample_cache: Path, tmp_path: Path) -> None:
    shutil.copy(sample_cache, tmp_path / "mecli.h5")
    mecli = f"{sys.executable} -m mecli"
    clip = sample / "clips" / "s01_02.mp4"
    done = subprocess.run(
        f"set -e; {mecli} extract {sample} && {mecli} train --protocol kfold --k 3 --epochs 4 && "
        f"{mecli} evaluate --json | {sys.executable} -m json.tool > scores.json; "
        f"{mecli} predict {clip} --json > answer.json",
        shell=True, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "59 (59 unchanged)" in done.stdout
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["protocol"], scores["clips"], scores["subjects"]) == ("kfold", 51, 9)
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["interval"]["onset"] == 0


def test_train_says_what_it_did_and_takes_its_options_back(
    sample_cache: Path, tmp_path: Path
) -> None:
    chosen = ["train", "-c", str(sample_cache), "--runs", str(tmp_path), "-j", "0"]
    short = ["--protocol", "holdout", "--epochs", "1", "--set", "dense=16", "--no-final"]
    table = CliRunner().invoke(cli.app, [*chosen, *short])
    assert table.exit_code == 0, table.stderr
    assert "none (--no-final)" in table.stdout
    assert "emotion 'none' is no class of megc2019" in table.stdout
    (first,) = tmp_path.iterdir()
    again = CliRunner().invoke(
        cli.app, ["train", "--options", str(first / "options.json"), "--json"]
    )
    assert again.exit_code == 0, again.stderr
    document = json.loads(again.stdout)
    assert document["clips"] == 51
    rows = [(run / "predictions.csv").read_text() for run in sorted(tmp_path.iterdir())]
    assert len(rows) == 2
    assert rows[0] == rows[1]
    resumed = CliRunner().invoke(cli.app, ["train", "--resume", str(first), "-j", "0", "--json"])
    assert json.loads(resumed.stdout)["uf1"] == document["uf1"]
    odd = CliRunner().invoke(cli.app, [*chosen, "--set", "dense"])
    assert odd.exit_code == 2
    assert "--set dense: expected name=value" in odd.stderr
