from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from mecli import files
from mecli.cache import open_cache
from mecli.calibration import fit_temperature
from mecli.errors import InputError, UnknownName, UsageError
from mecli.predictions import in_classes, read_predictions
from mecli.train import TrainOptions, TrainResult, resume, train
from mecli.training import dataset, engines, folder
from mecli.training.checkpoint import load_checkpoint, scores
from mecli.training.job import FoldTask, Job
from tests.moving_records import record, records, write_cache

if TYPE_CHECKING:
    from mecli.records import ClipRecord

SMALL = {"steps": 2, "batch_size": 4}


def options(path: Path, **changes: Any) -> TrainOptions:
    values: dict[str, Any] = {
        "caches": (path / "c.h5",),
        "model_options": SMALL,
        "epochs": 2,
        "jobs": 0,
        "runs": path / "runs",
        **changes,
    }
    return TrainOptions(**values)


def trained(path: Path, made: list[ClipRecord] | None = None, **changes: Any) -> TrainResult:
    path.mkdir(exist_ok=True)
    write_cache(path / "c.h5", records() if made is None else made)
    return train(options(path, **changes))


def rows(result: TrainResult) -> list[dict[str, str]]:
    assert result.predictions
    with result.predictions.open(newline="") as file:
        return list(csv.DictReader(file))


def digests(result: TrainResult) -> dict[str, str]:
    paths = sorted((result.run / "folds" / "0").glob("*.json"))
    found = [json.loads(p.read_text()) for p in paths]
    return {f["fold"]: f["weights_sha256"] for f in found}


class TestRunFolder:
    def test_every_clip_is_scored_exactly_once_by_a_fold_that_did_not_see_it(
        self, tmp_path: Path
    ) -> None:
        result = trained(tmp_path)
        table = rows(result)
        assert sorted(r["clip"] for r in table) == sorted(r.clip_id for r in records())
        for row in table:
            assert row["fold"] == f"made/{row['subject']}"
            assert row["corpus"] == "made"
            shares = [float(row[f"score_{c}"]) for c in ("negative", "positive", "surprise")]
            assert sum(shares) == pytest.approx(1.0, abs=1e-6)
            assert row["prediction"] == ("negative", "positive", "surprise")[int(np.argmax(shares))]
        assert result.folds == 4
        assert result.clips == 12
        assert result.warnings == ()

    def test_the_description_says_what_was_run(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        run = folder.read_run(result.run)
        assert run["status"] == "complete"
        assert run["model"] == "roi-flow-lstm"
        assert run["model_options"]["steps"] == 2
        assert run["classes"] == ["negative", "positive", "surprise"]
        assert run["folds"][0] == {
            "name": "made/s0",
            "train_clips": 9,
            "test": ["made/s0/c0", "made/s0/c1", "made/s0/c2"],
        }
        assert len(run["caches"][0]["fingerprint"]) == 32
        assert set(run["versions"]) == {"mecli", "python", "numpy", "torch"}
        assert not (result.run / "features.npy").exists()

    def test_resolved_options_feed_another_run(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        path = result.run / "options.json"
        again = TrainOptions.from_json(files.read_json(path), path)
        assert again == options(tmp_path)
        assert digests(train(again)) == digests(result)

    def test_two_runs_of_one_second_have_two_folders(self, tmp_path: Path) -> None:
        both = {folder.new(tmp_path, "m", "p") for _ in range(3)}
        assert len(both) == 3

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "runs").write_text("")
        with pytest.raises(InputError, match=r"runs.*cannot be made"):
            folder.new(tmp_path / "runs", "m", "p")

    def test_the_final_checkpoint_scores_clips(self, tmp_path: Path) -> None:
        result = trained(tmp_path, epochs=30)
        assert result.final
        checkpoint = load_checkpoint(result.final)
        assert checkpoint.classes == ("negative", "positive", "surprise")
        assert checkpoint.description["protocol"] == "loso"
        predicted = scores(checkpoint, records()).argmax(1)
        assert (predicted == [(s + c) % 3 for s in range(4) for c in range(3)]).mean() > 0.9

    def test_a_folds_checkpoint_gives_the_scores_of_the_run(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        fold = folder.read_fold(result.run, 0, 1)
        checkpoint = load_checkpoint(folder.weights_path(result.run, 0, 1))
        assert fold
        with open_cache(tmp_path / "c.h5") as cache:
            held = list(cache.records(fold.scores))
        assert len(held) == 3
        assert scores(checkpoint, held).tolist() == [list(fold.scores[r.clip_id]) for r in held]
        assert checkpoint.description["held_out"] == sorted(fold.scores)

    def test_the_final_checkpoint_has_the_temperature_of_the_held_out_scores(
        self, tmp_path: Path
    ) -> None:
        result = trained(tmp_path)
        assert result.final
        assert result.predictions
        table = in_classes(
            read_predictions(result.predictions), ("negative", "positive", "surprise")
        )
        labels = [table.score_classes.index(row.label) for row in table.rows]
        expected = fit_temperature([row.scores for row in table.rows], labels)
        assert result.temperature == pytest.approx(expected)
        assert load_checkpoint(result.final).temperature == result.temperature
        assert trained(tmp_path, protocol="all").temperature is None

    def test_weights_of_folds_and_the_final_checkpoint_can_be_left_out(
        self, tmp_path: Path
    ) -> None:
        result = trained(tmp_path, keep_weights=False, final=False)
        assert list(result.run.rglob("*.safetensors")) == []
        assert result.final is None

    def test_two_seeds_train_every_fold_twice(self, tmp_path: Path) -> None:
        result = trained(tmp_path, seeds=2, seed=3, final=False)
        assert {r["seed"] for r in rows(result)} == {"3", "4"}
        assert len(rows(result)) == 24
        assert result.uf1 is not None

    def test_protocol_all_makes_a_checkpoint_and_no_score(self, tmp_path: Path) -> None:
        result = trained(tmp_path, protocol="all")
        assert (result.folds, result.uf1, result.predictions) == (0, None, None)
        assert result.final
        assert result.final.exists()

    def test_progress_counts_to_the_end(self, tmp_path: Path) -> None:
        write_cache(tmp_path / "c.h5", records())
        told: list[tuple[int, int, str]] = []
        train(options(tmp_path), lambda *step: told.append(step))
        assert [t[:2] for t in told] == [(k, 5) for k in range(6)]
        assert "UF1 so far" in told[1][2]


class TestHonesty:
    def test_scrambling_the_held_out_subject_leaves_its_folds_weights_bit_identical(
        self, tmp_path: Path
    ) -> None:
        chance = np.random.default_rng(1)

        def scrambled(clip: ClipRecord, label: str) -> ClipRecord:
            if clip.subject != "s1":
                return clip
            return replace(
                clip,
                flow=chance.normal(0, 9, clip.flow.shape).astype(np.float32),
                apex_flow=chance.normal(0, 9, clip.apex_flow.shape).astype(np.float32),
                roi_frames=chance.integers(0, 256, clip.roi_frames.shape, dtype=np.uint8),
                labels={"emotion": label},
            )

        labels = ["surprise", "anger", "anger"] * 4
        clean = digests(trained(tmp_path / "a", final=False))
        other = [scrambled(r, label) for r, label in zip(records(), labels, strict=True)]
        dirty = digests(trained(tmp_path / "b", other, final=False))
        assert clean["made/s1"] == dirty["made/s1"]
        for fold in ("made/s0", "made/s2", "made/s3"):
            assert clean[fold] != dirty[fold]

    def test_the_order_of_the_cache_changes_no_score(self, tmp_path: Path) -> None:
        first = trained(tmp_path / "a", final=False)
        second = trained(tmp_path / "b", records()[::-1], final=False)
        assert rows(first) == rows(second)

    def test_one_cache_or_two_changes_no_score(self, tmp_path: Path) -> None:
        first = trained(tmp_path, final=False)
        parts = (tmp_path / "x.h5", tmp_path / "y.h5")
        write_cache(parts[0], records()[1::2])
        write_cache(parts[1], records()[::2])
        assert rows(train(options(tmp_path, caches=parts, final=False))) == rows(first)

    @pytest.mark.slow
    def test_the_pool_trains_the_same_bits_as_one_process(self, tmp_path: Path) -> None:
        alone = trained(tmp_path, engine="sequential", final=False)
        pooled = train(options(tmp_path, engine="pool", jobs=2, final=False))
        assert digests(alone) == digests(pooled)
        assert rows(alone) == rows(pooled)

    def test_auto_is_the_pool_where_there_is_no_gpu(self) -> None:
        expected = "stacked" if torch.cuda.is_available() else "pool"
        assert engines.choose("auto") == expected
        with pytest.raises(UnknownName, match="unknown engine 'gpu'"):
            engines.choose("gpu")

    def test_stacked_folds_are_the_folds_of_one_process(self, tmp_path: Path) -> None:
        alone = trained(tmp_path, engine="sequential", seeds=2, precision="float64")
        stacked = train(options(tmp_path, engine="stacked", seeds=2, precision="float64"))
        for mine, theirs in zip(rows(alone), rows(stacked), strict=True):
            assert mine["prediction"] == theirs["prediction"]
            for name in ("score_negative", "score_positive", "score_surprise"):
                assert float(mine[name]) == pytest.approx(float(theirs[name]), abs=1e-8)
        assert stacked.final
        assert load_checkpoint(stacked.final).classes == ("negative", "positive", "surprise")


class TestErrorsOfFolds:
    task = FoldTask(0, "made/s1", 3, (), ())

    def named(self, error: BaseException, reason: str) -> BaseException:
        job = Job(Path("runs/x"), "m", None, 1, (), "s", (), (), (), {})
        return engines.named_error(job, self.task, error, reason)

    def test_an_input_error_gets_the_folds_name(self) -> None:
        error = self.named(InputError("too few clips"), "too few clips")
        assert isinstance(error, InputError)
        assert str(error) == "fold made/s1 (seed 3): too few clips"

    def test_a_dead_worker_says_how_to_go_on(self) -> None:
        error = self.named(RuntimeError("x"), "the worker crashed (exit code -9)")
        assert isinstance(error, InputError)
        assert "exit code -9); go on with --resume runs/x" in str(error)

    def test_a_bug_stays_a_bug(self) -> None:
        bug = KeyError("weight")
        assert self.named(bug, str(bug)) is bug


class TestResume:
    def test_finished_folds_are_not_repeated(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        before = rows(result)
        kept = folder.fold_path(result.run, 0, 0)
        stamp = kept.stat().st_mtime_ns
        for gone in (folder.fold_path(result.run, 0, 2), result.run / "predictions.csv"):
            gone.unlink()
        told: list[tuple[int, int, str]] = []
        again = resume(result.run, lambda *step: told.append(step), jobs=0)
        assert kept.stat().st_mtime_ns == stamp
        assert rows(again) == before
        assert told[0] == (3, 4, "3 folds were there already")
        assert told[-1][:2] == (4, 4)

    def test_a_complete_run_has_nothing_to_do(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        stamps = {p: p.stat().st_mtime_ns for p in (result.run / "folds").rglob("*")}
        again = resume(result.run)
        assert (again.uf1, again.final) == (result.uf1, result.final)
        assert all(p.stat().st_mtime_ns == stamp for p, stamp in stamps.items())

    def test_another_cache_is_refused(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        (tmp_path / "c.h5").unlink()
        write_cache(tmp_path / "c.h5", [*records(), record("s9", "c0", 1)])
        with pytest.raises(InputError, match="caches changed since the run was started"):
            resume(result.run)

    def test_other_options_are_refused(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        document = files.read_json(result.run / "options.json")
        files.write_json(result.run / "options.json", {**document, "model_options": {"steps": 3}})
        with pytest.raises(InputError, match="model_options changed"):
            resume(result.run)

    def test_a_fold_file_of_another_fold_is_refused(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        paths = [folder.fold_path(result.run, 0, k) for k in (0, 1)]
        paths[1].write_bytes(paths[0].read_bytes())
        with pytest.raises(InputError, match=r"result of fold made/s0 with seed 0, expected that"):
            resume(result.run)

    def test_a_fold_of_other_classes_is_named(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        path = folder.fold_path(result.run, 0, 1)
        found = files.read_json(path)
        scores = {clip: [0.5, 0.5] for clip in found["scores"]}
        files.write_json(path, {**found, "scores": scores, "train_per_class": [1, 1]})
        with pytest.raises(InputError, match=r"made/s1 \(seed 0\): knows 2 classes, expected 3"):
            resume(result.run)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{", "damaged or not a fold's result; remove it and resume"),
            ("{}", "not a fold's result"),
            ('{"format": 1, "scores": null}', "not a fold's result"),
        ],
    )
    def test_a_half_written_fold_is_named(self, tmp_path: Path, text: str, said: str) -> None:
        result = trained(tmp_path)
        folder.fold_path(result.run, 0, 1).write_text(text)
        with pytest.raises(InputError, match=rf"1\.json.*{said}"):
            resume(result.run)

    def test_a_fold_of_another_format_is_named(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        path = folder.fold_path(result.run, 0, 1)
        files.write_json(path, {**files.read_json(path), "format": 99})
        with pytest.raises(InputError, match="another version"):
            resume(result.run)

    def test_a_run_killed_before_it_described_itself_goes_on(self, tmp_path: Path) -> None:
        result = trained(tmp_path, final=False)
        before = rows(result)
        shutil.rmtree(result.run / "folds")
        for name in ("run.json", "predictions.csv"):
            (result.run / name).unlink()
        assert rows(resume(result.run)) == before
        assert folder.read_run(result.run)["status"] == "complete"

    def test_folds_without_a_description_are_refused(self, tmp_path: Path) -> None:
        result = trained(tmp_path, final=False)
        (result.run / "run.json").unlink()
        with pytest.raises(InputError, match=r"holds no run\.json"):
            resume(result.run)

    def test_a_folder_that_is_no_run_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such run folder"):
            resume(tmp_path / "nothing")
        with pytest.raises(InputError, match=r"holds no run\.json"):
            resume(tmp_path)
        files.write_json(tmp_path / "run.json", {"format": 7})
        with pytest.raises(InputError, match="not the description of a run"):
            resume(tmp_path)


class TestBadInput:
    def test_left_out_clips_are_counted_with_their_reason(self, tmp_path: Path) -> None:
        odd = [
            replace(record("s0", "other", 0), labels={"emotion": "others"}),
            record("s1", "broken", 0).failed("no face found"),
        ]
        result = trained(tmp_path, [*records(), *odd], final=False)
        assert result.excluded == {
            "made/s0/other": "emotion 'others' is no class of megc2019",
            "made/s1/broken": "extraction failed: no face found",
        }
        assert result.clips == 12

    def test_a_class_that_never_occurs_is_named(self, tmp_path: Path) -> None:
        made = [r for r in records() if r.labels["emotion"] != "surprise"]
        result = trained(tmp_path, made, final=False)
        assert result.warnings == ("no clip at all of class 'surprise'; it counts as F1 = 0",)

    def test_a_fold_without_a_class_goes_on_and_says_so(self, tmp_path: Path) -> None:
        made = [r for r in records() if r.labels["emotion"] != "surprise" or r.subject == "s0"]
        result = trained(tmp_path, made, final=False)
        assert result.warnings == ("fold made/s0: no training clip of class 'surprise'",)

    def test_a_fold_of_one_class_is_an_error(self, tmp_path: Path) -> None:
        made = [record("s0", "a", 0), record("s0", "b", 1), record("s1", "a", 0)]
        with pytest.raises(InputError, match=r"fold made/s0 \(seed 0\): .*one class \(negative\)"):
            trained(tmp_path, made)

    def test_a_subject_with_one_clip_is_a_fold_like_any(self, tmp_path: Path) -> None:
        made = [*records(4), record("s9", "c0", 1)]
        for selection in ("last", "inner"):
            result = trained(tmp_path / selection, made, selection=selection, final=False)
            assert [r["clip"] for r in rows(result) if r["fold"] == "made/s9"] == ["made/s9/c0"]

    def test_one_subject_cannot_be_left_out(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"1 subject.*expected at least 2"):
            trained(tmp_path, records(1))

    def test_no_clip_of_the_scheme_is_an_error(self, tmp_path: Path) -> None:
        made = [replace(r, labels={}) for r in records()]
        with pytest.raises(InputError, match="none of 12 clips has a class of 'megc2019'"):
            trained(tmp_path, made)

    def test_a_clip_in_two_caches_is_an_error(self, tmp_path: Path) -> None:
        write_cache(tmp_path / "c.h5", records())
        write_cache(tmp_path / "d.h5", records()[:1])
        caches = (tmp_path / "c.h5", tmp_path / "d.h5")
        with pytest.raises(InputError, match=r"d\.h5: clip made/s0/c0 is in .*c\.h5 too"):
            train(options(tmp_path, caches=caches))

    def test_a_clip_with_broken_boxes_is_named(self, tmp_path: Path) -> None:
        broken = records()
        boxes = broken[5].roi_boxes.copy()
        boxes[0] = np.nan
        broken[5] = replace(broken[5], roi_boxes=boxes)
        with pytest.raises(InputError, match=r"clip made/s1/c2: ROI boxes \[\[nan"):
            trained(tmp_path, broken)

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            (np.array([0.0, np.nan]), "clip made/s0/c1: NaN in its features"),
            (np.zeros(3), r"clip made/s0/c1: features \(3,\), but other clips have \(2,\)"),
        ],
    )
    def test_features_that_cannot_be_trained_on_are_named(
        self, tmp_path: Path, values: Any, said: str
    ) -> None:
        class Odd:
            @staticmethod
            def features(clip: ClipRecord, options: None) -> Any:
                return values if clip.name == "c1" else np.zeros(2)

        data = dataset.read([write_cache(tmp_path / "c.h5", records())], "megc2019")
        with pytest.raises(InputError, match=said):
            list(dataset.features(data, Odd, None))

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"model": "roi-flow"}, "did you mean 'roi-flow-lstm'"),
            ({"protocol": "lopo"}, "unknown protocol"),
            ({"labels": "megc"}, "unknown label scheme"),
            ({"engine": "gpu"}, "unknown engine"),
            ({"precision": "half"}, "unknown precision"),
            ({"selection": "best"}, "unknown selection"),
            ({"selection": "oracle", "protocol": "all"}, "holds out nobody who could pick"),
            ({"epochs": 0}, "--epochs is 0"),
            ({"seeds": 0}, "--seeds is 0"),
            ({"jobs": -1}, "--jobs is -1"),
            ({"share": 1.0}, "--share is 1.0"),
            ({"caches": ()}, "no cache named"),
        ],
    )
    def test_impossible_options_are_refused(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            TrainOptions(**wrong)

    def test_an_unknown_model_option_is_refused_before_a_run_is_made(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownName, match="did you mean 'steps'"):
            trained(tmp_path, model_options={"step": 3})
        assert not (tmp_path / "runs").exists()

    @pytest.mark.parametrize(
        ("document", "said"),
        [([], "not a JSON object"), ({"modle": "x"}, "modle"), ({"seeds": "two"}, "wrong type")],
    )
    def test_a_broken_options_file_is_named(self, document: Any, said: str) -> None:
        with pytest.raises((InputError, UnknownName), match=said):
            TrainOptions.from_json(document, Path("options.json"))


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_where_it_was(tmp_path: Path, kill: signal.Signals) -> None:
    write_cache(tmp_path / "c.h5", records())
    # A shell that starts its jobs in the background has them ignore SIGINT, heirs included.
    heard = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    mecli = [
        sys.executable,
        "-c",
        f"{heard}runpy.run_module('mecli', run_name='__main__')",
        "train",
    ]
    chosen = ["-c", "c.h5", "--set", "steps=2", "--set", "dense=16", "--epochs", "50"]
    process = subprocess.Popen(
        [*mecli, *chosen, "--engine", "pool", "-j", "1", "--no-final"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while not list(tmp_path.glob("runs/*/folds/0/*.json")):
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.02)
        process.send_signal(kill)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    (run,) = (tmp_path / "runs").iterdir()
    done = {p.name: p.stat().st_mtime_ns for p in run.glob("folds/0/*.json")}
    assert 0 < len(done) < 4
    assert not (run / "predictions.csv").exists()
    if kill == signal.SIGINT:
        assert process.returncode == 130
        assert said.splitlines()[-1].endswith(f"go on with `mecli train --resume runs/{run.name}`")
    again = subprocess.run(
        [*mecli, "--resume", str(run), "--json"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["folds"] == 4
    assert all((run / "folds" / "0" / n).stat().st_mtime_ns == t for n, t in done.items())
    assert len((run / "predictions.csv").read_text().splitlines()) == 13
