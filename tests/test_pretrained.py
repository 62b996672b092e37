"""Runs that begin with a checkpoint trained on other people, and what of it may stay frozen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import mecli
from mecli import checkpoints, cli
from mecli.cache import open_cache
from mecli.errors import InputError, UsageError
from mecli.train import TrainOptions, TrainResult, resume, train
from mecli.training import dataset, folder, plan, start
from mecli.training.checkpoint import load_checkpoint, save_checkpoint, scores, tensors_of
from tests.moving_records import record, records, write_cache

if TYPE_CHECKING:
    from torch import Tensor

TWO_STAGES = {"steps": 2, "patches": 4, "spatial_batch": 16, "temporal_batch": 8}
ONE_STAGE = {"steps": 2, "batch_size": 8, "dense": 16}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints trained on six people who are in no other cache of these tests."""
    path = tmp_path_factory.mktemp("pretrained")
    other = [record(f"x{s}", f"c{c}", c, corpus="other") for s in range(3) for c in range(3)]
    write_cache(path / "other.h5", other)
    write_cache(path / "c.h5", records(3))
    for model, given in (("cnn-lstm", TWO_STAGES), ("roi-flow-lstm", ONE_STAGE)):
        options = TrainOptions(
            caches=(path / "other.h5",), model=model, model_options=given, protocol="all",
            epochs=2, jobs=0, runs=path / "runs",
        )  # fmt: skip
        final = train(options).final
        assert final
        final.rename(path / f"{model}.safetensors")
    return path


def begun(folders: Path, runs: Path, model: str = "cnn-lstm", **changes: Any) -> TrainResult:
    values: dict[str, Any] = {
        "caches": (folders / "c.h5",),
        "model": model,
        "pretrained": str(folders / f"{model}.safetensors"),
        "epochs": 2,
        "jobs": 0,
        "final": False,
        "runs": runs,
        **changes,
    }
    return train(TrainOptions(**values))


def weights(path: Path) -> dict[str, Tensor]:
    checkpoint = load_checkpoint(path)
    return tensors_of(checkpoint.stages, checkpoint.networks)


def shas(result: TrainResult) -> list[str]:
    folds = sorted((result.run / "folds" / "0").glob("*.json"))
    return [json.loads(path.read_text())["weights_sha256"] for path in folds]


def test_every_fold_begins_with_the_checkpoint(folders: Path, tmp_path: Path) -> None:
    still = {"learning_rate": 1e-12, "weight_decay": 0.0}
    result = begun(folders, tmp_path, "roi-flow-lstm", model_options=still, epochs=1)
    given = weights(folders / "roi-flow-lstm.safetensors")
    for fold in range(3):
        for name, value in weights(folder.weights_path(result.run, 0, fold)).items():
            assert torch.allclose(value, given[name], atol=1e-9), name


def test_what_the_network_is_comes_from_the_checkpoint_and_how_it_is_trained_does_not(
    folders: Path, tmp_path: Path
) -> None:
    result = begun(folders, tmp_path, "roi-flow-lstm", model_options={"learning_rate": 1e-4})
    run = folder.read_run(result.run)
    assert (run["model_options"]["dense"], run["model_options"]["steps"]) == (16, 2)
    assert run["model_options"]["learning_rate"] == 1e-4
    assert (ONE_STAGE["batch_size"], run["model_options"]["batch_size"]) == (8, 32)
    assert run["pretrained"]["subjects"] == 3
    assert run["pretrained"]["frozen"] is False
    fold = load_checkpoint(folder.weights_path(result.run, 0, 0))
    assert fold.description["persons"] == [
        "made/s1", "made/s2", "other/x0", "other/x1", "other/x2",
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ["sequential", "stacked"])
def test_frozen_stages_stay_and_the_last_is_trained_in_each_fold(
    folders: Path, tmp_path: Path, engine: str
) -> None:
    result = begun(folders, tmp_path, freeze=True, engine=engine)
    given = weights(folders / "cnn-lstm.safetensors")
    folds = [weights(folder.weights_path(result.run, 0, k)) for k in range(3)]
    for name, value in given.items():
        kept = [torch.equal(fold[name], value) for fold in folds]
        assert all(kept) if name.startswith("frames.") else not any(kept), name
    head = "sequence.classes.weight"
    assert not torch.equal(folds[0][head], folds[1][head])
    # From features computed once to whole clips: the same scores.
    fold = folder.read_fold(result.run, 0, 1)
    assert fold
    with open_cache(folders / "c.h5") as cache:
        held = list(cache.records(fold.scores))
    checkpoint = load_checkpoint(folder.weights_path(result.run, 0, 1))
    expected = [list(fold.scores[r.clip_id]) for r in held]
    assert scores(checkpoint, held).tolist() == expected


def test_a_frozen_run_goes_on_with_the_same_checkpoint_only(folders: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes((folders / "cnn-lstm.safetensors").read_bytes())
    result = begun(folders, tmp_path, freeze=True, pretrained=str(mine))
    before = (result.run / "predictions.csv").read_text()
    folder.fold_path(result.run, 0, 2).unlink()
    assert resume(result.run).uf1 == result.uf1
    assert (result.run / "predictions.csv").read_text() == before
    changed = load_checkpoint(mine)
    with torch.no_grad():
        next(changed.networks[0].parameters()).add_(1e-3)
    save_checkpoint(mine, changed)
    with pytest.raises(InputError, match="pretrained changed since the run was started"):
        resume(result.run)


def test_scrambling_the_held_out_subject_leaves_a_frozen_runs_weights_bit_identical(
    folders: Path, tmp_path: Path
) -> None:
    chance = np.random.default_rng(0)
    scrambled = [
        replace(r, flow=chance.normal(0, 9, r.flow.shape).astype(np.float32))
        if r.subject == "s1"
        else r
        for r in records(3)
    ]
    write_cache(tmp_path / "s.h5", scrambled)
    one, other = (
        shas(begun(folders, tmp_path / name, freeze=True, caches=(cache,)))
        for name, cache in (("a", folders / "c.h5"), ("b", tmp_path / "s.h5"))
    )
    assert [a == b for a, b in zip(one, other, strict=True)] == [False, True, False]


def test_other_classes_get_new_heads_and_keep_the_rest(folders: Path, tmp_path: Path) -> None:
    still = {"learning_rate": 1e-12, "weight_decay": 0.0}
    result = begun(
        folders, tmp_path, "roi-flow-lstm", labels="emotion", model_options=still, epochs=1
    )
    given = weights(folders / "roi-flow-lstm.safetensors")
    fold = weights(folder.weights_path(result.run, 0, 0))
    assert fold.keys() == given.keys()
    anew = {n for n in fold if not torch.allclose(fold[n], given[n], atol=1e-9)}
    assert 0 < len(anew) < len(fold)
    assert all(3 in fold[n].shape for n in anew)
    assert folder.read_run(result.run)["pretrained"]["classes"] is False


def test_classes_are_taken_by_name_in_any_order(folders: Path) -> None:
    checkpoint = load_checkpoint(folders / "roi-flow-lstm.safetensors")
    stages, given = checkpoint.stages, weights(folders / "roi-flow-lstm.safetensors")
    turned = start.weights(checkpoint, stages, checkpoint.classes[::-1])
    for name, value in start.weights(checkpoint, stages, checkpoint.classes[:2]).items():
        if value.shape == given[name].shape:
            assert torch.equal(turned[name], given[name])
        else:
            assert torch.equal(value, given[name][..., :2])
            assert torch.equal(turned[name], given[name].flip(-1))


class TestRefused:
    def test_a_checkpoint_that_saw_somebody_of_the_cache(
        self, folders: Path, tmp_path: Path
    ) -> None:
        mixed = [record("x1", "c0", 0, corpus="other"), *records(3)]
        cache = write_cache(tmp_path / "m.h5", mixed)
        with pytest.raises(InputError, match=r"trained on 1 of the subjects .*\(other/x1\)"):
            begun(folders, tmp_path, caches=(cache,))

    @pytest.mark.parametrize("persons", [None, []])
    def test_a_checkpoint_that_does_not_say_whom_it_saw(
        self, folders: Path, tmp_path: Path, persons: list[str] | None
    ) -> None:
        known = load_checkpoint(folders / "cnn-lstm.safetensors")
        path = tmp_path / "silent.safetensors"
        save_checkpoint(path, replace(known, description={**known.description, "persons": persons}))
        with pytest.raises(InputError, match="does not say whom it was trained on"):
            begun(folders, tmp_path, pretrained=str(path))

    def test_a_checkpoint_of_another_model(self, folders: Path, tmp_path: Path) -> None:
        path = str(folders / "cnn-lstm.safetensors")
        with pytest.raises(InputError, match="of model cnn-lstm, expected roi-flow-lstm; say"):
            begun(folders, tmp_path, "roi-flow-lstm", pretrained=path)

    def test_options_that_make_other_weights(self, folders: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"weight 'rois\.\S+' is .*expected"):
            begun(folders, tmp_path, "roi-flow-lstm", model_options={"dense": 32})
        with pytest.raises(InputError, match=r"features \(3, 6, 2, 12, 12\) per clip"):
            begun(folders, tmp_path, "roi-flow-lstm", model_options={"steps": 3})

    def test_freezing_a_model_of_one_stage(self, folders: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="nothing would be left to train"):
            begun(folders, tmp_path, "roi-flow-lstm", freeze=True)

    def test_a_model_that_solves_for_its_weights(self, folders: Path, tmp_path: Path) -> None:
        solved = TrainOptions(
            caches=(folders / "other.h5",), model="flow-svm", protocol="all", jobs=0, runs=tmp_path
        )
        with pytest.raises(UsageError, match="flow-svm solves for its weights"):
            begun(folders, tmp_path, "flow-svm", pretrained=str(train(solved).final))

    def test_freezing_nothing(self) -> None:
        done = CliRunner().invoke(cli.app, ["train", "--freeze"])
        assert done.exit_code == 2
        assert "Name a checkpoint with --pretrained" in done.stderr

    def test_a_file_that_changed_under_a_run(self, folders: Path) -> None:
        path = str(folders / "cnn-lstm.safetensors")
        with pytest.raises(InputError, match="changed since the run was started"):
            start.read_same(path, "cnn-lstm", "0" * 64)


def test_clips_that_were_extracted_otherwise_are_pointed_out(folders: Path, tmp_path: Path) -> None:
    known = load_checkpoint(folders / "roi-flow-lstm.safetensors")
    path = tmp_path / "other.safetensors"
    caches = [{"options": {"steps": 16, "flow": "dis"}}]
    save_checkpoint(path, replace(known, description={**known.description, "caches": caches}))
    result = begun(folders, tmp_path, "roi-flow-lstm", pretrained=str(path), epochs=1)
    assert result.warnings == (
        f"{path} was trained on clips extracted with flow dis, these have None",
        f"{path} was trained on clips extracted with steps 16, these have None",
    )


def test_the_command_takes_a_checkpoint(folders: Path, tmp_path: Path) -> None:
    chosen = ["train", "-c", str(folders / "c.h5"), "--model", "cnn-lstm", "-j", "0", "--json"]
    begin = ["--pretrained", str(folders / "cnn-lstm.safetensors"), "--freeze", "--epochs", "1"]
    done = CliRunner().invoke(cli.app, [*chosen, *begin, "--runs", str(tmp_path), "--no-final"])
    assert done.exit_code == 0, done.stderr
    run = folder.read_run(tmp_path / next(tmp_path.iterdir()))
    assert run["pretrained"]["frozen"] is True
    assert json.loads(done.stdout)["folds"] == 3


def test_bundled_names_the_checkpoint_for_what_a_clip_holds() -> None:
    weights = Path(mecli.__file__).parent / "weights"
    faces, maps = weights / "bundled.safetensors", weights / "bundled-maps.safetensors"
    assert faces.exists()
    assert maps.exists()
    assert [checkpoints.find("bundled", maps=m) for m in (False, True)] == [faces, maps]
    for name, path in (("bundled-faces", faces), ("bundled-maps", maps)):
        assert checkpoints.find(name, maps=True) == checkpoints.find(name) == path
        assert checkpoints.name_of(path) == name
    assert checkpoints.name_of(Path("r/final.safetensors")) == "r/final.safetensors"


def one_map_each(path: Path, landmarker: str = "embedded") -> Path:
    """A cache as pairs of frames make it, the still onset and one map; ``none``: an archive."""
    made = [record(f"s{s}", f"c{c}", (s + c) % 3, steps=2) for s in range(3) for c in range(3)]
    return write_cache(path, [replace(one, landmarker=landmarker) for one in made])


@pytest.mark.parametrize(("landmarker", "name"), [("x", "bundled-faces"), ("none", "bundled-maps")])
def test_where_the_shipped_checkpoint_fits_every_fold_begins_with_it(
    tmp_path: Path, landmarker: str, name: str
) -> None:
    cache = one_map_each(tmp_path / "one.h5", landmarker)
    values: dict[str, Any] = {"caches": (cache,), "jobs": 0, "runs": tmp_path / "runs"}
    still = {"learning_rate": 1e-12, "weight_decay": 0.0}
    result = train(TrainOptions(**values, epochs=1, model_options=still, final=False))
    assert result.pretrained == name
    told = folder.read_run(result.run)["model_options"]
    assert (told["dropout"], told["batch_size"], told["moment"]) == (0.3, 32, "apex")
    assert folder.read_run(result.run)["pretrained"]["checkpoint"] == name
    given = weights(checkpoints.find(name))
    learned = weights(folder.weights_path(result.run, 0, 0))
    # Three classes here, four there: the evidence for `none` is left out.
    cut = {n for n, value in learned.items() if value.shape != given[n].shape}
    assert cut == {"rois.evidence.weight", "rois.evidence.bias"}
    expected = {n: w[..., :3] if n in cut else w for n, w in given.items()}
    assert all(torch.allclose(learned[n], w, atol=1e-9) for n, w in expected.items())
    assert folder.read_run(result.run)["pretrained"]["classes"] is True
    assert resume(result.run).pretrained == name
    anew = train(TrainOptions(**values, epochs=1, pretrained="none", final=False))
    assert anew.pretrained == "none"
    assert folder.read_run(anew.run)["pretrained"] is None


def test_training_on_labels_that_no_clip_has_says_why_and_who_counts_them(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "c.h5", [record("s1", "c", 0, steps=2)])
    with pytest.raises(InputError, match=r"none of 1 clips .*1: emotion5 is for .*`mecli info"):
        dataset.read([cache], "emotion5")


def test_faces_and_flow_images_together_begin_with_none_of_the_shipped(tmp_path: Path) -> None:
    faces, maps = (record(f"s{k}", "c", k, steps=2) for k in range(2))
    cache = write_cache(tmp_path / "c.h5", [faces, replace(maps, landmarker="none")])
    values: dict[str, Any] = {"caches": (cache,), "jobs": 0, "runs": tmp_path / "runs"}
    made = plan.make(TrainOptions(**values))
    assert made.options.pretrained == "none"
    (said,) = made.warnings()
    assert said.startswith("1 of 2 clips came as flow images, 1 as faces: a clip that is there")
    with pytest.raises(InputError, match="some clips are flow images and some are faces"):
        plan.make(TrainOptions(**values, pretrained="bundled"))
    named = plan.make(TrainOptions(**values, pretrained="bundled-maps"))
    assert named.options.pretrained == "bundled-maps"


@pytest.mark.parametrize(
    "changes",
    [
        {"model_options": {"steps": 4}},
        {"model_options": {"size_px": 8}},
        {"model_options": {"hidden": 16}},
        {"model": "ststnet"},
        {"model": "roi-flow-ridge"},
    ],
)
def test_where_it_does_not_fit_the_seed_draws_the_weights(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    cache = one_map_each(tmp_path / "one.h5")
    made = plan.make(TrainOptions(caches=(cache,), **changes))
    assert made.checkpoint is None
    assert made.options.pretrained == "none"


def test_clips_of_several_moments_are_learned_from_the_start(folders: Path) -> None:
    made = plan.make(TrainOptions(caches=(folders / "c.h5",)))
    assert (made.checkpoint, made.model_options.steps) == (None, 3)


def test_runs_of_earlier_versions_began_with_nothing() -> None:
    document = {**TrainOptions().as_json(), "pretrained": None}
    assert TrainOptions.from_json(document, Path("options.json")).pretrained == "none"
    assert TrainOptions.from_json({}, Path("options.json")).pretrained == "auto"
