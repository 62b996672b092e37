"""Who chooses the epoch: nobody, training subjects, or (called leaked) the held-out ones."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mecli import checkpoints, cli
from mecli.errors import InputError, MissingDependency, UsageError
from mecli.evaluate import evaluate
from mecli.report.evaluation_json import to_json
from mecli.report.evaluation_text import to_text
from mecli.runs import newest_run
from mecli.train import TrainOptions, TrainResult, resume, train
from mecli.training import folder, plan
from mecli.training.checkpoint import load_checkpoint
from mecli.training.fit import Course, fit
from mecli.training.selection import SHARE, BestEpoch, balanced_log_loss, inner_split
from tests.moving_records import record, records, write_cache
from tests.test_training import table

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.records import ClipRecord

SMALL = {"steps": 2, "batch_size": 4, "dense": 16}
TWO_STAGES = {"steps": 2, "patches": 4, "spatial_batch": 16, "temporal_batch": 8}


def options(path: Path, **changes: Any) -> TrainOptions:
    values: dict[str, Any] = {
        "caches": (path / "c.h5",),
        "model_options": SMALL,
        "epochs": 6,
        "jobs": 0,
        "final": False,
        "runs": path / "runs",
        **changes,
    }
    return TrainOptions(**values)


def trained(path: Path, made: list[ClipRecord] | None = None, **changes: Any) -> TrainResult:
    path.mkdir(exist_ok=True)
    write_cache(path / "c.h5", records(5) if made is None else made)
    return train(options(path, **changes))


def folds(result: TrainResult) -> dict[str, folder.FoldResult]:
    found = [folder.read_fold(result.run, 0, k) for k in range(result.folds)]
    return {fold.fold: fold for fold in found if fold}


def scrambled(made: list[ClipRecord], subject: str) -> list[ClipRecord]:
    chance = np.random.default_rng(1)

    def noise(like: Any) -> Any:
        return chance.normal(0, 9, like.shape).astype(np.float32)

    return [
        replace(r, flow=noise(r.flow), apex_flow=noise(r.apex_flow), labels={"emotion": "anger"})
        if r.subject == subject
        else r
        for r in made
    ]


class TestInner:
    def test_a_fold_is_trained_on_all_its_subjects_for_the_epochs_chosen(
        self, tmp_path: Path
    ) -> None:
        result = trained(tmp_path, selection="inner")
        run = folder.read_run(result.run)
        assert run["selection"] == "inner"
        for name, fold in folds(result).items():
            assert 1 <= fold.epochs["rois"] <= 6
            assert len(fold.history["rois"]) == fold.epochs["rois"]
            assert run["epochs_chosen"]["0"][name] == fold.epochs
        # The same weights as a run that is stopped there by hand.
        job = plan.make(options(tmp_path)).job(result.run)
        (fold, *_) = folds(result).values()
        assert sum(fold.train_per_class) == 12
        assert load_checkpoint(folder.weights_path(result.run, 0, 0)).description[
            "epochs_chosen"
        ] == {"rois": fold.epochs["rois"]}
        assert job.selection == "last"

    def test_scrambling_the_held_out_subject_leaves_its_folds_weights_bit_identical(
        self, tmp_path: Path
    ) -> None:
        common: dict[str, Any] = {"selection": "inner", "epochs": 3}
        clean = folds(trained(tmp_path / "a", records(4), **common))
        dirty = folds(trained(tmp_path / "b", scrambled(records(4), "s1"), **common))
        assert clean["made/s1"].weights_sha256 == dirty["made/s1"].weights_sha256
        assert clean["made/s1"].epochs == dirty["made/s1"].epochs
        assert clean["made/s0"].weights_sha256 != dirty["made/s0"].weights_sha256

    @pytest.mark.parametrize(
        ("model", "given"),
        [
            ("roi-flow-lstm", SMALL),
            pytest.param("cnn-lstm", TWO_STAGES, marks=pytest.mark.slow),
        ],
    )
    def test_stacked_folds_choose_and_train_like_single_ones(
        self, tmp_path: Path, model: str, given: dict[str, Any]
    ) -> None:
        common: dict[str, Any] = {
            "model": model, "model_options": given, "selection": "inner", "epochs": 2,
            "precision": "float64", "protocol": "kfold", "k": 2,
        }  # fmt: skip
        alone = trained(tmp_path, records(4), engine="sequential", **common)
        stacked = train(options(tmp_path, engine="stacked", **common))
        assert alone.epochs_chosen == stacked.epochs_chosen
        for name, fold in folds(alone).items():
            for clip, shares in folds(stacked)[name].scores.items():
                assert np.allclose(shares, fold.scores[clip], atol=1e-10)

    def test_the_final_checkpoint_is_stopped_like_a_fold(self, tmp_path: Path) -> None:
        result = trained(tmp_path, selection="inner", protocol="all", final=True)
        assert result.final
        description = load_checkpoint(result.final).description
        assert description["selection"] == "inner"
        chosen = description["epochs_chosen"]["rois"]
        assert len(description["history"]["rois"]) == chosen

    def test_the_command_tells_which_epochs_were_chosen(self, tmp_path: Path) -> None:
        write_cache(tmp_path / "c.h5", records(5))
        chosen = ["train", "-c", str(tmp_path / "c.h5"), "-j", "0", "--runs", str(tmp_path)]
        short = ["--epochs", "2", "--model", "ststnet", "--selection", "inner", "--no-final"]
        text = CliRunner().invoke(cli.app, [*chosen, *short])
        assert text.exit_code == 0, text.stderr
        assert re.search(r"selection +inner: epoch [12] to [12], median [12]\n", text.stdout)

    def test_persons_are_set_aside_whole_and_by_name_alone(self, tmp_path: Path) -> None:
        write_cache(tmp_path / "c.h5", records(8))
        made = plan.make(options(tmp_path, selection="inner", seeds=2))
        job, tasks = made.job(tmp_path), made.tasks()
        for task in tasks:
            learned, aside = inner_split(job, task)
            persons = [{c.rsplit("/", 1)[0] for c in part} for part in (learned, aside)]
            assert not persons[0] & persons[1]
            assert sorted((*learned, *aside)) == sorted(task.train)
            assert SHARE <= len(aside) / len(task.train) < SHARE + 0.2
            assert inner_split(job, task) == (learned, aside)
        assert len({inner_split(job, task)[1] for task in tasks}) > 4

    def test_the_last_to_show_a_class_is_never_set_aside(self, tmp_path: Path) -> None:
        made = [r for r in records(6) if r.labels["emotion"] != "surprise" or r.subject == "s2"]
        write_cache(tmp_path / "c.h5", made)
        run = plan.make(options(tmp_path, selection="inner", seeds=5))
        job = run.job(tmp_path)
        for task in run.tasks():
            assert all("/s2/" not in c for c in inner_split(job, task)[1])

    @pytest.mark.parametrize("engine", ["sequential", "stacked"])
    def test_a_fold_whose_subjects_are_all_needed_says_so(
        self, tmp_path: Path, engine: str
    ) -> None:
        made = [record(f"s{k}", "c", k) for k in range(3)]
        said = r"fold made/s0 \(seed 0\): .* none of 2 training subject\(s\) can be set aside"
        with pytest.raises(InputError, match=said):
            trained(tmp_path, made, selection="inner", engine=engine)

    def test_a_model_that_solves_has_nothing_to_choose_and_says_so(self, tmp_path: Path) -> None:
        common: dict[str, Any] = {"model": "flow-svm", "model_options": {}, "epochs": None}
        result = trained(tmp_path, selection="inner", **common)
        assert result.warnings == (
            "model flow-svm solves for its weights: selection inner has no epoch to choose",
        )
        last = train(options(tmp_path, **common))
        assert (result.run / "predictions.csv").read_text() == (
            last.run / "predictions.csv"
        ).read_text()

    @pytest.mark.parametrize("memory_bytes", [1 << 20, 0])
    def test_the_least_loss_decides_and_its_weights_go_on(self, memory_bytes: int) -> None:
        from mecli.models.roi_flow_lstm import RoiFlowLstm, RoiFlowLstmOptions

        chosen = RoiFlowLstmOptions(steps=2, batch_size=4, dense=16, epochs=5)
        stages, data = RoiFlowLstm.stages(chosen), table(RoiFlowLstm, chosen)
        data = replace(data, memory_bytes=memory_bytes)
        watch = BestEpoch(stages, data, np.array([6, 7, 8]))
        seen: list[float] = []

        class Both:
            def after_epoch(self, stage: Any, epoch: int, network: Any) -> None:
                watch.after_epoch(stage, epoch, network)
                seen.append(balanced_log_loss(watch.shares(stage, network), watch.labels))

            def after_stage(self, stage: Any, network: Any) -> None:
                watch.after_stage(stage, network)
                seen.append(balanced_log_loss(watch.shares(stage, network), watch.labels))

        watched = fit(stages, data, np.arange(6), 0, course=Course(watch=Both()))
        assert watch.epochs["rois"] == int(np.argmin(seen[:5])) + 1
        assert seen[5] == min(seen[:5])
        # To stop there is to have the weights of then: watching disturbs nothing.
        stopped = fit(stages, data, np.arange(6), 0, course=Course(stops=watch.epochs))
        for name, value in stopped.networks[0].state_dict().items():
            assert torch.equal(value, watched.networks[0].state_dict()[name])

    def test_every_class_counts_alike_in_the_loss(self) -> None:
        shares = np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.1]])
        labels = np.array([0, 0, 1])
        expected = (-np.log(0.5) - np.log(0.1)) / 2
        assert balanced_log_loss(shares, labels) == pytest.approx(expected)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run on pure noise, whose leak is all there is."""
    chance = np.random.default_rng(0)
    noise = [
        replace(r, flow=chance.normal(size=r.flow.shape).astype(np.float32)) for r in records(5)
    ]
    return trained(tmp_path_factory.mktemp("oracle"), noise, selection="oracle", final=True)


class TestOracle:
    def test_it_writes_no_weights(self, oracle: TrainResult) -> None:
        assert list(oracle.run.rglob("*.safetensors")) == []
        assert oracle.final is None
        assert checkpoints.newest(oracle.run.parent) is None

    def test_its_last_epoch_is_the_honest_run(self, oracle: TrainResult, tmp_path: Path) -> None:
        cache = oracle.run.parent.parent / "c.h5"
        honest = train(options(tmp_path, caches=(cache,)))
        assert (oracle.run / "predictions.csv").read_text() == (
            honest.run / "predictions.csv"
        ).read_text()
        assert (oracle.uf1, oracle.uar) == (honest.uf1, honest.uar)

    def test_the_epoch_is_the_one_with_the_most_hits(self, oracle: TrainResult) -> None:
        run = folder.read_run(oracle.run)
        with (oracle.run / "predictions.csv").open() as file:
            label_of = {row["clip"]: row["label"] for row in csv.DictReader(file)}
        for fold in folds(oracle).values():
            assert fold.leaked
            assert len(fold.leaked.hits) == 6
            assert fold.leaked.hits[fold.leaked.epoch - 1] == max(fold.leaked.hits)
            said = {c: run["classes"][int(np.argmax(s))] for c, s in fold.leaked.scores.items()}
            assert sum(label_of[c] == name for c, name in said.items()) == max(fold.leaked.hits)
            last = sum(
                label_of[c] == run["classes"][int(np.argmax(s))] for c, s in fold.scores.items()
            )
            assert fold.leaked.hits[-1] == last
        assert oracle.standing.leaked
        assert oracle.uf1 is not None
        assert oracle.standing.leaked.uf1 > oracle.uf1

    def test_every_row_of_its_table_is_marked(self, oracle: TrainResult) -> None:
        with (oracle.run / "predictions-LEAKED.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 15
        assert {row["selection"] for row in rows} == {"LEAKED"}

    def test_evaluate_shows_both_side_by_side_and_calls_the_leak_by_its_name(
        self, oracle: TrainResult
    ) -> None:
        found = evaluate([oracle.run])
        honest, leaked = found.runs
        assert (honest.leaked, honest.selection) == (False, "last")
        assert (leaked.leaked, leaked.selection) == (True, "oracle")
        assert oracle.standing.leaked
        assert leaked.whole.scores()["uf1"] == pytest.approx(oracle.standing.leaked.uf1)
        assert any("every figure is LEAKED" in note for note in found.notes)
        assert any("the difference is the leak's" in note for note in found.notes)
        document = to_json(found)
        assert [run["leaked"] for run in document["runs"]] == [False, True]
        assert document["comparisons"][0]["leaked"] is True
        text = to_text(found)
        shown = text[text.rindex(f"\n{leaked.source}") :]
        for block in shown.strip().split("\n\n"):
            assert "LEAKED" in block.splitlines()[0], block
        assert "2 minus 1 (LEAKED)" in text

    def test_its_table_alone_is_still_called_leaked(self, oracle: TrainResult) -> None:
        (run,) = evaluate([oracle.run / "predictions-LEAKED.csv"]).runs
        assert run.leaked
        assert run.source.endswith("LEAKED")

    def test_it_is_never_the_newest_run(self, oracle: TrainResult, tmp_path: Path) -> None:
        runs = tmp_path / "runs"
        shutil.copytree(oracle.run, runs / "29991231-000000-oracle")
        with pytest.raises(MissingDependency, match="no complete run"):
            newest_run(runs)
        honest = trained(tmp_path)
        assert newest_run(runs) == honest.run

    def test_the_command_labels_what_it_prints(self, tmp_path: Path) -> None:
        write_cache(tmp_path / "c.h5", records(3))
        chosen = ["train", "-c", str(tmp_path / "c.h5"), "-j", "0", "--runs", str(tmp_path)]
        short = ["--set", "dense=16", "--epochs", "2", "--selection", "oracle"]
        text = CliRunner().invoke(cli.app, [*chosen, *short])
        assert text.exit_code == 0, text.stderr
        assert "UF1, LEAKED" in text.stdout
        assert "none: selection oracle writes no weights" in text.stdout
        document = json.loads(CliRunner().invoke(cli.app, [*chosen, *short, "--json"]).stdout)
        assert set(document["LEAKED"]) == {"uf1", "uar", "note"}

    def test_several_models_and_seeds_are_told_with_their_leak(self, tmp_path: Path) -> None:
        write_cache(tmp_path / "c.h5", records(3))
        chosen = ["train", "-c", str(tmp_path / "c.h5"), "-j", "0", "--runs", str(tmp_path)]
        short = ["--epochs", "1", "--seeds", "2", "--model", "ststnet,sssnet"]
        text = CliRunner().invoke(cli.app, [*chosen, *short, "--selection", "oracle"])
        assert text.exit_code == 0, text.stderr
        header, *lines = text.stdout.splitlines()
        assert "UF1, LEAKED" in header
        assert all("ensemble of 2 seeds (" in line and "±" in line for line in lines[:2])

    def test_progress_names_both(self, tmp_path: Path) -> None:
        write_cache(tmp_path / "c.h5", records(3))
        told: list[str] = []
        train(options(tmp_path, selection="oracle"), lambda *step: told.append(step[2]))
        assert all("at the last epoch, LEAKED" in line for line in told[1:])

    def test_a_killed_run_goes_on_to_the_same_leak(self, oracle: TrainResult) -> None:
        before = (oracle.run / "predictions-LEAKED.csv").read_text()
        folder.fold_path(oracle.run, 0, 2).unlink()
        assert resume(oracle.run).standing == oracle.standing
        assert (oracle.run / "predictions-LEAKED.csv").read_text() == before

    def test_stacked_folds_leak_alike(self, tmp_path: Path) -> None:
        common: dict[str, Any] = {"selection": "oracle", "precision": "float64", "epochs": 3}
        alone = trained(tmp_path, records(3), engine="sequential", **common)
        stacked = train(options(tmp_path, engine="stacked", **common))
        for name, fold in folds(alone).items():
            other = folds(stacked)[name].leaked
            assert fold.leaked
            assert other
            assert (other.epoch, other.hits) == (fold.leaked.epoch, fold.leaked.hits)

    def test_a_model_that_solves_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no epoch to pick; use --selection last"):
            trained(tmp_path, model="flow-svm", model_options={}, selection="oracle")
