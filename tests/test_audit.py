"""Every check finds the leak that is planted for it, and nothing in a clean cache or run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import cli, registry
from mecli.audit import CHECKS, AuditOptions, audit
from mecli.errors import InputError, MissingDependency, UnknownName, UsageError
from mecli.folds import Fold
from mecli.leaks import folds, guess, retrain
from mecli.leaks.case import Limits, open_case
from mecli.leaks.duplicates import alike
from mecli.train import train
from mecli.training.options import TrainOptions
from tests.moving_records import record, write_cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from mecli.leaks.case import Case
    from mecli.records import ClipRecord
    from mecli.report.audit import Finding

SUBJECTS, CLIPS = 8, 6


def clips() -> list[ClipRecord]:
    """Return 48 clips whose metadata tells nothing."""
    chance = np.random.default_rng(5)
    made = [record(f"s{s}", f"c{c}", (s + c) % 3) for s in range(SUBJECTS) for c in range(CLIPS)]
    return [
        replace(
            clip,
            fps=float(chance.choice([100, 200])),
            frame_count=int(chance.integers(10, 60)),
            quality={"face_px": float(chance.normal(160, 20))},
            apex=2,
            landmarker="embedded",
        )
        for clip in made
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("clean") / "c.h5", clips())


@pytest.fixture(scope="module")
def honest(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of flow-svm, not to be changed."""
    options = TrainOptions(
        (cache,), "flow-svm", jobs=0, final=False, runs=tmp_path_factory.mktemp("runs")
    )
    return train(options).run


@pytest.fixture
def run(honest: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(honest, tmp_path / "run"))


def only(target: Path, check: str, **options: Any) -> Finding:
    (finding,) = audit([str(target)], AuditOptions(checks=(check,), jobs=0, **options)).findings
    assert finding.check == check
    return finding


def changed(tmp_path: Path, change: Callable[[int, ClipRecord], ClipRecord]) -> Path:
    """Return a cache of changed clips; `change` gets the class and the clip."""
    made = clips()
    labels = [(s + c) % 3 for s in range(SUBJECTS) for c in range(CLIPS)]
    return write_cache(
        tmp_path / "c.h5", [change(k, clip) for k, clip in zip(labels, made, strict=True)]
    )


def rewrite(run: Path, change: Callable[[Any], None]) -> None:
    document = json.loads((run / "run.json").read_text())
    change(document)
    (run / "run.json").write_text(json.dumps(document))


class TestClean:
    def test_a_clean_cache_has_no_finding(self, cache: Path) -> None:
        seen: list[tuple[int, int]] = []
        found = audit(
            [str(cache)],
            AuditOptions(jobs=0, permutations=3, model="flow-svm"),
            progress=lambda done, total, _: seen.append((done, total)),
        )
        verdicts = {f.check: f.verdict for f in found.findings}
        assert tuple(verdicts) == CHECKS
        unchecked = {"predictions", "selection"}
        assert {c for c, v in verdicts.items() if v == "not checked"} == unchecked
        assert {v for c, v in verdicts.items() if c not in unchecked} == {"ok"}
        assert found.clean
        assert (found.clips, found.persons, found.folds) == (48, 8, 8)
        assert seen == [(n, seen[-1][1]) for n in range(1, len(seen) + 1)]
        assert seen[-1][0] == seen[-1][1]

    def test_a_clean_run_has_none_and_its_weights_are_made_again(self, honest: Path) -> None:
        names = ("persons", "clips", "predictions", "selection", "extraction", "refit")
        found = audit([str(honest)], AuditOptions(checks=names, refit=2, jobs=0))
        assert [f.verdict for f in found.findings] == ["ok"] * 6
        assert (
            found.findings[-1].got
        ) == "2 of 2 refitted folds bit-identical, and the run's own weights"

    def test_permuted_labels_score_like_chance_and_true_ones_do_not(self, cache: Path) -> None:
        finding = only(cache, "permuted", permutations=2)
        assert finding.verdict == "ok"
        assert finding.figures["true_uf1"] > 0.8
        assert finding.figures["mean"] < 0.5
        low, high = finding.figures["chance"]
        assert low < 1 / 3 < high


class TestPersons:
    def test_a_person_spread_over_two_folds_is_a_leak(self, run: Path) -> None:
        def spread(document: Any) -> None:
            first, second = document["folds"][:2]
            second["test"].append(first["test"].pop())
            first["train_clips"], second["train_clips"] = 43, 41

        rewrite(run, spread)
        finding = only(run, "persons")
        assert finding.verdict == "leak"
        assert finding.items == ("fold made/s0: made/s0", "fold made/s1: made/s0")

    def test_unless_the_fold_left_out_the_rest_of_that_person(self, run: Path) -> None:
        def spread(document: Any) -> None:
            first, second = document["folds"][:2]
            second["test"].append(first["test"].pop())
            first["train_clips"], second["train_clips"] = 42, 36

        rewrite(run, spread)
        assert only(run, "persons").verdict == "ok"

    def test_long_and_short_recordings_show_the_same_person(self, run: Path) -> None:
        def rename(document: Any) -> None:
            for fold, corpus in zip(document["folds"], ("samm", "samm-lv"), strict=False):
                fold["test"] = [f"{corpus}/006/c{k}" for k in range(6)]

        rewrite(run, rename)
        (run / "options.json").write_text('{"caches": ["gone.h5"]}')
        assert "fold made/s1: samm/006" in only(run, "persons").items

    def test_names_that_differ_in_zeros_and_case_are_told(self, tmp_path: Path) -> None:
        made = [record(s, f"c{c}", c) for s in ("s1", "S01", "sub02", "unknown") for c in range(3)]
        finding = only(write_cache(tmp_path / "c.h5", made), "persons")
        assert finding.verdict == "warning"
        assert finding.items[0] == "made/S01, made/s1"
        assert len(finding.items) == 4


class TestPapers:
    def test_a_clip_tested_twice_or_never_is_a_leak(self, run: Path) -> None:
        def twice(document: Any) -> None:
            first, second = document["folds"][:2]
            second["test"][0] = first["test"][0]

        rewrite(run, twice)
        finding = only(run, "clips")
        assert finding.verdict == "leak"
        assert "made/s0/c0: tested 2 times" in finding.items
        assert "made/s1/c0: tested in no fold" in finding.items

    def test_a_fold_that_trained_on_what_it_tests_is_a_leak(self, run: Path) -> None:
        rewrite(run, lambda document: document["folds"][0].update(train_clips=48))
        finding = only(run, "clips")
        assert finding.items == ("fold made/s0: 48 trained and 6 tested of 48 clips",)

    def test_a_holdout_need_not_test_everyone(self, cache: Path) -> None:
        assert only(cache, "clips", protocol="holdout").verdict == "ok"

    def test_a_retouched_table_is_a_leak(self, run: Path) -> None:
        path = run / "predictions.csv"
        lines = path.read_text().splitlines()
        cells = [line.split(",") for line in lines]
        where = cells[0].index("prediction")
        cells[1][where] = next(n for n in ("negative", "surprise") if n != cells[1][where])
        cells[2][cells[0].index("fold")] = "made/s5"
        cells[3][cells[0].index("subject")] = "s7"
        label = cells[0].index("label")
        cells[4][label] = next(n for n in ("negative", "positive") if n != cells[4][label])
        path.write_text("\n".join(map(",".join, cells)) + "\n")
        finding = only(run, "predictions")
        assert finding.verdict == "leak"
        assert len(finding.items) == 4
        assert "made/s0/c0: " in finding.items[3]
        assert "fold made/s5, but run.json tests it in made/s0" in finding.items[0]
        assert "is listed under made/s7" in finding.items[1]
        assert "but the cache says" in finding.items[2]

    def test_a_result_without_a_row_or_a_row_without_a_result_is_a_leak(self, run: Path) -> None:
        document = json.loads((run / "folds/0/0.json").read_text())
        document["scores"]["made/s0/c9"] = document["scores"].pop("made/s0/c0")
        (run / "folds/0/0.json").write_text(json.dumps(document))
        assert only(run, "predictions").items == (
            "made/s0/c0: no fold has scored it with seed 0",
            "made/s0/c9: scored with seed 0, but not in the table",
        )

    def test_people_known_from_another_corpus_are_no_difference(self, tmp_path: Path) -> None:
        made = [
            record(f"00{s}", f"c{c}", c, corpus=corpus)
            for corpus in ("samm", "samm-lv")
            for s in range(3)
            for c in range(3)
        ]
        cache = write_cache(tmp_path / "c.h5", made)
        options = TrainOptions((cache,), "flow-svm", jobs=0, final=False, runs=tmp_path)
        assert only(train(options).run, "predictions").verdict == "ok"

    def test_an_oracle_is_a_leak(self, run: Path) -> None:
        rewrite(run, lambda document: document.update(selection="oracle"))
        assert only(run, "selection").verdict == "leak"

    @pytest.mark.parametrize(("subjects", "verdict"), [(12, "ok"), (0, "leak")])
    def test_a_beginning_must_say_whom_it_has_seen(
        self, run: Path, subjects: int, verdict: str
    ) -> None:
        begun = {"checkpoint": "other.safetensors", "subjects": subjects}
        rewrite(run, lambda document: document.update(pretrained=begun))
        finding = only(run, "selection")
        assert (finding.verdict, finding.got) == (verdict, "last, begun with other.safetensors")

    def test_a_cache_that_changed_since_is_told(self, run: Path) -> None:
        rewrite(run, lambda document: document["caches"][0].update(fingerprint="another"))
        finding = only(run, "extraction")
        assert finding.verdict == "warning"
        assert "another when trained" in finding.items[0]

    def test_several_landmarkers_are_told(self, tmp_path: Path) -> None:
        path = changed(tmp_path, lambda k, clip: replace(clip, landmarker=("a", "b", "b")[k]))
        assert only(path, "extraction").items == ("made: a, b",)

    def test_without_its_cache_a_run_is_checked_as_far_as_its_papers_go(self, run: Path) -> None:
        (run / "options.json").write_text('{"caches": ["gone.h5"]}')
        found = audit([str(run)], AuditOptions(jobs=0))
        verdicts = {f.check: f.verdict for f in found.findings}
        done = {"persons", "clips", "predictions", "selection"}
        assert {c for c, v in verdicts.items() if v == "ok"} == done
        assert "gone.h5: no such cache" in found.findings[-1].got

    def test_broken_folds_are_bad_input(self, run: Path) -> None:
        rewrite(run, lambda document: document.update(folds=[{"name": "a"}]))
        with pytest.raises(InputError, match="its folds are not those of a run"):
            audit([str(run)])
        rewrite(
            run,
            lambda d: d.update(folds=[{"name": "a", "test": ["x"], "train_clips": 1}]),
        )
        with pytest.raises(InputError, match="clip 'x' of the run is not corpus/subject/name"):
            audit([str(run)])


class TestDuplicates:
    def copy(self, tmp_path: Path, **changes: Any) -> Finding:
        made = clips()
        noise = np.random.default_rng(0).normal(0, 0.02, made[0].apex_flow.shape)
        stolen = replace(
            made[0], clip_id="made/s9/z", subject="s9", name="z",
            apex_flow=(made[0].apex_flow + noise).astype(np.float32),
        )  # fmt: skip
        return only(
            write_cache(tmp_path / "c.h5", [*made, replace(stolen, **changes)]), "duplicates"
        )

    def test_a_copy_under_another_name_is_a_leak(self, tmp_path: Path) -> None:
        finding = self.copy(tmp_path)
        assert (finding.verdict, len(finding.items)) == ("leak", 1)
        assert finding.items[0].startswith("made/s0/c0 (negative) = made/s9/z (negative): motion")

    def test_the_same_face_with_another_motion_is_told(self, tmp_path: Path) -> None:
        finding = self.copy(tmp_path, apex_flow=clips()[1].apex_flow)
        assert (finding.verdict, finding.items) == ("warning", ("made/s0 and made/s9",))

    def test_without_faces_equal_motion_is_a_leak(self, tmp_path: Path) -> None:
        finding = self.copy(tmp_path, roi_frames=np.zeros((0, 6, 48, 48, 3), np.uint8))
        assert finding.verdict == "leak"
        assert "face" not in finding.items[0]

    def test_pairs_are_found_across_blocks_and_never_within_a_person(self) -> None:
        rows = np.random.default_rng(0).normal(size=(1300, 50)).astype(np.float32)
        rows[1290] = rows[3]
        rows[1291] = rows[4]
        rows[7] = 0
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        persons = [f"p{k}" for k in range(1300)]
        persons[1291] = persons[4]
        found = list(alike(rows, np.zeros((1300, 4), np.float32), persons))
        assert [(i, j) for i, j, _, _ in found] == [(3, 1290)]


class TestGuesses:
    def test_a_frame_rate_that_tells_the_class_is_a_leak(self, tmp_path: Path) -> None:
        path = changed(tmp_path, lambda k, clip: replace(clip, fps=(60.0, 100.0, 200.0)[k]))
        finding = only(path, "metadata")
        assert finding.verdict == "leak"
        assert finding.items[0] == "fps: UF1 1.000, p 0.001"

    def test_a_length_that_tells_the_class_is_a_warning(self, tmp_path: Path) -> None:
        path = changed(
            tmp_path, lambda k, clip: replace(clip, frame_count=clip.frame_count + 60 * k)
        )
        finding = only(path, "metadata")
        assert finding.verdict == "warning"
        assert {"duration_s", "frames"} <= {item.split(":")[0] for item in finding.items}

    def test_a_name_that_spells_the_class_is_said_and_no_leak(self, tmp_path: Path) -> None:
        path = changed(
            tmp_path, lambda k, clip: replace(clip, source=f"x/{('ne', 'po', 'su')[k]}/a.avi")
        )
        finding = only(path, "metadata")
        assert (finding.verdict, len(finding.items)) == ("ok", 1)
        assert "the folder spells the class" in finding.items[0]

    def test_clips_without_any_metadata_tell_nothing(self, tmp_path: Path) -> None:
        made = [record(f"s{s}", f"c{c}", c) for s in range(4) for c in range(3)]
        assert only(write_cache(tmp_path / "c.h5", made), "metadata").verdict == "ok"

    def test_a_face_at_rest_that_tells_the_class_is_a_leak(self, tmp_path: Path) -> None:
        def lit(label: int, clip: ClipRecord) -> ClipRecord:
            frames = clip.roi_frames.copy()
            frames[:, :, :, 16 * label : 16 * label + 16] += 70
            return replace(clip, roi_frames=frames)

        finding = only(changed(tmp_path, lit), "still")
        assert finding.verdict == "leak"
        assert finding.figures["uf1"] > 0.9

    def test_flow_without_faces_cannot_be_checked_at_rest(self, tmp_path: Path) -> None:
        empty = np.zeros((0, 6, 48, 48, 3), np.uint8)
        path = changed(tmp_path, lambda _, clip: replace(clip, roi_frames=empty))
        assert only(path, "still").verdict == "not checked"

    def test_shuffles_keep_every_class_and_every_persons_mixture(self) -> None:
        labels = np.array([0, 0, 0, 1, 1, 2, 2, 2])
        persons = ["a", "b", "a", "c", "c", "b", "a", "b"]
        drawn = guess.shuffled(labels, persons, 50, 0)
        assert np.array_equal(drawn[0], labels)
        assert all(np.array_equal(np.sort(row), np.sort(labels)) for row in drawn)
        assert len({row.tobytes() for row in drawn}) > 20

    def test_bins_are_quantiles_of_many_numbers_and_words_as_they_are(self) -> None:
        many = guess.binned([*map(float, range(80)), None])
        assert many.shape == (81, 9)
        assert many.sum(0).tolist() == [10.0] * 8 + [1.0]
        assert guess.binned(["a", "b", "a"]).tolist() == [[1, 0], [0, 1], [1, 0]]


class TestTraining:
    def contaminated(self, cache: Path) -> Case:
        """Return a case whose folds train on the very clips they test."""
        case = open_case("c", [cache], TrainOptions())
        every = case.clip_ids
        return replace(case, folds=tuple(Fold(f.name, every, f.test) for f in case.folds))

    def test_scrambled_clips_that_were_trained_on_change_the_weights(self, cache: Path) -> None:
        finding = retrain.check_refit(self.contaminated(cache), Limits("flow-svm"))
        assert (finding.verdict, finding.items) == ("leak", ("made/s0",))

    def test_labels_without_meaning_are_predicted_where_held_out_ones_are_known(
        self, cache: Path
    ) -> None:
        finding = retrain.check_permuted(self.contaminated(cache), Limits(permutations=2))
        assert finding.verdict == "leak"
        assert finding.figures["mean"] > 0.6

    def test_clips_on_both_sides_are_seen(self, cache: Path) -> None:
        case = self.contaminated(cache)
        assert len(folds.check_clips(case, Limits()).items) == 48

    def test_no_refit_is_asked_for(self, cache: Path) -> None:
        assert only(cache, "refit", refit=0).verdict == "not checked"

    @pytest.mark.parametrize(
        ("check", "model"),
        [
            ("features", "ReadsLabels"),
            ("features", "RemembersClips"),
            ("constant", "CountsClips"),
        ],
    )
    def test_a_model_that_breaks_the_contract_is_a_leak(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch, check: str, model: str
    ) -> None:
        monkeypatch.setitem(registry.MODELS, "leaky", f"tests.leaky_models:{model}")
        assert only(cache, check, model="leaky").verdict == "leak"

    def test_what_the_training_classes_tell_of_held_out_ones_is_a_warning(
        self, tmp_path: Path
    ) -> None:
        persons = [
            "012",
            "012",
            "01",
            "2",
            "0",
            "01",
            "20",
            "1",
            "0",
            "20",
            "012",
            "012",
            "012",
            "0",
        ]
        few = [
            record(f"s{s}", f"c{c}", int(label))
            for s, labels in enumerate(persons)
            for c, label in enumerate(labels)
        ]
        finding = only(write_cache(tmp_path / "c.h5", few), "constant")
        assert finding.verdict == "warning"
        assert "training clips lack" in finding.advice

    def test_pixels_are_scrambled_as_pixels(self, cache: Path, tmp_path: Path) -> None:
        options = TrainOptions((cache,), "cnn-lstm", model_options={
            "input": "rgb", "patches": 4, "steps": 2, "spatial_epochs": 1, "temporal_epochs": 1,
        }, k=2, protocol="kfold", jobs=0, final=False, runs=tmp_path)  # fmt: skip
        assert only(train(options).run, "refit").verdict == "ok"


class TestCommand:
    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(cli.app, ["audit", *arguments])

    def test_it_leaves_with_0_if_clean_and_with_3_if_not(self, honest: Path, run: Path) -> None:
        done = self.run(str(honest), "--checks", "persons,selection", "-j", "0")
        assert done.exit_code == 0
        assert "clean: 0 leaks, 0 warnings" in done.stdout
        rewrite(run, lambda document: document.update(selection="oracle"))
        done = self.run(str(run), "--checks", "selection,predictions", "-j", "0", "--json")
        assert done.exit_code == 3
        document = json.loads(done.stdout)
        assert document["clean"] is False
        assert [f["verdict"] for f in document["findings"]] == ["not checked", "leak"]
        done = self.run(str(run), "--checks", "selection,predictions", "-j", "0")
        assert "selection: the held-out subjects picked the epoch" in done.stdout
        assert "LEAKED: 1 leak, 0 warnings, 1 not checked" in done.stdout

    def test_a_long_list_is_cut(self, cache: Path) -> None:
        from mecli.report.audit import Audit, Finding, to_text

        finding = Finding("clips", "leak", "", items=tuple(f"clip {k}" for k in range(30)))
        text = to_text(Audit("x", "run", 1, 1, 1, (finding,)))
        assert "clip 19\n  … and 10 more (all with --json)" in text

    def test_what_is_neither_is_refused(self, cache: Path, honest: Path, tmp_path: Path) -> None:
        with pytest.raises(MissingDependency, match="no such cache"):
            audit([str(tmp_path / "none.h5")])
        (tmp_path / "a.csv").write_text("x")
        with pytest.raises(InputError, match="neither a cache nor a run folder"):
            audit([str(tmp_path / "a.csv")])
        with pytest.raises(UsageError, match="2 things to audit"):
            audit([str(honest), str(honest)])
        with pytest.raises(UsageError, match="--protocol all holds out nobody"):
            audit([str(cache)], AuditOptions(protocol="all"))
        with pytest.raises(UnknownName, match="unknown check 'person'; did you mean 'persons'"):
            AuditOptions(checks=("person",))
        with pytest.raises(UsageError, match="--permutations is 0, expected 1 or more"):
            AuditOptions(permutations=0)
